/* SPDX-License-Identifier: Apache-2.0 */
/* What a reader and the signer become between fork and their own life: descriptors, limits, user,
 * network. Runs in the fork server, which has one thread. */
#include "config.h"
#include "common/procs_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "common/log.h"
#include "common/privs.h"
#include "common/signer.h"
#include "common/signer_private.h"
#include "common/sock.h"

#define READER_FILES_MAX 64

void
procs_keep_fds(int fd, int fd2)
{
	closelog(); /* or its descriptor's number would come to mean something else */
	if (fd2 == PROCS_CONTROL_FD)
		fd2 = dup(fd2);
	if (fd != PROCS_CONTROL_FD)
		dup2(fd, PROCS_CONTROL_FD);
	if (fd2 == -1) {
		close_range(PROCS_CONTROL_FD + 1, ~0U, 0);
		return;
	}
	if (fd2 != PROCS_CONTROL_FD + 1)
		dup2(fd2, PROCS_CONTROL_FD + 1);
	fcntl(PROCS_CONTROL_FD + 1, F_SETFD, FD_CLOEXEC);
	close_range(PROCS_CONTROL_FD + 2, ~0U, 0);
}

/* The server blocks SIGCHLD and ignores what ends daemons; the latter stays: a terminal's or
 * service manager's SIGTERM goes to all, but the daemon still needs us while it ends in order. */
static void
signals_reset(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
limit(int what, rlim_t soft, rlim_t hard)
{
	const struct rlimit value = { soft, hard };

	/* a limit that is lower already cannot be raised, and need not be */
	setrlimit((__rlimit_resource_t)what, &value);
}

static void
reader_limits(const struct procs_conf *conf)
{
	rlim_t memory = conf->reader_memory_bytes;

#ifndef BD_SANITIZERS /* they reserve terabytes of addresses */
	if (memory > 0)
		limit(RLIMIT_AS, memory, memory);
#endif
	if (memory > 0)
		limit(RLIMIT_FSIZE, memory, memory); /* also what a memfd may hold */
	if (conf->reader_cpu_sec > 0)
		limit(RLIMIT_CPU, conf->reader_cpu_sec, RLIM_INFINITY);
	limit(RLIMIT_NOFILE, READER_FILES_MAX, READER_FILES_MAX);
	limit(RLIMIT_CORE, 0, 0);
}

static int
reader_prepare(const struct procs_conf *conf, pid_t server, struct bd_err *e)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null == -1 || dup2(null, STDIN_FILENO) == -1 ||
	    dup2(STDERR_FILENO, STDOUT_FILENO) == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "/dev/null");
	close(null);
	/* an empty network of its own; the system-call filter is the other half */
	if (geteuid() == 0 && unshare(CLONE_NEWNET) == -1)
		log_debug("reader: no network namespace of its own: %s", strerror(errno));
	if (privs_drop(conf->user, e) == -1)
		return -1;
	reader_limits(conf);
	/* after the change of user, which would clear it */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1 || getppid() != server)
		return bd_fail(e, BD_E_CONFIG, "the fork server ended");
	return 0;
}

static void reader_become(const struct procs_conf *conf, pid_t server) __attribute__((noreturn));

static void
reader_become(const struct procs_conf *conf, pid_t server)
{
	char *argv[2], *envp[] = { NULL };
	struct bd_err e = { 0 };

	signals_reset();
	if (reader_prepare(conf, server, &e) == 0) {
		argv[0] = strdup(conf->reader);
		argv[1] = NULL;
		execve(conf->reader, argv, envp);
		bd_fail_errno(&e, BD_E_CONFIG, "%s", conf->reader);
	}
	if (write(PROCS_CONTROL_FD + 1, e.cause, strlen(e.cause)) == -1)
		_exit(126);
	_exit(127);
}

