/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SANDBOX_MAILBOX_H
#define BD_SANDBOX_MAILBOX_H

/*
 * The letters that arrived, kept in DIR/messages/<instanceIdentifier>/: message.json and the
 * documents as 0.bin, 1.bin ... Only call with the lock held where it says so.
 */

#include "common/buf.h"
#include "sandbox/checks.h"
#include "sandbox/sandbox.h"

/* Reads what an earlier run left. Before the server runs. */
int mailbox_open(struct sandbox *sb, struct bd_err *e);
/* The message as JSON: what the page and GET /sandbox/letters show. open is NULL when C4 refused
 * it or C2 gave it up; then failure says why (NULL: given up). New reference. */
json_t *mailbox_message(const struct submission *s, const struct package_open *open,
			const char *failure);
/* Writes message and documents, then lists it. Takes the lock itself. Borrows message. */
int mailbox_store(struct sandbox *sb, json_t *message, const struct package_open *open,
		  struct bd_err *e);
/* Writes a changed message. Lock held. */
int mailbox_save(struct sandbox *sb, json_t *message, struct bd_err *e);
/* Document n of a letter: its description (new reference) and bytes. NULL when there is none. Takes
 * the lock itself. */
json_t *mailbox_document(struct sandbox *sb, const char *id, const char *n, struct buf *data);
/* The citizen opens the letter: 0; 1 when it was open already; -1 with words when it does not
 * exist, is not delivered or not yet in force. Queues the receipt when one was ordered. Takes the
 * lock itself. */
int mailbox_read_letter(struct sandbox *sb, const char *id, struct bd_err *e);

#endif
