/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_READER_MIME_H
#define BD_READER_MIME_H

/*
 * GMime's reading of a mail, held part for part and byte for byte against the strict pass: where
 * the two differ, the mail is refused (threats.md A1). Decodes bodies, names and header words. One
 * thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"
#include "reader/strict.h"

struct mime;

void mime_init(void); /* once in main */
/* Parses what m describes; m must outlive it. NULL with kind CONTENT or MEMORY. */
struct mime *mime_open(const struct strict_mail *m, struct bd_err *e);
void mime_close(struct mime **m);

/* Appends the decoded body of leaf index. */
int mime_decode(const struct mime *m, size_t index, struct buf *out, struct bd_err *e);
/* Decoded UTF-8 file name, NULL when there is none. Owned by m. */
const char *mime_name(const struct mime *m, size_t index);
/* Content-ID without <>, NULL. Owned by m. */
const char *mime_content_id(const struct mime *m, size_t index);
/* A Content-Type parameter, NULL. Owned by m. */
const char *mime_parameter(const struct mime *m, size_t index, const char *name);

/* Decodes RFC 2047 words in an unfolded header value; raw 8-bit text is UTF-8 or windows-1252. The
 * caller frees; NULL out of memory. */
char *mime_words(const char *text);
/* Whether an encoded word holds a NUL, which would hide what follows it. */
bool mime_words_hold_nul(const char *text);
/* The one mailbox of a From header as bare address. 1; 0 when there is not exactly one; -1. */
int mime_one_address(const char *text, char **address_r);
/* A date-time as RFC 3339 in UTC; NULL when it is none. The caller frees. */
char *mime_date(const char *text);

#endif
