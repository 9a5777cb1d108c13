/* SPDX-License-Identifier: Apache-2.0 */
/* Asks brevdue-lookup. Believes only what it asked for. */
#include "config.h"
#include "lookup/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/sock.h"
#include "lookup/socketmap.h"

#define ANSWER_MAX_BYTES ((size_t)32 << 20)
#define READ_BYTES 65536

struct lookup_question {
	int fd;
	int timeout_ms;
	char *socket_path;
	struct buf key; /* kept, to ask again */
	size_t count;
	char (*ids)[NATIONALID_CHARS];
};

/* Connects and sends one request. A descriptor or -1. */
static int
request_send(const char *socket_path, const char *map, const void *key, size_t key_len,
	     int timeout_ms, struct bd_err *e)
{
	struct buf out = { 0 };
	int fd = -1;

	if (socketmap_write(&out, map, key, key_len) == -1) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return -1;
	}
	if ((fd = sock_connect(socket_path, timeout_ms, e)) != -1 &&
	    sock_write(fd, out.data, out.len, timeout_ms, e) == -1) {
		close(fd);
		fd = -1;
	}
	if (fd == -1) {
		e->kind = BD_E_REGISTER;
		bd_wrap(e, "asking the lookup daemon");
	}
	buf_free(&out);
	return fd;
}

/* Reads one answer. 1 with its data, 0 for NOTFOUND, -1. text_r points into in. *lost_r: the
 * connection ended before the answer did. */
static int
answer_read(int fd, int64_t until, struct buf *in, const char **text_r, size_t *len_r, bool *lost_r,
	    struct bd_err *e)
{
	size_t used;

	*lost_r = false;
	in->max = ANSWER_MAX_BYTES + 32;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = until - clock_ms();
		ssize_t n;

		switch (socketmap_netstring(in->data, in->len, ANSWER_MAX_BYTES, text_r, len_r,
					    &used)) {
		case SOCKETMAP_REQUEST:
			goto whole;
		case SOCKETMAP_MORE:
			break;
		case SOCKETMAP_REFUSED:
		case SOCKETMAP_BROKEN:
			return bd_fail(e, BD_E_REGISTER, "lookup daemon: broken answer");
		}
		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return bd_fail(e, BD_E_REGISTER, "lookup daemon: no answer in time");
		if (buf_reserve(in, READ_BYTES) == -1)
			return bd_fail(e, BD_E_MEMORY, "out of memory");
		n = recv(fd, in->data + in->len, READ_BYTES, 0);
		*lost_r = n == 0 || (n == -1 && errno != EINTR);
		if (n == -1 && errno != EINTR)
			return bd_fail_errno(e, BD_E_REGISTER, "lookup daemon");
		if (n == 0)
			return bd_fail(e, BD_E_REGISTER,
				       "lookup daemon closed the connection (may this user ask? "
				       "lookup.users)");
		if (n > 0)
			in->len += (size_t)n;
	}
whole:
	if (used != in->len)
		return bd_fail(e, BD_E_REGISTER, "lookup daemon: more than one answer");
	if (*len_r >= 3 && memcmp(*text_r, "OK ", 3) == 0) {
		*text_r += 3;
		*len_r -= 3;
		return 1;
	}
	if (*len_r >= 9 && memcmp(*text_r, "NOTFOUND ", 9) == 0)
		return 0;
	/* TEMP, TIMEOUT and PERM come with words of the daemon's own, never with a person */
	return bd_fail(e, BD_E_REGISTER, "lookup daemon: %.*s", (int)(*len_r < 120 ? *len_r : 120),
		       *text_r);
}

/* The key of the batch question; each number once. */
static int
key_make(const char *agency, const char *const *ids, size_t count, struct buf *key,
	 struct bd_err *e)
{
	json_t *seen = json_object(), *list = json_array(), *question = NULL;
	int rc = -1;

