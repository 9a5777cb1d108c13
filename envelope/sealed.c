/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sealed message as text (design.md 6). One fixed form is written and only that form is read;
 * header lines that Postfix adds on the way are passed over, because nothing in a header is
 * believed. It never decrypts the package.
 */
#include "config.h"
#include "envelope/sealed.h"

#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

#include "envelope/cms.h"

#define BOUNDARY "brevdue-sealed"
#define CONTENT_TYPE "Content-Type: multipart/mixed; boundary=\"" BOUNDARY "\""
#define MIME_VERSION "MIME-Version: 1.0"
#define RECORD_TYPE                                                             \
	"Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data; " \
	"name=\"control.p7m\""
#define PACKAGE_TYPE "Content-Type: application/cms; name=\"package.p7m\""
#define ENCODING "Content-Transfer-Encoding: base64"
#define LINE_BYTES 57 /* makes 76 characters, RFC 2045 6.8 */
#define HEADER_LINES_MAX 500

static int
base64_lines(struct buf *out, const uint8_t *data, size_t len)
{
	size_t lines = len / LINE_BYTES + 1;

	if (len > BUF_MAX_BYTES || buf_reserve(out, lines * 78) == -1)
		return -1;
	while (len > 0) {
		size_t n = len < LINE_BYTES ? len : LINE_BYTES;

		out->len += (size_t)EVP_EncodeBlock(out->data + out->len, data, (int)n);
		out->data[out->len++] = '\r';
		out->data[out->len++] = '\n';
		data += n;
		len -= n;
	}
	out->data[out->len] = '\0';
	return 0;
}

/* RFC 5322 3.3 in UTC; strftime would use the locale's names. */
static int
date_add(struct buf *out, int64_t when)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t seconds = (time_t)when;
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL)
		return -1;
	return buf_addf(out, "Date: %s, %02d %s %d %02d:%02d:%02d +0000\r\n", days[tm.tm_wday],
			tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
			tm.tm_sec);
}

int
sealed_make(struct control_record *c, const struct buf *package, const struct seal_keys *keys,
	    struct buf *message, struct bd_err *e)
{
	struct buf json = { 0 }, record = { 0 };
	int rc = -1;

	if (keys->count == 0)
		return bd_fail(e, BD_E_CONFIG, "no seal key");
	sha256(c->package_sha256, package->data, package->len);
	c->package_size = package->len;
	if (control_to_json(c, &json, e) == -1 ||
	    cms_seal(json.data, json.len, &keys->keys[0], &record, e) == -1)
		goto out;
	if (date_add(message, c->sealed_at) == -1 ||
	    buf_addf(message,
		     "Message-ID: <%s@report.brevdue.invalid>\r\n"
		     "Subject: Sealed letter\r\n" MIME_VERSION "\r\n" CONTENT_TYPE "\r\n"
		     "\r\n--" BOUNDARY "\r\n" RECORD_TYPE "\r\n" ENCODING "\r\n\r\n",
		     c->letter_id) == -1 ||
	    base64_lines(message, record.data, record.len) == -1 ||
	    buf_adds(message, "--" BOUNDARY "\r\n" PACKAGE_TYPE "\r\n" ENCODING "\r\n\r\n") == -1 ||
	    base64_lines(message, package->data, package->len) == -1 ||
	    buf_adds(message, "--" BOUNDARY "--\r\n") == -1) {
		bd_fail(e, BD_E_MEMORY, "no memory for a sealed message");
		goto out;
	}
	rc = 0;
out:
	buf_free(&json);
	buf_free(&record);
	return rc;
}

struct text {
	const char *at, *end;
};

/* The next line without its end (CRLF, or LF as postcat shows it): 1, or 0 at the end of the text.
 */
static int
line_next(struct text *in, struct text *line_r)
{
	const char *lf;

	if (in->at == in->end || (lf = memchr(in->at, '\n', (size_t)(in->end - in->at))) == NULL)
		return 0;
	line_r->at = in->at;
	line_r->end = lf > in->at && lf[-1] == '\r' ? lf - 1 : lf;
	in->at = lf + 1;
	return 1;
}

static bool
line_is(const struct text *line, const char *text)
{
	return (size_t)(line->end - line->at) == strlen(text) &&
	       memcmp(line->at, text, strlen(text)) == 0;
}

static bool
line_begins(const struct text *line, const char *text)
{
	return (size_t)(line->end - line->at) >= strlen(text) &&
	       strncasecmp(line->at, text, strlen(text)) == 0;
}

static int
lines_match(struct text *in, const char *const *lines)
{
	struct text line;

	for (; *lines != NULL; lines++)
		if (!line_next(in, &line) || !line_is(&line, *lines))
			return -1;
	return 0;
}

