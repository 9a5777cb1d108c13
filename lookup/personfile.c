/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts the JSON forms of an import file into persons. What a person may hold is codec.c's. */
#include "config.h"
#include "lookup/personfile_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
block_fill(struct personfile *f)
{
	f->at = f->len = 0;
	/* Whole blocks, also from a pipe: the form is recognised within the first. */
	while (f->read_error == 0 && f->len < sizeof(f->block)) {
		ssize_t n = read(f->fd, f->block + f->len, sizeof(f->block) - f->len);

		if (n == 0)
			break;
		if (n > 0)
			f->len += (size_t)n;
		else if (errno != EINTR)
			f->read_error = errno;
	}
	f->bytes += f->len;
}

int
personfile_peek(struct personfile *f)
{
	if (f->at == f->len)
		block_fill(f);
	return f->at == f->len ? PERSONFILE_EOF : f->block[f->at];
}

int
personfile_take(struct personfile *f)
{
	int c = personfile_peek(f);

	if (c == PERSONFILE_EOF)
		return c;
	f->at++;
	if (c == '\n')
		f->line++;
	return c;
}

static int
space_skip(struct personfile *f)
{
	int c;

	while ((c = personfile_peek(f)) == ' ' || c == '\t' || c == '\r' || c == '\n')
		personfile_take(f);
	return c;
}

/* Takes text, with white space before it, when it is what comes next in the block. */
static bool
literal_take(struct personfile *f, const char *text)
{
	size_t len = strlen(text);

	if (space_skip(f) == PERSONFILE_EOF || f->len - f->at < len ||
	    memcmp(f->block + f->at, text, len) != 0)
		return false;
	f->at += len;
	return true;
}

/* {"personer":[ or a first person? Decided in the first block, of which nothing is lost. */
static void
wrapper_find(struct personfile *f)
{
	size_t at = f->at;
	unsigned line = f->line;

	if (literal_take(f, "{") && literal_take(f, "\"personer\"") && literal_take(f, ":") &&
	    literal_take(f, "[")) {
		f->form = FORM_WRAPPED;
		return;
	}
	f->at = at;
	f->line = line;
	f->form = FORM_STREAM;
}

struct personfile *
personfile_new(int fd, struct bd_err *e)
{
	struct personfile *f = calloc(1, sizeof(*f));
	int c;

	if (f == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return NULL;
	}
	f->fd = fd;
	f->line = 1;
	f->text.max = PERSONFILE_PERSON_MAX_BYTES;
	literal_take(f, "\xef\xbb\xbf"); /* the mark some programs put before UTF-8 */
	c = space_skip(f);
	if (f->read_error != 0) {
		errno = f->read_error;
		bd_fail_errno(e, BD_E_CONTENT, "reading the file");
		personfile_free(&f);
		return NULL;
	}
	if (c == PERSONFILE_EOF) {
		bd_fail(e, BD_E_CONTENT, "the file is empty");
		personfile_free(&f);
		return NULL;
	}
	if (c == '{') {
		wrapper_find(f);
	} else if (c == '[') {
		personfile_take(f);
		f->form = FORM_ARRAY;
	} else {
		f->form = FORM_CSV;
		if (personfile_csv_header(f, e) == -1)
			personfile_free(&f);
	}
	return f;
}

static enum personfile_result
broken(struct bd_err *e, const char *words)
{
	bd_fail(e, BD_E_CONTENT, "%s", words);
	return PERSONFILE_BROKEN;
}

struct nesting {
	int depth;
	bool in_string, escaped;
};

/* How many of the bytes belong to the object begun: all of them, or up to its last brace. Counts
 * lines. */
static size_t
object_extent(struct nesting *n, const unsigned char *p, size_t len, unsigned *line)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = p[i];

		if (c == '\n')
			(*line)++;
		if (n->escaped)
			n->escaped = false;
		else if (n->in_string && c == '\\')
			n->escaped = true;
		else if (c == '"')
			n->in_string = !n->in_string;
		else if (!n->in_string && (c == '{' || c == '['))
			n->depth++;
		else if (!n->in_string && (c == '}' || c == ']') && --n->depth == 0)
			return i + 1;
	}
	return len;
}

/* Copies one object, braces balanced outside strings, into f->text. */
static enum personfile_result
object_read(struct personfile *f, struct bd_err *e)
{
	struct nesting nesting = { 0 };

	buf_clear(&f->text);
	do {
		size_t len;

		if (personfile_peek(f) == PERSONFILE_EOF)
			return broken(e, "the file ends inside a person");
		len = object_extent(&nesting, f->block + f->at, f->len - f->at, &f->line);
		if (buf_add(&f->text, f->block + f->at, len) == -1)
			return broken(e, "a person of more than 256 kB");
		f->at += len;
	} while (nesting.depth > 0);
	return PERSONFILE_PERSON;
}

/* After the last person. */
static enum personfile_result
end_check(struct personfile *f, struct bd_err *e)
{
	f->ended = true;
	if (f->form == FORM_WRAPPED && (space_skip(f) != '}' || personfile_take(f) != '}'))
		return broken(e, "the object that holds personer does not end after its array");
	if (space_skip(f) != PERSONFILE_EOF)
		return broken(e, "something follows the last person");
	return PERSONFILE_END;
}

/* Moves to the start of the next person. */
static enum personfile_result
person_find(struct personfile *f, struct bd_err *e)
{
	int c = space_skip(f);

	if (f->form == FORM_STREAM) {
		if (c == PERSONFILE_EOF)
			return end_check(f, e);
	} else if (c == ']') {
		personfile_take(f);
		return end_check(f, e);
	} else if (f->started) {
		if (c != ',')
			return broken(e, c == PERSONFILE_EOF ? "the file ends inside personer"
							     : "no comma between persons");
		personfile_take(f);
		c = space_skip(f);
	}
	if (c != '{')
		return broken(e, "a person must be an object in braces");
	return PERSONFILE_PERSON;
}

enum personfile_result
personfile_next(struct personfile *f, json_t **element_r, unsigned *line_r, struct bd_err *e)
{
	enum personfile_result result;
	json_error_t error;

	*element_r = NULL;
	*line_r = f->line;
	if (f->ended)
		return PERSONFILE_END;
	if (f->form == FORM_CSV)
		return personfile_csv_next(f, element_r, line_r, e);
	result = person_find(f, e);
	*line_r = f->line;
	if (result == PERSONFILE_PERSON)
		result = object_read(f, e);
	if (f->read_error != 0) {
		errno = f->read_error;
		bd_fail_errno(e, BD_E_CONTENT, "reading the file");
		return PERSONFILE_BROKEN;
	}
	if (result != PERSONFILE_PERSON)
		return result;
	f->started = true;
	*element_r =
	    json_loadb((const char *)f->text.data, f->text.len, JSON_REJECT_DUPLICATES, &error);
	if (*element_r != NULL)
		return PERSONFILE_PERSON;
	*line_r += error.line > 0 ? (unsigned)error.line - 1 : 0;
	bd_fail(e, BD_E_CONTENT, "not valid JSON");
	return PERSONFILE_BAD;
}

uint64_t
personfile_bytes(const struct personfile *f)
{
	return f->bytes;
}

void
personfile_free(struct personfile **fp)
{
	struct personfile *f = *fp;

	if (f == NULL)
		return;
	buf_free(&f->text);
	explicit_bzero(f->block, sizeof(f->block));
	free(f);
	*fp = NULL;
}
