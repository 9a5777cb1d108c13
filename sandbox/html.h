/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SANDBOX_HTML_H
#define BD_SANDBOX_HTML_H

/*
 * Writing pages. Text goes in through html_text and html_row only, which escape; html_raw takes
 * literals of ours. Out of memory leaves the page short, and html_end turns it into an error.
 */

#include "common/buf.h"
#include "sandbox/web.h"

void html_raw(struct buf *b, const char *literal);
void html_text(struct buf *b, const char *text); /* escaped for content and quoted attributes */
void html_url(struct buf *b, const char *text); /* percent-encoded for one query value or segment */
void html_textf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Up to <main>: title, navigation with the current address marked. */
void html_begin(struct buf *b, const char *title, const char *current);
/* The rest, and the answer's headers. */
void html_end(struct web_request *req, struct web_answer *ans);
/* A time of ours (2030-01-02T10:00:00.123Z) as <time>, to the second. */
void html_time(struct buf *b, const char *time);
/* A word in a coloured badge: kind is "good", "bad", "wait" or "plain". */
void html_badge(struct buf *b, const char *kind, const char *word);
/* <dt>term</dt><dd>text</dd>; nothing for a NULL text. */
void html_fact(struct buf *b, const char *term, const char *text);
/* A page that only says something, with status. */
void html_message(struct web_request *req, struct web_answer *ans, int status, const char *title,
		  const char *words);
/* 303 to a page of ours. */
void html_redirect(struct web_answer *ans, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
