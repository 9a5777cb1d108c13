/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the letter's documents. Reads no MIME and no headers but the letter's own options. */
#include "config.h"
#include "reader/documents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/encode.h"
#include "reader/html.h"
#include "reader/names.h"
#include "reader/text.h"

/* "Little text above the signature block": a few lines that present the attachment. */
#define LITTLE_TEXT_CHARS ((size_t)300)
#define NONE SIZE_MAX

struct words {
	const char *language, *attachment, *covering, *text;
};

static const struct words languages[] = {
	{ "nb", "Vedlegg", "Følgebrev", "Tekst" },
	{ "nn", "Vedlegg", "Følgjebrev", "Tekst" },
	{ "en", "Attachment", "Covering letter", "Text" },
};

struct maker {
	struct parts *p;
	const struct reader_options *o;
	struct reading *r;
	struct bd_err *e;
	const struct words *words;
	enum reader_main main;
	const struct doctype **row; /* of each attachment, by part index */
	size_t body;                /* index of the first piece of the body, NONE */
	size_t attachments, pdfs;
	size_t first, first_pdf; /* attachments, NONE */
	size_t bytes;
};

static int
refuse(struct maker *k, const char *why)
{
	bd_fail(k->e, BD_E_CONTENT, "%s", why);
	bd_detail(k->e, "%s", why);
	return -1;
}

static int
memory(struct maker *k)
{
	return bd_fail(k->e, BD_E_MEMORY, "documents of a letter");
}

static int
too_big(struct maker *k, const char *why)
{
	bd_fail(k->e, BD_E_TOO_BIG, "%s", why);
	bd_detail(k->e, "%s", why);
	return -1;
}

static int
read_options(struct maker *k)
{
	const char *main_word = letter_option(k->r->letter, "main");
	const char *language = letter_option(k->r->letter, "language");

	k->main = k->o->main;
	if (main_word != NULL && reader_main_parse(main_word, &k->main) == -1)
		return refuse(k, "a wrong value in Brevdue-Main");
	if (language == NULL)
		language = k->o->language;
	k->words = &languages[0];
	for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++)
		if (strcasecmp(languages[i].language, language) == 0)
			k->words = &languages[i];
	return 0;
}

struct pictures {
	struct maker *k;
	bool *used; /* by part index */
};

/* html_find: the picture with that Content-ID as a data: URI. */
static int
picture_find(void *arg, const char *id, size_t id_len, struct buf *out)
{
	struct pictures *pics = arg;
	const struct parts *p = pics->k->p;

	for (size_t i = 0; i < p->count; i++) {
		const char *cid;
		const struct doctype *row = pics->k->row[i];

		if (p->part[i].role != PART_ATTACHMENT || row == NULL ||
		    strncmp(row->mime, "image/", 6) != 0)
			continue;
		cid = mime_content_id(p->mime, i);
		if (cid == NULL || strlen(cid) != id_len || memcmp(cid, id, id_len) != 0)
			continue;
		if (buf_adds(out, "data:") == -1 || buf_adds(out, row->mime) == -1 ||
		    buf_adds(out, ";base64,") == -1 ||
		    base64_encode(out, p->part[i].data.data, p->part[i].data.len) == -1)
			return -1;
		pics->used[i] = true;
		return 1;
	}
	return 0;
}

/* Puts the pictures the HTML body refers to inside it; they are no attachments then. */
static int
body_pictures(struct maker *k)
{
	struct part *body = &k->p->part[k->body];
	struct pictures pics = { .k = k };
	struct buf html = { .max = k->o->size_limit + 1 };
	int rc = -1;

	if ((pics.used = calloc(k->p->count, sizeof(*pics.used))) == NULL) {
		memory(k);
		goto out;
	}
	/* The limit also holds against one picture shown ten thousand times. */
	if (html_inline((const char *)body->data.data, body->data.len, picture_find, &pics,
			&html) == -1) {
		too_big(k, "the text with its pictures is too big");
		goto out;
	}
	for (size_t i = 0; i < k->p->count; i++)
		if (pics.used[i])
			k->p->part[i].role = PART_PICTURE;
	buf_free(&body->data);
	body->data = html;
	html = (struct buf){ 0 };
	rc = 0;
out:
	buf_free(&html);
	free(pics.used);
	return rc;
}

