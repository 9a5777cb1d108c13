/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The letter's wire form between the reader process and the milter. A reader may have been taken
 * over by the mail it read, so letter_read believes nothing: the memfd must be sealed (it can
 * neither change nor shrink under our map), every length is checked, names and types are those a
 * package may hold. Knows nothing of mail.
 */
#include "config.h"
#include "envelope/letter.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json.h"
#include "envelope/doctype.h"

#define MAGIC "BDL1"
#define PREFIX_BYTES ((size_t)8)
#define HEADER_MAX_BYTES ((size_t)4 << 20)
#define LETTER_MAX_BYTES ((size_t)256 << 20)
#define DOCUMENTS_MAX ((size_t)201) /* spec/dpi.md 1.4: one main, up to 200 attachments */
#define OPTIONS_MAX ((size_t)64)
#define TEXT_MAX_BYTES ((size_t)64 << 10)
#define TITLE_MAX_CHARS ((size_t)255)
#define HREF_MIN ((size_t)4)
#define HREF_MAX ((size_t)100)
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* The optional texts, by their member name. */
static const struct {
	const char *name;
	size_t offset;
} texts[] = {
	{ "message_id", offsetof(struct letter, message_id) },
	{ "from", offsetof(struct letter, from) },
	{ "in_language", offsetof(struct letter, in_language) },
	{ "deferred", offsetof(struct letter, deferred) },
};

static const struct {
	const char *name;
	size_t offset;
} flags[] = {
	{ "wants_open_receipt", offsetof(struct letter, wants_open_receipt) },
	{ "wants_delivery", offsetof(struct letter, wants_delivery) },
	{ "private_mark", offsetof(struct letter, private_mark) },
	{ "is_reply", offsetof(struct letter, is_reply) },
};

#define TEXTS (sizeof(texts) / sizeof(texts[0]))
#define FLAGS (sizeof(flags) / sizeof(flags[0]))

static char **
text_at(struct letter *l, size_t i)
{
	return (char **)(void *)((char *)l + texts[i].offset);
}

static bool *
flag_at(struct letter *l, size_t i)
{
	return (bool *)(void *)((char *)l + flags[i].offset);
}

static int
fd_write(int fd, const void *data, size_t len, struct bd_err *e)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n <= 0)
			return bd_fail_errno(e, BD_E_MEMORY, "writing a letter's memfd");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Consumes header. */
static int
wire_write(json_t *header, const struct document *docs, size_t count, int *fd_r, struct bd_err *e)
{
	struct buf text = { .max = HEADER_MAX_BYTES };
	unsigned char prefix[PREFIX_BYTES] = MAGIC;
	int fd = -1, rc = -1;

	if (header == NULL) {
		bd_fail(e, BD_E_MEMORY, "a letter's header: out of memory or not UTF-8");
		goto out;
	}
	if (json_write(header, 0, &text, e) == -1)
		goto out;
	for (size_t i = 0; i < 4; i++)
		prefix[4 + i] = (unsigned char)(text.len >> (24 - 8 * i));
	if ((fd = memfd_create("letter", MFD_CLOEXEC | MFD_ALLOW_SEALING)) == -1) {
		bd_fail_errno(e, BD_E_MEMORY, "memfd for a letter");
		goto out;
	}
	if (fd_write(fd, prefix, sizeof(prefix), e) == -1 ||
	    fd_write(fd, text.data, text.len, e) == -1)
		goto out;
	for (size_t i = 0; i < count; i++)
		if (fd_write(fd, docs[i].data, docs[i].len, e) == -1)
			goto out;
	if (fcntl(fd, F_ADD_SEALS, SEALS) == -1) {
		bd_fail_errno(e, BD_E_INTERNAL, "sealing a letter's memfd");
		goto out;
	}
	*fd_r = fd;
	fd = -1;
	rc = 0;
out:
	if (fd != -1)
		close(fd);
	buf_free(&text);
	json_decref(header);
	return rc;
}

