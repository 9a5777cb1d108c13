/* SPDX-License-Identifier: Apache-2.0 */
/* Charsets, flowed text and signature blocks. Knows nothing of MIME parts. */
#include "config.h"
#include "reader/text.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <glib.h>

#define CHUNK_BYTES ((size_t)4096)

static int
refuse(struct bd_err *e, const char *why)
{
	bd_fail(e, BD_E_CONTENT, "%s", why);
	bd_detail(e, "%s", why);
	return -1;
}

static bool
is_one_of(const char *name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

static int
convert(const char *data, size_t len, const char *charset, struct buf *out, struct bd_err *e)
{
	char *in = (char *)(uintptr_t)data, chunk[CHUNK_BYTES];
	iconv_t cd;
	int rc = -1;

	/* No "/": iconv would take a suffix as a flag. */
	if (strspn(charset, "abcdefghijklmnopqrstuvwxyz0123456789_.:+-") != strlen(charset) ||
	    (cd = iconv_open("UTF-8", charset)) == (iconv_t)-1)
		return refuse(e, "text in an unknown charset");
	for (bool flushed = false; !flushed;) {
		char *o = chunk;
		size_t room = sizeof(chunk), n;

		flushed = len == 0;
		n = iconv(cd, flushed ? NULL : &in, flushed ? NULL : &len, &o, &room);
		if (buf_add(out, chunk, sizeof(chunk) - room) == -1) {
			bd_fail(e, BD_E_MEMORY, "text of a part");
			goto out;
		}
		if (n == (size_t)-1 && errno == E2BIG)
			flushed = false;
		else if (n == (size_t)-1) {
			refuse(e, "text that is not in its own charset");
			goto out;
		}
	}
	rc = 0;
out:
	explicit_bzero(chunk, sizeof(chunk));
	iconv_close(cd);
	return rc;
}

static int
check_controls(const struct buf *text, size_t from, struct bd_err *e)
{
	for (size_t i = from; i < text->len; i++) {
		unsigned char c = text->data[i];

		if ((c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f') || c == 0x7f)
			return refuse(e, "control characters in a text");
	}
	return 0;
}

int
text_to_utf8(const void *data, size_t len, const char *charset, struct buf *out, struct bd_err *e)
{
	static const char *const none[] = {
		"",          "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit",
		"x-unknown", "unknown",  NULL
	};
	static const char *const latin1[] = { "iso-8859-1", "iso8859-1", "latin1", "iso_8859-1",
					      "l1",         "x-ansi",    "ansi",   NULL };
	static const char *const utf8[] = { "utf-8", "utf8", "unicode-1-1-utf-8", NULL };
	const char *p = data;
	size_t from = out->len;

	/* DOS files end in Ctrl-Z. */
	if (len > 0 && p[len - 1] == 0x1a)
		len--;
	if (is_one_of(charset, none)) {
		if (len >= 2 && (memcmp(p, "\xff\xfe", 2) == 0 || memcmp(p, "\xfe\xff", 2) == 0))
			charset = "utf-16";
		else
			charset = g_utf8_validate_len(p, len, NULL) ? "utf-8" : "windows-1252";
	} else if (is_one_of(charset, latin1)) {
		charset = "windows-1252";
	}
	if (is_one_of(charset, utf8)) {
		if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
			p += 3;
			len -= 3;
		}
		/* validate_len refuses NUL as well. */
		if (!g_utf8_validate_len(p, len, NULL))
			return refuse(e, "text that is not in its own charset");
		if (buf_add(out, p, len) == -1)
			return bd_fail(e, BD_E_MEMORY, "text of a part");
	} else if (convert(p, len, charset, out, e) == -1) {
		return -1;
	}
	return check_controls(out, from, e);
}

/* One line of text at p: its length without the line end, and *next_r. */
static size_t
line_at(const char *p, size_t rest, size_t *next_r)
{
	const char *lf = memchr(p, '\n', rest);
	size_t len = lf != NULL ? (size_t)(lf - p) : rest;

	*next_r = len + (lf != NULL);
	if (len > 0 && p[len - 1] == '\r')
		len--;
	return len;
}

int
text_unflow(const char *text, size_t len, bool delsp, struct buf *out)
{
	size_t depth = 0;
	bool open = false;

	while (len > 0) {
		size_t next, quotes = 0, n = line_at(text, len, &next);
		const char *line = text;
		bool soft;

		text += next;
		len -= next;
		while (quotes < n && line[quotes] == '>')
			quotes++;
		line += quotes;
		n -= quotes;
		if (n > 0 && line[0] == ' ') { /* stuffed, RFC 3676 4.4 */
			line++;
			n--;
		}
		if (open && quotes != depth && buf_adds(out, "\r\n") == -1)
			return -1;
		if (!open || quotes != depth)
			for (size_t i = 0; i < quotes; i++)
				if (buf_addc(out, '>') == -1)
					return -1;
		if ((!open || quotes != depth) && quotes > 0 && n > 0 && buf_addc(out, ' ') == -1)
			return -1;
		/* "-- " is a signature's line and never flowed (4.3). */
		soft = n > 0 && line[n - 1] == ' ' && !(n == 3 && memcmp(line, "-- ", 3) == 0);
		if (buf_add(out, line, n - (soft && delsp)) == -1)
			return -1;
		if (!soft && buf_adds(out, "\r\n") == -1)
			return -1;
		open = soft;
		depth = quotes;
	}
	return open ? buf_adds(out, "\r\n") : 0;
}

static bool
is_space_at(const char *p, size_t rest, size_t *size_r)
{
	*size_r = 1;
	if (strchr(" \t\r\n\f", *p) != NULL && *p != '\0')
		return true;
	if (rest >= 2 && memcmp(p, "\xc2\xa0", 2) == 0) { /* no-break space */
		*size_r = 2;
		return true;
	}
	if (rest >= 3 && memcmp(p, "\xe2\x80\x8b", 3) == 0) { /* zero-width space */
		*size_r = 3;
		return true;
	}
	return false;
}

static size_t
visible(const char *p, size_t len)
{
	size_t count = 0, size;

	for (size_t i = 0; i < len; i += size)
		if (!is_space_at(p + i, len - i, &size))
			count += ((unsigned char)p[i] & 0xc0) != 0x80;
	return count;
}

bool
text_is_blank(const char *text, size_t len)
{
	return visible(text, len) == 0;
}

static bool
is_closing(const char *line, size_t len)
{
	static const char *const closings[] = {
		"med vennlig hilsen",
		"vennlig hilsen",
		"med venleg helsing",
		"venleg helsing",
		"med hilsen",
		"mvh",
		"best regards",
		"kind regards",
		"regards",
		"yours sincerely",
		"yours faithfully",
		"dearvvuođaiguin",
		"dearvuođaiguin",
		"med beste hilsen",
		"beste hilsen",
		"hilsen",
		"helsing",
	};

	while (len > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	for (size_t i = 0; i < sizeof(closings) / sizeof(closings[0]); i++) {
		size_t n = strlen(closings[i]);

		if (len >= n && strncasecmp(line, closings[i], n) == 0 &&
		    (len == n || strchr(" ,.!\t", line[n]) != NULL))
			return true;
	}
	return false;
}

size_t
text_above_signature(const char *text, size_t len)
{
	size_t count = 0;

	while (len > 0) {
		size_t next, n = line_at(text, len, &next);

		if ((n == 3 && memcmp(text, "-- ", 3) == 0) ||
		    (n == 2 && memcmp(text, "--", 2) == 0) || is_closing(text, n))
			break;
		count += visible(text, n);
		text += next;
		len -= next;
	}
	return count;
}
