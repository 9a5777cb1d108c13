/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket, both ends. Knows who may ask which verb; what verbs do is their owners'
 * business.
 */
#include "config.h"
#include "common/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/sock.h"

#define REQUEST_TIMEOUT_MS 10000
/* A pager that nobody scrolls must not hold a thread for ever. */
#define ANSWER_TIMEOUT_MS 600000
#define READ_BYTES 4096

struct control {
	int fd;
	int wake_fd;
	const struct control_verb *verbs;
	const char *const *users;
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t idle;
	int conns[CONTROL_CONNECTIONS_MAX]; /* descriptors, -1 free */
	bool stopping;
};

struct conn {
	struct control *control;
	int fd;
	int slot;
	bool gone;
};

struct lines {
	int fd;
	size_t max;
	struct buf got; /* read and not yet taken */
	int passed_fd;  /* an open file that came along, or -1 */
};

/* Reads once, and keeps the first file that comes with the bytes. Bytes read, 0 at the end, -1. */
static ssize_t
lines_fill(struct lines *l)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	char data[READ_BYTES];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };
	ssize_t n;

	do
		n = recvmsg(l->fd, &msg, MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (l->passed_fd == -1)
				l->passed_fd = fd;
			else
				close(fd);
		}
	}
	if (n > 0 && buf_add(&l->got, data, (size_t)n) == -1)
		return -1;
	return n;
}

/* The next line as JSON. NULL with e filled. */
static json_t *
lines_next(struct lines *l, int timeout_ms, struct bd_err *e)
{
	int64_t until = clock_ms() + timeout_ms;

	for (;;) {
		unsigned char *end = l->got.len > 0 ? memchr(l->got.data, '\n', l->got.len) : NULL;
		struct pollfd p = { .fd = l->fd, .events = POLLIN };
		int64_t left = until - clock_ms();
		ssize_t n;

		if (end != NULL) {
			size_t len = (size_t)(end - l->got.data);
			json_t *value = json_parse(l->got.data, len, l->max, e);

			memmove(l->got.data, end + 1, l->got.len - len - 1);
			l->got.len -= len + 1;
			if (value != NULL && !json_is_object(value)) {
				json_decref(value);
				value = NULL;
				bd_fail(e, BD_E_CONTENT, "not a JSON object");
			}
			return value;
		}
		if (l->got.len > l->max) {
			bd_fail(e, BD_E_CONTENT, "a line of more than %zu bytes", l->max);
			return NULL;
		}
		if (left <= 0 || (poll(&p, 1, (int)left) == 0)) {
			bd_fail(e, BD_E_BUSY, "no answer within %d s", timeout_ms / 1000);
			return NULL;
		}
		if ((n = lines_fill(l)) == 0) {
			bd_fail(e, BD_E_BUSY, "the other side closed the connection");
			return NULL;
		}
		if (n == -1) {
			bd_fail_errno(e, BD_E_BUSY, "reading");
			return NULL;
		}
	}
}

static int
line_write(int fd, const json_t *value, int passed_fd, int timeout_ms, struct bd_err *e)
{
	struct buf out = { 0 };
	ssize_t first = 0;
	int rc = -1;

	if (json_write(value, 0, &out, e) == -1)
		goto out;
	if (buf_addc(&out, '\n') == -1) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		goto out;
	}
	if (passed_fd != -1) {
		union {
			struct cmsghdr align;
			char space[CMSG_SPACE(sizeof(int))];
		} control = { 0 };
		struct iovec iov = { out.data, out.len };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control.space,
				      .msg_controllen = sizeof(control.space) };
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &passed_fd, sizeof(int));
		if ((first = sendmsg(fd, &msg, MSG_NOSIGNAL)) == -1) {
			bd_fail_errno(e, BD_E_BUSY, "sending");
			goto out;
		}
	}
	rc = sock_write(fd, out.data + first, out.len - (size_t)first, timeout_ms, e);
out:
	buf_free(&out);
	return rc;
}