pid_t
procs_child_reader(const struct procs_conf *conf, int *fd_r, struct bd_err *e)
{
	int pair[2] = { -1, -1 }, words[2] = { -1, -1 };
	pid_t pid = -1, server = getpid();
	char text[200];
	ssize_t len;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1 ||
	    pipe2(words, O_CLOEXEC) == -1 || (pid = fork()) == -1) {
		bd_fail_errno(e, BD_E_READER, "starting a reader");
		goto fail;
	}
	if (pid == 0) {
		procs_keep_fds(pair[1], words[1]);
		reader_become(conf, server);
	}
	close(pair[1]);
	close(words[1]);
	pair[1] = words[1] = -1;
	/* end of file: the executable runs and the pipe was closed by exec */
	do
		len = read(words[0], text, sizeof(text));
	while (len == -1 && errno == EINTR);
	close(words[0]);
	if (len == 0) {
		*fd_r = pair[0];
		return pid;
	}
	bd_fail(e, BD_E_READER, "starting a reader: %.*s", len > 0 ? (int)len : 0, text);
	waitpid(pid, NULL, 0);
	close(pair[0]);
	return -1;
fail:
	for (size_t i = 0; i < 2; i++) {
		if (pair[i] != -1)
			close(pair[i]);
		if (words[i] != -1)
			close(words[i]);
	}
	return -1;
}

static void signer_become(const struct procs_conf *conf) __attribute__((noreturn));

static void
signer_become(const struct procs_conf *conf)
{
	struct bd_err e = { 0 }, ignored;
	char answer[1 + sizeof(e.cause)] = { SIGNER_FAILED };

	signals_reset();
	prctl(PR_SET_NAME, "brevdue-signer");
#ifndef BD_SANITIZERS
	if (geteuid() == 0) { /* keys never reach swap (threats.md A16) */
		struct rlimit lock = { 0, 0 };

		limit(RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
		/* A container may forbid raising the limit. Then what is mapped later cannot be
		 * locked by the user we become, and every allocation would fail. */
		getrlimit(RLIMIT_MEMLOCK, &lock);
		if (lock.rlim_cur != RLIM_INFINITY)
			log_warn("signer: the limit of locked memory cannot be raised, only what "
				 "is mapped at the start is kept out of swap");
		if (mlockall(lock.rlim_cur == RLIM_INFINITY ? MCL_CURRENT | MCL_FUTURE
							    : MCL_CURRENT) == -1)
			log_warn("signer: memory cannot be kept out of swap: %s", strerror(errno));
	}
#endif
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (signer_main(PROCS_CONTROL_FD, conf->user, conf->keys, conf->key_count, &e) == 0)
		_exit(0);
	strcpy(answer + 1, e.cause);
	sock_send_fds(PROCS_CONTROL_FD, answer, 1 + strlen(e.cause), NULL, 0, &ignored);
	_exit(1);
}

pid_t
procs_child_signer(const struct procs_conf *conf, int *fd_r, struct bd_err *e)
{
	char answer[1 + sizeof(e->cause)];
	struct bd_err why = { 0 };
	size_t none = 0;
	int pair[2];
	ssize_t len;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		return bd_fail_errno(e, BD_E_SEAL, "starting the signer");
	if ((pid = fork()) == -1) {
		bd_fail_errno(e, BD_E_SEAL, "starting the signer");
		close(pair[0]);
		close(pair[1]);
		return -1;
	}
	if (pid == 0) {
		procs_keep_fds(pair[1], -1);
		signer_become(conf);
	}
	close(pair[1]);
	len = sock_recv_fds(pair[0], answer, sizeof(answer), NULL, &none, PROCS_SIGNER_START_MS,
			    &why);
	if (len > 0 && answer[0] == SIGNER_OK) {
		*fd_r = pair[0];
		return pid;
	}
	if (len > 0)
		bd_fail(e, BD_E_CONFIG, "%.*s", (int)len - 1, answer + 1);
	else
		bd_fail(e, BD_E_SEAL, "the signer ended while it read its keys %s", why.cause);
	close(pair[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return -1;
}
