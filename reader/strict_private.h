/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_READER_STRICT_PRIVATE_H
#define BD_READER_STRICT_PRIVATE_H

/* What the two halves of the strict pass share: strict.c (lines and boundaries) and strict_head.c
 * (headers). For these two only. */

#include "reader/strict.h"
#include "reader/transfer.h"

enum state { IN_HEADERS, IN_LEAF, IN_PREAMBLE, IN_EPILOGUE };
enum eol { EOL_UNKNOWN, EOL_CRLF, EOL_LF };

struct open_multipart {
	size_t part;
	size_t children;
	size_t boundary_len;
	char boundary[FIELD_BOUNDARY_MAX + 1];
};

struct scan {
	struct strict_mail *m;
	struct bd_err *e;
	enum state state;
	enum eol eol;
	struct open_multipart stack[STRICT_DEPTH_MAX];
	unsigned open;
	unsigned leaves;
	size_t part;                   /* index of the current one */
	uint64_t seen;                 /* singleton headers of the current part */
	size_t header, header_end;     /* the current header, 0 length: none */
	size_t content_type, type_len; /* where the value stands, 0: none */
	size_t cte, cte_len;
	size_t disposition, disposition_len;
	size_t headers_total, preamble;
	size_t line_before_end; /* end of the previous line without its line end */
	struct transfer transfer;
};

/* Sets e in words, with the part's number where there is more than one. Always -1. */
int strict_refuse(struct scan *s, const char *why);
/* Room for one element more in a growing array. */
int strict_grow(void *array_p, size_t count, size_t size, struct bd_err *e);
/* The header between header and header_end is complete. */
int strict_header_done(struct scan *s);
/* All headers of the current part are: type, disposition and transfer encoding. */
int strict_head_parse(struct scan *s, struct strict_part *p);

static inline const char *
strict_at(const struct scan *s, size_t offset)
{
	return (const char *)s->m->data + offset;
}

#endif