	for (size_t i = 0; i < count; i++) {
		if (json_object_get(seen, ids[i]) != NULL)
			continue;
		if (json_object_set_new(seen, ids[i], json_true()) == -1 ||
		    json_array_append_new(list, json_string(ids[i])) == -1) {
			bd_fail(e, BD_E_MEMORY, "out of memory");
			goto out;
		}
	}
	question =
	    json_pack("{s:O, s:s*, s:s}", "ids", list, "agency", agency, "purpose", "letter");
	if (question == NULL)
		bd_fail(e, BD_E_MEMORY, "out of memory");
	else
		rc = json_write(question, 0, key, e);
out:
	json_decref(question);
	json_decref(list);
	json_decref(seen);
	return rc;
}

struct lookup_question *
lookup_ask(const char *socket, const char *agency, const char *const *ids, size_t count,
	   int timeout_ms, struct bd_err *e)
{
	struct lookup_question *q;

	if (count == 0 || count > LOOKUP_BATCH_MAX) {
		bd_fail(e, BD_E_INTERNAL, "a question of %zu persons, 1 to %d are possible", count,
			LOOKUP_BATCH_MAX);
		return NULL;
	}
	if ((q = calloc(1, sizeof(*q))) == NULL ||
	    (q->ids = calloc(count, sizeof(q->ids[0]))) == NULL) {
		free(q);
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return NULL;
	}
	q->fd = -1;
	q->count = count;
	q->timeout_ms = timeout_ms;
	if ((q->socket_path = strdup(socket)) == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		goto fail;
	}
	for (size_t i = 0; i < count; i++) {
		if (!nationalid_is_valid(ids[i], true)) {
			bd_fail(e, BD_E_INTERNAL, "a question about no valid number");
			goto fail;
		}
		memcpy(q->ids[i], ids[i], NATIONALID_CHARS);
	}
	if (key_make(agency, ids, count, &q->key, e) == -1)
		goto fail;
	q->fd = request_send(socket, "persons", q->key.data, q->key.len, timeout_ms, e);
	if (q->fd == -1)
		goto fail;
	return q;
fail:
	lookup_question_free(&q);
	return NULL;
}

static bool
is_asked(const struct lookup_question *q, const char *id)
{
	for (size_t i = 0; i < q->count; i++)
		if (strcmp(q->ids[i], id) == 0)
			return true;
	return false;
}

/* Sorts the answer's elements by number. An answer about somebody else condemns the whole
 * (threats.md A15); a person answered twice has failed (spec/krr.md 3 rule 4). */
static json_t *
elements_by_id(const struct lookup_question *q, const json_t *persons, struct bd_err *e)
{
	json_t *by_id = json_object(), *element;
	size_t i;

	json_array_foreach(persons, i, element)
	{
		const char *id = json_text(element, "personidentifikator");
		int rc;

		if (id == NULL || !is_asked(q, id)) {
			bd_fail(e, BD_E_REGISTER, "the answer holds a person not asked for; alarm");
			json_decref(by_id);
			return NULL;
		}
		rc = json_object_get(by_id, id) != NULL
			 ? json_object_set_new(by_id, id, json_null())
			 : json_object_set(by_id, id, element);
		if (rc == -1) {
			bd_fail(e, BD_E_MEMORY, "out of memory");
			json_decref(by_id);
			return NULL;
		}
	}
	return by_id;
}

/* Waits for the answer; the time counts from here, however long the mail's upload took. Meanwhile
 * the daemon may have dropped an answer that nobody read, or been restarted: a lost connection is
 * asked once anew, for the question changes nothing there. */
static int
answer_wait(struct lookup_question *q, struct buf *in, const char **text_r, size_t *len_r,
	    struct bd_err *e)
{
	int64_t until = clock_ms() + q->timeout_ms, left;
	bool lost;
	int rc = answer_read(q->fd, until, in, text_r, len_r, &lost, e);

	if (!lost || (left = until - clock_ms()) <= 0)
		return rc;
	close(q->fd);
	q->fd = request_send(q->socket_path, "persons", q->key.data, q->key.len, (int)left, e);
	if (q->fd == -1)
		return -1;
	buf_free(in);
	return answer_read(q->fd, until, in, text_r, len_r, &lost, e);
}

