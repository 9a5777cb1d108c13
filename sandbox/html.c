/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of every page and escaping. What stands on a page is in page*.c. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sandbox/html.h"

#define POLICY                                                                           \
	"default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; " \
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

static const struct {
	const char *address, *name;
} places[] = {
	{ "/", "Overview" },       { "/register", "Register" }, { "/mailboxes", "Mailboxes" },
	{ "/letters", "Letters" }, { "/receipts", "Receipts" }, { "/faults", "Faults" },
	{ "/calls", "Calls" },     { "/setup", "Set-up" },
};

void
html_raw(struct buf *b, const char *literal)
{
	buf_adds(b, literal);
}

void
html_text(struct buf *b, const char *text)
{
	for (; text != NULL && *text != '\0'; text++) {
		switch (*text) {
		case '&':
			buf_adds(b, "&amp;");
			break;
		case '<':
			buf_adds(b, "&lt;");
			break;
		case '>':
			buf_adds(b, "&gt;");
			break;
		case '"':
			buf_adds(b, "&quot;");
			break;
		case '\'':
			buf_adds(b, "&#39;");
			break;
		default:
			if ((unsigned char)*text >= 0x20 && *text != 0x7F)
				buf_addc(b, *text);
			else
				buf_addc(b, ' ');
		}
	}
}

void
html_url(struct buf *b, const char *text)
{
	static const char safe[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

	for (; text != NULL && *text != '\0'; text++) {
		if (strchr(safe, *text) != NULL)
			buf_addc(b, *text);
		else
			buf_addf(b, "%%%02X", (unsigned int)(unsigned char)*text);
	}
}

void
html_textf(struct buf *b, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	html_text(b, text);
}

void
html_begin(struct buf *b, const char *title, const char *current)
{
	html_raw(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
	html_text(b, title);
	html_raw(b,
		 " - brevdue sandbox</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n"
		 "<link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\">\n</head>\n<body>\n"
		 "<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header>\n<div "
		 "class=\"bar\">"
		 "<a class=\"name\" href=\"/\"><img src=\"/icon.svg\" alt=\"\" width=\"30\" "
		 "height=\"30\">"
		 "brevdue <span>sandbox</span></a>\n<nav aria-label=\"Sections\"><ul>\n");
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		html_raw(b, "<li><a href=\"");
		html_raw(b, places[i].address);
		html_raw(b, strcmp(places[i].address, current) == 0 ? "\" aria-current=\"page\">"
								    : "\">");
		html_raw(b, places[i].name);
		html_raw(b, "</a></li>\n");
	}
	html_raw(b, "</ul></nav></div>\n</header>\n<main id=\"main\">\n<h1>");
	html_text(b, title);
	html_raw(b, "</h1>\n");
}

void
html_end(struct web_request *req, struct web_answer *ans)
{
	struct buf *b = &ans->body;

	html_raw(b,
		 "</main>\n<footer><p>Everything here is made up: test persons, test certificates, "
		 "test letters. Inspection as JSON: <a href=\"/sandbox/letters\">letters</a>, "
		 "<a href=\"/sandbox/receipts\">receipts</a>, <a href=\"/sandbox/log\">calls</a>, "
		 "<a href=\"/sandbox/setup\">set-up</a>.</p></footer>\n</body>\n");
	if (buf_adds(b, "</html>\n") == -1) {
		web_problem(req, ans, 500, "INTERNAL SERVER ERROR", "The page is too long");
		return;
	}
	if (ans->status == 500)
		ans->status = 200;
	ans->type = "text/html; charset=utf-8";
	ans->policy = POLICY;
}

void
html_time(struct buf *b, const char *time)
{
	if (time == NULL || strlen(time) < 19) {
		html_text(b, time);
		return;
	}
	html_raw(b, "<time datetime=\"");
	html_text(b, time);
	html_raw(b, "\">");
	html_textf(b, "%.10s %.8s", time, time + 11);
	html_raw(b, "</time>");
}

void
html_badge(struct buf *b, const char *kind, const char *word)
{
	html_raw(b, "<span class=\"badge ");
	html_raw(b, kind);
	html_raw(b, "\">");
	html_text(b, word);
	html_raw(b, "</span>");
}

void
html_fact(struct buf *b, const char *term, const char *text)
{
	if (text == NULL)
		return;
	html_raw(b, "<div><dt>");
	html_text(b, term);
	html_raw(b, "</dt><dd>");
	html_text(b, text);
	html_raw(b, "</dd></div>\n");
}

void
html_message(struct web_request *req, struct web_answer *ans, int status, const char *title,
	     const char *words)
{
	buf_clear(&ans->body);
	html_begin(&ans->body, title, "");
	html_raw(&ans->body, "<p>");
	html_text(&ans->body, words);
	html_raw(&ans->body, "</p>\n");
	html_end(req, ans);
	ans->status = status;
}

void
html_redirect(struct web_answer *ans, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ans->location, sizeof(ans->location), fmt, ap);
	va_end(ap);
	ans->status = 303;
	ans->type = NULL;
}
