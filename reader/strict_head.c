/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict pass's view of headers: each a proper line, none of the singletons twice, structured
 * values with one reading.
 */
#include "config.h"
#include "reader/strict_private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What may stand once only. The first MIME_ONES also in a part's headers. */
static const char *const singletons[] = {
	"Content-Type",
	"Content-Transfer-Encoding",
	"Content-Disposition",
	"Content-ID",
	"Content-Description",
	"Content-Language",
	"Content-Location",
#define MIME_ONES 7
	"From",
	"Sender",
	"Reply-To",
	"To",
	"Cc",
	"Bcc",
	"Message-ID",
	"In-Reply-To",
	"References",
	"Subject",
	"Date",
	"MIME-Version",
	"Sensitivity",
	"Disposition-Notification-To",
	"Return-Receipt-To",
	"Deferred-Delivery",
	"Auto-Submitted",
	"Content-Class",
};
#define SINGLETONS (sizeof(singletons) / sizeof(singletons[0]))

static int
header_name_check(struct scan *s, size_t name_len)
{
	size_t ones = s->part == 0 ? SINGLETONS : MIME_ONES;
	const char *name = strict_at(s, s->header);

	for (size_t i = 0; i < ones; i++) {
		if (strlen(singletons[i]) != name_len ||
		    strncasecmp(singletons[i], name, name_len) != 0)
			continue;
		if ((s->seen & (uint64_t)1 << i) != 0) {
			char why[64] = "two headers: ";

			strcat(why, singletons[i]);
			return strict_refuse(s, why);
		}
		s->seen |= (uint64_t)1 << i;
		if (i == 0) {
			s->content_type = s->header + name_len + 1;
			s->type_len = s->header_end - s->content_type;
		} else if (i == 1) {
			s->cte = s->header + name_len + 1;
			s->cte_len = s->header_end - s->cte;
		} else if (i == 2) {
			s->disposition = s->header + name_len + 1;
			s->disposition_len = s->header_end - s->disposition;
		}
	}
	return 0;
}

/* The header between header and header_end is complete. */
int
strict_header_done(struct scan *s)
{
	struct strict_mail *m = s->m;
	const char *h = strict_at(s, s->header);
	size_t len = s->header_end - s->header, name_len = 0;

	if (len == 0)
		return 0;
	if (len > STRICT_HEADER_MAX_BYTES)
		return strict_refuse(s, "a header over 32 kB");
	if ((s->headers_total += len) > STRICT_HEADERS_MAX_BYTES)
		return strict_refuse(s, "headers over 256 kB");
	m->work += 2 * len;
	while (name_len < len && h[name_len] > ' ' && h[name_len] < 0x7f && h[name_len] != ':')
		name_len++;
	if (name_len == 0 || name_len == len || h[name_len] != ':')
		return strict_refuse(s, "a line among the headers that is none");
	for (size_t i = name_len + 1; i < len; i++)
		if (((unsigned char)h[i] < ' ' && h[i] != '\t' && h[i] != '\r' && h[i] != '\n') ||
		    h[i] == 0x7f)
			return strict_refuse(s, "a control character in a header");
	if (header_name_check(s, name_len) == -1)
		return -1;
	if (s->part == 0) {
		if (strict_grow(&m->headers, m->header_count, sizeof(*m->headers), s->e) == -1)
			return -1;
		m->headers[m->header_count++] = (struct strict_header){
			.name = s->header,
			.name_len = name_len,
			.value = s->header + name_len + 1,
			.value_len = len - name_len - 1,
		};
	}
	s->header_end = s->header;
	return 0;
}

/* Parses a structured value that stands at offset; its fold is undone first. */
static int
value_parse(struct scan *s, size_t offset, size_t len, const char *name_param, struct field *f,
	    const char *header)
{
	struct strict_header h = { .value = offset, .value_len = len };
	struct buf text = { 0 };
	const char *why = NULL;
	char words[96];
	int rc = -1;

	if (strict_unfold(s->m, &h, &text) == -1) {
		bd_fail(s->e, BD_E_MEMORY, "strict pass");
		goto out;
	}
	s->m->work += 2 * len;
	if (field_parse(buf_str(&text), text.len, name_param, f, &why) == -1) {
		snprintf(words, sizeof(words), "%s: %s", header, why);
		strict_refuse(s, words);
		goto out;
	}
	rc = 0;
out:
	buf_free(&text);
	return rc;
}

static int
cte_parse(struct scan *s, struct strict_part *p)
{
	static const char *const names[] = { "7bit", "8bit", "binary", "base64",
					     "quoted-printable" };
	struct strict_header h = { .value = s->cte, .value_len = s->cte_len };
	struct buf text = { 0 };
	bool known = false;

	p->cte = CTE_7BIT;
	if (s->cte == 0)
		return 0;
	if (strict_unfold(s->m, &h, &text) == -1)
		return bd_fail(s->e, BD_E_MEMORY, "strict pass");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(names[i], buf_str(&text)) == 0) {
			p->cte = (enum strict_cte)i;
			known = true;
		}
	buf_free(&text);
	return known ? 0 : strict_refuse(s, "an unknown Content-Transfer-Encoding");
}

int
strict_head_parse(struct scan *s, struct strict_part *p)
{
	strcpy(p->type.value, "text/plain"); /* RFC 2045 5.2 */
	if (s->content_type != 0) {
		p->typed = true;
		if (value_parse(s, s->content_type, s->type_len, "name", &p->type,
				"Content-Type") == -1)
			return -1;
		if (strchr(p->type.value, '/') == NULL)
			return strict_refuse(s, "Content-Type: not type/subtype");
	}
	if (s->disposition != 0 && value_parse(s, s->disposition, s->disposition_len, "filename",
					       &p->disposition, "Content-Disposition") == -1)
		return -1;
	if (cte_parse(s, p) == -1)
		return -1;
	if (p->parent != SIZE_MAX &&
	    strcmp(s->m->parts[p->parent].type.value, "multipart/digest") == 0)
		return strict_refuse(s, "a digest of mails");
	return 0;
}

int
strict_unfold(const struct strict_mail *m, const struct strict_header *h, struct buf *out)
{
	const char *v = (const char *)m->data + h->value;
	size_t len = h->value_len, from = 0;

	while (len > 0 && strchr(" \t\r\n", v[len - 1]) != NULL)
		len--;
	while (from < len && strchr(" \t\r\n", v[from]) != NULL)
		from++;
	if (buf_reserve(out, len - from) == -1)
		return -1;
	for (size_t i = from; i < len; i++)
		if (v[i] != '\r' && v[i] != '\n')
			buf_addc(out, v[i]);
	return 0;
}

int
strict_header(const struct strict_mail *m, const char *name, struct buf *out)
{
	size_t name_len = strlen(name);

	for (size_t i = 0; i < m->header_count; i++) {
		const struct strict_header *h = &m->headers[i];

		if (h->name_len == name_len &&
		    strncasecmp((const char *)m->data + h->name, name, name_len) == 0)
			return strict_unfold(m, h, out) == -1 ? -1 : 1;
	}
	return 0;
}
