/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `brevdue logmask`: reads the front instance's log from its FIFO, masks persons, and appends to
 * the log file. Found by trying on Postfix 3.7.11: without a reader every postfix command of the
 * instance waits for ever, and postlogd that once wrote to a FIFO whose reader had gone logs
 * nothing more until it is restarted. So a parent holds the FIFO open, reading and writing, for
 * life and does nothing else that could fail; the work is done by a child without privileges, which
 * is started again when it dies and finds what it had read in memory shared with the parent. When
 * the file cannot be written the lines wait, the FIFO fills and Postfix waits: no line is stored
 * unmasked, and none is dropped.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/instance.h"
#include "cli/mask.h"
#include "common/log.h"
#include "common/privs.h"

#define PENDING_BYTES (64 * 1024)
#define PIPE_BYTES (1024 * 1024) /* lines that wait in the kernel while the child restarts */
#define LOCK_WAIT_SEC 3
#define WORKER_USER "nobody"
#define TOO_LONG                       \
	"logmask: a line longer than " \
	"64 kB was left out\n"

/*
 * Shared memory, so that it survives a child that dies at any instruction. What lies between start
 * and end was read and is not written yet; behind end there are only zeros, so that bytes that were
 * read but not counted are found (a log line holds no NUL). While a batch is written, write_len
 * says how much is to stand behind write_at of the file when the batch up to write_start is done.
 */
struct pending {
	volatile size_t start, end;
	volatile size_t write_len, write_start;
	volatile off_t write_at;
	volatile bool skipping; /* the rest of a line that was too long */
	volatile bool moving;   /* what is pending is being moved to the front */
	char data[PENDING_BYTES];
};

struct logmask {
	int fifo, out;
	const char *file;
	const char *const *domains;
	const char *user;
	struct pending *pending;
	pid_t worker;
};

static volatile sig_atomic_t ending, reopening;

static void
on_signal(int sig)
{
	if (sig == SIGHUP)
		reopening = 1;
	else if (sig != SIGCHLD)
		ending = 1;
}

