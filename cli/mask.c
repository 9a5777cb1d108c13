/* SPDX-License-Identifier: Apache-2.0 */
/* Finds addresses and national numbers in a log line and blanks them. Reads and writes nothing. */
#include "config.h"
#include "cli/mask.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "envelope/nationalid.h"

#define NUMBER_DIGITS (NATIONALID_CHARS - 1)
#define BIRTH_DIGITS 6
#define MASK '\001' /* no line of a log holds it: the copy is rid of control bytes first */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Does a citizens' domain stand at text, and end there? Returns its length or 0. */
static size_t
domain_at(const char *text, size_t len, const char *const *domains)
{
	for (; *domains != NULL; domains++) {
		size_t n = strlen(*domains);

		if (n == 0 || len < n || strncasecmp(text, *domains, n) != 0)
			continue;
		if (len == n || strchr("-_", text[n]) == NULL) {
			bool longer =
			    len > n + 1 && text[n] == '.' &&
			    (is_digit(text[n + 1]) || (text[n + 1] >= 'a' && text[n + 1] <= 'z') ||
			     (text[n + 1] >= 'A' && text[n + 1] <= 'Z'));
			bool word =
			    len > n && (is_digit(text[n]) || (text[n] >= 'a' && text[n] <= 'z') ||
					(text[n] >= 'A' && text[n] <= 'Z'));

			if (!longer && !word)
				return n;
		}
	}
	return 0;
}

/* Where the local part before line[at] begins; a quoted one reaches to its opening quote. */
static size_t
local_start(const char *line, size_t at)
{
	size_t i = at;

	if (i > 0 && line[i - 1] == '"') {
		for (i--; i > 0; i--)
			if (line[i - 1] == '"' && (i < 2 || line[i - 2] != '\\'))
				return i - 1;
		return 0;
	}
	while (i > 0 && strchr(" \t<>,;:()[]", line[i - 1]) == NULL)
		i--;
	return i;
}

/* Subdomains of a citizens' domain count too: "@mail.innbygger..." is masked as well. */
static bool
citizens_domain_after(const char *line, size_t len, size_t at, const char *const *domains)
{
	for (size_t i = at; i < len && strchr(" \t<>,;:()[]\"", line[i]) == NULL; i++)
		if ((i == at || line[i - 1] == '.' || line[i - 1] == '%' || line[i - 1] == '@') &&
		    domain_at(line + i, len - i, domains) > 0)
			return true;
	return false;
}

static void
mask_addresses(char *line, size_t len, const char *const *domains)
{
	for (size_t at = 0; at < len; at++) {
		size_t from;

		if ((line[at] != '@' && line[at] != '%') ||
		    !citizens_domain_after(line, len, at + 1, domains))
			continue;
		from = local_start(line, at);
		memset(line + from, MASK, at - from);
	}
}

/* Length of a national number that begins at text, 0 when there is none. */
static size_t
number_at(const char *text, size_t len)
{
	char digits[NATIONALID_CHARS];
	size_t n = 0, i = 0;

	for (; i < len && n < NUMBER_DIGITS; i++) {
		if (is_digit(text[i]))
			digits[n++] = text[i];
		else if (n != BIRTH_DIGITS || !is_digit(text[i - 1]) ||
			 strchr(" .-", text[i]) == NULL)
			return 0;
	}
	if (n < NUMBER_DIGITS)
		return 0;
	digits[n] = '\0';
	return nationalid_is_valid(digits, true) ? i : 0;
}

static void
mask_numbers(char *line, size_t len)
{
	for (size_t at = 0; at < len; at++) {
		size_t n;

		if (!is_digit(line[at]) || (n = number_at(line + at, len - at)) == 0)
			continue;
		/* The whole run goes: what stands around a number is no use without it. */
		while (at > 0 && is_digit(line[at - 1]))
			at--, n++;
		while (at + n < len && is_digit(line[at + n]))
			n++;
		memset(line + at, MASK, n);
		at += n - 1;
	}
}

/* A run becomes three asterisks: the length of a name says something too. */
static int
write_short(const char *line, size_t len, struct buf *out)
{
	int rc = 0;

	for (size_t i = 0; i < len; i++) {
		if (line[i] != MASK)
			rc |= buf_addc(out, line[i]);
		else if (i == 0 || line[i - 1] != MASK)
			rc |= buf_adds(out, "***");
	}
	return rc;
}

int
mask_line(const char *line, size_t len, const char *const *domains, struct buf *out)
{
	char *copy = malloc(len + 1);
	int rc;

	if (copy == NULL)
		return -1;
	memcpy(copy, line, len);
	copy[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (copy[i] == '\0' || copy[i] == MASK)
			copy[i] = '?';
	mask_addresses(copy, len, domains);
	mask_numbers(copy, len);
	rc = write_short(copy, len, out);
	explicit_bzero(copy, len);
	free(copy);
	return rc == 0 ? 0 : -1;
}
