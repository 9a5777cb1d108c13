/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_READER_PARTS_H
#define BD_READER_PARTS_H

/*
 * What each part of the mail is to the letter: its body, an attachment, a picture inside the body,
 * or an alternative form of the body. Every leaf gets a role or the mail is refused: no part is
 * lost (design promise 9). One thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"
#include "envelope/letter.h"
#include "reader/mime.h"
#include "reader/strict.h"

enum part_role {
	PART_NONE, /* a multipart */
	PART_BODY, /* the body, or one more piece of it */
	PART_ATTACHMENT,
	PART_PICTURE,    /* referred to by the HTML body */
	PART_OTHER_FORM, /* a worse form of the body, of a multipart/alternative */
	PART_BLANK       /* text with nothing in it */
};

struct part {
	enum part_role role;
	bool text, html;  /* text/plain or text/html: data is UTF-8 */
	struct buf data;  /* decoded */
	const char *name; /* decoded file name, NULL; owned by the mime */
};

struct parts {
	const struct strict_mail *strict;
	const struct mime *mime;
	struct part *part; /* by index of the strict part */
	size_t count;
};

/* Refuses, in words, kinds of mail that are not understood (yet) by their media types. */
int parts_refuse(const struct strict_mail *m, struct bd_err *e);
/* Decodes all leaves and gives roles. The caller clears p in any case. */
int parts_open(struct parts *p, const struct strict_mail *m, const struct mime *mime,
	       struct bd_err *e);
void parts_clear(struct parts *p);
/* Over every leaf in order: declared type, name, content (text in UTF-8 with LF), each with its
 * length; so neither boundaries nor transfer encodings nor Received lines change it. */
int parts_digest(const struct parts *p, uint8_t out[SHA256_BYTES], struct bd_err *e);

#endif
