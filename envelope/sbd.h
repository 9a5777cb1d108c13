/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_SBD_H
#define BD_ENVELOPE_SBD_H

/* The business message (SBD JSON) of spec/dpi.md 1.8 and 1.9, and reading the receipts of 1.14.
 * Pure, thread safe. */

#include <stdint.h>
#include <jansson.h>

#include "common/buf.h"
#include "common/err.h"
#include "envelope/sealed.h"

struct sbd_ids {
	const char *instance; /* instanceIdentifier */
	const char *conversation;
	const char *signer_orgnr; /* SBDH sender: who signs */
	const char *token;        /* the bearer token, the very same string */
	int64_t created_ms;       /* wall time */
};

/* What keeps a record from making a `digital` that the access point takes (spec/dpi.md 1.9), in
 * words for the log, or NULL. For the milter to ask before it seals: later nobody could correct it.
 */
const char *sbd_digital_fault(const struct control_record *c);

/* `digital` from the control record; varsler from its fresh channels and repeats. Appends JSON
 * text. Kind DAMAGED when there is a fault. */
int sbd_digital(const struct control_record *c, const struct sbd_ids *ids, struct buf *json,
		struct bd_err *e);

struct sbd_head { /* of a received SBD; dispatch on type only */
	char *type, *instance, *conversation, *process, *sender_orgnr, *receiver_orgnr, *created;
};
int sbd_head_read(const json_t *sbd, struct sbd_head *head_r, struct bd_err *e);
void sbd_head_clear(struct sbd_head *head);

#endif