/* Finds the body, joins plain pieces to it; other pieces become attachments of their own. */
static int
body_make(struct maker *k)
{
	struct parts *p = k->p;

	k->body = NONE;
	for (size_t i = 0; i < p->count; i++) {
		struct part *part = &p->part[i];
		const struct field *type = &p->strict->parts[i].type;
		struct buf lines = { 0 };

		if (part->role != PART_BODY)
			continue;
		if (!part->html && type->flowed) {
			if (text_unflow((const char *)part->data.data, part->data.len, type->delsp,
					&lines) == -1)
				return memory(k);
			buf_free(&part->data);
			part->data = lines;
		}
		if (k->body == NONE) {
			k->body = i;
		} else if (!part->html && !p->part[k->body].html) {
			if (buf_adds(&p->part[k->body].data, "\r\n") == -1 ||
			    buf_add(&p->part[k->body].data, part->data.data, part->data.len) == -1)
				return memory(k);
			part->role = PART_BLANK;
		} else {
			part->role = PART_ATTACHMENT;
		}
	}
	return 0;
}

static int
attachment_type(struct maker *k, struct types *types, size_t i)
{
	const struct strict_part *s = &k->p->strict->parts[i];
	const struct part *part = &k->p->part[i];
	char why[sizeof(k->e->detail)];
	struct types_question q = {
		.declared = s->typed ? s->type.value : "",
		.name = part->name != NULL ? part->name : "",
		.data = part->data.data,
		.len = part->data.len,
		.mailbox = k->o->mailbox,
	};

	if (part->data.len == 0) {
		bd_fail(k->e, BD_E_CONTENT, "an empty file");
		bd_detail(k->e, "part %u, an empty file", s->number);
		return -1;
	}
	if (types_decide(types, &q, &k->row[i], k->e) == 0)
		return 0;
	strcpy(why, k->e->detail);
	bd_detail(k->e, "part %u, %s", s->number, why);
	return -1;
}

static int
attachments_count(struct maker *k)
{
	k->first = k->first_pdf = NONE;
	for (size_t i = 0; i < k->p->count; i++) {
		if (k->p->part[i].role != PART_ATTACHMENT)
			continue;
		if (k->attachments++ == 0)
			k->first = i;
		if (strcmp(k->row[i]->mime, "application/pdf") == 0 && k->pdfs++ == 0)
			k->first_pdf = i;
	}
	return 0;
}

/* The attachment that is the main document, NONE when the body is; -1 with e. */
static int
main_choose(struct maker *k, size_t *main_r)
{
	const struct part *body = k->body != NONE ? &k->p->part[k->body] : NULL;
	struct buf text = { 0 };
	size_t chars = 0;

	*main_r = NONE;
	if (body == NULL && k->attachments == 0)
		return refuse(k, "the mail is empty");
	if (k->main == READER_MAIN_BODY)
		return body != NULL ? 0 : refuse(k, "the mail has no text to be the letter");
	if (k->main == READER_MAIN_ATTACHMENT) {
		*main_r = k->first_pdf != NONE ? k->first_pdf : k->first;
		return *main_r != NONE ? 0
				       : refuse(k, "the mail has no attachment to be the letter");
	}
	if (body == NULL) {
		*main_r = k->pdfs == 1 ? k->first_pdf : k->first;
		return k->pdfs == 1 || k->attachments == 1
			   ? 0
			   : refuse(k, "the mail has no text and not just one PDF");
	}
	if (k->pdfs != 1)
		return 0;
	if (body->html) {
		if (html_text((const char *)body->data.data, body->data.len, &text) == -1)
			return memory(k);
		chars = text_above_signature(buf_str(&text), text.len);
		buf_free(&text);
	} else {
		chars = text_above_signature((const char *)body->data.data, body->data.len);
	}
	if (chars <= LITTLE_TEXT_CHARS)
		*main_r = k->first_pdf;
	return 0;
}

