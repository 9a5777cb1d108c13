/* SPDX-License-Identifier: Apache-2.0 */
/* Decides the type of a document. Opens no attachment and unpacks nothing. */
#include "config.h"
#include "reader/types.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <magic.h>

#include "reader/names.h"

#define HEAD_BYTES ((size_t)64 << 10)

struct types {
	magic_t magic;
};

struct types *
types_open(struct bd_err *e)
{
	struct types *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		bd_fail(e, BD_E_MEMORY, "libmagic");
		return NULL;
	}
	t->magic = magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR |
			      MAGIC_NO_CHECK_ELF);
	if (t->magic == NULL || magic_load(t->magic, NULL) == -1) {
		bd_fail(e, BD_E_CONFIG, "libmagic: %s",
			t->magic != NULL ? magic_error(t->magic) : "cannot be opened");
		types_close(&t);
	}
	return t;
}

void
types_close(struct types **t)
{
	if (*t == NULL)
		return;
	if ((*t)->magic != NULL)
		magic_close((*t)->magic);
	free(*t);
	*t = NULL;
}

void
types_show(const char *type, char *out, size_t size)
{
	size_t digits = 0, len = 0;

	for (; *type != '\0' && len + 1 < size; type++) {
		bool digit = isdigit((unsigned char)*type) != 0;

		digits = digit ? digits + 1 : 0;
		/* Reply texts are logged by everybody: no number of a person in disguise. */
		out[len++] = digits > 5 ? 'x' : *type;
	}
	out[len] = '\0';
}

/* Other spellings of the types in the table, as declared by mail programs. */
static const char *
canonical(const char *declared)
{
	static const struct {
		const char *other, *ours;
	} spellings[] = {
		{ "application/x-pdf", "application/pdf" },
		{ "image/jpg", "image/jpeg" },
		{ "image/pjpeg", "image/jpeg" },
		{ "image/x-png", "image/png" },
		{ "application/zip", "application/octet-stream" },
		{ "application/x-zip", "application/octet-stream" },
		{ "application/x-zip-compressed", "application/octet-stream" },
		{ "application/xhtml+xml", "text/html" },
		{ "application/vnd.oasis.opendocument.text-flat-xml",
		  "application/vnd.oasis.opendocument.text" },
		{ "application/vnd.oasis.opendocument.spreadsheet-flat-xml",
		  "application/vnd.oasis.opendocument.spreadsheet" },
		{ "application/vnd.oasis.opendocument.presentation-flat-xml",
		  "application/vnd.oasis.opendocument.presentation" },
		{ "application/vnd.oasis.opendocument.graphics-flat-xml",
		  "application/vnd.oasis.opendocument.graphics" },
	};

	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
		if (strcmp(spellings[i].other, declared) == 0)
			return spellings[i].ours;
	return declared;
}

/* A type that says nothing about the content. */
static bool
is_general(const char *declared)
{
	static const char *const general[] = { "",
					       "application/octet-stream",
					       "binary/octet-stream",
					       "application/download",
					       "application/force-download",
					       "application/x-download",
					       "application/x-unknown",
					       "application/unknown" };

	for (size_t i = 0; i < sizeof(general) / sizeof(general[0]); i++)
		if (strcmp(general[i], declared) == 0)
			return true;
	return false;
}

static bool
holds(const struct types_question *q, size_t limit, const void *what, size_t what_len)
{
	return memmem(q->data, q->len < limit ? q->len : limit, what, what_len) != NULL;
}

static bool
holds_text(const struct types_question *q, size_t limit, const char *what)
{
	return holds(q, limit, what, strlen(what));
}

/* Text may be called many things by libmagic; it must only not be one of the other documents, a
 * program or binary. UTF-16 text is converted later and holds NULs by right. */
static bool
is_text(const struct types_question *q, const char *found)
{
	const uint8_t *p = q->data;
	const struct doctype *row = doctype_by_mime(canonical(found));

	if (row != NULL && strncmp(row->mime, "text/", 5) != 0)
		return false;
	if (strcmp(found, "image/svg+xml") == 0 || strstr(found, "executable") != NULL)
		return false;
	if (q->len >= 2 && (memcmp(p, "\xff\xfe", 2) == 0 || memcmp(p, "\xfe\xff", 2) == 0))
		return true;
	for (size_t i = 0; i < q->len; i++)
		if (p[i] < ' ' && strchr("\t\r\n\f\x1b\x1a", p[i]) == NULL)
			return false;
	return memchr(p, '\0', q->len) == NULL;
}

