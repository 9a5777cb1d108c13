/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes the leaves of a mail and gives each its role. Makes no documents. */
#include "config.h"
#include "reader/parts.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>

#include "envelope/doctype.h"
#include "reader/html.h"
#include "reader/names.h"
#include "reader/text.h"

/* Kinds that are refused whatever is in them. A trailing "/" or "-" matches by prefix. */
static const struct {
	const char *type, *why;
} kinds[] = {
	{ "multipart/report", "a report about another mail" },
	{ "message/disposition-notification", "a read receipt" },
	{ "message/delivery-status", "a delivery report" },
	{ "multipart/encrypted", "an encrypted mail" },
	{ "application/pgp-encrypted", "an encrypted mail" },
	{ "multipart/signed", "a signed mail, signatures are not understood yet" },
	{ "application/pkcs7-mime", "an S/MIME mail, not understood yet" },
	{ "application/x-pkcs7-mime", "an S/MIME mail, not understood yet" },
	{ "application/pkcs7-signature", "an S/MIME signature, not understood yet" },
	{ "application/x-pkcs7-signature", "an S/MIME signature, not understood yet" },
	{ "application/pgp-signature", "a PGP signature, not understood yet" },
	{ "application/pgp-keys", "a PGP key" },
	{ "text/calendar", "a meeting request" },
	{ "application/ics", "a meeting request" },
	{ "application/ms-tnef", "Outlook's winmail.dat, send as HTML or plain text" },
	{ "application/vnd.ms-tnef", "Outlook's winmail.dat, send as HTML or plain text" },
	{ "message/", "a mail inside the mail, not understood yet" },
};

static int
refuse_part(struct bd_err *e, const struct strict_part *p, const char *why)
{
	bd_fail(e, BD_E_CONTENT, "%s", why);
	if (p->number != 0 && p->parent != SIZE_MAX)
		bd_detail(e, "part %u, %s", p->number, why);
	else
		bd_detail(e, "%s", why);
	return -1;
}

int
parts_refuse(const struct strict_mail *m, struct bd_err *e)
{
	for (size_t i = 0; i < m->part_count; i++) {
		const char *type = m->parts[i].type.value;

		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			size_t len = strlen(kinds[k].type);

			if (strcmp(kinds[k].type, type) == 0 ||
			    (kinds[k].type[len - 1] == '/' &&
			     strncmp(kinds[k].type, type, len) == 0))
				return refuse_part(e, &m->parts[i], kinds[k].why);
		}
	}
	return 0;
}

static int
text_convert(struct part *part, const struct strict_part *s, struct bd_err *e)
{
	struct buf utf8 = { 0 };
	char charset[FIELD_WORD_SIZE];

	strcpy(charset, s->type.charset);
	if (part->html && charset[0] == '\0')
		html_charset((const char *)part->data.data, part->data.len, charset);
	if (text_to_utf8(part->data.data, part->data.len, charset, &utf8, e) == -1) {
		char why[sizeof(e->detail)];

		buf_free(&utf8);
		if (e->kind != BD_E_CONTENT || s->parent == SIZE_MAX)
			return -1;
		strcpy(why, e->detail);
		bd_detail(e, "part %u, %s", s->number, why);
		return -1;
	}
	buf_free(&part->data);
	part->data = utf8;
	return 0;
}

/* A text file by its name, though declared as general data. */
static bool
is_named_text(const struct strict_part *s, const char *name, bool *html_r)
{
	char extension[NAMES_EXTENSION_SIZE];
	const struct doctype *row;

	if (name == NULL || strcmp(s->type.value, "application/octet-stream") != 0)
		return false;
	names_extension(name, extension);
	row = doctype_by_extension(extension);
	*html_r = row != NULL && strcmp(row->mime, "text/html") == 0;
	return row != NULL && strncmp(row->mime, "text/", 5) == 0;
}

static int
leaf_decode(struct parts *p, size_t i, struct bd_err *e)
{
	const struct strict_part *s = &p->strict->parts[i];
	struct part *part = &p->part[i];

	if (mime_decode(p->mime, i, &part->data, e) == -1)
		return -1;
	part->name = mime_name(p->mime, i);
	if (part->name != NULL && *part->name == '\0')
		part->name = NULL;
	part->html = strcmp(s->type.value, "text/html") == 0;
	part->text = part->html || strcmp(s->type.value, "text/plain") == 0;
	return 0;
}