/* Moves data into the reading and makes the next document of it. Takes title. */
static int
document_add(struct maker *k, struct buf *data, const struct doctype *row, char *title)
{
	struct letter *l = k->r->letter;
	struct document *d = &l->documents[l->document_count];
	const char *titles[STRICT_PARTS_MAX + 1];
	char href[40];

	if (title == NULL)
		return memory(k);
	for (size_t i = 0; i < l->document_count; i++)
		titles[i] = l->documents[i].title;
	if (names_unique(&title, titles, l->document_count) == -1) {
		free(title);
		return memory(k);
	}
	if (l->document_count == 0)
		snprintf(href, sizeof(href), "brev.%s", row->extension);
	else
		snprintf(href, sizeof(href), "vedlegg-%02zu.%s", l->document_count, row->extension);
	d->title = title;
	d->href = strdup(href);
	d->mime = strdup(row->mime);
	l->document_count++;
	if (d->href == NULL || d->mime == NULL)
		return memory(k);
	k->r->data[k->r->count] = *data;
	*data = (struct buf){ 0 };
	d->data = k->r->data[k->r->count].data;
	d->len = k->r->data[k->r->count].len;
	k->r->count++;
	k->bytes += d->len;
	return k->bytes > k->o->size_limit ? too_big(k, "the documents together are too big") : 0;
}

/* HTML gets its charset said in itself; its Content-Type stays behind. */
static int
html_finish(struct maker *k, struct buf *data)
{
	struct buf html = { 0 };

	if (html_say_utf8((const char *)data->data, data->len, &html) == -1)
		return memory(k);
	buf_free(data);
	*data = html;
	return 0;
}

static int
add_body(struct maker *k, const char *title)
{
	struct part *part = &k->p->part[k->body];
	const struct doctype *row = doctype_by_mime(part->html ? "text/html" : "text/plain");

	if (part->html && html_finish(k, &part->data) == -1)
		return -1;
	return document_add(k, &part->data, row, strdup(title));
}

static int
add_attachment(struct maker *k, size_t i, bool is_main)
{
	struct part *part = &k->p->part[i];
	const struct doctype *row = k->row[i], *by_name;
	char extension[NAMES_EXTENSION_SIZE] = "", *title;
	const char *fallback =
	    part->name == NULL && part->text ? k->words->text : k->words->attachment;

	if (row->use == DOCTYPE_MAIN_ONLY && !is_main)
		return refuse(k, "an EHF invoice that is not the main document");
	if (strcmp(row->mime, "text/html") == 0 && html_finish(k, &part->data) == -1)
		return -1;
	if (is_main)
		return document_add(k, &part->data, row, strdup(k->r->letter->title));
	if (part->name != NULL)
		names_extension(part->name, extension);
	by_name = doctype_by_extension(extension);
	title = names_title(part->name != NULL ? part->name : "", by_name == row);
	if (title != NULL && *title == '\0') {
		free(title);
		title = strdup(fallback);
	}
	return document_add(k, &part->data, row, title);
}

static int
documents_add(struct maker *k, size_t main_part)
{
	struct letter *l = k->r->letter;

	if ((main_part == NONE ? k->attachments : k->attachments - 1 + (k->body != NONE)) >
	    k->o->attachments) {
		return too_big(k, "too many attachments");
	}
	l->documents = calloc(k->attachments + 1, sizeof(*l->documents));
	k->r->data = calloc(k->attachments + 1, sizeof(*k->r->data));
	if (l->documents == NULL || k->r->data == NULL)
		return memory(k);
	if (main_part == NONE) {
		if (add_body(k, l->title) == -1)
			return -1;
	} else {
		if (add_attachment(k, main_part, true) == -1)
			return -1;
		if (k->body != NONE && add_body(k, k->words->covering) == -1)
			return -1;
	}
	for (size_t i = 0; i < k->p->count; i++)
		if (k->p->part[i].role == PART_ATTACHMENT && i != main_part &&
		    add_attachment(k, i, false) == -1)
			return -1;
	return 0;
}

int
documents_make(struct types *types, struct parts *p, const struct reader_options *o,
	       struct reading *r, struct bd_err *e)
{
	struct maker k = { .p = p, .o = o, .r = r, .e = e };
	size_t main_part;
	int rc = -1;

	if ((k.row = calloc(p->count, sizeof(struct doctype *))) == NULL) {
		memory(&k);
		goto out;
	}
	if (read_options(&k) == -1 || body_make(&k) == -1)
		goto out;
	for (size_t i = 0; i < p->count; i++)
		if (p->part[i].role == PART_ATTACHMENT && attachment_type(&k, types, i) == -1)
			goto out;
	if (k.body != NONE && p->part[k.body].html && body_pictures(&k) == -1)
		goto out;
	attachments_count(&k);
	if (main_choose(&k, &main_part) == -1)
		goto out;
	rc = documents_add(&k, main_part);
out:
	free(k.row);
	return rc;
}
