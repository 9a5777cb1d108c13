/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_READER_TYPES_H
#define BD_READER_TYPES_H

/*
 * What an attachment really is: by its content (libmagic) and its name, which must agree; the
 * declared media type may be general ("application/octet-stream") but not wrong. Not thread safe:
 * one struct types per thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "envelope/doctype.h"

struct types;

/* Loads libmagic's database. NULL with kind CONFIG. */
struct types *types_open(struct bd_err *e);
void types_close(struct types **t);

struct types_question {
	const char *declared; /* media type, lower case; "" when the part has none of its own */
	const char *name;     /* decoded file name, "" when there is none */
	const void *data;
	size_t len;
	bool mailbox; /* the full table, else only what can be printed */
};

/* 0 with the row of spec/dpi.md 1.4; -1 with kind CONTENT_TYPE and the type as detail
 * ("image/tiff", "application/pdf that is none"). */
int types_decide(struct types *t, const struct types_question *q, const struct doctype **row_r,
		 struct bd_err *e);
/* Copies a foreign media type for a public text: cut, and without long runs of digits. */
void types_show(const char *type, char *out, size_t size);

#endif
