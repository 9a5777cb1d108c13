/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_DPI_ANSWER_H
#define BD_TRANSPORT_DPI_ANSWER_H

/* What the access point's answers mean (spec/dpi.md 1.12 and 1.13). Pure, thread safe. */

#include <stddef.h>

#include "transport/driver.h"

enum dpi_class {
	DPI_ACCEPTED,
	DPI_DUPLICATE, /* the id is used: it has the letter */
	DPI_TOKEN,     /* a new token may do */
	DPI_NOT_NOW,   /* certainly not taken, temporary */
	DPI_IN_DOUBT,  /* temporary, and perhaps taken all the same */
	DPI_FORBIDDEN, /* permanent, and the operator must act */
	DPI_REFUSED    /* permanent */
};

/* Classifies the answer to POST messages/out. */
enum dpi_class dpi_answer_class(int status, const void *body, size_t len);
/* Our own words for a class that is not success: "validation error". */
const char *dpi_answer_reason(enum dpi_class class, int status);
/* The problem document's detail for the operator's log: bounded, and with everything that could be
 * a number, an address or a name in it blotted out. */
void dpi_answer_detail(const void *body, size_t len, char *out, size_t size);
/* Reads the list of GET statuses. SENDT wins over FEILET: what may have arrived is never sent
 * again. */
enum driver_found dpi_answer_statuses(const void *body, size_t len, struct driver_note *note_r,
				      struct bd_err *e);

#endif
