/* SPDX-License-Identifier: Apache-2.0 */
/* One value of the configuration: judged by its row's type and put into the struct. Knows no other
 * setting and no file. */
#include "config.h"
#include "common/conf_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "common/network.h"
#include "common/publictext.h"

#define NAME_MAX_CHARS 64
#define DOMAIN_MAX_CHARS 253
#define LABEL_MAX_CHARS 63

struct unit {
	const char *suffix;
	unsigned long factor;
};

/* Sizes are decimal, as the services' own limits are (50 MB is 50 000 000). */
static const struct unit size_units[] = { { "", 1 },           { "k", 1000 },
					  { "K", 1000 },       { "M", 1000000 },
					  { "G", 1000000000 }, { "Ki", 1UL << 10 },
					  { "Mi", 1UL << 20 }, { "Gi", 1UL << 30 },
					  { NULL, 0 } };
/* Times in milliseconds; a bare number is seconds. */
static const struct unit time_units[] = { { "", 1000 },         { "ms", 1 },
					  { "s", 1000 },        { "m", 60 * 1000 },
					  { "h", 3600 * 1000 }, { "d", 86400 * 1000 },
					  { NULL, 0 } };
static const struct unit plain_units[] = { { "", 1 }, { NULL, 0 } };

static int
quantity_parse(const char *text, const struct unit *units, unsigned long *out)
{
	char *end;
	unsigned long n;

	if (!isdigit((unsigned char)*text) || strlen(text) > 15)
		return -1;
	n = strtoul(text, &end, 10);
	for (; units->suffix != NULL; units++) {
		if (strcmp(units->suffix, end) == 0)
			return __builtin_mul_overflow(n, units->factor, out) ? -1 : 0;
	}
	return -1;
}

static bool
is_name(const char *text, size_t max)
{
	size_t len = strlen(text);

	return len > 0 && len <= max && text[0] != '-' && text[0] != '.' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		   len;
}

bool
conf_is_domain(const char *text)
{
	size_t label = 0, len = strlen(text);

	if (len == 0 || len > DOMAIN_MAX_CHARS || strchr(text, '.') == NULL)
		return false;
	for (const char *p = text;; p++) {
		if (*p == '.' || *p == '\0') {
			if (label == 0 || label > LABEL_MAX_CHARS || p[-1] == '-')
				return false;
			label = 0;
			if (*p == '\0')
				return true;
		} else if (isalnum((unsigned char)*p) || (*p == '-' && label > 0) || *p == '_') {
			label++;
		} else {
			return false;
		}
	}
}

bool
conf_is_email(const char *text)
{
	const char *at = strrchr(text, '@');

	if (at == NULL || at == text || at - text > 64 || !conf_is_domain(at + 1))
		return false;
	for (const char *p = text; p < at; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("<>()[]\\,;:@\"", *p) != NULL)
			return false;
	return true;
}

static bool
is_control_free(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* Nine digits, the last by modulus 11 with weights 3 2 7 6 5 4 3 2. */
static bool
is_orgnr(const char *text)
{
	static const int weights[] = { 3, 2, 7, 6, 5, 4, 3, 2 };
	int sum = 0, check;

	if (strlen(text) != 9 || strspn(text, "0123456789") != 9)
		return false;
	for (size_t i = 0; i < 8; i++)
		sum += (text[i] - '0') * weights[i];
	check = (11 - sum % 11) % 11;
	return check == text[8] - '0';
}

static bool
is_loopback(const char *host)
{
	static const char *const names[] = { "127.0.0.1", "[::1]", "localhost" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i]);

		if (strncmp(host, names[i], len) == 0 && strchr(":/", host[len]) != NULL)
			return true;
	}
	return false;
}

/* Position of the word, -1 when it is none of them. */
static int
word_find(const char *words, const char *text)
{
	size_t len = strlen(text);

	for (int i = 0; words != NULL; i++) {
		if (strncmp(words, text, len) == 0 && (words[len] == '|' || words[len] == '\0'))
			return len == 0 ? -1 : i;
		words = strchr(words, '|');
		if (words != NULL)
			words++;
	}
	return -1;
}

