/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_READER_TRANSFER_H
#define BD_READER_TRANSFER_H

/*
 * Whether a body is what its Content-Transfer-Encoding says, line by line, without decoding it:
 * decoders skip junk in different ways (threats.md A1). Pure; thread safe.
 */

#include <stdbool.h>
#include <stddef.h>

enum strict_cte;

struct transfer {
	int cte;
	size_t digits; /* base64 characters so far */
	unsigned padding;
	bool soft; /* quoted-printable: the last line ended in "=" */
};

void transfer_init(struct transfer *t, int cte);
/* A line without its line end. 0, or -1 with a static phrase. */
int transfer_line(struct transfer *t, const char *line, size_t len, const char **why_r);
int transfer_end(const struct transfer *t, const char **why_r);

#endif
