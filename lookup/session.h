/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_SESSION_H
#define BD_LOOKUP_SESSION_H

/*
 * One connection of the socketmap protocol as a state machine without sockets: bytes in, at most
 * one question out at a time, bytes out. Used by the server's loop only.
 */

#include <stdbool.h>

#include "common/buf.h"
#include "common/conf.h"
#include "lookup/question.h"

struct session {
	struct buf in, out;
	bool asking; /* a question is on its way */
	bool broken; /* no netstring: answer what is due, then close */
};

/* Takes bytes of the client. */
int session_input(struct session *s, const void *data, size_t len);
/* Works through the requests that are whole. True: q is to be asked and session_answer called with
 * the result; also call this again after that. False: nothing more to do until input comes. q
 * always must be cleared. */
bool session_next(struct session *s, const struct conf *c, struct question *q);
/* The answer to the question on its way: "OK", "NOTFOUND", "TEMP" or "PERM" and its data. */
int session_answer(struct session *s, const char *status, const void *data, size_t len);
/* False: leave the client's bytes where they are, until what is here has been dealt with. */
bool session_wants_input(const struct session *s);
/* A request has begun and is not whole. */
bool session_is_half(const struct session *s);
void session_clear(struct session *s);

#endif