static void
signals_take(void)
{
	struct sigaction act = { .sa_handler = on_signal };
	sigset_t set;

	sigemptyset(&act.sa_mask);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	sigaction(SIGCHLD, &act, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* Only delivered inside ppoll: no signal is lost between a look at the flags and the wait.
	 */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* 1 when fd is readable; fd -1 only waits. */
static int
wait_input(int fd, int ms)
{
	struct timespec limit = { ms / 1000, (ms % 1000) * 1000000L };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	sigset_t none;

	sigemptyset(&none);
	return ppoll(&p, fd == -1 ? 0 : 1, &limit, &none) == 1;
}

/* Writes all, waiting while the disk is full; gives up only when told to end. */
static int
write_all(int fd, const unsigned char *data, size_t len)
{
	bool said = false;

	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (n == -1 && errno == EINTR)
			continue;
		if (!said)
			log_error("log file cannot be written, lines wait: %s", strerror(errno));
		said = true;
		wait_input(-1, 1000);
		if (ending)
			return -1;
	}
	return 0;
}

static void
pending_reset(struct pending *p)
{
	memset(p->data, 0, sizeof(p->data));
	p->end = 0;
	p->start = 0;
}

/* Makes room behind end. */
static void
pending_compact(struct pending *p)
{
	size_t len = p->end - p->start;

	if (len == 0) {
		pending_reset(p);
		return;
	}
	if (p->start == 0 || p->end < sizeof(p->data))
		return;
	p->moving = true;
	memmove(p->data, p->data + p->start, len);
	memset(p->data + len, 0, sizeof(p->data) - len);
	p->end = len;
	p->start = 0;
	p->moving = false;
}

/* What a child that died left behind: never a line lost or twice, but for one that was cut apart.
 */
static void
pending_recover(struct logmask *l)
{
	struct pending *p = l->pending;
	struct stat st;

	if (p->write_len > 0 && fstat(l->out, &st) == 0) {
		if (st.st_size >= p->write_at + (off_t)p->write_len)
			p->start = p->write_start;
		else if (st.st_size > p->write_at && ftruncate(l->out, p->write_at) == -1)
			log_error("lines may stand twice in the log: %s", strerror(errno));
	}
	p->write_len = 0;
	if (p->moving) {
		log_error("a line of the log was lost with the process that masked it");
		p->moving = false;
		pending_reset(p);
	}
	if (p->start > p->end || p->end > sizeof(p->data))
		pending_reset(p);
	p->end += strnlen(p->data + p->end, sizeof(p->data) - p->end);
}

/* Writes a batch so that pending_recover can tell whether it was written. */
static int
batch_write(struct logmask *l, const struct buf *out, size_t new_start)
{
	struct pending *p = l->pending;
	struct stat st;

	if (fstat(l->out, &st) == -1)
		return -1;
	p->write_at = st.st_size;
	p->write_start = new_start;
	p->write_len = out->len;
	if (write_all(l->out, out->data, out->len) == -1)
		return -1;
	p->start = new_start;
	p->write_len = 0;
	return 0;
}

/* Masks and writes the whole lines that are pending. */
static int
pending_write(struct logmask *l)
{
	struct pending *p = l->pending;
	struct buf out = { 0 };
	size_t done = p->start;
	const char *end;
	int rc = 0;

	while ((end = memchr(p->data + done, '\n', p->end - done)) != NULL) {
		size_t len = (size_t)(end - p->data) - done;

		if (p->skipping)
			p->skipping = false;
		else
			rc |=
			    mask_line(p->data + done, len, l->domains, &out) | buf_addc(&out, '\n');
		done += len + 1;
	}
	if (done == 0 && p->end == sizeof(p->data)) {
		if (!p->skipping)
			rc |= buf_adds(&out, TOO_LONG);
		p->skipping = true;
		done = p->end;
	}
	if (rc == 0 && out.len > 0)
		rc = batch_write(l, &out, done);
	else if (rc == 0)
		p->start = done;
	if (rc == 0)
		pending_compact(p);
	buf_free(&out);
	return rc;
}

/* A NUL would hide what was read from pending_recover. */
static void
no_nul(char *data, size_t len)
{
	for (char *at = data; (at = memchr(at, '\0', len - (size_t)(at - data))) != NULL;)
		*at = '?';
}

static int
work(struct logmask *l)
{
	struct pending *p = l->pending;

	pending_recover(l);
	if (pending_write(l) == -1)
		return -1;
	for (;;) {
		ssize_t n;
		/* Told to end, also by a signal during the wait: first what already lies in the
		 * FIFO. */
		bool last = ending;
		int readable = wait_input(l->fifo, last ? 0 : 1000);

		if (!readable && last)
			return pending_write(l);
		if (!readable)
			continue;
		n = read(l->fifo, p->data + p->end, sizeof(p->data) - p->end);
		if (n == -1 && errno != EINTR && errno != EAGAIN)
			return -1;
		if (n <= 0)
			continue;
		no_nul(p->data + p->end, (size_t)n);
		p->end += (size_t)n;
		if (pending_write(l) == -1)
			return -1;
	}
}

static int
worker_start(struct logmask *l)
{
	struct bd_err e = { 0 };
	pid_t parent = getpid();

	fflush(NULL);
	if ((l->worker = fork()) != 0)
		return l->worker == -1 ? -1 : 0;
	if (privs_drop(geteuid() == 0 ? l->user : NULL, &e) == -1) {
		log_error("%s", e.cause);
		_exit(1);
	}
	/* after the change of user, which would clear it: an orphan would keep the FIFO's lock */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	_exit(work(l) == 0 ? 0 : 1);
}

static void
worker_end(struct logmask *l)
{
	if (l->worker > 0) {
		kill(l->worker, SIGTERM);
		while (waitpid(l->worker, NULL, 0) == -1 && errno == EINTR)
			;
	}
	l->worker = 0;
}

/* Readable for the group of the folder's owner's choice only: mail addresses stand in it. */
static int
file_open(struct logmask *l)
{
	int fd = open(l->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd == -1)
		return -1;
	if (l->out != -1)
		close(l->out);
	l->out = fd;
	return 0;
}

static bool
file_was_moved(const struct logmask *l)
{
	struct stat now, ours;

	return stat(l->file, &now) == -1 || fstat(l->out, &ours) == -1 ||
	       now.st_ino != ours.st_ino || now.st_dev != ours.st_dev;
}

/* The parent: holds the FIFO, keeps a child at work, follows rotation. */
static int
mind(struct logmask *l)
{
	if (worker_start(l) == -1)
		return -1;
	log_info("ready");
	while (!ending) {
		int status;

		wait_input(-1, 1000);
		if (waitpid(l->worker, &status, WNOHANG) == l->worker) {
			log_error("the masking process died (status %d): starting another", status);
			l->worker = 0;
			wait_input(-1, 100);
			if (worker_start(l) == -1)
				return -1;
		}
		if (reopening || file_was_moved(l)) {
			reopening = 0;
			worker_end(l);
			if (file_open(l) == -1)
				log_error("%s: %s, the old file is kept", l->file, strerror(errno));
			if (worker_start(l) == -1)
				return -1;
		}
	}
	worker_end(l);
	return 0;
}

static int
fifo_open(struct logmask *l, const char *path, struct bd_err *e)
{
	struct stat st;

	/* Reading and writing: never at end of file, and open does not wait for Postfix. */
	l->fifo = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (l->fifo == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "%s", path);
	if (fstat(l->fifo, &st) == -1 || !S_ISFIFO(st.st_mode))
		return bd_fail(e, BD_E_CONFIG, "%s is no FIFO", path);
	/* Two readers would tear lines apart, and half a number is not recognised. */
	for (int tries = 0; flock(l->fifo, LOCK_EX | LOCK_NB) == -1; tries++) {
		if (tries == LOCK_WAIT_SEC * 10)
			return bd_fail(e, BD_E_CONFIG, "another brevdue logmask reads %s", path);
		wait_input(-1, 100);
		if (ending)
			return bd_fail(e, BD_E_CONFIG, "told to end");
	}
	if (fcntl(l->fifo, F_SETPIPE_SZ, PIPE_BYTES) == -1)
		log_warn("the FIFO stays small: %s", strerror(errno));
	return 0;
}

static const char **
domain_names(const struct conf *c)
{
	const char **names = calloc(c->domain_count + 1, sizeof(*names));

	for (size_t i = 0; names != NULL && i < c->domain_count; i++)
		names[i] = c->domains[i].name;
	return names;
}

int
cmd_logmask(struct cli *cli, int argc, char **argv)
{
	struct logmask l = { .fifo = -1, .out = -1, .user = WORKER_USER };
	const char **domains = NULL;
	const struct conf *c;
	struct bd_err e = { 0 };
	char fifo[4096];
	int opt, rc = CLI_FAILED;

	while ((opt = getopt(argc, argv, "u:")) != -1) {
		if (opt != 'u')
			return CLI_USAGE;
		l.user = optarg;
	}
	if (optind != argc)
		return cli_usage("logmask [-u USER]");
	if ((c = cli_conf(cli)) == NULL)
		return CLI_FAILED;
	log_open("brevdue-logmask", strcmp(c->log, "syslog") == 0, c->debug);
	signals_take();
	umask(0137);
	snprintf(fifo, sizeof(fifo), "%s/" INSTANCE_FIFO, c->postfix.front_config);
	l.file = c->postfix.front_log;
	l.pending = mmap(NULL, sizeof(*l.pending), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if ((domains = domain_names(c)) == NULL || l.pending == MAP_FAILED) {
		bd_fail(&e, BD_E_MEMORY, "out of memory");
		goto out;
	}
	l.domains = domains;
	if (fifo_open(&l, fifo, &e) == -1)
		goto out;
	if (file_open(&l) == -1) {
		bd_fail_errno(&e, BD_E_CONFIG, "%s", l.file);
		goto out;
	}
	if (mind(&l) == -1) {
		bd_fail_errno(&e, BD_E_INTERNAL, "starting the masking process");
		goto out;
	}
	rc = CLI_OK;
out:
	if (rc != CLI_OK)
		cli_fail("logmask", &e);
	free(domains);
	return rc;
}
