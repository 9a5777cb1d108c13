/* SPDX-License-Identifier: Apache-2.0 */
/* Checks texts that strangers may see. Never puts the text into an error. */
#include "config.h"
#include "common/publictext.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define NATIONAL_NUMBER_DIGITS 11

/* Length of the UTF-8 character at p (RFC 3629 4), 0 when it is none. */
static size_t
utf8_length(const unsigned char *p)
{
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	if (p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

/* C0, DEL and C1 (which is 0xc2 0x80 to 0xc2 0x9f in UTF-8). */
static bool
is_control(const unsigned char *p)
{
	return p[0] < ' ' || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0);
}

/* One blank, dot or dash between digits does not end a number; anything more does. */
static bool
has_long_number(const char *text)
{
	size_t digits = 0;

	for (const char *p = text; *p != '\0'; p++) {
		if (isdigit((unsigned char)*p)) {
			if (++digits >= NATIONAL_NUMBER_DIGITS)
				return true;
		} else if (digits > 0 &&
			   (strchr(" .-", *p) == NULL || !isdigit((unsigned char)p[-1]))) {
			digits = 0;
		}
	}
	return false;
}

/* "word.no" and its like: phones and mail programs make links of them unasked. */
static bool
ends_in_domain(const char *dot)
{
	static const char *const ends[] = { "no",     "com", "net",  "org", "eu", "info",
					    "se",     "dk",  "fi",   "io",  "me", "app",
					    "online", "biz", "site", "to",  "ly" };
	size_t len = 0;

	while (isalnum((unsigned char)dot[1 + len]) || dot[1 + len] == '-')
		len++;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (len == strlen(ends[i]) && strncasecmp(dot + 1, ends[i], len) == 0)
			return true;
	return false;
}

static bool
has_link(const char *text)
{
	if (strstr(text, "://") != NULL || strcasestr(text, "www.") != NULL ||
	    strcasestr(text, "mailto:") != NULL)
		return true;
	for (const char *dot = strchr(text, '.'); dot != NULL; dot = strchr(dot + 1, '.'))
		if (dot > text && (isalnum((unsigned char)dot[-1]) || (dot[-1] & 0x80) != 0) &&
		    ends_in_domain(dot))
			return true;
	return false;
}

int
publictext_check(const char *text, size_t max_chars, struct bd_err *e)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t chars = 0, len;

	for (; *p != '\0'; p += len, chars++) {
		if ((len = utf8_length(p)) == 0)
			return bd_fail(e, BD_E_CONTENT, "text is not UTF-8");
		if (is_control(p))
			return bd_fail(e, BD_E_CONTENT, "text holds a control character");
	}
	if (chars == 0)
		return bd_fail(e, BD_E_CONTENT, "text is empty");
	if (chars > max_chars)
		return bd_fail(e, BD_E_CONTENT, "text has %zu characters, at most %zu are allowed",
			       chars, max_chars);
	if (has_long_number(text))
		return bd_fail(e, BD_E_CONTENT, "text holds a number of eleven digits or more");
	if (has_link(text) || strchr(text, '@') != NULL)
		return bd_fail(e, BD_E_CONTENT, "text holds a link or an address");
	return 0;
}
