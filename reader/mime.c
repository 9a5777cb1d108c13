/* SPDX-License-Identifier: Apache-2.0 */
/* The only file that knows GMime. Makes no decisions about letters. */
#include "config.h"
#include "reader/mime.h"

#include <stdlib.h>
#include <string.h>
#include <gmime/gmime.h>

#include "common/encode.h"

#define FROM_MAX_BYTES ((size_t)2000) /* bounds the recursion of the address parser */

struct mime {
	const struct strict_mail *strict;
	GMimeStream *stream;
	GMimeParser *parser;
	GMimeMessage *message;
	GMimeObject **objects; /* by index of the strict part; borrowed from message */
	size_t count;
};

static GMimeParserOptions *options;

void
mime_init(void)
{
	static const char *const fallbacks[] = { "utf-8", "windows-1252", NULL };

	g_mime_init();
	options = g_mime_parser_options_new();
	g_mime_parser_options_set_fallback_charsets(options, (const char **)(uintptr_t)fallbacks);
}

static int
differ(struct bd_err *e, const struct strict_part *p, const char *what)
{
	bd_fail(e, BD_E_CONTENT, "the parsers differ about %s", what);
	if (p != NULL && p->number != 0)
		bd_detail(e, "part %u, can be read in two ways", p->number);
	else
		bd_detail(e, "the mail can be read in two ways");
	return -1;
}

static bool
same_type(GMimeObject *object, const struct strict_part *p)
{
	GMimeContentType *ct = g_mime_object_get_content_type(object);
	char *type = g_mime_content_type_get_mime_type(ct);
	bool same = g_ascii_strcasecmp(type, p->type.value) == 0;

	g_free(type);
	return same;
}

static int
same_leaf(const struct mime *m, GMimeObject *object, const struct strict_part *p, struct bd_err *e)
{
	static const GMimeContentEncoding encodings[] = {
		[CTE_7BIT] = GMIME_CONTENT_ENCODING_7BIT,
		[CTE_8BIT] = GMIME_CONTENT_ENCODING_8BIT,
		[CTE_BINARY] = GMIME_CONTENT_ENCODING_BINARY,
		[CTE_BASE64] = GMIME_CONTENT_ENCODING_BASE64,
		[CTE_QUOTED_PRINTABLE] = GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE,
	};
	GMimeDataWrapper *content;
	GMimeStream *stream;
	GMimeContentEncoding encoding;

	if (!GMIME_IS_PART(object))
		return differ(e, p, "the kind of a part");
	content = g_mime_part_get_content(GMIME_PART(object));
	if (content == NULL)
		return p->body == p->body_end ? 0 : differ(e, p, "an empty part");
	encoding = g_mime_data_wrapper_get_encoding(content);
	if (encoding != encodings[p->cte] &&
	    !(encoding == GMIME_CONTENT_ENCODING_DEFAULT && p->cte == CTE_7BIT))
		return differ(e, p, "a transfer encoding");
	stream = g_mime_data_wrapper_get_stream(content);
	if (g_mime_stream_length(stream) != (gint64)(p->body_end - p->body))
		return differ(e, p, "the length of a part");
	if (p->body != p->body_end && stream->super_stream == m->stream &&
	    stream->bound_start != (gint64)p->body)
		return differ(e, p, "the place of a part");
	return 0;
}

/* Walks in the order in which parts begin, as the strict pass numbers them. */
static int
walk(struct mime *m, GMimeObject *object, struct bd_err *e)
{
	const struct strict_part *p;
	size_t index = m->count;

	if (index == m->strict->part_count || object == NULL)
		return differ(e, NULL, "the number of parts");
	p = &m->strict->parts[index];
	m->objects[m->count++] = object;
	if (!same_type(object, p))
		return differ(e, p, "a media type");
	if (!p->multipart)
		return same_leaf(m, object, p, e);
	if (!GMIME_IS_MULTIPART(object) ||
	    g_strcmp0(g_mime_multipart_get_boundary(GMIME_MULTIPART(object)), p->type.boundary) !=
		0)
		return differ(e, p, "a boundary");
	for (int i = 0; i < g_mime_multipart_get_count(GMIME_MULTIPART(object)); i++) {
		if (m->count < m->strict->part_count && m->strict->parts[m->count].parent != index)
			return differ(e, p, "the nesting of parts");
		if (walk(m, g_mime_multipart_get_part(GMIME_MULTIPART(object), i), e) == -1)
			return -1;
	}
	return 0;
}

