/* SPDX-License-Identifier: Apache-2.0 */
/* A socketmap connection without its socket. Does not ask the register. */
#include "config.h"
#include "lookup/session.h"

#include <string.h>

#define IN_MAX_BYTES ((size_t)2 * SOCKETMAP_REQUEST_MAX_BYTES)
#define OUT_HIGH_BYTES ((size_t)1 << 20)
#define OUT_MAX_BYTES ((size_t)64 << 20)

int
session_input(struct session *s, const void *data, size_t len)
{
	s->in.max = IN_MAX_BYTES;
	return buf_add(&s->in, data, len);
}

int
session_answer(struct session *s, const char *status, const void *data, size_t len)
{
	s->asking = false;
	s->out.max = OUT_MAX_BYTES;
	if (socketmap_write(&s->out, status, data, len) == 0)
		return 0;
	s->broken = true;
	return -1;
}

static void
input_take(struct session *s, size_t used)
{
	memmove(s->in.data, s->in.data + used, s->in.len - used);
	s->in.len -= used;
}

bool
session_next(struct session *s, const struct conf *c, struct question *q)
{
	*q = (struct question){ 0 };
	while (!s->asking && !s->broken && s->in.len > 0 && s->out.len < OUT_HIGH_BYTES) {
		struct socketmap_request r;
		struct bd_err e = { 0 };
		enum question_result result = QUESTION_REFUSED;
		size_t used;

		question_clear(q);
		switch (socketmap_parse(s->in.data, s->in.len, &r, &used)) {
		case SOCKETMAP_MORE:
			return false;
		case SOCKETMAP_BROKEN:
			s->broken = true;
			return false;
		case SOCKETMAP_REFUSED:
			bd_fail(&e, BD_E_CONTENT, "a request is: map, blank, key on one line");
			break;
		case SOCKETMAP_REQUEST:
			result = question_parse(c, &r, q, &e);
			break;
		}
		input_take(s, used);
		switch (result) {
		case QUESTION_ASK:
			s->asking = true;
			return true;
		case QUESTION_OK:
			session_answer(s, "OK", "OK", 2);
			break;
		case QUESTION_NOT_FOUND:
			session_answer(s, "NOTFOUND", "", 0);
			break;
		case QUESTION_REFUSED:
			session_answer(s, e.kind == BD_E_MEMORY ? "TEMP" : "PERM", e.cause,
				       strlen(e.cause));
			break;
		}
	}
	return false;
}

bool
session_wants_input(const struct session *s)
{
	return !s->broken && s->out.len < OUT_HIGH_BYTES &&
	       s->in.len <= SOCKETMAP_REQUEST_MAX_BYTES;
}

bool
session_is_half(const struct session *s)
{
	return !s->asking && s->in.len > 0;
}

void
session_clear(struct session *s)
{
	buf_free(&s->in);
	buf_free(&s->out);
	*s = (struct session){ 0 };
}
