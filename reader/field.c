/* SPDX-License-Identifier: Apache-2.0 */
/* Parses structured MIME header values strictly. Must not guess: what is odd is refused. */
#include "config.h"
#include "reader/field.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define PARAMS_MAX 128 /* more than any mail needs, room for 100 RFC 2231 sections */
#define ATTRIBUTE_MAX ((size_t)64)

struct param {
	const char *name, *value; /* value as it stands, quotes included */
	size_t name_len, value_len;
};

struct parser {
	const char *p, *end;
	struct param params[PARAMS_MAX];
	size_t count;
	const char *why;
};

static bool
is_token_char(char c)
{
	return c > ' ' && c < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* What may stand unquoted in a value: bytes above 127 are raw names of old systems. */
static bool
is_value_char(char c)
{
	return (unsigned char)c >= 0x80 || (c > ' ' && c < 0x7f && strchr("();,\"\\<>", c) == NULL);
}

static void
skip_blanks(struct parser *ps)
{
	while (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\t'))
		ps->p++;
}

static int
fail(struct parser *ps, const char *why)
{
	ps->why = why;
	return -1;
}

/* "text/plain" or "attachment" into out, lower case. */
static int
parse_value(struct parser *ps, char *out, size_t size)
{
	size_t len = 0, slashes = 0;

	skip_blanks(ps);
	for (; ps->p < ps->end && (is_token_char(*ps->p) || *ps->p == '/'); ps->p++) {
		slashes += *ps->p == '/';
		if (len + 1 >= size)
			return fail(ps, "an overlong media type");
		out[len++] = (char)tolower((unsigned char)*ps->p);
	}
	out[len] = '\0';
	if (len == 0 || slashes > 1 || out[0] == '/' || out[len - 1] == '/')
		return fail(ps, "a header without a usable value");
	return 0;
}

static int
parse_param(struct parser *ps)
{
	struct param *pm = &ps->params[ps->count];

	if (ps->count == PARAMS_MAX)
		return fail(ps, "too many parameters");
	pm->name = ps->p;
	while (ps->p < ps->end && is_token_char(*ps->p))
		ps->p++;
	pm->name_len = (size_t)(ps->p - pm->name);
	if (pm->name_len == 0 || pm->name_len > ATTRIBUTE_MAX || ps->p == ps->end || *ps->p != '=')
		return fail(ps, "a malformed parameter");
	pm->value = ++ps->p;
	if (ps->p < ps->end && *ps->p == '"') {
		for (ps->p++; ps->p < ps->end && *ps->p != '"'; ps->p++)
			if (*ps->p == '\\' && ++ps->p == ps->end)
				break;
		if (ps->p == ps->end)
			return fail(ps, "a quote without its end");
		ps->p++;
	} else {
		while (ps->p < ps->end && is_value_char(*ps->p))
			ps->p++;
	}
	pm->value_len = (size_t)(ps->p - pm->value);
	if (pm->value_len == 0)
		return fail(ps, "a parameter without a value");
	for (size_t i = 0; i < ps->count; i++)
		if (ps->params[i].name_len == pm->name_len &&
		    strncasecmp(ps->params[i].name, pm->name, pm->name_len) == 0)
			return fail(ps, "a parameter twice");
	ps->count++;
	return 0;
}

static int
parse_params(struct parser *ps)
{
	for (;;) {
		skip_blanks(ps);
		if (ps->p == ps->end)
			return 0;
		if (*ps->p != ';')
			return fail(ps, "text that is no parameter");
		while (ps->p < ps->end && (*ps->p == ';' || *ps->p == ' ' || *ps->p == '\t'))
			ps->p++;
		if (ps->p < ps->end && parse_param(ps) == -1)
			return -1;
	}
}

/* Copies a value without its quotes; -1 when it needs unquoting by rules parsers disagree on. */
static int
plain_value(struct parser *ps, const struct param *pm, char *out, size_t size)
{
	const char *v = pm->value;
	size_t len = pm->value_len;

	if (*v == '"') {
		v++;
		len -= 2;
	}
	if (len == 0 || len >= size)
		return fail(ps, "an empty or overlong parameter");
	for (size_t i = 0; i < len; i++)
		if (v[i] < ' ' || v[i] > '~' || v[i] == '\\')
			return fail(ps, "a parameter with odd characters");
	memcpy(out, v, len);
	out[len] = '\0';
	return 0;
}

static bool
is_named(const struct param *pm, const char *name)
{
	return pm->name_len == strlen(name) && strncasecmp(pm->name, name, pm->name_len) == 0;
}

/* name* , name*0 , name*1* : an RFC 2231 form of name. */
static bool
is_extended(const struct param *pm, const char *name)
{
	size_t len = strlen(name);

	return pm->name_len > len && strncasecmp(pm->name, name, len) == 0 && pm->name[len] == '*';
}

/* The bytes after the last dot, for the comparison of two forms of a name. */
static void
extension_of(const struct param *pm, char out[FIELD_EXTENSION_SIZE])
{
	const char *end = pm->value + pm->value_len, *p = end;
	size_t len = 0;

	if (end > pm->value && end[-1] == '"')
		end--;
	for (p = end; p > pm->value && p[-1] != '.';)
		p--;
	if (p == pm->value)
		p = end;
	for (; p < end && len + 1 < FIELD_EXTENSION_SIZE; p++)
		out[len++] = (char)tolower((unsigned char)*p);
	out[len] = '\0';
}

/* A name may come twice, plain and by RFC 2231; the two must then agree on the file's type. */
static int
check_name(struct parser *ps, const char *name, struct field *f)
{
	const struct param *plain = NULL, *last = NULL;
	long highest = -1;
	size_t sections = 0, whole = 0;

	for (size_t i = 0; i < ps->count; i++) {
		const struct param *pm = &ps->params[i];
		long n = 0;
		size_t k = strlen(name) + 1, digits = 0;

		if (is_named(pm, name))
			plain = pm;
		if (!is_extended(pm, name))
			continue;
		for (; k < pm->name_len && isdigit((unsigned char)pm->name[k]) && digits < 4; k++) {
			n = n * 10 + (pm->name[k] - '0');
			digits++;
		}
		if (digits > 1 && pm->name[strlen(name) + 1] == '0')
			return fail(ps, "a malformed parameter section");
		if (k < pm->name_len && digits > 0 && pm->name[k] == '*')
			k++;
		if (k != pm->name_len)
			return fail(ps, "a malformed parameter section");
		if (digits == 0) {
			whole++;
			last = pm;
			continue;
		}
		sections++;
		if (n > highest) {
			highest = n;
			last = pm;
		}
	}
	if (whole > 1 || (whole == 1 && sections > 0) || sections > FIELD_SECTIONS_MAX ||
	    (sections > 0 && highest != (long)sections - 1))
		return fail(ps, "parameter sections that do not fit together");
	if (plain != NULL && last != NULL) {
		char a[FIELD_EXTENSION_SIZE], b[FIELD_EXTENSION_SIZE];

		extension_of(plain, a);
		extension_of(last, b);
		/* An encoded word as plain form ends in "?=" and tells nothing. */
		if (strcmp(a, b) != 0 && memmem(plain->value, plain->value_len, "=?", 2) == NULL)
			return fail(ps, "two file names that differ");
	}
	f->has_name = plain != NULL || last != NULL;
	return 0;
}

static int
take_params(struct parser *ps, const char *name_param, struct field *f)
{
	char word[FIELD_WORD_SIZE];

	for (size_t i = 0; i < ps->count; i++) {
		const struct param *pm = &ps->params[i];

		if (is_extended(pm, "boundary") || is_extended(pm, "charset"))
			return fail(ps, "a boundary or charset in sections");
		if (is_named(pm, "boundary")) {
			if (plain_value(ps, pm, f->boundary, sizeof(f->boundary)) == -1)
				return -1;
			if (f->boundary[strlen(f->boundary) - 1] == ' ')
				return fail(ps, "a boundary that ends in a space");
		} else if (is_named(pm, "charset")) {
			if (plain_value(ps, pm, f->charset, sizeof(f->charset)) == -1)
				return -1;
			for (char *c = f->charset; *c != '\0'; c++)
				*c = (char)tolower((unsigned char)*c);
		} else if (is_named(pm, "format") || is_named(pm, "delsp")) {
			if (plain_value(ps, pm, word, sizeof(word)) == -1)
				return -1;
			f->flowed |= is_named(pm, "format") && strcasecmp(word, "flowed") == 0;
			f->delsp |= is_named(pm, "delsp") && strcasecmp(word, "yes") == 0;
		}
	}
	return check_name(ps, name_param, f);
}

int
field_parse(const char *text, size_t len, const char *name_param, struct field *f,
	    const char **why_r)
{
	struct parser ps = { .p = text, .end = text + len };

	memset(f, 0, sizeof(*f));
	if (parse_value(&ps, f->value, sizeof(f->value)) == -1 || parse_params(&ps) == -1 ||
	    take_params(&ps, name_param, f) == -1) {
		*why_r = ps.why;
		return -1;
	}
	return 0;
}
