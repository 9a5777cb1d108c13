/* SPDX-License-Identifier: Apache-2.0 */
/* Streams ordinary mail on to the durable instance. Decides nothing about it. */
#include "config.h"
#include "milter/ordinary.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

/* Postfix waits 30 s for a milter's answer to a command (milter_command_timeout). */
#define COMMAND_MS 20000
#define CONTENT_MS 45000

struct ordinary {
	struct submit_stream *stream;
};

int
ordinary_open(struct submit_pool *pool, const struct submit_envelope *env, struct ordinary **o_r,
	      struct submit_answer *a, struct bd_err *e)
{
	struct ordinary *o = calloc(1, sizeof(*o));

	*o_r = NULL;
	if (o == NULL)
		return bd_fail(e, BD_E_MEMORY, "ordinary mail");
	if (submit_open(pool, env, clock_ms() + COMMAND_MS, &o->stream, a, e) == -1) {
		free(o);
		return -1;
	}
	*o_r = o;
	return 0;
}

int
ordinary_rcpt(struct ordinary *o, const char *to, const char *args, struct submit_answer *a,
	      struct bd_err *e)
{
	return submit_rcpt(o->stream, to, args, clock_ms() + COMMAND_MS, a, e);
}

int
ordinary_data(struct ordinary *o, const char *received, struct submit_answer *a, struct bd_err *e)
{
	int64_t deadline = clock_ms() + COMMAND_MS;

	if (submit_data(o->stream, deadline, a, e) == -1)
		return -1;
	if (a->code != 354)
		return 0;
	return submit_write(o->stream, received, strlen(received), deadline, e);
}

int
ordinary_header(struct ordinary *o, const char *name, const char *value, bool lead,
		struct bd_err *e)
{
	int64_t deadline = clock_ms() + CONTENT_MS;

	if (submit_write(o->stream, name, strlen(name), deadline, e) == -1 ||
	    submit_write(o->stream, ": ", lead ? 1 : 2, deadline, e) == -1 ||
	    submit_write(o->stream, value, strlen(value), deadline, e) == -1)
		return -1;
	return submit_write(o->stream, "\r\n", 2, deadline, e);
}

int
ordinary_eoh(struct ordinary *o, struct bd_err *e)
{
	return submit_write(o->stream, "\r\n", 2, clock_ms() + CONTENT_MS, e);
}

int
ordinary_body(struct ordinary *o, const void *data, size_t len, struct bd_err *e)
{
	return submit_write(o->stream, data, len, clock_ms() + CONTENT_MS, e);
}

int
ordinary_end(struct ordinary *o, int64_t deadline_ms, struct submit_answer *a, struct bd_err *e)
{
	return submit_end(o->stream, deadline_ms, a, e);
}

void
ordinary_free(struct ordinary **op)
{
	struct ordinary *o = *op;

	if (o == NULL)
		return;
	submit_close(&o->stream);
	free(o);
	*op = NULL;
}
