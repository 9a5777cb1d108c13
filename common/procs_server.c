/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fork server: one thread that starts readers and keeps the signer alive for its daemon. It
 * reads fixed-size questions of the daemon and nothing foreign. It ends when the daemon's end of
 * the socket is closed, however the daemon ended, and takes its children with it.
 */
#include "config.h"
#include "common/procs_private.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/signer_private.h"
#include "common/sock.h"

#define READERS_MAX 1024
#define LAST_WORDS_MS 2000 /* for the signer to log its counts */

struct server {
	const struct procs_conf *conf;
	pid_t signer; /* -1: none */
	int signer_fd;
	pid_t readers[READERS_MAX];
	size_t reader_count;
};

static void
signer_forget(struct server *s)
{
	if (s->signer_fd != -1)
		close(s->signer_fd);
	s->signer = -1;
	s->signer_fd = -1;
}

static void
child_ended(struct server *s, pid_t pid, int status)
{
	char how[64];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "signal %d", WTERMSIG(status));
	else
		snprintf(how, sizeof(how), "status %d", WEXITSTATUS(status));
	if (pid == s->signer) {
		log_warn("signer: process %d ended by %s, is started again when needed", (int)pid,
			 how);
		signer_forget(s);
		return;
	}
	for (size_t i = 0; i < s->reader_count; i++)
		if (s->readers[i] == pid) {
			s->readers[i] = s->readers[--s->reader_count];
			break;
		}
	if (status == 0)
		log_debug("reader: process %d ended", (int)pid);
	else
		log_warn("reader: process %d ended by %s", (int)pid, how);
}

static void
reap(struct server *s)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		child_ended(s, pid, status);
}

static int
give_reader(struct server *s, struct procs_message *answer, int *fd_r, struct bd_err *e)
{
	pid_t pid;

	if (s->conf->reader == NULL)
		return bd_fail(e, BD_E_CONFIG, "no reader is configured");
	if (s->reader_count == READERS_MAX)
		return bd_fail(e, BD_E_BUSY, "too many readers");
	if ((pid = procs_child_reader(s->conf, fd_r, e)) == -1)
		return -1;
	s->readers[s->reader_count++] = pid;
	answer->pid = pid;
	return 0;
}

/* Hands one end of a fresh pair to the signer, which must say that it has it. */
static int
signer_connect(struct server *s, int *fd_r, struct bd_err *e)
{
	char what = SIGNER_CONNECT;
	size_t none = 0;
	int pair[2], rc = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		return bd_fail_errno(e, BD_E_SEAL, "connecting to the signer");
	if (sock_send_fds(s->signer_fd, &what, 1, &pair[1], 1, e) == 0 &&
	    sock_recv_fds(s->signer_fd, &what, 1, NULL, &none, PROCS_SIGNER_ANSWER_MS, e) == 1)
		rc = 0;
	close(pair[1]);
	if (rc == 0)
		*fd_r = pair[0];
	else
		close(pair[0]);
	return rc;
}

static int
signer_start(struct server *s, struct bd_err *e)
{
	s->signer = procs_child_signer(s->conf, &s->signer_fd, e);
	return s->signer == -1 ? -1 : 0;
}

static int
give_signer(struct server *s, int *fd_r, struct bd_err *e)
{
	if (s->conf->key_count == 0)
		return bd_fail(e, BD_E_SEAL, "no keys are configured");
	if (s->signer != -1) {
		if (signer_connect(s, fd_r, e) == 0)
			return 0;
		/* dead, or hanging: no use to wait for it */
		log_warn("signer: process %d does not answer, is replaced", (int)s->signer);
		kill(s->signer, SIGKILL);
		waitpid(s->signer, NULL, 0);
		signer_forget(s);
	}
	if (signer_start(s, e) == -1)
		return -1;
	log_info("signer: process %d started", (int)s->signer);
	return signer_connect(s, fd_r, e);
}

static void
end_reader(struct server *s, pid_t pid)
{
	/* only what is surely still ours: the number may have been given to another since */
	for (size_t i = 0; i < s->reader_count; i++)
		if (s->readers[i] == pid)
			kill(pid, SIGKILL);
}

/* Answers one question of the daemon; -1 when it is gone. */
static int
serve(struct server *s)
{
	struct procs_message m;
	struct bd_err e = { 0 };
	int fd = -1, rc = 0;
	size_t none = 0;
	ssize_t len = sock_recv_fds(PROCS_CONTROL_FD, &m, sizeof(m), NULL, &none, 0, &e);

	if (len != sizeof(m))
		return -1;
	reap(s);
	if (m.what == PROCS_READER)
		rc = give_reader(s, &m, &fd, &e);
	else if (m.what == PROCS_SIGNER)
		rc = give_signer(s, &fd, &e);
	else if (m.what == PROCS_END_READER)
		end_reader(s, m.pid);
	m.what = rc == 0 ? PROCS_OK : PROCS_FAILED;
	snprintf(m.words, sizeof(m.words), "%s", e.cause);
	rc = sock_send_fds(PROCS_CONTROL_FD, &m, sizeof(m), &fd, fd == -1 ? 0 : 1, &e);
	if (fd != -1)
		close(fd);
	return rc;
}

static void
end_children(struct server *s)
{
	static const struct timespec pause = { .tv_nsec = 5000000 };
	int64_t end = clock_ms() + LAST_WORDS_MS;
	pid_t signer = s->signer;

	for (size_t i = 0; i < s->reader_count; i++)
		kill(s->readers[i], SIGKILL);
	signer_forget(s); /* end of file: it logs its counts and ends */
	if (signer == -1)
		return;
	while (waitpid(signer, NULL, WNOHANG) == 0) {
		if (clock_ms() > end)
			kill(signer, SIGKILL);
		nanosleep(&pause, NULL);
	}
}

static int
signals_prepare(void)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2 };
	sigset_t child;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
run(struct server *s, int signals)
{
	struct pollfd fds[2] = { { .fd = PROCS_CONTROL_FD, .events = POLLIN },
				 { .fd = signals, .events = POLLIN } };
	struct signalfd_siginfo info;

	for (;;) {
		if (poll(fds, 2, -1) == -1) {
			if (errno == EINTR)
				continue;
			return;
		}
		while (read(signals, &info, sizeof(info)) > 0)
			;
		reap(s);
		if (fds[0].revents != 0 && serve(s) == -1)
			return;
	}
}

void
procs_server_run(const struct procs_conf *conf, int fd)
{
	struct server s = { .conf = conf, .signer = -1, .signer_fd = -1 };
	struct procs_message m = { .what = PROCS_OK };
	struct bd_err e = { 0 };
	int signals;

	procs_keep_fds(fd, -1);
	prctl(PR_SET_NAME, "brevdue-procs");
	signals = signals_prepare();
	if (signals == -1)
		bd_fail_errno(&e, BD_E_CONFIG, "signalfd");
	/* the user is changed in each child; keys and namespaces need the one who started us */
	if (signals == -1 || privs_drop(NULL, &e) == -1 ||
	    (conf->key_count > 0 && signer_start(&s, &e) == -1)) {
		m.what = PROCS_FAILED;
		snprintf(m.words, sizeof(m.words), "%s", e.cause);
	}
	if (sock_send_fds(PROCS_CONTROL_FD, &m, sizeof(m), NULL, 0, &e) == 0 && m.what == PROCS_OK)
		run(&s, signals);
	end_children(&s);
	_exit(0);
}