static bool
is_attached(const struct parts *p, size_t i)
{
	const struct strict_part *s = &p->strict->parts[i];
	const char *disposition = s->disposition.value;

	return !p->part[i].text || p->part[i].name != NULL ||
	       (disposition[0] != '\0' && strcmp(disposition, "inline") != 0);
}

static bool
is_blank_text(const struct part *part, bool *blank_r, struct bd_err *e)
{
	struct buf text = { 0 };
	const char *data = (const char *)part->data.data;

	if (!part->html) {
		*blank_r = text_is_blank(data, part->data.len);
		return true;
	}
	if (html_text(data, part->data.len, &text) == -1) {
		bd_fail(e, BD_E_MEMORY, "text of a part");
		return false;
	}
	/* A picture is something to see. */
	*blank_r = text_is_blank(buf_str(&text), text.len) &&
		   memmem(data, part->data.len, "<img", 4) == NULL &&
		   memmem(data, part->data.len, "<IMG", 4) == NULL;
	buf_free(&text);
	return true;
}

static int roles(struct parts *p, size_t i, struct bd_err *e);

/* Whether the subtree of index i ends before index j. Children follow their parent at once. */
static size_t
subtree_end(const struct strict_mail *m, size_t i)
{
	size_t j = i + 1;

	while (j < m->part_count && m->parts[j].depth > m->parts[i].depth)
		j++;
	return j;
}

/* How good child i of an alternative is as a body: 0 is not usable. */
static int
usable(const struct parts *p, size_t i, int *rank_r, struct bd_err *e)
{
	size_t end = subtree_end(p->strict, i);

	*rank_r = 0;
	for (; i < end; i++) {
		bool blank;

		if (p->strict->parts[i].multipart || is_attached(p, i))
			continue;
		if (!is_blank_text(&p->part[i], &blank, e))
			return -1;
		if (!blank && *rank_r < 1 + p->part[i].html)
			*rank_r = 1 + p->part[i].html;
	}
	return 0;
}

/* The best form, HTML over plain text, the later one of equals (RFC 2046 5.1.4); the others must be
 * text and nothing but text, or something would be lost. */
static int
alternative_roles(struct parts *p, size_t i, struct bd_err *e)
{
	size_t end = subtree_end(p->strict, i), best = 0;
	int best_rank = -1;

	for (size_t c = i + 1; c < end; c = subtree_end(p->strict, c)) {
		int rank;

		if (usable(p, c, &rank, e) == -1)
			return -1;
		if (rank >= best_rank) {
			best_rank = rank;
			best = c;
		}
	}
	for (size_t c = i + 1; c < end; c = subtree_end(p->strict, c)) {
		size_t stop = subtree_end(p->strict, c);

		if (c == best)
			continue;
		for (size_t k = c; k < stop; k++) {
			const struct strict_part *s = &p->strict->parts[k];

			if (s->multipart)
				continue;
			if (strncmp(s->type.value, "text/", 5) != 0 || p->part[k].name != NULL ||
			    strcmp(s->disposition.value, "attachment") == 0)
				return refuse_part(e, s, "a file in a form of the text not shown");
			p->part[k].role = PART_OTHER_FORM;
		}
	}
	return roles(p, best, e);
}

static int
related_check_start(const struct parts *p, size_t i, struct bd_err *e)
{
	const char *start = mime_parameter(p->mime, i, "start"), *id;
	size_t len;

	if (start == NULL || p->strict->parts[i + 1].multipart)
		return 0;
	id = mime_content_id(p->mime, i + 1);
	len = id != NULL ? strlen(id) : 0;
	if (*start == '<')
		start++;
	if (len == 0 || strncmp(start, id, len) != 0 || (start[len] != '\0' && start[len] != '>'))
		return refuse_part(e, &p->strict->parts[i],
				   "related parts that do not begin with "
				   "their first");
	return 0;
}