int
letter_write(const struct letter *l, int *fd_r, struct bd_err *e)
{
	struct letter *lw = (struct letter *)(uintptr_t)l; /* only read */
	char digest[2 * SHA256_BYTES + 1];
	json_t *options = json_array(), *documents = json_array(), *header;
	int bad = 0;

	hex_encode(digest, l->digest, sizeof(l->digest));
	for (size_t i = 0; i < l->option_count; i++)
		bad |= json_array_append_new(options,
					     json_pack("{s:s,s:s}", "name", l->options[i].name,
						       "value", l->options[i].value));
	for (size_t i = 0; i < l->document_count; i++) {
		const struct document *d = &l->documents[i];

		bad |= json_array_append_new(
		    documents, json_pack("{s:s,s:s,s:s,s:I}", "href", d->href, "mime", d->mime,
					 "title", d->title, "bytes", (json_int_t)d->len));
	}
	header = json_pack("{s:s,s:s,s:o,s:o}", "title", l->title, "digest", digest, "options",
			   options, "documents", documents);
	if (header != NULL) {
		for (size_t i = 0; i < TEXTS; i++)
			if (*text_at(lw, i) != NULL)
				bad |= json_object_set_new(header, texts[i].name,
							   json_string(*text_at(lw, i)));
		for (size_t i = 0; i < FLAGS; i++)
			bad |= json_object_set_new(header, flags[i].name,
						   json_boolean(*flag_at(lw, i)));
		if (bad != 0) {
			json_decref(header);
			header = NULL;
		}
	}
	return wire_write(header, l->documents, l->document_count, fd_r, e);
}

int
letter_write_refusal(const struct bd_err *refusal, int *fd_r, struct bd_err *e)
{
	char cause[sizeof(refusal->cause)];

	memcpy(cause, refusal->cause, sizeof(cause));
	for (char *p = cause; *p != '\0'; p++)
		if (*p < ' ' || *p > '~') /* may have been cut inside a character */
			*p = '?';
	return wire_write(json_pack("{s:{s:s,s:s,s:s}}", "refusal", "kind",
				    bd_kind_name(refusal->kind), "detail", refusal->detail, "cause",
				    cause),
			  NULL, 0, fd_r, e);
}

/* 1 to max characters of UTF-8 (jansson has checked that it is) without control characters. */
static bool
is_line(const char *s, size_t max_chars)
{
	size_t chars = 0;

	if (s == NULL || strlen(s) > TEXT_MAX_BYTES)
		return false;
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < ' ' || c == 0x7f)
			return false;
		chars += (c & 0xc0) != 0x80;
	}
	return chars >= 1 && chars <= max_chars;
}

static bool
is_href(const char *s)
{
	size_t len = strlen(s);

	return len >= HREF_MIN && len <= HREF_MAX && s[0] != '.' && s[len - 1] != '.' &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
		   len &&
	       strcasecmp(s, "manifest.xml") != 0 && strcasecmp(s, "mimetype") != 0 &&
	       strncasecmp(s, "META-INF", 8) != 0;
}

static int
damaged(struct bd_err *e, const char *what)
{
	return bd_fail(e, BD_E_READER, "the reader's answer is not a letter: %s", what);
}

static int
read_refusal(const json_t *refusal, struct bd_err *e)
{
	const char *kind = json_text(refusal, "kind");
	const char *detail = json_text(refusal, "detail");
	const char *cause = json_text(refusal, "cause");

	for (int k = 0; kind != NULL && k < BD_E_COUNT; k++) {
		if (strcmp(kind, bd_kind_name((enum bd_kind)k)) != 0)
			continue;
		/* Anything else is not for a reader to say: 5xx about rights or routes. */
		if (k != BD_E_CONTENT && k != BD_E_CONTENT_TYPE && k != BD_E_TOO_BIG &&
		    k != BD_E_INTERNAL && k != BD_E_MEMORY && k != BD_E_READER && k != BD_E_CONFIG)
			break;
		bd_fail(e, (enum bd_kind)k, "%s", cause != NULL ? cause : "refused by the reader");
		bd_detail(e, "%s", detail != NULL ? detail : "");
		return -1;
	}
	return damaged(e, "unknown kind of refusal");
}

