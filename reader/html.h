/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_READER_HTML_H
#define BD_READER_HTML_H

/*
 * What the plain intake does to HTML: finds and corrects its charset, puts the pictures that came
 * with it inside, tells how much text it shows. It does not clean HTML (a later rewriter does).
 * Linear in its input; pure; thread safe.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

#define HTML_CHARSET_SIZE ((size_t)64)

/* The charset a <meta> tag near the start names, lower case; "" when none does. */
void html_charset(const char *html, size_t len, char out[HTML_CHARSET_SIZE]);
/* Appends html, which is UTF-8 by now, with its <meta> tags saying so; one is added when there is
 * none. 0, -1 out of memory. */
int html_say_utf8(const char *html, size_t len, struct buf *out);
/* Appends the text a reader sees, roughly: tags out, blocks to lines, common entities decoded. */
int html_text(const char *html, size_t len, struct buf *out);
/*
 * Appends html with every "cid:ID" that find knows replaced by the text find appends to out
 * (a data: URI). find returns 1 when it did, 0 for an unknown id, -1 when out is full.
 */
typedef int html_find(void *arg, const char *id, size_t id_len, struct buf *out);
int html_inline(const char *html, size_t len, html_find *find, void *arg, struct buf *out);

#endif
