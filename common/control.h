/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_CONTROL_H
#define BD_COMMON_CONTROL_H

/*
 * The control socket of a daemon (design section 9): a client sends one JSON object on one line,
 * "verb" and its arguments, and with it, if it likes, one open file; the daemon answers with JSON
 * objects, one per line, the last one holding "done":true or "error":"words". The peer's uid is
 * authorised per verb. The server runs a thread per connection, at most eight; the ninth is told
 * that it is busy. While a verb runs it may send progress ({"progress":n,"of":m}).
 */

#include <sys/types.h>
#include <jansson.h>

#include "common/err.h"

#define CONTROL_REQUEST_MAX_BYTES ((size_t)64 << 10)
#define CONTROL_ANSWER_MAX_BYTES ((size_t)1 << 20)
#define CONTROL_CONNECTIONS_MAX 8

struct control;
struct control_peer {
	uid_t uid;
	char user[64]; /* name, or the number when there is none */
	int fd;        /* the open file that came with the request, or -1; closed for the verb */
};
/* Sends one answer line; 0, or -1 when the client is gone or the daemon ends (the verb should then
 * stop). Takes over the reference to answer; NULL (out of memory) is -1. */
typedef int control_send(void *conn, json_t *answer);
/* 0 = done; -1 = e->cause is sent to the operator as "error". */
typedef int control_handler(void *arg, const struct control_peer *peer, json_t *request,
			    control_send *reply, void *conn, struct bd_err *e);
struct control_verb {
	const char *name;
	control_handler *handler;
	int root_only; /* root and the daemon's own user; else also the users listed */
};

/* Takes ownership of fd (listening, from sock_listen), also on failure. users is a NULL-ended list
 * of names besides root and the daemon's own (NULL: none). verbs ends with a NULL name. Both stay
 * the caller's. Handlers run in threads of their own. */
struct control *control_start(int fd, const struct control_verb *verbs, const char *const *users,
			      void *arg, struct bd_err *e);
/* Takes no more requests, makes control_send of running verbs fail, waits for them to end. */
void control_stop(struct control **c);

/* The client: sends request (borrowed) and fd (-1: none; stays the caller's), calls line (may be
 * NULL; non-zero ends the call) for each answer but the last, returns 0 on done, -1 with the
 * daemon's words in e->cause. timeout_ms is the longest silence. Thread safe. */
int control_call(const char *path, json_t *request, int (*line)(void *arg, json_t *answer),
		 void *arg, int timeout_ms, struct bd_err *e);
int control_call_fd(const char *path, json_t *request, int fd,
		    int (*line)(void *arg, json_t *answer), void *arg, int timeout_ms,
		    struct bd_err *e);

#endif
