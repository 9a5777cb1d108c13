/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_SMTPC_H
#define BD_MILTER_SMTPC_H

/* One SMTP client connection on a unix socket: lines out, replies in, content with dot-stuffing.
 * Knows no pool and no retry. One thread at a time. */

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "milter/submit.h"

enum smtpc_ext {
	SMTPC_XFORWARD_IDENT = 1,
	SMTPC_DSN = 2,
	SMTPC_SIZE = 4,
	SMTPC_8BITMIME = 8,
	SMTPC_SMTPUTF8 = 16,
};

struct smtpc {
	int fd;
	unsigned ext;
	bool lost; /* end of file, error or late: only smtpc_close is left */
	bool late; /* it was time that ran out, not the connection */
	char in[2048];
	size_t in_at, in_len;
	struct buf out; /* content not yet written */
	char last;      /* the last content byte, for dots and line ends */
	int64_t idle_since;
	struct smtpc *next;
};

/* Connects, reads the greeting, says EHLO. NULL with kind QUEUE. */
struct smtpc *smtpc_open(const char *socket, int64_t deadline_ms, struct bd_err *e);
/* Sends line and CRLF and reads the reply. -1 when the connection is lost (c->lost). */
int smtpc_command(struct smtpc *c, const char *line, int64_t deadline_ms, struct submit_answer *a,
		  struct bd_err *e);
void smtpc_content_start(struct smtpc *c);
int smtpc_content(struct smtpc *c, const void *data, size_t len, int64_t deadline_ms,
		  struct bd_err *e);
/* Ends the last line when it is open, and writes out what is held; then the dot, in a write of its
 * own, so that "before the final dot" is known. */
int smtpc_content_flush(struct smtpc *c, int64_t deadline_ms, struct bd_err *e);
int smtpc_dot(struct smtpc *c, int64_t deadline_ms, struct submit_answer *a, struct bd_err *e);
/* True when the server closed or spoke out of turn meanwhile (421): not to be used again. */
bool smtpc_is_stale(const struct smtpc *c);
/* quit sends QUIT without waiting for its answer. NULL is fine. */
void smtpc_close(struct smtpc **c, bool quit);

/* One reply line: code, whether more follow, and the rest. -1 when it is none. Pure. */
int smtpc_parse_line(const char *line, int *code_r, bool *more_r, const char **rest_r);

#endif