static bool
is_zip(const struct types_question *q)
{
	return q->len > 30 && memcmp(q->data, "PK\003\004", 4) == 0;
}

/* Whether the content is what row says. found is libmagic's word. */
static bool
content_is(const struct types_question *q, const struct doctype *row, const char *found)
{
	const char *x = row->extension;
	char flat[128];

	if (strncmp(row->mime, "text/", 5) == 0)
		return is_text(q, found) && (strcmp(x, "html") != 0 || holds_text(q, q->len, "<"));
	if (strcmp(x, "docx") == 0)
		return is_zip(q) && holds_text(q, q->len, "[Content_Types].xml") &&
		       holds_text(q, q->len, "word/document.xml");
	if (strcmp(x, "xlsx") == 0)
		return is_zip(q) && holds_text(q, q->len, "[Content_Types].xml") &&
		       holds_text(q, q->len, "xl/workbook.xml");
	if (strcmp(x, "pptx") == 0)
		return is_zip(q) && holds_text(q, q->len, "[Content_Types].xml") &&
		       holds_text(q, q->len, "ppt/presentation.xml");
	if (strcmp(x, "doc") == 0)
		return q->len > 512 &&
		       memcmp(q->data, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8) == 0 &&
		       holds(q, q->len, "W\0o\0r\0d\0D\0o\0c\0u\0m\0e\0n\0t", 23);
	if (strcmp(x, "zip") == 0)
		/* Not one of the formats that only use ZIP; libmagic cannot name every ZIP. */
		return is_zip(q) && (strcmp(found, "application/zip") == 0 ||
				     strcmp(found, "application/octet-stream") == 0);
	if (strncmp(row->mime, "application/vnd.oasis", 21) == 0) {
		/* Packed with the type as first, stored entry, or flat XML that names it. */
		if (is_zip(q) && q->len > 38 + strlen(row->mime))
			return memcmp((const char *)q->data + 30, "mimetype", 8) == 0 &&
			       memcmp((const char *)q->data + 38, row->mime, strlen(row->mime)) ==
				   0;
		snprintf(flat, sizeof(flat), "office:mimetype=\"%s\"", row->mime);
		return is_text(q, "text/xml") && holds_text(q, HEAD_BYTES, flat);
	}
	if (row->use == DOCTYPE_MAIN_ONLY)
		return is_text(q, found) && holds_text(q, HEAD_BYTES, "<") &&
		       holds_text(q, HEAD_BYTES, "Invoice");
	return strcmp(canonical(found), row->mime) == 0;
}

static int
refuse(struct bd_err *e, const char *type, const char *why)
{
	char shown[76];

	types_show(type, shown, sizeof(shown));
	bd_fail(e, BD_E_CONTENT_TYPE, "%s%s", shown, why);
	bd_detail(e, "%s%s", shown, why);
	return -1;
}

int
types_decide(struct types *t, const struct types_question *q, const struct doctype **row_r,
	     struct bd_err *e)
{
	const char *declared = canonical(q->declared);
	const struct doctype *row = NULL;
	char extension[NAMES_EXTENSION_SIZE];
	const char *found = magic_buffer(t->magic, q->data, q->len);

	if (found == NULL)
		return bd_fail(e, BD_E_INTERNAL, "libmagic: %s", magic_error(t->magic));
	names_extension(q->name, extension);
	if (strcmp(declared, "application/ehf+xml") == 0)
		row = doctype_by_mime(declared);
	else if (extension[0] != '\0' && strcmp(extension, "xml") != 0)
		row = doctype_by_extension(extension);
	else if (extension[0] == '\0' && !is_general(declared))
		row = doctype_by_mime(declared);
	else if (extension[0] == '\0' && strncmp(canonical(found), "text/", 5) != 0)
		row = is_general(canonical(found)) ? NULL : doctype_by_mime(canonical(found));
	if (row == NULL) /* say the more telling of the two */
		return refuse(e, is_general(q->declared) ? found : q->declared, "");
	if (row->use == DOCTYPE_DATA || (row->use != DOCTYPE_PRINTABLE && !q->mailbox))
		return refuse(e, row->mime, "");
	if (!content_is(q, row, found))
		return refuse(e, row->mime, " that is none");
	if (!is_general(q->declared) && strcmp(declared, row->mime) != 0)
		return refuse(e, q->declared, " that is none");
	*row_r = row;
	return 0;
}
