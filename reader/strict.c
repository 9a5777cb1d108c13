/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict pass: lines, headers, boundaries. Decoding is not its job; whether a body is valid
 * base64 or quoted-printable is asked of transfer.c line by line.
 */
#include "config.h"
#include "reader/strict_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
strict_refuse(struct scan *s, const char *why)
{
	bd_fail(s->e, BD_E_CONTENT, "strict pass: %s", why);
	if (s->m->part_count > 1)
		bd_detail(s->e, "part %u, %s", s->leaves > 0 ? s->leaves : 1, why);
	else
		bd_detail(s->e, "%s", why);
	return -1;
}

/* Room for one element more in a growing array. */
int
strict_grow(void *array_p, size_t count, size_t size, struct bd_err *e)
{
	void *more, **array = array_p;

	if ((count & (count - 1)) != 0 || (count != 0 && count < 16))
		return 0;
	more = reallocarray(*array, count == 0 ? 16 : count * 2, size);
	if (more == NULL)
		return bd_fail(e, BD_E_MEMORY, "strict pass");
	*array = more;
	return 0;
}

static int
part_open(struct scan *s)
{
	struct strict_mail *m = s->m;
	struct strict_part *p;

	if (m->part_count == STRICT_PARTS_MAX)
		return strict_refuse(s, "more than 250 parts");
	if (strict_grow(&m->parts, m->part_count, sizeof(*m->parts), s->e) == -1)
		return -1;
	s->part = m->part_count++;
	p = &m->parts[s->part];
	memset(p, 0, sizeof(*p));
	p->parent = s->open > 0 ? s->stack[s->open - 1].part : SIZE_MAX;
	p->depth = s->open;
	p->number = ++s->leaves; /* until it turns out to be a multipart */
	s->seen = 0;
	s->header = s->header_end = 0;
	s->content_type = s->cte = s->disposition = 0;
	s->state = IN_HEADERS;
	return 0;
}

static bool
is_prefix(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len <= b_len && memcmp(a, b, a_len) == 0;
}

static int
multipart_open(struct scan *s, struct strict_part *p)
{
	struct open_multipart *o;
	size_t len = strlen(p->type.boundary);

	if (len == 0)
		return strict_refuse(s, "a multipart without a boundary");
	if (p->cte >= CTE_BASE64)
		return strict_refuse(s, "a multipart with a transfer encoding");
	if (s->open == STRICT_DEPTH_MAX)
		return strict_refuse(s, "parts nested more than 20 deep");
	for (unsigned i = 0; i < s->open; i++) {
		o = &s->stack[i];
		if (is_prefix(o->boundary, o->boundary_len, p->type.boundary, len) ||
		    is_prefix(p->type.boundary, len, o->boundary, o->boundary_len))
			return strict_refuse(s, "a boundary that begins like an outer one");
	}
	o = &s->stack[s->open++];
	o->part = s->part;
	o->children = 0;
	o->boundary_len = len;
	memcpy(o->boundary, p->type.boundary, len + 1);
	p->multipart = true;
	p->number = 0;
	s->leaves--;
	s->preamble = 0;
	s->state = IN_PREAMBLE;
	return 0;
}

/* The empty line after the headers, or the end of a mail without one. body is where the body
 * begins. */
static int
headers_done(struct scan *s, size_t body)
{
	struct strict_part *p = &s->m->parts[s->part];

	if (strict_header_done(s) == -1)
		return -1;
	if (strict_head_parse(s, p) == -1)
		return -1;
	p->body = p->body_end = body;
	if (strncmp(p->type.value, "multipart/", 10) == 0)
		return multipart_open(s, p);
	transfer_init(&s->transfer, (int)p->cte);
	s->state = IN_LEAF;
	return 0;
}

static int
leaf_close(struct scan *s, size_t end)
{
	struct strict_part *p = &s->m->parts[s->part];
	const char *why;

	p->body_end = end > p->body ? end : p->body;
	if (transfer_end(&s->transfer, &why) == -1)
		return strict_refuse(s, why);
	return 0;
}

/* 1 when the line was a delimiter and is dealt with, 0 when it is none, -1. */
static int
delimiter(struct scan *s, const char *line, size_t len)
{
	for (unsigned i = s->open; i-- > 0;) {
		struct open_multipart *o = &s->stack[i];
		const char *rest = line + 2 + o->boundary_len;
		size_t rest_len;
		bool closes = false;

		s->m->work += len < o->boundary_len ? len : o->boundary_len;
		if (len < 2 + o->boundary_len ||
		    memcmp(line + 2, o->boundary, o->boundary_len) != 0)
			continue;
		rest_len = len - 2 - o->boundary_len;
		if (rest_len >= 2 && memcmp(rest, "--", 2) == 0) {
			closes = true;
			rest += 2;
			rest_len -= 2;
		}
		for (size_t k = 0; k < rest_len; k++)
			if (rest[k] != ' ' && rest[k] != '\t')
				return strict_refuse(s, "a line that begins like a boundary");
		if (s->state == IN_HEADERS)
			return strict_refuse(s, "a part without the empty line after its headers");
		if (i != s->open - 1)
			return strict_refuse(s, "a multipart without its end boundary");
		if (s->state == IN_LEAF && leaf_close(s, s->line_before_end) == -1)
			return -1;
		if (s->state == IN_EPILOGUE && o->children == 0)
			return strict_refuse(s, "a multipart without parts");
		if (!closes) {
			o->children++;
			return part_open(s) == -1 ? -1 : 1;
		}
		if (o->children == 0)
			return strict_refuse(s, "a multipart without parts");
		s->open--;
		s->state = IN_EPILOGUE;
		return 1;
	}
	return 0;
}

