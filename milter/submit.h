/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_SUBMIT_H
#define BD_MILTER_SUBMIT_H

/*
 * The SMTP client to the unix-domain smtpd services of the sending instance (design section 6): a
 * bounded pool of connections per service, and one transaction on a connection, whole or streamed.
 * Connections idle for SUBMIT_IDLE_MS are closed, because a kept one holds an smtpd process and
 * starves the listener (measured), and none belongs to a client's session. A connection lost before
 * the final dot may be tried once more; after it nobody knows, and the answer is kind QUEUE.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define SUBMIT_IDLE_MS 5000
#define SUBMIT_QUEUE_ID_CHARS 64

struct submit_pool;   /* thread safe */
struct submit_stream; /* one transaction; one thread at a time */

struct submit_answer {
	int code;        /* 0: none, the connection was lost */
	char status[12]; /* "2.0.0", "" when the server gave none */
	char text[400];
};

struct submit_envelope {
	const char *from;      /* without <>, "" is the null sender */
	const char *from_args; /* "RET=HDRS", "" for none; parameters the server does not
				  offer are left out */
	const char *ident;     /* front queue id for XFORWARD, NULL for none */
};

/* connections is the most open at once; timeout_ms the longest wait for one answer. Starts the
 * thread that closes idle connections. NULL with kind MEMORY. */
struct submit_pool *submit_pool_new(const char *socket, unsigned connections, int timeout_ms,
				    struct bd_err *e);
void submit_pool_free(struct submit_pool **p);    /* no transaction may be open */
unsigned submit_pool_open(struct submit_pool *p); /* connections open now, for tests and logs */

/* One whole mail to one recipient. data has CRLF line ends and is dot-stuffed here. deadline_ms is
 * monotonic (clock_ms). queue_id gets the id from the 250's "queued as", "" when it names none. -1
 * with kind QUEUE, or BUSY when the pool stayed full: a refusal of the service is never permanent
 * to the sender of a letter. */
int submit_mail(struct submit_pool *p, const struct submit_envelope *env, const char *to,
		const char *to_args, const void *data, size_t len, int64_t deadline_ms,
		char queue_id[SUBMIT_QUEUE_ID_CHARS], struct bd_err *e);

/*
 * Streaming. Each call returns 0 with the server's answer in *a, whatever its code, or -1 with kind
 * QUEUE or BUSY when the connection is lost or late; the stream then only wants submit_close.
 */
int submit_open(struct submit_pool *p, const struct submit_envelope *env, int64_t deadline_ms,
		struct submit_stream **s_r, struct submit_answer *a, struct bd_err *e); /* MAIL */
int submit_rcpt(struct submit_stream *s, const char *to, const char *args, int64_t deadline_ms,
		struct submit_answer *a, struct bd_err *e);
int submit_data(struct submit_stream *s, int64_t deadline_ms, struct submit_answer *a,
		struct bd_err *e);
/* Content in any chunking; dot-stuffed, lone LF becomes CRLF. */
int submit_write(struct submit_stream *s, const void *data, size_t len, int64_t deadline_ms,
		 struct bd_err *e);
int submit_end(struct submit_stream *s, int64_t deadline_ms, struct submit_answer *a,
	       struct bd_err *e); /* the final dot */
/* Back to the pool when the transaction is over, else the connection is cut. NULL is fine. */
void submit_close(struct submit_stream **s);

/* The id in a "... queued as X" answer; "" when there is none. Pure. */
void submit_queue_id(const struct submit_answer *a, char queue_id[SUBMIT_QUEUE_ID_CHARS]);

#endif
