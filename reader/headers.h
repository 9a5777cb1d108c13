/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_READER_HEADERS_H
#define BD_READER_HEADERS_H

/*
 * The mail's own headers into the letter (design section 4), and refusal of mails that are no
 * letters by their headers: replies, automatic answers, recalls, unknown Brevdue-* headers. Uses
 * the decoding of mime.h, so one thread at a time.
 */

#include "common/err.h"
#include "envelope/letter.h"
#include "reader/options.h"
#include "reader/strict.h"

/* Fills the header fields of l, which the caller frees in any case. 0, or -1 kind CONTENT. */
int headers_read(const struct strict_mail *m, const struct reader_options *o, struct letter *l,
		 struct bd_err *e);

#endif