static int
url_check(const char *text, struct bd_err *e)
{
	if (!is_control_free(text) || strchr(text, ' ') != NULL || strchr(text, '@') != NULL)
		return bd_fail(e, BD_E_CONFIG, "is not an address without user name and blanks");
	if (strncmp(text, "https://", 8) == 0 && text[8] != '\0' && text[8] != '/')
		return 0;
	if (strncmp(text, "http://", 7) == 0 && is_loopback(text + 7))
		return 0;
	return bd_fail(e, BD_E_CONFIG, "must begin with https:// (http:// on loopback only)");
}

static int
path_check(const struct conf_row *row, const char *text, struct bd_err *e)
{
	if (text[0] != '/' || !is_control_free(text))
		return bd_fail(e, BD_E_CONFIG, "must be an absolute path");
	if (row->type == CONF_SOCKET && strlen(text) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return bd_fail(e, BD_E_CONFIG, "is too long for a socket (at most 107 bytes)");
	return 0;
}

static int
text_check(const struct conf_row *row, const char *text, struct bd_err *e)
{
	switch (row->type) {
	case CONF_NAME:
	case CONF_USER:
	case CONF_USERS:
		if (!is_name(text, row->max > 0 ? row->max : NAME_MAX_CHARS))
			return bd_fail(
			    e, BD_E_CONFIG,
			    "may have letters, digits, '.', '_' and '-' only, at most %lu",
			    row->max > 0 ? row->max : NAME_MAX_CHARS);
		return 0;
	case CONF_PATH:
	case CONF_SOCKET:
		return path_check(row, text, e);
	case CONF_WORD:
		if (word_find(row->words, text) == -1)
			return bd_fail(e, BD_E_CONFIG, "must be one of %s", row->words);
		return 0;
	case CONF_ORGNR:
	case CONF_ORGNRS:
		if (!is_orgnr(text))
			return bd_fail(e, BD_E_CONFIG,
				       "is not an organisation number (nine digits, check digit)");
		return 0;
	case CONF_URL:
		return url_check(text, e);
	case CONF_EMAIL:
		if (!conf_is_email(text))
			return bd_fail(e, BD_E_CONFIG, "is not an e-mail address");
		return 0;
	case CONF_PUBLIC:
		if (publictext_check(text, row->max, e) == -1) {
			e->kind = BD_E_CONFIG;
			return -1;
		}
		return 0;
	case CONF_NETWORKS:
		return network_parse(text, &(struct network){ 0 }, e);
	case CONF_DOMAINS:
		if (!conf_is_domain(text))
			return bd_fail(e, BD_E_CONFIG, "is not a domain name");
		return 0;
	default:
		if (*text == '\0' || !is_control_free(text) ||
		    (row->max > 0 && strlen(text) > row->max))
			return bd_fail(e, BD_E_CONFIG,
				       "is empty, too long or has control characters");
		return 0;
	}
}

static int
bool_store(const struct conf_row *row, bool *out, const char *text, struct bd_err *e)
{
	int word =
	    word_find(row->type == CONF_SWITCH ? row->words : "no|yes|false|true|off|on", text);

	if (word == -1)
		return bd_fail(e, BD_E_CONFIG, "must be %s",
			       row->type == CONF_SWITCH ? row->words : "yes or no");
	if (out != NULL)
		*out = word % 2 == 1;
	return 0;
}

static int
quantity_store(const struct conf_row *row, void *out, const char *text, struct bd_err *e)
{
	const struct unit *units = row->type == CONF_NUMBER ? plain_units
				   : row->type == CONF_SIZE ? size_units
							    : time_units;
	unsigned long n;

	if (quantity_parse(text, units, &n) == -1)
		return bd_fail(e, BD_E_CONFIG, "%s",
			       row->type == CONF_NUMBER ? "is not a number"
			       : row->type == CONF_SIZE
				   ? "is not a size (for example 200M)"
				   : "is not a time (for example 500ms, 10s, 5d)");
	if (row->type == CONF_SEC)
		n /= 1000;
	if (n < row->min || n > row->max)
		return bd_fail(e, BD_E_CONFIG, "must be between %lu and %lu%s", row->min, row->max,
			       row->type == CONF_SIZE   ? " bytes"
			       : row->type == CONF_SEC  ? " seconds"
			       : row->type == CONF_MSEC ? " ms"
							: "");
	if (out != NULL && row->type == CONF_SIZE)
		*(size_t *)out = n;
	else if (out != NULL)
		*(unsigned *)out = (unsigned)n;
	return 0;
}

static int
kind_store(struct conf_sender *sender, const char *text, struct bd_err *e)
{
	int word = word_find("important|service", text);

	if (word == -1)
		return bd_fail(e, BD_E_CONFIG, "must be important or service");
	if (sender != NULL && word == CONF_KIND_IMPORTANT)
		sender->important = true;
	else if (sender != NULL)
		sender->service = true;
	return 0;
}

static int
one_store(const struct conf_row *row, void *out, const char *text, struct bd_err *e)
{
	int word;

	switch (row->type) {
	case CONF_BOOL:
	case CONF_SWITCH:
		return bool_store(row, out, text, e);
	case CONF_NUMBER:
	case CONF_SIZE:
	case CONF_MSEC:
	case CONF_SEC:
		return quantity_store(row, out, text, e);
	case CONF_CHOICE:
		if ((word = word_find(row->words, text)) == -1)
			return bd_fail(e, BD_E_CONFIG, "must be one of %s", row->words);
		if (out != NULL)
			*(int *)out = word;
		return 0;
	default:
		if (text_check(row, text, e) == -1)
			return -1;
		if (out != NULL && (*(char **)out = strdup(text)) == NULL)
			return bd_fail(e, BD_E_MEMORY, "out of memory");
		return 0;
	}
}

static int
list_store(const struct conf_row *row, char ***out, const char *const *values, size_t count,
	   struct bd_err *e)
{
	if (out != NULL && (*out = calloc(count + 1, sizeof(char *))) == NULL)
		return bd_fail(e, BD_E_MEMORY, "out of memory");
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++)
			if (strcmp(values[i], values[j]) == 0)
				return bd_fail(e, BD_E_CONFIG, "\"%s\" stands there twice",
					       values[i]);
		if (text_check(row, values[i], e) == -1)
			return row->type == CONF_NETWORKS ? -1 : bd_wrap(e, "\"%s\"", values[i]);
		if (out != NULL && ((*out)[i] = strdup(values[i])) == NULL)
			return bd_fail(e, BD_E_MEMORY, "out of memory");
	}
	return 0;
}

