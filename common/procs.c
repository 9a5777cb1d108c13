/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's side of its fork server: starts it, asks it, ends it. Starts nothing else. */
#include "config.h"
#include "common/procs_private.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sock.h"

struct procs {
	int fd;
	pid_t server;
	pthread_mutex_t mutex; /* one question at a time */
	uint32_t number;
	bool gone;
};

struct procs *
procs_start(const struct procs_conf *conf, struct bd_err *e)
{
	struct procs *p = calloc(1, sizeof(*p));
	struct procs_message m = { 0 };
	size_t none = 0;
	int pair[2];

	if (p == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return NULL;
	}
	if (conf->reader != NULL && access(conf->reader, X_OK) == -1) {
		bd_fail_errno(e, BD_E_CONFIG, "reader %s", conf->reader);
		goto fail;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1) {
		bd_fail_errno(e, BD_E_CONFIG, "starting the fork server");
		goto fail;
	}
	if ((p->server = fork()) == 0)
		procs_server_run(conf, pair[1]);
	close(pair[1]);
	p->fd = pair[0];
	pthread_mutex_init(&p->mutex, NULL);
	if (p->server == -1) {
		bd_fail_errno(e, BD_E_CONFIG, "starting the fork server");
		goto stop;
	}
	if (sock_recv_fds(p->fd, &m, sizeof(m), NULL, &none, PROCS_ANSWER_MS, e) != sizeof(m)) {
		bd_fail(e, BD_E_CONFIG, "the fork server did not start");
		goto stop;
	}
	if (m.what == PROCS_OK)
		return p;
	bd_fail(e, BD_E_CONFIG, "%.*s", (int)sizeof(m.words), m.words);
stop:
	procs_stop(&p);
	return NULL;
fail:
	free(p);
	return NULL;
}

void
procs_stop(struct procs **p)
{
	if (*p == NULL)
		return;
	close((*p)->fd);
	if ((*p)->server > 0)
		while (waitpid((*p)->server, NULL, 0) == -1 && errno == EINTR)
			;
	pthread_mutex_destroy(&(*p)->mutex);
	free(*p);
	*p = NULL;
}

/* Nobody can start readers or the signer again: privileges are gone. Ending in order lets the
 * service manager do it; until then every letter gets a 451. */
static int
server_is_gone(struct procs *p, struct bd_err *e)
{
	if (!p->gone) {
		p->gone = true;
		log_error("the fork server ended, ending too: start the daemon again");
		kill(getpid(), SIGTERM);
	}
	return bd_fail(e, BD_E_INTERNAL, "the fork server ended");
}

/* Asks under the mutex. *fd_r (may be NULL) gets the descriptor that came with the answer. */
static int
ask_locked(struct procs *p, struct procs_message *m, int *fd_r, struct bd_err *e)
{
	struct procs_message answer;
	ssize_t len;
	size_t count;
	int fd;

	m->number = ++p->number;
	if (p->gone || sock_send_fds(p->fd, m, sizeof(*m), NULL, 0, e) == -1)
		return server_is_gone(p, e);
	for (;;) {
		count = 1;
		fd = -1;
		len =
		    sock_recv_fds(p->fd, &answer, sizeof(answer), &fd, &count, PROCS_ANSWER_MS, e);
		if (len == 0)
			return server_is_gone(p, e);
		if (len == -1)
			return bd_wrap(e, "fork server");
		if (len == sizeof(answer) && answer.number == m->number)
			break;
		if (count > 0) /* of a question that was given up */
			close(fd);
	}
	*m = answer;
	if (fd_r != NULL)
		*fd_r = fd;
	else if (fd != -1)
		close(fd);
	if (answer.what == PROCS_OK)
		return 0;
	return bd_fail(e, BD_E_INTERNAL, "%.*s", (int)sizeof(answer.words), answer.words);
}

static int
ask(struct procs *p, struct procs_message *m, int *fd_r, struct bd_err *e)
{
	int rc;

	pthread_mutex_lock(&p->mutex);
	rc = ask_locked(p, m, fd_r, e);
	pthread_mutex_unlock(&p->mutex);
	return rc;
}

int
procs_reader(struct procs *p, pid_t *pid_r, struct bd_err *e)
{
	struct procs_message m = { .what = PROCS_READER };
	int fd;

	if (ask(p, &m, &fd, e) == -1) {
		e->kind = BD_E_READER;
		return -1;
	}
	*pid_r = m.pid;
	return fd;
}

void
procs_end_reader(struct procs *p, pid_t pid)
{
	struct procs_message m = { .what = PROCS_END_READER, .pid = pid };
	struct bd_err e = { 0 };

	if (ask(p, &m, NULL, &e) == -1)
		log_warn("reader: process %d cannot be ended: %s", (int)pid, e.cause);
}

int
procs_signer(struct procs *p, struct bd_err *e)
{
	struct procs_message m = { .what = PROCS_SIGNER };
	int fd;

	if (ask(p, &m, &fd, e) == -1) {
		e->kind = BD_E_SEAL;
		return -1;
	}
	return fd;
}