static bool
is_blank(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (line[i] != ' ' && line[i] != '\t')
			return false;
	return true;
}

static int
header_line(struct scan *s, size_t start, size_t len, size_t next)
{
	const char *line = strict_at(s, start);

	if (len == 0)
		return headers_done(s, next);
	if (line[0] == ' ' || line[0] == '\t') {
		if (s->header_end == s->header)
			return strict_refuse(s, "a continuation line without a header");
		if (is_blank(line, len))
			return strict_refuse(s, "a blank continuation line in a header");
		s->header_end = start + len;
		return 0;
	}
	if (strict_header_done(s) == -1)
		return -1;
	s->header = start;
	s->header_end = start + len;
	return 0;
}

static int
one_line(struct scan *s, size_t start, size_t len, size_t next)
{
	const char *line = strict_at(s, start), *why;
	int rc;

	if (len >= 2 && line[0] == '-' && line[1] == '-' && (rc = delimiter(s, line, len)) != 0)
		return rc == -1 ? -1 : 0;
	switch (s->state) {
	case IN_HEADERS:
		return header_line(s, start, len, next);
	case IN_LEAF:
		s->m->work += len;
		if (transfer_line(&s->transfer, line, len, &why) == -1)
			return strict_refuse(s, why);
		return 0;
	case IN_PREAMBLE:
		if ((s->preamble += len) > STRICT_PREAMBLE_MAX_BYTES)
			return strict_refuse(s, "much text before the first boundary");
		return 0;
	case IN_EPILOGUE:
		return is_blank(line, len) ? 0 : strict_refuse(s, "text after the last boundary");
	}
	return 0;
}

/* The end of the line that begins at start: len_r without the line end, next_r after it. */
static int
line_end(struct scan *s, size_t start, size_t *len_r, size_t *next_r)
{
	const char *line = strict_at(s, start);
	size_t rest = s->m->len - start, len;
	const char *lf = memchr(line, '\n', rest);
	enum eol eol = EOL_LF;
	/* The blank line that ends the mail's own headers still counts to them. */
	bool free_form = s->part == 0 && s->state == IN_HEADERS;

	len = lf != NULL ? (size_t)(lf - line) : rest;
	*next_r = start + len + (lf != NULL);
	s->m->work += 2 * len + 1;
	if (lf != NULL && len > 0 && line[len - 1] == '\r') {
		eol = EOL_CRLF;
		len--;
	}
	if (memchr(line, '\r', len) != NULL)
		return strict_refuse(s, "a carriage return alone");
	if (lf != NULL && !free_form) {
		if (s->eol != EOL_UNKNOWN && s->eol != eol)
			return strict_refuse(s, "two kinds of line ends");
		s->eol = eol;
	}
	*len_r = len;
	return 0;
}

static int
end_of_mail(struct scan *s)
{
	if (s->state == IN_HEADERS) {
		if (s->open > 0)
			return strict_refuse(s, "a part without the empty line after its headers");
		if (headers_done(s, s->m->len) == -1)
			return -1;
	}
	if (s->open > 0)
		return strict_refuse(s, "a multipart without its end boundary");
	if (s->state == IN_LEAF)
		return leaf_close(s, s->m->len);
	return 0;
}

int
strict_read(const void *data, size_t len, struct strict_mail *m, struct bd_err *e)
{
	struct scan s = { .m = m, .e = e };
	size_t start = 0;

	*m = (struct strict_mail){ .data = data, .len = len };
	if (len == 0) {
		bd_fail(e, BD_E_CONTENT, "no bytes at all");
		bd_detail(e, "the mail is empty");
		return -1;
	}
	if (memchr(data, '\0', len) != NULL)
		return strict_refuse(&s, "a NUL byte");
	m->work += len;
	if (part_open(&s) == -1)
		return -1;
	while (start < len) {
		size_t line_len = 0, next = len;

		if (line_end(&s, start, &line_len, &next) == -1 ||
		    one_line(&s, start, line_len, next) == -1)
			return -1;
		s.line_before_end = start + line_len;
		start = next;
	}
	return end_of_mail(&s);
}

void
strict_clear(struct strict_mail *m)
{
	free(m->headers);
	free(m->parts);
	*m = (struct strict_mail){ 0 };
}
