/* SPDX-License-Identifier: Apache-2.0 */
/* A small tag scanner and what the plain intake needs of it. Parses no document tree. */
#include "config.h"
#include "reader/html.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define SNIFF_BYTES ((size_t)4096)
#define NAME_SIZE ((size_t)12)
#define CID_MAX_BYTES ((size_t)512)

struct tag {
	size_t start, end;    /* from "<" to after ">" */
	char name[NAME_SIZE]; /* lower case; "!" for comments and declarations */
	bool closing;
};

static bool
starts(const char *html, size_t len, size_t pos, const char *word)
{
	size_t n = strlen(word);

	return pos <= len && len - pos >= n && strncasecmp(html + pos, word, n) == 0;
}

static size_t
after(const char *html, size_t len, size_t pos, const char *what)
{
	const char *hit = memmem(html + pos, len - pos, what, strlen(what));

	return hit != NULL ? (size_t)(hit - html) + strlen(what) : len;
}

/* The next tag at or after pos. A tag without its end runs to the end of the text. */
static bool
next_tag(const char *html, size_t len, size_t pos, struct tag *t)
{
	const char *lt;
	size_t p, n = 0;
	char quote = '\0';

	for (;; pos = (size_t)(lt - html) + 1) {
		if (pos >= len || (lt = memchr(html + pos, '<', len - pos)) == NULL)
			return false;
		p = (size_t)(lt - html) + 1;
		if (p < len && (isalpha((unsigned char)html[p]) || html[p] == '/' ||
				html[p] == '!' || html[p] == '?'))
			break;
	}
	*t = (struct tag){ .start = p - 1 };
	if (html[p] == '!' || html[p] == '?') {
		strcpy(t->name, "!");
		t->end = starts(html, len, p, "!--") ? after(html, len, p + 3, "-->")
						     : after(html, len, p, ">");
		return true;
	}
	if (html[p] == '/') {
		t->closing = true;
		p++;
	}
	for (; p < len && isalnum((unsigned char)html[p]); p++)
		if (n + 1 < NAME_SIZE)
			t->name[n++] = (char)tolower((unsigned char)html[p]);
	for (; p < len && (quote != '\0' || html[p] != '>'); p++) {
		if (quote != '\0')
			quote = html[p] == quote ? '\0' : quote;
		else if ((html[p] == '"' || html[p] == '\'') && html[p - 1] == '=')
			quote = html[p];
	}
	t->end = p < len ? p + 1 : len;
	return true;
}

/* Where the value after "charset=" stands inside a tag; false when there is none. */
static bool
charset_in(const char *html, const struct tag *t, size_t *from_r, size_t *to_r)
{
	for (size_t p = t->start; p + 8 < t->end; p++) {
		size_t v;

		if (strncasecmp(html + p, "charset", 7) != 0)
			continue;
		for (v = p + 7; v < t->end && isspace((unsigned char)html[v]); v++)
			;
		if (v == t->end || html[v] != '=')
			continue;
		for (v++; v < t->end && strchr(" \t\"'", html[v]) != NULL; v++)
			;
		*from_r = v;
		while (v < t->end &&
		       (isalnum((unsigned char)html[v]) || strchr("_.:-+", html[v]) != NULL))
			v++;
		*to_r = v;
		return v > *from_r;
	}
	return false;
}

void
html_charset(const char *html, size_t len, char out[HTML_CHARSET_SIZE])
{
	struct tag t;
	size_t from, to, n = 0, limit = len < SNIFF_BYTES ? len : SNIFF_BYTES;

	out[0] = '\0';
	for (size_t pos = 0; next_tag(html, limit, pos, &t); pos = t.end) {
		if (strcmp(t.name, "meta") != 0 || !charset_in(html, &t, &from, &to))
			continue;
		for (; from < to && n + 1 < HTML_CHARSET_SIZE; from++)
			out[n++] = (char)tolower((unsigned char)html[from]);
		out[n] = '\0';
		/* A page that could be read so far as to find this is no UTF-16. */
		if (strncmp(out, "utf-16", 6) == 0 || strncmp(out, "utf-32", 6) == 0)
			strcpy(out, "utf-8");
		return;
	}
}

