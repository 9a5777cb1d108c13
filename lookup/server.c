/* SPDX-License-Identifier: Apache-2.0 */
/* The loop over the socketmap connections. The only file here that has their sockets. */
#include "config.h"
#include "lookup/server.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/sock.h"
#include "lookup/asker.h"
#include "lookup/session.h"

#define CONNECTIONS_MAX 500
#define READ_BYTES 65536
#define EVENTS_MAX 64
/* A request begun, or an answer not taken, may stay so long. Whole silence is Postfix's way of
 * keeping a connection for later. */
#define STUCK_MS 30000
#define SWEEP_MS 5000

/* epoll's names of the descriptors that are no connections */
enum { NAME_LISTEN, NAME_SIGNAL, NAME_ASKER, NAME_FIRST_CONN };

struct conn {
	struct conn *prev, *next;
	uint64_t name;
	int fd; /* -1: the client has left while its question was asked */
	char user[64];
	struct session session;
	int64_t moved; /* clock_ms() of the last progress */
	uint32_t events;
};

struct user {
	uid_t uid;
	char name[64];
};

struct server {
	const struct conf *conf;
	int fd, epoll_fd, signal_fd;
	struct asker *asker;
	struct conn *conns;
	size_t conn_count;
	uint64_t next_name;
	struct user *users;
	size_t user_count;
	bool stopping, listening;
};

static const char *
user_find(const struct server *s, uid_t uid)
{
	for (size_t i = 0; i < s->user_count; i++)
		if (s->users[i].uid == uid)
			return s->users[i].name;
	return NULL;
}

static void
user_add(struct server *s, uid_t uid, const char *name)
{
	struct user *u = &s->users[s->user_count];

	if (user_find(s, uid) != NULL)
		return;
	u->uid = uid;
	snprintf(u->name, sizeof(u->name), "%s", name);
	s->user_count++;
}

/* Names are looked up once: a name service must not hold the loop. */
static int
users_load(struct server *s, struct bd_err *e)
{
	char **users = s->conf->lookup.users;
	size_t count = 0;
	struct passwd *own;

	while (users != NULL && users[count] != NULL)
		count++;
	if ((s->users = calloc(count + 2, sizeof(*s->users))) == NULL)
		return bd_fail(e, BD_E_MEMORY, "out of memory");
	user_add(s, 0, "root");
	own = getpwuid(geteuid());
	user_add(s, geteuid(), own != NULL ? own->pw_name : "self");
	for (size_t i = 0; i < count; i++) {
		const struct passwd *pw = getpwnam(users[i]);

		if (pw == NULL)
			log_warn("lookup.users: there is no user %s here", users[i]);
		else
			user_add(s, pw->pw_uid, users[i]);
	}
	return 0;
}

static int
watch(struct server *s, int op, int fd, uint64_t name, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = name };

	return epoll_ctl(s->epoll_fd, op, fd, &ev);
}

static void
listen_set(struct server *s, bool on)
{
	if (s->listening != on &&
	    watch(s, EPOLL_CTL_MOD, s->fd, NAME_LISTEN, on ? EPOLLIN : 0) == 0)
		s->listening = on;
}

static void
conn_free(struct server *s, struct conn *c)
{
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	s->conn_count--;
	if (c->fd != -1)
		close(c->fd);
	session_clear(&c->session);
	free(c);
	listen_set(s, true);
}

/* The client is gone; a question of its that is being asked still comes back. */
static void
conn_close(struct server *s, struct conn *c)
{
	if (!c->session.asking) {
		conn_free(s, c);
		return;
	}
	close(c->fd);
	c->fd = -1;
}

/* Writes what is due. -1: the client is gone. */
static int
conn_flush(struct conn *c)
{
	struct buf *out = &c->session.out;
	size_t done = 0;
	ssize_t n = 0;

	while (done < out->len) {
		n = send(c->fd, out->data + done, out->len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			break;
		done += (size_t)n;
	}
	if (n == -1 && errno != EAGAIN && errno != EWOULDBLOCK)
		return -1;
	if (done > 0) {
		c->moved = clock_ms();
		memmove(out->data, out->data + done, out->len - done);
		out->len -= done;
	}
	return 0;
}

/* Passes on the next question, if there is one. */
static void
conn_ask(struct server *s, struct conn *c)
{
	struct question q;
	struct asker_job *job;

	if (!session_next(&c->session, s->conf, &q)) {
		question_clear(&q);
		return;
	}
	if ((job = calloc(1, sizeof(*job))) == NULL) {
		question_clear(&q);
		session_answer(&c->session, "TEMP", "out of memory", 13);
		return;
	}
	job->conn = c->name;
	memcpy(job->user, c->user, sizeof(job->user));
	job->question = q;
	asker_give(s->asker, job);
}

/* Moves a connection on as far as it goes; may free it. */
static void
conn_advance(struct server *s, struct conn *c)
{
	uint32_t events = 0;
	size_t before;

	do {
		before = c->session.in.len;
		conn_ask(s, c);
		if (conn_flush(c) == -1) {
			conn_close(s, c);
			return;
		}
	} while (!c->session.asking && c->session.in.len != before);
	if (c->session.broken && c->session.out.len == 0) {
		log_warn("lookup user=%s: not the socketmap protocol, connection closed", c->user);
		conn_close(s, c);
		return;
	}
	if (session_wants_input(&c->session))
		events |= EPOLLIN;
	if (c->session.out.len > 0)
		events |= EPOLLOUT;
	if (events != c->events && watch(s, EPOLL_CTL_MOD, c->fd, c->name, events) == 0)
		c->events = events;
}

static void
conn_read(struct server *s, struct conn *c)
{
	char data[READ_BYTES];
	ssize_t n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || session_input(&c->session, data, (size_t)n) == -1) {
		conn_close(s, c);
		return;
	}
	c->moved = clock_ms();
	conn_advance(s, c);
}