static int
read_documents(struct letter *l, json_t *list, size_t offset, struct bd_err *e)
{
	size_t count = json_array_size(list);

	if (count < 1 || count > DOCUMENTS_MAX)
		return damaged(e, "number of documents");
	if ((l->documents = calloc(count, sizeof(*l->documents))) == NULL)
		return bd_fail(e, BD_E_MEMORY, "documents of a letter");
	for (size_t i = 0; i < count; i++) {
		json_t *row = json_array_get(list, i), *bytes = json_object_get(row, "bytes");
		struct document *d = &l->documents[i];
		const char *href = json_text(row, "href"), *mime = json_text(row, "mime"),
			   *title = json_text(row, "title");
		json_int_t len = json_integer_value(bytes);

		if (href == NULL || mime == NULL || !is_line(title, TITLE_MAX_CHARS) ||
		    !is_href(href) || doctype_by_mime(mime) == NULL)
			return damaged(e, "a document's name, title or type");
		if (!json_is_integer(bytes) || len < 0 || (size_t)len > l->backing_len - offset)
			return damaged(e, "a document's length");
		for (size_t k = 0; k < i; k++)
			if (strcasecmp(l->documents[k].href, href) == 0 ||
			    strcmp(l->documents[k].title, title) == 0)
				return damaged(e, "two documents of one name");
		l->document_count = i + 1;
		d->href = strdup(href);
		d->mime = strdup(mime);
		d->title = strdup(title);
		if (d->href == NULL || d->mime == NULL || d->title == NULL)
			return bd_fail(e, BD_E_MEMORY, "documents of a letter");
		d->data = l->backing + offset;
		d->len = (size_t)len;
		offset += d->len;
	}
	if (offset != l->backing_len)
		return damaged(e, "bytes after the last document");
	return 0;
}

static int
read_options(struct letter *l, json_t *list, struct bd_err *e)
{
	size_t count = json_array_size(list);

	if (!json_is_array(list) || count > OPTIONS_MAX)
		return damaged(e, "options");
	if (count > 0 && (l->options = calloc(count, sizeof(*l->options))) == NULL)
		return bd_fail(e, BD_E_MEMORY, "options of a letter");
	for (size_t i = 0; i < count; i++) {
		json_t *row = json_array_get(list, i);
		const char *name = json_text(row, "name");
		const char *value = json_string_value(json_object_get(row, "value"));

		if (!is_line(name, 64) || value == NULL || letter_option(l, name) != NULL ||
		    (*value != '\0' && !is_line(value, TEXT_MAX_BYTES)))
			return damaged(e, "an option");
		l->option_count = i + 1;
		l->options[i].name = strdup(name);
		l->options[i].value = strdup(value);
		if (l->options[i].name == NULL || l->options[i].value == NULL)
			return bd_fail(e, BD_E_MEMORY, "options of a letter");
	}
	return 0;
}

static int
read_letter(struct letter *l, const json_t *header, size_t offset, struct bd_err *e)
{
	const char *title = json_text(header, "title"), *digest = json_text(header, "digest");

	if (!is_line(title, TITLE_MAX_CHARS) || digest == NULL ||
	    hex_decode(l->digest, sizeof(l->digest), digest) == -1)
		return damaged(e, "title or digest");
	if ((l->title = strdup(title)) == NULL)
		return bd_fail(e, BD_E_MEMORY, "title of a letter");
	for (size_t i = 0; i < TEXTS; i++) {
		const char *text = json_text(header, texts[i].name);

		if (text == NULL)
			continue;
		if (!is_line(text, TEXT_MAX_BYTES))
			return damaged(e, texts[i].name);
		if ((*text_at(l, i) = strdup(text)) == NULL)
			return bd_fail(e, BD_E_MEMORY, "texts of a letter");
	}
	for (size_t i = 0; i < FLAGS; i++) {
		const json_t *flag = json_object_get(header, flags[i].name);

		if (!json_is_boolean(flag))
			return damaged(e, flags[i].name);
		*flag_at(l, i) = json_is_true(flag);
	}
	if (read_options(l, json_object_get(header, "options"), e) == -1)
		return -1;
	return read_documents(l, json_object_get(header, "documents"), offset, e);
}

