/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_READER_TEXT_H
#define BD_READER_TEXT_H

/*
 * Text of any charset to UTF-8, and what a body says to a program: is it blank, how much of it
 * stands above the signature block. Thread safe.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

/*
 * Appends data in UTF-8 to out. charset is lower case, "" when the mail names none. Missing or
 * us-ascii text with 8-bit bytes is UTF-8 when it is valid as such, else windows-1252: the everyday
 * mail of old systems. iso-8859-1 is read as windows-1252, as every browser does. Anything else is
 * taken at its word: text invalid in its charset, or an unknown charset, is kind CONTENT with a
 * phrase as detail. Control characters other than TAB, LF, CR and FF are refused.
 */
int text_to_utf8(const void *data, size_t len, const char *charset, struct buf *out,
		 struct bd_err *e);
/* format=flowed (RFC 3676) to lines that end where paragraphs end. Appends. 0, -1 out of memory. */
int text_unflow(const char *text, size_t len, bool delsp, struct buf *out);
bool text_is_blank(const char *text, size_t len);
/* Visible characters before the signature block ("-- ", "Med vennlig hilsen", ...). */
size_t text_above_signature(const char *text, size_t len);

#endif