static int
conn_send(void *arg, json_t *answer)
{
	struct conn *c = arg;
	struct bd_err e = { 0 };

	if (!c->gone &&
	    (answer == NULL || line_write(c->fd, answer, -1, ANSWER_TIMEOUT_MS, &e) == -1))
		c->gone = true;
	json_decref(answer);
	return c->gone ? -1 : 0;
}

static void
peer_name(struct control_peer *peer)
{
	struct passwd pw, *found = NULL;
	char text[4096];

	if (getpwuid_r(peer->uid, &pw, text, sizeof(text), &found) == 0 && found != NULL &&
	    strlen(found->pw_name) < sizeof(peer->user))
		snprintf(peer->user, sizeof(peer->user), "%s", found->pw_name);
	else
		snprintf(peer->user, sizeof(peer->user), "%u", (unsigned)peer->uid);
}

static bool
is_allowed(const struct control *c, const struct control_verb *v, const struct control_peer *peer)
{
	if (peer->uid == 0 || peer->uid == geteuid())
		return true;
	if (v->root_only || c->users == NULL)
		return false;
	for (const char *const *user = c->users; *user != NULL; user++)
		if (strcmp(*user, peer->user) == 0)
			return true;
	return false;
}

static const struct control_verb *
verb_find(const struct control *c, const char *name)
{
	for (const struct control_verb *v = c->verbs; name != NULL && v->name != NULL; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

static int
conn_serve(struct conn *conn, struct lines *in, struct control_peer *peer, struct bd_err *e)
{
	struct control *c = conn->control;
	const struct control_verb *v;
	json_t *request;
	gid_t gid;
	int rc = -1;

	if (sock_peer(conn->fd, &peer->uid, &gid) == -1)
		return bd_fail_errno(e, BD_E_INTERNAL, "peer credentials");
	peer_name(peer);
	if ((request = lines_next(in, REQUEST_TIMEOUT_MS, e)) == NULL)
		return bd_wrap(e, "request");
	peer->fd = in->passed_fd;
	if ((v = verb_find(c, json_text(request, "verb"))) == NULL)
		bd_fail(e, BD_E_CONTENT, "no such request; the daemon may be of another version");
	else if (!is_allowed(c, v, peer)) {
		log_warn("control verb=%s user=%s refused", v->name, peer->user);
		bd_fail(e, BD_E_NOT_AUTHORISED,
			"user %s may not do this; brevdue.conf lists operators", peer->user);
	} else
		rc = v->handler(c->arg, peer, request, conn_send, conn, e);
	json_decref(request);
	return rc;
}

static void *
conn_run(void *arg)
{
	struct conn *conn = arg;
	struct control *c = conn->control;
	struct lines in = { .fd = conn->fd, .max = CONTROL_REQUEST_MAX_BYTES, .passed_fd = -1 };
	struct control_peer peer = { .fd = -1 };
	struct bd_err e = { 0 };

	if (conn_serve(conn, &in, &peer, &e) == 0)
		conn_send(conn, json_pack("{s:b}", "done", 1));
	else
		conn_send(conn, json_pack("{s:s}", "error", e.cause));
	if (in.passed_fd != -1)
		close(in.passed_fd);
	buf_free(&in.got);
	pthread_mutex_lock(&c->lock);
	c->conns[conn->slot] = -1;
	close(conn->fd);
	pthread_cond_signal(&c->idle);
	pthread_mutex_unlock(&c->lock);
	free(conn);
	return NULL;
}

/* Starts a thread for fd; false when all are taken. */
static bool
conn_start(struct control *c, int fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	pthread_attr_t attr;
	pthread_t thread;
	int slot, error = EAGAIN;

	if (conn == NULL)
		return false;
	pthread_mutex_lock(&c->lock);
	for (slot = 0; slot < CONTROL_CONNECTIONS_MAX && c->conns[slot] != -1; slot++)
		continue;
	if (slot < CONTROL_CONNECTIONS_MAX) {
		*conn = (struct conn){ .control = c, .fd = fd, .slot = slot };
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		if ((error = pthread_create(&thread, &attr, conn_run, conn)) == 0)
			c->conns[slot] = fd;
		pthread_attr_destroy(&attr);
	}
	pthread_mutex_unlock(&c->lock);
	if (error != 0)
		free(conn);
	return error == 0;
}

static void *
accept_run(void *arg)
{
	struct control *c = arg;
	struct pollfd p[2] = { { .fd = c->fd, .events = POLLIN },
			       { .fd = c->wake_fd, .events = POLLIN } };

	for (;;) {
		int fd;

		if (poll(p, 2, -1) == -1 && errno != EINTR)
			return NULL;
		if (p[1].revents != 0)
			return NULL;
		if ((fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC)) == -1) {
			/* Out of descriptors: the client waits in the queue, we must not spin. */
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
				poll(&p[1], 1, 100);
			continue;
		}
		if (!conn_start(c, fd)) {
			static const char busy[] = "{\"error\":\"busy with other requests\"}\n";

			if (send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) == -1)
				log_debug("control: a refused client has already left");
			close(fd);
		}
	}
}

