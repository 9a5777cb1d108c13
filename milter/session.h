/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_SESSION_H
#define BD_MILTER_SESSION_H

/*
 * The state machine of one SMTP session as the milter protocol shows it: several mails one after
 * the other, each with its verdict (design sections 4 and 5, promises 2, 7, 9, 10). It knows no
 * libmilter and no sockets: the MTA stands behind struct mta_ops, other processes behind the gate.
 * One thread at a time per session; sessions share only the gate.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "milter/gate.h"
#include "milter/reply.h"

struct mta_ops {
	/* The value of a macro ("i", "{auth_authen}") or NULL; borrowed until the next event. */
	const char *(*macro)(void *mta, const char *name);
	/* The reply that goes with the REJECT or TEMPFAIL returned next. */
	void (*reply)(void *mta, const struct reply *r);
	/* Tells the MTA to wait on. -1 when it is gone. */
	int (*still_working)(void *mta);
};

struct session;

/* lead_space: header values will come with their leading space. NULL out of memory. */
struct session *session_new(struct gate *g, const struct mta_ops *ops, void *mta, bool lead_space);
void session_free(struct session **s);

/* Each event returns the verdict the MTA gets; for REJECT and TEMPFAIL ops->reply was called.
 * Strings are borrowed for the call. argv is NULL-ended: the address, then ESMTP parameters. */
enum verdict session_connect(struct session *s, const char *hostname, const struct sockaddr *sa);
enum verdict session_helo(struct session *s, const char *helo);
enum verdict session_mail(struct session *s, char **argv);
enum verdict session_rcpt(struct session *s, char **argv);
enum verdict session_data(struct session *s); /* old MTAs do not send it */
enum verdict session_header(struct session *s, const char *name, const char *value);
enum verdict session_eoh(struct session *s);
enum verdict session_body(struct session *s, const void *data, size_t len);
enum verdict session_eom(struct session *s);
/* The mail is given up. May come twice, or never. */
void session_abort(struct session *s);

#endif
