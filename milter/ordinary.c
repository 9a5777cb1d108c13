/* SPDX-License-Identifier: Apache-2.0 */
/* Hands ordinary mail on to the durable instance. Decides nothing about it. */
#include "config.h"
#include "milter/ordinary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "common/buf.h"
#include "milter/message.h"

#define CHUNK_BYTES 65536

int
ordinary_add(struct ordinary *o, char **argv, struct bd_err *e)
{
	struct ordinary_recipient r = { 0 }, *grown;
	struct buf args = { 0 };
	int rc = 0;

	for (char **arg = argv + 1; rc == 0 && *arg != NULL; arg++)
		rc = buf_addf(&args, "%s%s", args.len > 0 ? " " : "", *arg);
	if (rc == -1 || (r.to = message_address(argv[0])) == NULL ||
	    (r.args = strdup(buf_str(&args))) == NULL ||
	    (grown = reallocarray(o->recipients, o->count + 1, sizeof(*grown))) == NULL) {
		free(r.to);
		free(r.args);
		buf_free(&args);
		return bd_fail(e, BD_E_MEMORY, "recipient");
	}
	buf_free(&args);
	o->recipients = grown;
	o->recipients[o->count++] = r;
	return 0;
}

static int
check_mta(const atomic_bool *gone, struct bd_err *e)
{
	return atomic_load(gone) ? bd_fail(e, BD_E_BUSY, "the MTA hung up") : 0;
}

static int
send_content(struct submit_stream *stream, int fd, size_t size, int64_t deadline_ms,
	     const atomic_bool *gone, struct bd_err *e)
{
	char chunk[CHUNK_BYTES];
	size_t done = 0;
	int rc = 0;

	while (rc == 0 && done < size) {
		ssize_t n = pread(fd, chunk, sizeof(chunk), (off_t)done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			rc = bd_fail_errno(e, BD_E_MEMORY, "memfd");
			break;
		}
		done += (size_t)n;
		if ((rc = check_mta(gone, e)) == 0)
			rc = submit_write(stream, chunk, (size_t)n, deadline_ms, e);
	}
	explicit_bzero(chunk, sizeof(chunk));
	return rc;
}

int
ordinary_send(const struct ordinary *o, struct submit_pool *pool, const struct submit_envelope *env,
	      int fd, size_t size, int64_t deadline_ms, const atomic_bool *gone,
	      struct submit_answer *a, struct bd_err *e)
{
	struct submit_stream *stream;
	int rc;

	if ((rc = submit_open(pool, env, deadline_ms, &stream, a, e)) == -1 || a->code != 250)
		goto out;
	for (size_t i = 0; i < o->count; i++) {
		rc = submit_rcpt(stream, o->recipients[i].to, o->recipients[i].args, deadline_ms, a,
				 e);
		if (rc == -1 || a->code / 100 != 2)
			goto out;
	}
	if ((rc = submit_data(stream, deadline_ms, a, e)) == -1 || a->code != 354)
		goto out;
	if ((rc = send_content(stream, fd, size, deadline_ms, gone, e)) == 0)
		rc = submit_end(stream, deadline_ms, a, e);
out:
	submit_close(&stream); /* cuts a transaction that is not over */
	return rc;
}

void
ordinary_clear(struct ordinary *o)
{
	for (size_t i = 0; i < o->count; i++) {
		free(o->recipients[i].to);
		free(o->recipients[i].args);
	}
	free(o->recipients);
	*o = (struct ordinary){ 0 };
}
