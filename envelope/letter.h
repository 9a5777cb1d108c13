/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_LETTER_H
#define BD_ENVELOPE_LETTER_H

/*
 * The letter: what the reader makes of a mail and what the envelope seals. It knows nothing of
 * recipients or keys. Also its wire form between the reader process and the milter: one memfd
 * holding "BDL1", the length of a JSON header (4 bytes big-endian), the header, then the documents'
 * bytes one after the other in order.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/encode.h"
#include "common/err.h"

struct document {
	char *href;  /* safe ASCII file name inside the package, 4 to 100 characters: brev.html,
			vedlegg-01.pdf */
	char *mime;  /* from the table of spec/dpi.md 1.4 */
	char *title; /* UTF-8, 1 to 255 characters, unique in the letter */
	const uint8_t
	    *data; /* borrowed from letter.backing, or from elsewhere when backing is NULL */
	size_t len;
};

struct letter_option { /* a Brevdue-* header, name in lower case without the prefix:
			  "security-level" */
	char *name;
	char *value; /* decoded UTF-8, trimmed */
};

struct letter {
	char *title;       /* Subject, decoded */
	char *message_id;  /* without <>, NULL when missing; the milter decides whether it counts */
	char *from;        /* the one From address, shown only */
	char *in_language; /* Content-Language, NULL */
	bool wants_open_receipt; /* Disposition-Notification-To */
	bool wants_delivery;     /* Return-Receipt-To */
	bool private_mark;       /* Sensitivity: Personal, Private, Company-Confidential */
	bool is_reply;           /* reply or forward by In-Reply-To, References or subject */
	char *deferred;          /* Deferred-Delivery as RFC 3339, NULL */
	struct letter_option *options;
	size_t option_count;
	struct document *documents; /* [0] is the main document, the rest attachments in order */
	size_t document_count;
	uint8_t digest[SHA256_BYTES]; /* over the decoded parts, for the letter id */
	uint8_t *backing; /* read-only map of the sealed memfd, unmapped by letter_free */
	size_t backing_len;
};

/* What can come back instead of a letter is an error: kind CONTENT, CONTENT_TYPE, TOO_BIG with a
 * public detail by position and type, serialised in the same form ("refusal" in the JSON header).
 */

/* Writes the wire form to a fresh memfd (the caller's), sealed against every change. */
int letter_write(const struct letter *l, int *fd_r, struct bd_err *e);
int letter_write_refusal(const struct bd_err *refusal, int *fd_r, struct bd_err *e);
/* Maps and checks fd (foreign: it must be a sealed memfd, every length is checked; fd stays the
 * caller's). 0 with *l_r; -1 with the refusal in e, or kind READER when the bytes are not a letter.
 */
int letter_read(int fd, struct letter **l_r, struct bd_err *e);
const char *letter_option(const struct letter *l, const char *name); /* NULL when absent */
void letter_free(struct letter **l);

#endif