/* The header: ours among what was added. Exactly one Content-Type and MIME-Version, those we write.
 */
static int
header_skip(struct text *in)
{
	int types = 0, versions = 0;
	struct text line;

	for (int i = 0; i < HEADER_LINES_MAX && line_next(in, &line); i++) {
		if (line.at == line.end)
			return types == 1 && versions == 1 ? 0 : -1;
		if (line_is(&line, CONTENT_TYPE))
			types++;
		else if (line_is(&line, MIME_VERSION))
			versions++;
		else if (line_begins(&line, "Content-") || line_begins(&line, "MIME-"))
			return -1;
		else if (types > 0 && (*line.at == ' ' || *line.at == '\t'))
			return -1; /* our lines are not folded: somebody continued one */
	}
	return -1;
}

/* Base64 lines up to, not including, the next boundary line; no '-' is in base64. The line end
 * before them has been taken, so looking from there finds an empty body too. */
static int
body_take(struct text *in, struct text *body_r)
{
	const char *dash = memmem(in->at - 1, (size_t)(in->end - in->at + 1), "\n--", 3);

	if (dash == NULL)
		return -1;
	*body_r = (struct text){ in->at, dash + 1 };
	in->at = dash + 1;
	return 0;
}

static int
record_open(struct text *in, const struct seal_keys *keys, struct control_record **c_r,
	    struct bd_err *e)
{
	static const char *const start[] = { "--" BOUNDARY, RECORD_TYPE, ENCODING, "", NULL };
	struct buf record = { 0 }, json = { 0 };
	struct text body;
	int rc = -1;

	if (header_skip(in) == -1 || lines_match(in, start) == -1 || body_take(in, &body) == -1 ||
	    base64_decode(&record, body.at, (size_t)(body.end - body.at), 1) == -1) {
		bd_fail(e, BD_E_NOT_SEALED, "not the form of a sealed message");
		goto out;
	}
	if (cms_open(record.data, record.len, keys, &json, e) == -1)
		goto out;
	rc = control_from_json(json.data, json.len, c_r, e);
out:
	buf_free(&record);
	buf_free(&json);
	return rc;
}

static int
package_take(struct text *in, const struct control_record *c, struct buf *package, struct bd_err *e)
{
	static const char *const start[] = { "--" BOUNDARY, PACKAGE_TYPE, ENCODING, "", NULL };
	static const char *const stop[] = { "--" BOUNDARY "--", NULL };
	size_t before = package->len;
	uint8_t digest[SHA256_BYTES];
	struct text body;

	if (lines_match(in, start) == -1 || body_take(in, &body) == -1)
		return bd_fail(e, BD_E_DAMAGED, "sealed message: second part is not in its form");
	if (base64_decode(package, body.at, (size_t)(body.end - body.at), 1) == -1)
		return bd_fail(e, BD_E_DAMAGED, "sealed message: package is not base64");
	if (lines_match(in, stop) == -1 || in->at != in->end)
		return bd_fail(e, BD_E_DAMAGED, "sealed message: no clear end");
	sha256(digest, package->data + before, package->len - before);
	if (package->len - before != c->package_size ||
	    memcmp(digest, c->package_sha256, sizeof(digest)) != 0)
		return bd_fail(e, BD_E_DAMAGED, "sealed message: the package was changed");
	return 0;
}

int
sealed_open(const void *message, size_t len, const struct seal_keys *keys, const char *letter_id,
	    struct control_record **c_r, struct buf *package, struct bd_err *e)
{
	struct text in = { message, (const char *)message + len };
	struct control_record *c = NULL;
	size_t before = package->len;

	if (record_open(&in, keys, &c, e) == -1)
		return -1;
	if (letter_id != NULL && strcmp(letter_id, c->letter_id) != 0) {
		bd_fail(e, BD_E_NOT_SEALED, "sealed message of another letter");
		goto bad;
	}
	if (package_take(&in, c, package, e) == -1)
		goto bad;
	*c_r = c;
	return 0;
bad:
	control_free(&c);
	package->len = before; /* what was decoded is still encrypted: nothing to wipe */
	return -1;
}

void
sealed_record(const void *message, size_t len, const void **record_r, size_t *record_len_r)
{
	static const char start[] = "\n--" BOUNDARY "\r\n", stop[] = "\n--" BOUNDARY;
	const char *at = memmem(message, len, start, sizeof(start) - 1), *end, *to;

	*record_r = NULL;
	*record_len_r = 0;
	if (at == NULL)
		return;
	at += sizeof(start) - 1;
	end = (const char *)message + len;
	if ((to = memmem(at, (size_t)(end - at), stop, sizeof(stop) - 1)) == NULL)
		return;
	*record_r = at;
	*record_len_r = (size_t)(to + 1 - at);
}