int
html_say_utf8(const char *html, size_t len, struct buf *out)
{
	static const char meta[] = "<meta charset=\"utf-8\">";
	struct tag t;
	size_t done = 0, from, to, insert = 0, rank = 0, metas = 0, base = out->len;
	int rc = -1;

	if (starts(html, len, 0, "<?xml")) /* its encoding would be wrong now; HTML needs none */
		done = after(html, len, 0, ">");
	for (size_t pos = done; next_tag(html, len, pos, &t); pos = t.end) {
		if (t.closing && strcmp(t.name, "head") == 0)
			break;
		if (strcmp(t.name, "body") == 0)
			break;
		if (strcmp(t.name, "meta") == 0 && charset_in(html, &t, &from, &to)) {
			if (buf_add(out, html + done, from - done) == -1 ||
			    buf_adds(out, "utf-8") == -1)
				goto out;
			done = to;
			metas++;
		} else if (!t.closing && metas == 0) {
			size_t r = strcmp(t.name, "head") == 0               ? 3
				   : strcmp(t.name, "html") == 0             ? 2
				   : starts(html, len, t.start, "<!doctype") ? 1
									     : 0;

			if (r > rank) {
				rank = r;
				insert = t.end;
			}
		}
	}
	if (metas == 0) {
		if (insert < done)
			insert = done;
		if (buf_add(out, html + done, insert - done) == -1 || buf_adds(out, meta) == -1)
			goto out;
		done = insert;
	}
	if (buf_add(out, html + done, len - done) == -1)
		goto out;
	rc = 0;
out:
	if (rc == -1)
		out->len = base;
	return rc;
}

static bool
is_block(const char *name)
{
	static const char *const blocks[] = { "p",  "br", "div", "tr",    "li", "h1", "h2",
					      "h3", "h4", "hr",  "table", "ul", "ol" };

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		if (strcmp(blocks[i], name) == 0)
			return true;
	return false;
}

/* Appends text between tags: white space to single spaces, the entities that matter decoded. */
static int
add_text(const char *p, size_t len, struct buf *out)
{
	static const struct {
		const char *entity, *text;
	} entities[] = { { "&nbsp;", " " },   { "&amp;", "&" },   { "&lt;", "<" },
			 { "&gt;", ">" },     { "&quot;", "\"" }, { "&#160;", " " },
			 { "&zwnj;", "" },    { "&shy;", "" },    { "&aring;", "å" },
			 { "&oslash;", "ø" }, { "&aelig;", "æ" } };

	for (size_t i = 0; i < len; i++) {
		bool entity = false;
		char c = strchr(" \t\r\n\f", p[i]) != NULL ? ' ' : p[i];

		if (c == ' ' && (out->len == 0 || strchr(" \n", out->data[out->len - 1]) != NULL))
			continue;
		for (size_t k = 0; c == '&' && k < sizeof(entities) / sizeof(entities[0]); k++)
			if (!entity && starts(p, len, i, entities[k].entity)) {
				if (buf_adds(out, entities[k].text) == -1)
					return -1;
				i += strlen(entities[k].entity) - 1;
				entity = true;
			}
		if (!entity && buf_addc(out, c) == -1)
			return -1;
	}
	return 0;
}

/* Where the element whose start tag ends at pos ends: raw text runs to its end tag, whatever looks
 * like a tag in it; a head ends at the body as well. */
static size_t
silent_end(const char *html, size_t len, size_t pos, const char *name)
{
	while (pos < len) {
		const char *lt = memchr(html + pos, '<', len - pos);

		if (lt == NULL)
			return len;
		pos = (size_t)(lt - html) + 1;
		if (starts(html, len, pos, "/") && starts(html, len, pos + 1, name))
			return pos - 1;
		if (strcmp(name, "head") == 0 && starts(html, len, pos, "body"))
			return pos - 1;
	}
	return len;
}

int
html_text(const char *html, size_t len, struct buf *out)
{
	static const char *const silent[] = { "script", "style", "title", "head" };
	struct tag t;
	size_t pos = 0;

	while (pos < len) {
		bool found = next_tag(html, len, pos, &t);

		if (add_text(html + pos, (found ? t.start : len) - pos, out) == -1)
			return -1;
		if (!found)
			break;
		pos = t.end;
		for (size_t i = 0; !t.closing && i < sizeof(silent) / sizeof(silent[0]); i++)
			if (strcmp(t.name, silent[i]) == 0)
				pos = silent_end(html, len, t.end, silent[i]);
		if (is_block(t.name) && buf_addc(out, '\n') == -1)
			return -1;
	}
	return 0;
}

int
html_inline(const char *html, size_t len, html_find *find, void *arg, struct buf *out)
{
	size_t done = 0, pos = 0;

	while (pos < len) {
		const char *c = memchr(html + pos, ':', len - pos);
		size_t id, end;
		int rc;

		if (c == NULL)
			break;
		pos = (size_t)(c - html) + 1;
		id = pos;
		if (id < 5 || strncasecmp(html + id - 4, "cid:", 4) != 0 ||
		    strchr("\"'=( \t\r\n", html[id - 5]) == NULL)
			continue;
		for (end = id; end < len && end - id < CID_MAX_BYTES &&
			       strchr("\"'<>) \t\r\n", html[end]) == NULL;
		     end++)
			;
		if (buf_add(out, html + done, id - 4 - done) == -1)
			return -1;
		done = id - 4;
		if ((rc = find(arg, html + id, end - id, out)) == -1)
			return -1;
		if (rc == 1)
			done = end;
		pos = end;
	}
	return buf_add(out, html + done, len - done);
}