struct mime *
mime_open(const struct strict_mail *strict, struct bd_err *e)
{
	struct mime *m = calloc(1, sizeof(*m));
	int rc = -1;

	if (m == NULL) {
		bd_fail(e, BD_E_MEMORY, "parsing a mail");
		return NULL;
	}
	m->strict = strict;
	m->objects = calloc(strict->part_count, sizeof(GMimeObject *));
	m->stream = g_mime_stream_mem_new_with_buffer((const char *)strict->data, strict->len);
	m->parser = g_mime_parser_new_with_stream(m->stream);
	if (m->objects == NULL) {
		bd_fail(e, BD_E_MEMORY, "parsing a mail");
		goto out;
	}
	m->message = g_mime_parser_construct_message(m->parser, options);
	if (m->message == NULL) {
		differ(e, NULL, "whether it is a mail");
		goto out;
	}
	if (walk(m, g_mime_message_get_mime_part(m->message), e) == -1)
		goto out;
	if (m->count != strict->part_count) {
		differ(e, NULL, "the number of parts");
		goto out;
	}
	rc = 0;
out:
	if (rc == -1)
		mime_close(&m);
	return m;
}

void
mime_close(struct mime **m)
{
	if (*m == NULL)
		return;
	if ((*m)->message != NULL)
		g_object_unref((*m)->message);
	g_object_unref((*m)->parser);
	g_object_unref((*m)->stream);
	free((*m)->objects);
	free(*m);
	*m = NULL;
}

int
mime_decode(const struct mime *m, size_t index, struct buf *out, struct bd_err *e)
{
	GMimeDataWrapper *content = g_mime_part_get_content(GMIME_PART(m->objects[index]));
	GByteArray *bytes;
	GMimeStream *stream;
	int rc = -1;

	if (content == NULL)
		return 0;
	bytes = g_byte_array_new();
	stream = g_mime_stream_mem_new_with_byte_array(bytes);
	g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(stream), FALSE);
	if (g_mime_data_wrapper_write_to_stream(content, stream) == -1)
		bd_fail(e, BD_E_MEMORY, "decoding a part");
	else if (buf_add(out, bytes->data, bytes->len) == -1)
		bd_fail(e, BD_E_MEMORY, "decoding a part");
	else
		rc = 0;
	g_object_unref(stream);
	g_byte_array_free(bytes, TRUE);
	return rc;
}

const char *
mime_name(const struct mime *m, size_t index)
{
	/* filename of Content-Disposition, else name of Content-Type. */
	return g_mime_part_get_filename(GMIME_PART(m->objects[index]));
}

const char *
mime_content_id(const struct mime *m, size_t index)
{
	return g_mime_object_get_content_id(m->objects[index]);
}

const char *
mime_parameter(const struct mime *m, size_t index, const char *name)
{
	return g_mime_object_get_content_type_parameter(m->objects[index], name);
}

char *
mime_words(const char *text)
{
	char *decoded = g_mime_utils_header_decode_text(options, text);
	char *copy = decoded != NULL ? strdup(decoded) : NULL;

	g_free(decoded);
	return copy;
}

bool
mime_words_hold_nul(const char *text)
{
	for (const char *p = strstr(text, "=?"); p != NULL; p = strstr(p, "=?")) {
		const char *charset = p + 2, *mark = strchr(charset, '?'), *body, *end;
		bool found = false;

		p = charset;
		if (mark == NULL || mark[1] == '\0' || mark[2] != '?')
			continue;
		body = mark + 3;
		if ((end = strstr(body, "?=")) == NULL)
			return false;
		p = end;
		if (mark[1] == 'q' || mark[1] == 'Q') {
			found = memmem(body, (size_t)(end - body), "=00", 3) != NULL;
		} else if (g_ascii_strncasecmp(charset, "utf-16", 6) != 0 &&
			   g_ascii_strncasecmp(charset, "utf-32", 6) != 0) {
			struct buf decoded = { 0 };

			found = base64_decode(&decoded, body, (size_t)(end - body), 0) == 0 &&
				decoded.len > 0 && memchr(decoded.data, '\0', decoded.len) != NULL;
			buf_free(&decoded);
		}
		if (found)
			return true;
	}
	return false;
}

int
mime_one_address(const char *text, char **address_r)
{
	InternetAddressList *list;
	InternetAddress *one = NULL;
	int rc = 0;

	if (strlen(text) > FROM_MAX_BYTES)
		return 0;
	if ((list = internet_address_list_parse(options, text)) == NULL)
		return 0;
	if (internet_address_list_length(list) == 1)
		one = internet_address_list_get_address(list, 0);
	if (one != NULL && INTERNET_ADDRESS_IS_MAILBOX(one)) {
		const char *addr = internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(one));

		if (addr != NULL && strchr(addr, '@') != NULL)
			rc = (*address_r = strdup(addr)) != NULL ? 1 : -1;
	}
	g_object_unref(list);
	return rc;
}

char *
mime_date(const char *text)
{
	GDateTime *local = g_mime_utils_header_decode_date(text), *utc;
	char *formatted = NULL, *copy = NULL;

	if (local == NULL)
		return NULL;
	if ((utc = g_date_time_to_utc(local)) != NULL) {
		formatted = g_date_time_format(utc, "%Y-%m-%dT%H:%M:%SZ");
		g_date_time_unref(utc);
	}
	if (formatted != NULL)
		copy = strdup(formatted);
	g_free(formatted);
	g_date_time_unref(local);
	return copy;
}
