/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_READER_OPTIONS_H
#define BD_READER_OPTIONS_H

/*
 * What the milter tells the reader with each mail, a JSON object; every member may be missing:
 *
 *   "main"         "auto" (default), "body", "attachment": the profile's main document
 *   "formats"      "printable" (default) or "mailbox"
 *   "replies"      true when replies and forwards may be sent as letters; default false
 *   "language"     "nb" (default), "nn", "en", "se": words we add ("Følgebrev", "Vedlegg")
 *   "queue_id"     the front instance's queue id: a Message-ID that holds it counts as none
 *   "message_size" largest mail in bytes; default 75 000 000
 *   "size_limit"   largest sum of documents in bytes; default 50 000 000 (spec/dpi.md 1.4)
 *   "attachments"  most attachments; default and maximum 200 (spec/dpi.md 1.4)
 *
 * An unknown member or a wrong value is an error of ours (kind INTERNAL), not of the mail.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

enum reader_main { READER_MAIN_AUTO, READER_MAIN_BODY, READER_MAIN_ATTACHMENT };

struct reader_options {
	enum reader_main main;
	bool mailbox; /* the full table of types, not only what can be printed */
	bool replies;
	char language[3];
	char queue_id[64];
	size_t message_size;
	size_t size_limit;
	size_t attachments;
};

/* json NULL or "" gives the defaults. 0, or -1 with kind INTERNAL. Thread safe. */
int reader_options_parse(const char *json, struct reader_options *o, struct bd_err *e);
/* "auto", "body", "attachment". 0, or -1 for anything else. */
int reader_main_parse(const char *word, enum reader_main *main_r);

#endif
