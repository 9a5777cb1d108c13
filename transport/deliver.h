/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_DELIVER_H
#define BD_TRANSPORT_DELIVER_H

/*
 * What happens to one sealed message for one recipient, in the order threats.md 1 asks for:
 * authenticate, claim, decide and store the intent, ask or send, store the outcome, answer. And to
 * Postfix's own notices about sealed messages. Thread safe.
 */

#include "common/buf.h"
#include "common/conf.h"
#include "envelope/sealed.h"
#include "spool/claims.h"
#include "spool/records.h"
#include "transport/driver.h"
#include "transport/lmtp.h"
#include "transport/target.h"

struct deliver { /* all borrowed, immutable while threads run */
	const struct conf *conf;
	const struct seal_keys *keys;
	struct records *records;
	struct claims *claims;
	const struct driver_ops *driver;
	void *driver_self;
	/* a letter was sent and waits for its final status */
	void (*sent)(void *arg, const char *letter_id, unsigned generation);
	void *sent_arg;
};

/* Fills the reply, always. */
void deliver_sealed(struct deliver *d, const struct target *t, const struct buf *message,
		    struct lmtp_reply *reply);
void deliver_notice(struct deliver *d, const struct target *t, const struct buf *message,
		    struct lmtp_reply *reply);
/* Ends a letter by a status the service gave: stores and logs it. Used by the poller too. The
 * claim is held. */
int deliver_status(struct deliver *d, const char *letter_id, unsigned generation,
		   const char *status, struct bd_err *e);

#endif