/* Maps fd into l->backing. */
static int
backing_map(struct letter *l, int fd, struct bd_err *e)
{
	struct stat st;
	int seals;
	void *map;

	/* F_GET_SEALS fails on anything but a memfd. Without these seals the sender could change
	 * what we have checked, or make our map fault by shrinking it. */
	if ((seals = fcntl(fd, F_GET_SEALS)) == -1 || (seals & SEALS) != SEALS)
		return damaged(e, "not a sealed memfd");
	if (fstat(fd, &st) == -1)
		return bd_fail_errno(e, BD_E_READER, "a letter's memfd");
	if (st.st_size < (off_t)PREFIX_BYTES || (uintmax_t)st.st_size > LETTER_MAX_BYTES)
		return damaged(e, "size");
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return bd_fail_errno(e, BD_E_MEMORY, "mapping a letter");
	madvise(map, (size_t)st.st_size, MADV_DONTDUMP);
	l->backing = map;
	l->backing_len = (size_t)st.st_size;
	return 0;
}

int
letter_read(int fd, struct letter **l_r, struct bd_err *e)
{
	struct letter *l = NULL;
	json_t *header = NULL, *refusal;
	size_t header_len = 0;
	int rc = -1;

	if ((l = calloc(1, sizeof(*l))) == NULL) {
		bd_fail(e, BD_E_MEMORY, "a letter");
		goto out;
	}
	if (backing_map(l, fd, e) == -1)
		goto out;
	for (size_t i = 4; i < PREFIX_BYTES; i++)
		header_len = header_len << 8 | l->backing[i];
	if (memcmp(l->backing, MAGIC, 4) != 0 || header_len > l->backing_len - PREFIX_BYTES ||
	    header_len > HEADER_MAX_BYTES) {
		damaged(e, "prefix");
		goto out;
	}
	header = json_parse(l->backing + PREFIX_BYTES, header_len, HEADER_MAX_BYTES, e);
	if (header == NULL) {
		damaged(e, "header");
		goto out;
	}
	if ((refusal = json_object_get(header, "refusal")) != NULL) {
		read_refusal(refusal, e);
		goto out;
	}
	if (read_letter(l, header, PREFIX_BYTES + header_len, e) == -1)
		goto out;
	*l_r = l;
	l = NULL;
	rc = 0;
out:
	json_decref(header);
	letter_free(&l);
	return rc;
}

const char *
letter_option(const struct letter *l, const char *name)
{
	for (size_t i = 0; i < l->option_count; i++)
		if (strcmp(l->options[i].name, name) == 0)
			return l->options[i].value;
	return NULL;
}

static void
wipe_free(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

void
letter_free(struct letter **l_p)
{
	struct letter *l = *l_p;

	if (l == NULL)
		return;
	wipe_free(l->title);
	for (size_t i = 0; i < TEXTS; i++)
		wipe_free(*text_at(l, i));
	for (size_t i = 0; i < l->option_count; i++) {
		wipe_free(l->options[i].name);
		wipe_free(l->options[i].value);
	}
	for (size_t i = 0; i < l->document_count; i++) {
		wipe_free(l->documents[i].href);
		wipe_free(l->documents[i].mime);
		wipe_free(l->documents[i].title);
	}
	free(l->options);
	free(l->documents);
	if (l->backing != NULL)
		munmap(l->backing, l->backing_len);
	free(l);
	*l_p = NULL;
}
