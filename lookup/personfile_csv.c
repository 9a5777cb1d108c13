/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the CSV form of an import file into persons of the register's shape. */
#include "config.h"
#include "lookup/personfile_private.h"

#include <errno.h>
#include <string.h>

#include "lookup/codec.h"

#define ADDRESS_LINE "adresselinje"

/* Where the postal columns go; all others are codec.c's members. */
static const struct {
	const char *name, *parent;
} postal[] = {
	{ ADDRESS_LINE "1", "postadresse" },
	{ ADDRESS_LINE "2", "postadresse" },
	{ ADDRESS_LINE "3", "postadresse" },
	{ ADDRESS_LINE "4", "postadresse" },
	{ "postnummer", "postadresse" },
	{ "poststed", "postadresse" },
	{ "landkode", "postadresse" },
	{ "adressegradering", "postadresse" },
	{ "fornavn", "navn" },
	{ "mellomnavn", "navn" },
	{ "etternavn", "navn" },
	{ "forkortetNavn", "navn" },
};

/* One line without its end into f->text. 1, 0 at the end of the file, -1 too long. */
static int
line_read(struct personfile *f)
{
	int c = personfile_peek(f);

	buf_clear(&f->text);
	if (c == PERSONFILE_EOF)
		return 0;
	while ((c = personfile_take(f)) != PERSONFILE_EOF && c != '\n')
		if (buf_addc(&f->text, (char)c) == -1)
			return -1;
	if (f->text.len > 0 && f->text.data[f->text.len - 1] == '\r')
		f->text.data[--f->text.len] = '\0';
	return 1;
}

/* Cuts the next field off *p, unquoting it in place. 1 with *field_r, 0 when there is none left, -1
 * for quotes that do not close. */
static int
field_next(char **p, char separator, char **field_r)
{
	char *in = *p, *out = *p;

	if (in == NULL)
		return 0;
	*field_r = in;
	if (*in == '"') {
		for (in++;; in++) {
			if (*in == '\0')
				return -1;
			if (*in == '"' && *++in != '"')
				break;
			*out++ = *in;
		}
		if (*in != separator && *in != '\0')
			return -1;
	} else {
		while (*in != separator && *in != '\0')
			*out++ = *in++;
	}
	*p = *in == separator ? in + 1 : NULL;
	*out = '\0';
	return 1;
}

static const char *
column_parent(const char *name)
{
	for (size_t i = 0; i < sizeof(postal) / sizeof(postal[0]); i++)
		if (strcmp(postal[i].name, name) == 0)
			return postal[i].parent;
	return strcmp(name, "personidentifikator") == 0 ? "" : codec_parent(name);
}

int
personfile_csv_header(struct personfile *f, struct bd_err *e)
{
	char *p, *field;
	int rc;

	if (line_read(f) != 1 || memchr(f->text.data, '\0', f->text.len) != NULL)
		return bd_fail(e, BD_E_CONTENT, "line 1 is neither JSON nor a CSV header");
	p = (char *)f->text.data;
	f->separator = strchr(p, ';') != NULL ? ';' : strchr(p, '\t') != NULL ? '\t' : ',';
	while ((rc = field_next(&p, f->separator, &field)) == 1) {
		struct personfile_column *column = &f->columns[f->column_count];

		if (f->column_count == PERSONFILE_COLUMNS_MAX)
			return bd_fail(e, BD_E_CONTENT, "line 1 has more than %d columns",
				       PERSONFILE_COLUMNS_MAX);
		column->parent = column_parent(field);
		if (column->parent == NULL || strlen(field) >= sizeof(column->name))
			return bd_fail(
			    e, BD_E_CONTENT,
			    "line 1, column %zu, is not a member of the register's answer",
			    f->column_count + 1);
		memcpy(column->name, field, strlen(field) + 1);
		for (size_t i = 0; i < f->column_count; i++)
			if (strcmp(f->columns[i].name, column->name) == 0)
				return bd_fail(e, BD_E_CONTENT, "line 1 names %s twice",
					       column->name);
		f->column_count++;
	}
	if (rc == -1)
		return bd_fail(e, BD_E_CONTENT, "line 1 has quotes that do not close");
	return 0;
}

/* -1 for text that is no UTF-8, or without memory. */
static int
column_set(json_t *person, const struct personfile_column *column, const char *text)
{
	json_t *parent = person, *value = json_string(text), *lines;

	if (value == NULL)
		return -1;
	if (column->parent[0] != '\0') {
		parent = json_object_get(person, column->parent);
		if (parent == NULL) {
			parent = json_object();
			if (json_object_set_new(person, column->parent, parent) == -1)
				goto fail;
		}
	}
	if (strncmp(column->name, ADDRESS_LINE, sizeof(ADDRESS_LINE) - 1) != 0)
		return json_object_set_new(parent, column->name, value);
	lines = json_object_get(parent, ADDRESS_LINE);
	if (lines == NULL) {
		lines = json_array();
		if (json_object_set_new(parent, ADDRESS_LINE, lines) == -1)
			goto fail;
	}
	return json_array_append_new(lines, value);
fail:
	json_decref(value);
	return -1;
}

static enum personfile_result
bad(struct bd_err *e, const char *words)
{
	bd_fail(e, BD_E_CONTENT, "%s", words);
	return PERSONFILE_BAD;
}

static enum personfile_result
line_parse(struct personfile *f, json_t *person, struct bd_err *e)
{
	char *p = (char *)f->text.data, *field;
	size_t n = 0;
	int rc;

	while ((rc = field_next(&p, f->separator, &field)) == 1) {
		if (n == f->column_count)
			return bad(e, "more fields than the header has columns");
		if (field[0] != '\0' && column_set(person, &f->columns[n], field) == -1)
			return bad(e, "a field is not UTF-8");
		n++;
	}
	if (rc == -1)
		return bad(e, "quotes that do not close on the same line");
	if (n < f->column_count)
		return bad(e, "fewer fields than the header has columns");
	return PERSONFILE_PERSON;
}

enum personfile_result
personfile_csv_next(struct personfile *f, json_t **element_r, unsigned *line_r, struct bd_err *e)
{
	enum personfile_result result;
	int rc;

	do {
		*line_r = f->line;
		rc = line_read(f);
	} while (rc == 1 && f->text.len == 0);
	if (f->read_error != 0) {
		errno = f->read_error;
		bd_fail_errno(e, BD_E_CONTENT, "reading the file");
		return PERSONFILE_BROKEN;
	}
	if (rc == 0)
		return PERSONFILE_END;
	if (rc == -1) {
		bad(e, "a line of more than 256 kB");
		return PERSONFILE_BROKEN;
	}
	if (memchr(f->text.data, '\0', f->text.len) != NULL)
		return bad(e, "a NUL in the line");
	if ((*element_r = json_object()) == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return PERSONFILE_BROKEN;
	}
	result = line_parse(f, *element_r, e);
	if (result != PERSONFILE_PERSON) {
		json_decref(*element_r);
		*element_r = NULL;
	}
	return result;
}
