/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_LMTP_H
#define BD_TRANSPORT_LMTP_H

/*
 * The LMTP dialogue as a state machine without sockets (RFC 2033; threats.md 4): bytes in, replies
 * out. Exactly one reply per accepted RCPT, in order; when one cannot be given the dialogue ends
 * and the connection is to be cut. PIPELINING and CHUNKING are not announced. One struct per
 * connection, used by one thread.
 */

#include <stddef.h>

#include "common/buf.h"

#define LMTP_REPLY_CHARS 400
#define LMTP_RECIPIENTS_MAX 100

struct lmtp;

struct lmtp_reply {
	int code;
	char text[LMTP_REPLY_CHARS]; /* enhanced status and words, no line break */
};
void lmtp_reply_set(struct lmtp_reply *r, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What the dialogue asks of the rest. All are called in the connection's thread. */
struct lmtp_ops {
	/* May this recipient be accepted? Fills the reply, 250 or not. sender is "" for <>. */
	void (*recipient)(void *arg, const char *sender, const char *address,
			  struct lmtp_reply *reply);
	/* Delivers message to one recipient and fills its reply. -1: no reply can be given. message
	 * is whole, with CRLF as sent and dots unstuffed. Called once per different recipient. */
	int (*deliver)(void *arg, const char *sender, const char *address,
		       const struct buf *message, struct lmtp_reply *reply);
	/* Writes to the client at once. -1: it is gone. */
	int (*write)(void *arg, const char *data, size_t len);
};

/* Writes the greeting. NULL out of memory. arg and ops stay the caller's. */
struct lmtp *lmtp_new(const struct lmtp_ops *ops, void *arg, const char *hostname,
		      size_t message_max);
/* Takes the next bytes from the client. 0: go on; 1: QUIT was answered; -1: cut the connection. */
int lmtp_input(struct lmtp *l, const char *data, size_t len);
/* Says 421 with the reason and ends, where the protocol allows it (not inside DATA replies). */
void lmtp_farewell(struct lmtp *l, const char *words);
void lmtp_free(struct lmtp **l);

#endif
