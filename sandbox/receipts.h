/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SANDBOX_RECEIPTS_H
#define BD_SANDBOX_RECEIPTS_H

/* Receipts that providers make (spec/dpi.md 1.14), signed, kept in DIR/receipts/<id>.json until and
 * after they are read. */

#include "sandbox/sandbox.h"

int receipts_open(struct sandbox *sb, struct bd_err *e);
/* Makes, signs, stores and queues a receipt for the message (borrowed, unchanged). words goes where
 * the type has room for it: detaljer of feil, beskrivelse and the channel of varslingfeilet. Takes
 * the lock itself. */
int receipts_add(struct sandbox *sb, const json_t *message, const char *type, const char *words,
		 struct bd_err *e);
/* The receipts that follow a letter's arrival: `feil`, or delivery (print: reception first). */
int receipts_arrival(struct sandbox *sb, const json_t *message, struct bd_err *e);
/* At start: a run that ended between keeping a letter and its receipts left it without any. */
int receipts_repair(struct sandbox *sb, struct bd_err *e);
/* The type exists and belongs to the message's process (spec 1.8). */
bool receipts_fits(const json_t *message, const char *type);
/* NULL-ended names of all types. */
extern const char *const receipt_types[];

#endif