struct control *
control_start(int fd, const struct control_verb *verbs, const char *const *users, void *arg,
	      struct bd_err *e)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return NULL;
	}
	c->fd = fd;
	c->verbs = verbs;
	c->users = users;
	c->arg = arg;
	for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++)
		c->conns[i] = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->idle, NULL);
	c->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (c->wake_fd == -1 || (errno = pthread_create(&c->thread, NULL, accept_run, c)) != 0) {
		bd_fail_errno(e, BD_E_INTERNAL, "control socket");
		if (c->wake_fd != -1)
			close(c->wake_fd);
		close(fd);
		pthread_cond_destroy(&c->idle);
		pthread_mutex_destroy(&c->lock);
		free(c);
		return NULL;
	}
	return c;
}

static bool
has_connections(const struct control *c)
{
	for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++)
		if (c->conns[i] != -1)
			return true;
	return false;
}

void
control_stop(struct control **cp)
{
	struct control *c = *cp;
	uint64_t one = 1;

	if (c == NULL)
		return;
	if (write(c->wake_fd, &one, sizeof(one)) == -1)
		log_error("control: cannot wake the accepting thread");
	pthread_join(c->thread, NULL);
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++)
		if (c->conns[i] != -1)
			shutdown(c->conns[i], SHUT_RDWR);
	while (has_connections(c))
		pthread_cond_wait(&c->idle, &c->lock);
	pthread_mutex_unlock(&c->lock);
	close(c->fd);
	close(c->wake_fd);
	pthread_cond_destroy(&c->idle);
	pthread_mutex_destroy(&c->lock);
	free(c);
	*cp = NULL;
}

int
control_call_fd(const char *path, json_t *request, int passed_fd,
		int (*line)(void *arg, json_t *answer), void *arg, int timeout_ms, struct bd_err *e)
{
	struct lines in = { .max = CONTROL_ANSWER_MAX_BYTES, .passed_fd = -1 };
	struct bd_err ignored;
	int fd, rc = -1;
	bool last = false, is_sent;

	if ((fd = sock_connect(path, timeout_ms, e)) == -1)
		return -1;
	in.fd = fd;
	/* A daemon that refuses may close before it has read all; its words are there to read. */
	is_sent = line_write(fd, request, passed_fd, timeout_ms, e) == 0;
	while (!last) {
		json_t *answer = lines_next(&in, timeout_ms, is_sent ? e : &ignored);
		const char *words;

		if (answer == NULL)
			goto out;
		if ((words = json_string_value(json_object_get(answer, "error"))) != NULL) {
			bd_fail(e, BD_E_INTERNAL, "%s", words);
			last = true;
		} else if (json_is_true(json_object_get(answer, "done"))) {
			rc = 0;
			last = true;
		} else if (line != NULL && line(arg, answer) != 0) {
			bd_fail(e, BD_E_INTERNAL, "stopped");
			last = true;
		}
		json_decref(answer);
	}
out:
	if (in.passed_fd != -1)
		close(in.passed_fd);
	buf_free(&in.got);
	close(fd);
	return rc;
}

int
control_call(const char *path, json_t *request, int (*line)(void *arg, json_t *answer), void *arg,
	     int timeout_ms, struct bd_err *e)
{
	return control_call_fd(path, request, -1, line, arg, timeout_ms, e);
}
