/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_READER_READ_H
#define BD_READER_READ_H

/*
 * The reader's one function: raw mail and options in, letter or refusal out. No file, clock or
 * network is touched. One thread at a time (GMime, libmagic).
 */

#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"
#include "envelope/letter.h"
#include "reader/options.h"
#include "reader/types.h"

struct reading {
	struct letter *letter; /* its documents borrow from data */
	struct buf *data;
	size_t count;
};

/*
 * 0 with r filled; -1 with kind CONTENT, CONTENT_TYPE or TOO_BIG and a public detail (the mail's
 * fault), or MEMORY, INTERNAL (ours). mail is borrowed for the call. The caller clears r in any
 * case.
 */
int reader_read(struct types *types, const void *mail, size_t len, const struct reader_options *o,
		struct reading *r, struct bd_err *e);
void reading_clear(struct reading *r);

#endif
