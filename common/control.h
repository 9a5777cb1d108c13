/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_CONTROL_H
#define BD_COMMON_CONTROL_H

/*
 * The control socket of a daemon (design section 9): a client sends one JSON object on one line,
 * "verb" and its arguments; the daemon answers with JSON objects, one per line, the last one
 * holding "done":true or "error":"words". The peer's uid is authorised per verb. The server runs a
 * thread per connection, at most eight. While a verb runs it may send progress
 * ({"progress":n,"of":m}).
 */

#include <sys/types.h>
#include <jansson.h>

#include "common/err.h"

struct control;
struct control_peer {
	uid_t uid;
	char user[64];
};
/* Sends one answer line; 0, or -1 when the client is gone (the verb should then stop). Borrows
 * answer. */
typedef int control_send(void *conn, json_t *answer);
/* 0 = done; -1 = e->cause is sent to the operator as "error". */
typedef int control_handler(void *arg, const struct control_peer *peer, json_t *request,
			    control_send *reply, void *conn, struct bd_err *e);
struct control_verb {
	const char *name;
	control_handler *handler;
	int root_only; /* else also the users listed */
};

/* Takes ownership of fd (listening, from sock_listen). users is a NULL-ended list of names besides
 * root and the daemon's own. verbs ends with a NULL name. All stay the caller's. */
struct control *control_start(int fd, const struct control_verb *verbs, const char *const *users,
			      void *arg, struct bd_err *e);
void control_stop(struct control **c);

/* The client: sends request, calls line for each answer but the last, returns 0 on done, -1 with
 * the daemon's words. */
int control_call(const char *path, json_t *request, int (*line)(void *arg, json_t *answer),
		 void *arg, int timeout_ms, struct bd_err *e);

#endif
