/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_READER_STRICT_H
#define BD_READER_STRICT_H

/*
 * The strict pass over a raw mail (threats.md A1, A2), before any MIME library sees it: it refuses
 * what two parsers could read differently, and finds headers and parts of what it accepts, so that
 * the library's reading can be held against it. One pass over the lines, linear in the input; pure.
 *
 * Line ends: in the mail's own header block CRLF and LF both end a line (a milter gets folded
 * values with LF). After it all lines end alike, CRLF as SMTP has it or LF as a file has it; a mix,
 * or a CR alone, is refused, as is NUL anywhere.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "reader/field.h"

#define STRICT_DEPTH_MAX 20
#define STRICT_PARTS_MAX ((size_t)250)
#define STRICT_HEADER_MAX_BYTES ((size_t)32 << 10)
#define STRICT_HEADERS_MAX_BYTES ((size_t)256 << 10)
#define STRICT_PREAMBLE_MAX_BYTES ((size_t)2048)

enum strict_cte { CTE_7BIT, CTE_8BIT, CTE_BINARY, CTE_BASE64, CTE_QUOTED_PRINTABLE };

struct strict_header { /* of the mail itself; offsets into it; value still folded */
	size_t name, name_len;
	size_t value, value_len;
};

struct strict_part {   /* in the order of their beginnings; [0] is the mail itself */
	size_t parent; /* index; SIZE_MAX for [0] */
	unsigned depth;
	unsigned number; /* of a leaf, counted from 1, as told to people; 0 for a multipart */
	bool multipart;
	enum strict_cte cte;
	struct field type;        /* Content-Type, text/plain when there is none */
	struct field disposition; /* value "" when there is none */
	bool typed;               /* has a Content-Type of its own */
	size_t body, body_end;    /* offsets; of a leaf */
};

struct strict_mail {
	const uint8_t *data; /* borrowed */
	size_t len;
	struct strict_header *headers;
	size_t header_count;
	struct strict_part *parts;
	size_t part_count;
	size_t work; /* bytes looked at, for the tests of linearity */
};

/* 0, or -1 with kind CONTENT and a detail in words. The caller clears m in any case. */
int strict_read(const void *data, size_t len, struct strict_mail *m, struct bd_err *e);
void strict_clear(struct strict_mail *m);

/* The unfolded, trimmed value of the first header of that name, appended to out. 1 found, 0 not,
 * -1 out of memory. */
int strict_header(const struct strict_mail *m, const char *name, struct buf *out);
/* Appends a header's value unfolded (RFC 5322 2.2.3) and trimmed. 0, -1 out of memory. */
int strict_unfold(const struct strict_mail *m, const struct strict_header *h, struct buf *out);

#endif