int
lookup_collect(struct lookup_question *q, struct person *persons_r, size_t count, struct bd_err *e)
{
	struct buf in = { 0 };
	json_t *answer = NULL, *persons, *by_id = NULL;
	const char *text;
	size_t len;
	int rc = -1;

	if (count != q->count)
		return bd_fail(e, BD_E_INTERNAL, "asked for %zu persons, collecting %zu", q->count,
			       count);
	for (size_t i = 0; i < count; i++)
		persons_r[i] = (struct person){ 0 };
	switch (answer_wait(q, &in, &text, &len, e)) {
	case 1:
		break;
	case 0:
		bd_fail(e, BD_E_REGISTER, "lookup daemon: NOTFOUND to a batch question");
		goto out;
	default:
		goto out;
	}
	if ((answer = json_parse(text, len, ANSWER_MAX_BYTES, e)) == NULL ||
	    !json_is_array(persons = json_object_get(answer, "personer"))) {
		bd_fail(e, BD_E_REGISTER, "lookup daemon: the answer is not personer");
		goto out;
	}
	if ((by_id = elements_by_id(q, persons, e)) == NULL)
		goto out;
	for (size_t i = 0; i < count; i++) {
		const json_t *element = json_object_get(by_id, q->ids[i]);
		struct bd_err one = { 0 };

		if (element != NULL && person_parse(element, &persons_r[i], &one) == -1)
			persons_r[i] = (struct person){ 0 };
	}
	rc = 0;
out:
	json_decref(by_id);
	json_decref(answer);
	buf_free(&in);
	return rc;
}

void
lookup_question_free(struct lookup_question **qp)
{
	struct lookup_question *q = *qp;

	if (q == NULL)
		return;
	if (q->fd != -1)
		close(q->fd);
	explicit_bzero(q->ids, q->count * sizeof(q->ids[0]));
	free(q->ids);
	free(q->socket_path);
	buf_free(&q->key);
	free(q);
	*qp = NULL;
}

int
lookup_map(const char *socket, const char *map, const char *key, int timeout_ms, struct buf *value,
	   struct bd_err *e)
{
	struct buf in = { 0 };
	const char *text;
	size_t len;
	int64_t until = clock_ms() + timeout_ms;
	bool lost;
	int fd, rc;

	if ((fd = request_send(socket, map, key, strlen(key), timeout_ms, e)) == -1)
		return -1;
	rc = answer_read(fd, until, &in, &text, &len, &lost, e);
	if (rc == 1 && buf_add(value, text, len) == -1)
		rc = bd_fail(e, BD_E_MEMORY, "out of memory");
	buf_free(&in);
	close(fd);
	return rc;
}

static void
copy_text(char *out, size_t size, const json_t *object, const char *member)
{
	const char *text = json_text(object, member);

	if (text != NULL && strlen(text) < size)
		memcpy(out, text, strlen(text) + 1);
}

int
lookup_decision(const char *socket, const char *agency, enum conf_kind kind, const char *id,
		int timeout_ms, struct lookup_decision *out, struct bd_err *e)
{
	struct buf key = { 0 }, value = { 0 };
	json_t *json = NULL;
	int rc = -1, found;

	*out = (struct lookup_decision){ .route = "hold" };
	if (buf_addf(&key, "%s/%s:%s", agency,
		     kind == CONF_KIND_IMPORTANT ? "important" : "service", id) == -1) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		goto out;
	}
	found = lookup_map(socket, "decision", buf_str(&key), timeout_ms, &value, e);
	if (found == -1)
		goto out;
	if (found == 0 || (json = json_parse(value.data, value.len, ANSWER_MAX_BYTES, e)) == NULL ||
	    json_text(json, "route") == NULL) {
		bd_fail(e, BD_E_REGISTER, "lookup daemon: no decision in the answer");
		goto out;
	}
	copy_text(out->route, sizeof(out->route), json, "route");
	copy_text(out->provider, sizeof(out->provider), json, "provider");
	copy_text(out->mailbox, sizeof(out->mailbox), json, "mailbox");
	copy_text(out->certificate, sizeof(out->certificate), json, "certificate");
	rc = 0;
out:
	json_decref(json);
	buf_free(&key);
	buf_free(&value);
	return rc;
}
