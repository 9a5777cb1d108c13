/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_READER_NAMES_H
#define BD_READER_NAMES_H

/*
 * Titles and file names (threats.md A7). File names inside the package are ours alone; what a
 * foreign name says becomes a title, cleaned. Pure; thread safe.
 */

#include <stdbool.h>
#include <stddef.h>

#define NAMES_TITLE_MAX_CHARS ((size_t)255)
#define NAMES_EXTENSION_SIZE ((size_t)8)

/*
 * Text fit for a title: NFC, control characters and line separators to spaces, bidirectional and
 * invisible formatting characters removed, runs of white space to one space, trimmed, at most 255
 * characters, cut at a word where possible and marked with "…". Invalid UTF-8 becomes U+FFFD.
 * Returns "" for what has nothing to show. The caller frees; NULL when out of memory.
 */
char *names_clean(const char *text);
/*
 * The last path element of a file name, cleaned, without the extension when strip says so. "" when
 * nothing remains. The caller frees; NULL out of memory.
 */
char *names_title(const char *file_name, bool strip);
/* The extension of a file name in lower case, "" when it has none: 1 to 7 ASCII letters and digits
 * with at least one letter, after the last dot. Trailing dots and spaces do not hide one. */
void names_extension(const char *file_name, char out[NAMES_EXTENSION_SIZE]);
/*
 * Makes title differ from the count titles before it, comparing without regard to case and Unicode
 * form: "Vedlegg", "Vedlegg (2)". Frees and replaces *title. 0, -1 out of memory.
 */
int names_unique(char **title, const char *const *before, size_t count);
/* True for a subject that begins like a reply or forward: "Re:", "SV:", "Fwd:", "Re[2]:". */
bool names_is_reply(const char *subject);
/* True for a subject that begins as Outlook's recall or out-of-office answers do. */
bool names_is_recall(const char *subject);
bool names_is_auto_reply(const char *subject);

#endif