static void
conn_accept(struct server *s)
{
	struct conn *c;
	const char *user;
	uid_t uid;
	gid_t gid;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd == -1) {
		if (errno == EMFILE || errno == ENFILE)
			listen_set(s, false); /* until a connection is closed */
		return;
	}
	if (sock_peer(fd, &uid, &gid) == -1 || (user = user_find(s, uid)) == NULL) {
		log_warn("lookup: uid %u may not ask; lookup.users names who may", (unsigned)uid);
		close(fd);
		return;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->name = s->next_name++;
	c->moved = clock_ms();
	c->events = EPOLLIN;
	snprintf(c->user, sizeof(c->user), "%s", user);
	if ((c->next = s->conns) != NULL)
		c->next->prev = c;
	s->conns = c;
	if (++s->conn_count >= CONNECTIONS_MAX)
		listen_set(s, false);
	if (watch(s, EPOLL_CTL_ADD, fd, c->name, c->events) == -1)
		conn_free(s, c);
}

static struct conn *
conn_find(struct server *s, uint64_t name)
{
	for (struct conn *c = s->conns; c != NULL; c = c->next)
		if (c->name == name)
			return c;
	return NULL;
}

static void
answers_take(struct server *s)
{
	struct asker_job *job;

	while ((job = asker_take(s->asker)) != NULL) {
		struct conn *c = conn_find(s, job->conn);

		if (c != NULL && c->fd == -1) {
			c->session.asking = false;
			conn_free(s, c);
		} else if (c != NULL) {
			if (session_answer(&c->session, job->status, job->answer.data,
					   job->answer.len) == -1)
				log_error("lookup: an answer of %zu bytes has no room",
					  job->answer.len);
			conn_advance(s, c);
		}
		asker_job_free(&job);
	}
}

/* Closes what hangs in the middle, so that half requests cannot fill the table. */
static void
sweep(struct server *s)
{
	int64_t oldest = clock_ms() - STUCK_MS;
	struct conn *c = s->conns, *next;

	for (; c != NULL; c = next) {
		next = c->next;
		if (c->fd != -1 && c->moved < oldest &&
		    (session_is_half(&c->session) || c->session.out.len > 0)) {
			log_warn("lookup user=%s: stuck in a request or answer, closed", c->user);
			conn_close(s, c);
		}
	}
}

static void
event_handle(struct server *s, const struct epoll_event *ev)
{
	struct conn *c;

	switch (ev->data.u64) {
	case NAME_LISTEN:
		conn_accept(s);
		return;
	case NAME_SIGNAL:
		s->stopping = true;
		return;
	case NAME_ASKER:
		answers_take(s);
		return;
	default:
		break;
	}
	/* It may have been closed by an event before this one. */
	if ((c = conn_find(s, ev->data.u64)) == NULL || c->fd == -1)
		return;
	if ((ev->events & EPOLLIN) != 0 && session_wants_input(&c->session))
		conn_read(s, c);
	else if ((ev->events & (EPOLLHUP | EPOLLERR)) != 0)
		conn_close(s, c);
	else if ((ev->events & EPOLLOUT) != 0)
		conn_advance(s, c);
}

struct server *
server_open(const struct conf *c, int fd, struct registry r, const uint8_t secret[32],
	    struct bd_err *e)
{
	struct server *s = calloc(1, sizeof(*s));
	sigset_t signals;

	if (s == NULL) {
		close(fd);
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return NULL;
	}
	s->conf = c;
	s->fd = fd;
	s->next_name = NAME_FIRST_CONN;
	s->listening = true;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (users_load(s, e) == -1 || (s->asker = asker_start(c, r, secret, e)) == NULL) {
		server_close(&s);
		return NULL;
	}
	if (s->epoll_fd == -1 || s->signal_fd == -1 ||
	    watch(s, EPOLL_CTL_ADD, s->fd, NAME_LISTEN, EPOLLIN) == -1 ||
	    watch(s, EPOLL_CTL_ADD, s->signal_fd, NAME_SIGNAL, EPOLLIN) == -1 ||
	    watch(s, EPOLL_CTL_ADD, asker_fd(s->asker), NAME_ASKER, EPOLLIN) == -1) {
		bd_fail_errno(e, BD_E_INTERNAL, "epoll");
		server_close(&s);
	}
	return s;
}

int
server_run(struct server *s, struct bd_err *e)
{
	int64_t next_sweep = clock_ms() + SWEEP_MS;

	while (!s->stopping) {
		struct epoll_event events[EVENTS_MAX];
		int64_t left = next_sweep - clock_ms();
		int n = epoll_wait(s->epoll_fd, events, EVENTS_MAX, left > 0 ? (int)left : 0);

		if (n == -1 && errno != EINTR)
			return bd_fail_errno(e, BD_E_INTERNAL, "epoll_wait");
		for (int i = 0; i < n; i++)
			event_handle(s, &events[i]);
		if (clock_ms() >= next_sweep) {
			sweep(s);
			next_sweep = clock_ms() + SWEEP_MS;
		}
	}
	return 0;
}

void
server_close(struct server **sp)
{
	struct server *s = *sp;

	if (s == NULL)
		return;
	asker_stop(&s->asker);
	while (s->conns != NULL) {
		s->conns->session.asking = false;
		conn_free(s, s->conns);
	}
	close(s->fd);
	if (s->epoll_fd != -1)
		close(s->epoll_fd);
	if (s->signal_fd != -1)
		close(s->signal_fd);
	free(s->users);
	free(s);
	*sp = NULL;
}
