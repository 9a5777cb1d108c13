/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_TARGET_H
#define BD_TRANSPORT_TARGET_H

/* Where a recipient of a sealed message leads (design section 6): <letter id>@<provider>.digital.
 * brevdue.invalid or <letter id>@report.brevdue.invalid. Pure, thread safe. */

#include "envelope/cert.h"
#include "envelope/sealed.h"

enum target_kind { TARGET_NONE, TARGET_DIGITAL, TARGET_REPORT };

struct target {
	enum target_kind kind;
	char letter_id[LETTER_ID_CHARS];
	char provider[ORGNR_CHARS]; /* TARGET_DIGITAL */
};

/* Anything that is not exactly one of ours is TARGET_NONE. Domains are case-insensitive. */
void target_parse(const char *address, struct target *out);

#endif
