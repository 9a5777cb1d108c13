/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SPOOL_CLAIMS_H
#define BD_SPOOL_CLAIMS_H

/*
 * Who is working on which letter, in memory: one thread at a time per letter id, so that two LMTP
 * sessions with the same letter never send twice. Thread safe.
 */

#include "common/err.h"
#include "envelope/sealed.h"

struct claims;

struct claims *claims_new(void);
/* Waits at most wait_ms (0: not at all). -1 with kind BUSY when another thread still has it. */
int claims_take(struct claims *c, const char *letter_id, int wait_ms, struct bd_err *e);
void claims_release(struct claims *c, const char *letter_id);
void claims_free(struct claims **c);

#endif
