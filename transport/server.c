/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets and threads of the LMTP service. Knows of LMTP only that a connection is bytes in, bytes
 * out, and that a connection that cannot answer is cut.
 */
#include "config.h"
#include "transport/server.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sock.h"

#define IDLE_TIMEOUT_MS 300000 /* RFC 5321 4.5.3.2.7 */
#define WRITE_TIMEOUT_MS 60000
#define READ_BYTES 65536
#define GROUPS_MAX 64

struct connection {
	LIST_ENTRY(connection) next;
	struct server *server;
	int fd;
};

struct server {
	struct server_conf conf;
	struct deliver *d;
	char hostname[256];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool stopping;
	unsigned count;
	LIST_HEAD(, connection) connections;
};

static void
on_recipient(void *arg, const char *sender, const char *address, struct lmtp_reply *reply)
{
	struct target t;

	(void)arg;
	target_parse(address, &t);
	if (t.kind == TARGET_DIGITAL)
		lmtp_reply_set(reply, 250, "2.1.5 Ok");
	else if (t.kind == TARGET_REPORT && sender[0] == '\0')
		lmtp_reply_set(reply, 250, "2.1.5 Ok");
	else if (t.kind == TARGET_REPORT)
		lmtp_reply_set(reply, 550, "5.7.1 Only notices are taken here");
	else
		lmtp_reply_set(reply, 550, "5.1.2 No way to this address");
}

static int
on_deliver(void *arg, const char *sender, const char *address, const struct buf *message,
	   struct lmtp_reply *reply)
{
	struct connection *c = arg;
	struct target t;

	(void)sender;
	target_parse(address, &t);
	if (t.kind == TARGET_DIGITAL)
		deliver_sealed(c->server->d, &t, message, reply);
	else if (t.kind == TARGET_REPORT)
		deliver_notice(c->server->d, &t, message, reply);
	else
		return -1;
	return 0;
}

static int
on_write(void *arg, const char *data, size_t len)
{
	struct connection *c = arg;
	struct bd_err e = { 0 };

	return sock_write(c->fd, data, len, WRITE_TIMEOUT_MS, &e);
}

static const struct lmtp_ops ops = { on_recipient, on_deliver, on_write };

static void
dialogue(struct connection *c)
{
	struct server *s = c->server;
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	char *data = malloc(READ_BYTES);
	struct lmtp *l = lmtp_new(&ops, c, s->hostname, s->conf.message_max);

	while (l != NULL && data != NULL) {
		int ready = poll(&p, 1, IDLE_TIMEOUT_MS);
		ssize_t n;

		if (ready == -1 && errno == EINTR)
			continue;
		if (ready <= 0) {
			lmtp_farewell(l, "Idle for too long");
			break;
		}
		if ((n = recv(c->fd, data, READ_BYTES, 0)) == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			lmtp_farewell(l, "Shutting down"); /* or nobody is there to read it */
			break;
		}
		if (lmtp_input(l, data, (size_t)n) != 0)
			break;
	}
	lmtp_free(&l);
	free(data);
}

static void *
connection_run(void *arg)
{
	struct connection *c = arg;
	struct server *s = c->server;

	dialogue(c);
	pthread_mutex_lock(&s->lock);
	LIST_REMOVE(c, next);
	close(c->fd);
	free(c);
	s->count--;
	pthread_cond_signal(&s->ended);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Root, ourselves, or a user of Postfix's group: the socket's folder says the same, this is the
 * second lock on the door. */
static bool
peer_may(const struct server *s, int fd)
{
	struct passwd pw, *found = NULL;
	gid_t groups[GROUPS_MAX];
	int count = GROUPS_MAX;
	char space[4096];
	uid_t uid;
	gid_t gid;

	if (sock_peer(fd, &uid, &gid) == -1)
		return false;
	if (uid == 0 || uid == geteuid() || gid == s->conf.group)
		return true;
	if (getpwuid_r(uid, &pw, space, sizeof(space), &found) == 0 && found != NULL &&
	    getgrouplist(found->pw_name, found->pw_gid, groups, &count) != -1)
		for (int i = 0; i < count; i++)
			if (groups[i] == s->conf.group)
				return true;
	log_error("LMTP: connection of user %u refused", (unsigned)uid);
	return false;
}

static void
refuse(int fd, const char *line)
{
	struct bd_err e = { 0 };

	sock_write(fd, line, strlen(line), 1000, &e);
	close(fd);
}

static void
connection_start(struct server *s, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));
	pthread_attr_t attr;
	pthread_t thread;
	bool full;

	pthread_mutex_lock(&s->lock);
	full = c == NULL || s->stopping || s->count >= s->conf.connections;
	if (!full) {
		c->server = s;
		c->fd = fd;
		s->count++;
		LIST_INSERT_HEAD(&s->connections, c, next);
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		if (pthread_create(&thread, &attr, connection_run, c) != 0) {
			LIST_REMOVE(c, next);
			s->count--;
			full = true;
		}
		pthread_attr_destroy(&attr);
	}
	pthread_mutex_unlock(&s->lock);
	if (full) {
		free(c);
		refuse(fd, "421 4.3.2 Too many connections\r\n");
	}
}

static void *
accept_run(void *arg)
{
	struct server *s = arg;

	for (;;) {
		int fd = accept4(s->conf.fd, NULL, NULL, SOCK_CLOEXEC);

		pthread_mutex_lock(&s->lock);
		if (s->stopping) {
			pthread_mutex_unlock(&s->lock);
			if (fd != -1)
				close(fd);
			return NULL;
		}
		pthread_mutex_unlock(&s->lock);
		if (fd == -1) {
			if (errno != EINTR && errno != ECONNABORTED) {
				log_error("LMTP: accept: %s", strerrordesc_np(errno));
				poll(NULL, 0, 200); /* out of descriptors: do not spin */
			}
			continue;
		}
		if (peer_may(s, fd))
			connection_start(s, fd);
		else
			refuse(fd, "421 4.7.0 Not for you\r\n");
	}
}

struct server *
server_start(const struct server_conf *conf, struct deliver *d, struct bd_err *e)
{
	struct server *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		bd_fail(e, BD_E_MEMORY, "server");
		return NULL;
	}
	s->conf = *conf;
	s->d = d;
	LIST_INIT(&s->connections);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->ended, NULL);
	if (gethostname(s->hostname, sizeof(s->hostname) - 1) == -1)
		strcpy(s->hostname, "localhost");
	if (pthread_create(&s->thread, NULL, accept_run, s) != 0) {
		bd_fail(e, BD_E_MEMORY, "server thread");
		free(s);
		return NULL;
	}
	return s;
}

void
server_stop(struct server **s)
{
	struct connection *c;

	if (*s == NULL)
		return;
	pthread_mutex_lock(&(*s)->lock);
	(*s)->stopping = true;
	shutdown((*s)->conf.fd, SHUT_RDWR); /* wakes accept */
	/* idle ones read end of file; one that delivers still writes its replies */
	LIST_FOREACH(c, &(*s)->connections, next)
	shutdown(c->fd, SHUT_RD);
	while ((*s)->count > 0)
		pthread_cond_wait(&(*s)->ended, &(*s)->lock);
	pthread_mutex_unlock(&(*s)->lock);
	pthread_join((*s)->thread, NULL);
	close((*s)->conf.fd);
	pthread_cond_destroy(&(*s)->ended);
	pthread_mutex_destroy(&(*s)->lock);
	free(*s);
	*s = NULL;
}