int
conf_value_store(const struct conf_row *row, void *base, const char *const *values, size_t count,
		 struct bd_err *e)
{
	static const char *const kinds[] = { "important", "service" };
	void *out = base == NULL ? NULL : (char *)base + row->offset;

	if (row->type == CONF_KINDS) {
		if (count == 0) {
			values = kinds;
			count = 2;
		}
		for (size_t i = 0; i < count; i++)
			if (kind_store(out, values[i], e) == -1)
				return -1;
		return 0;
	}
	if (conf_type_is_list(row->type))
		return count == 0 ? 0 : list_store(row, out, values, count, e);
	if (count == 0 && row->fallback == NULL)
		return 0;
	return one_store(row, out, count == 0 ? row->fallback : values[0], e);
}

int
conf_title_check(enum conf_section_id section, const char *title, struct bd_err *e)
{
	switch (section) {
	case CONF_DOMAIN:
		if (!conf_is_domain(title))
			return bd_fail(e, BD_E_CONFIG, "is not a domain name");
		return 0;
	case CONF_SENDER:
		if (title[0] == '@' ? !conf_is_domain(title + 1) : !conf_is_email(title))
			return bd_fail(e, BD_E_CONFIG,
				       "must be an address (clerk@agency.example) or a domain "
				       "(@agency.example)");
		return 0;
	default:
		if (!is_name(title, NAME_MAX_CHARS))
			return bd_fail(
			    e, BD_E_CONFIG,
			    "may have letters, digits, '.', '_' and '-' only, at most %d",
			    NAME_MAX_CHARS);
		return 0;
	}
}