static int
roles(struct parts *p, size_t i, struct bd_err *e)
{
	const struct strict_part *s = &p->strict->parts[i];
	size_t end = subtree_end(p->strict, i);
	bool blank;

	if (!s->multipart) {
		p->part[i].role = PART_ATTACHMENT;
		if (is_attached(p, i))
			return 0;
		if (!is_blank_text(&p->part[i], &blank, e))
			return -1;
		p->part[i].role = blank ? PART_BLANK : PART_BODY;
		return 0;
	}
	if (strcmp(s->type.value, "multipart/alternative") == 0)
		return alternative_roles(p, i, e);
	if (strcmp(s->type.value, "multipart/related") == 0 && related_check_start(p, i, e) == -1)
		return -1;
	/* Every other multipart is read as mixed (RFC 2046 5.1.3). */
	for (size_t c = i + 1; c < end; c = subtree_end(p->strict, c))
		if (roles(p, c, e) == -1)
			return -1;
	return 0;
}

int
parts_open(struct parts *p, const struct strict_mail *m, const struct mime *mime, struct bd_err *e)
{
	*p = (struct parts){ .strict = m, .mime = mime, .count = m->part_count };
	if ((p->part = calloc(p->count, sizeof(*p->part))) == NULL)
		return bd_fail(e, BD_E_MEMORY, "parts of a mail");
	for (size_t i = 0; i < p->count; i++) {
		const struct strict_part *s = &m->parts[i];
		struct part *part = &p->part[i];
		bool text;

		if (s->multipart)
			continue;
		if (leaf_decode(p, i, e) == -1)
			return -1;
		text = part->text || is_named_text(s, part->name, &part->html);
		if (text && text_convert(part, s, e) == -1) {
			/* A file that only says it is text is of a wrong type. */
			if (e->kind == BD_E_CONTENT && is_attached(p, i))
				e->kind = BD_E_CONTENT_TYPE;
			return -1;
		}
	}
	return roles(p, 0, e);
}

void
parts_clear(struct parts *p)
{
	for (size_t i = 0; p->part != NULL && i < p->count; i++)
		buf_free(&p->part[i].data);
	free(p->part);
	*p = (struct parts){ 0 };
}

static int
digest_add(EVP_MD_CTX *ctx, const void *data, size_t len)
{
	uint8_t prefix[8];

	for (size_t i = 0; i < sizeof(prefix); i++)
		prefix[i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
	return EVP_DigestUpdate(ctx, prefix, sizeof(prefix)) == 1 &&
		       (len == 0 || EVP_DigestUpdate(ctx, data, len) == 1)
		   ? 0
		   : -1;
}

/* Text with CRLF as LF: a mail may come with either. */
static int
digest_add_text(EVP_MD_CTX *ctx, const struct buf *text, struct buf *scratch)
{
	buf_clear(scratch);
	if (buf_reserve(scratch, text->len) == -1)
		return -1;
	for (size_t i = 0; i < text->len; i++)
		if (text->data[i] != '\r' || i + 1 == text->len || text->data[i + 1] != '\n')
			buf_addc(scratch, (char)text->data[i]);
	return digest_add(ctx, scratch->data, scratch->len);
}

int
parts_digest(const struct parts *p, uint8_t out[SHA256_BYTES], struct bd_err *e)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct buf scratch = { 0 };
	int rc = -1;

	if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		goto out;
	for (size_t i = 0; i < p->count; i++) {
		const struct part *part = &p->part[i];
		const char *type = p->strict->parts[i].type.value;
		const char *name = part->name != NULL ? part->name : "";

		if (p->strict->parts[i].multipart)
			continue;
		if (digest_add(ctx, type, strlen(type)) == -1 ||
		    digest_add(ctx, name, strlen(name)) == -1 ||
		    (part->text ? digest_add_text(ctx, &part->data, &scratch)
				: digest_add(ctx, part->data.data, part->data.len)) == -1)
			goto out;
	}
	rc = EVP_DigestFinal_ex(ctx, out, NULL) == 1 ? 0 : -1;
out:
	buf_free(&scratch);
	EVP_MD_CTX_free(ctx);
	return rc == 0 ? 0 : bd_fail(e, BD_E_MEMORY, "digest of a mail");
}
