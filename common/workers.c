/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of readers, and the loop that a reader serves in. Moves descriptors and options; reads
 * no mail and no letter. */
#include "config.h"
#include "common/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/sock.h"

#define OPTIONS_MAX_BYTES 65536
/* Without these a reader could change or cut the letter while we look at it. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct worker {
	int fd; /* -1: not started */
	pid_t pid;
	unsigned uses;
	bool busy;
};

struct workers {
	struct procs *procs;
	unsigned uses_max;
	pthread_mutex_t mutex;
	pthread_cond_t freed;
	size_t size;
	struct worker worker[];
};

struct workers *
workers_new(struct procs *p, size_t size, unsigned uses_max)
{
	struct workers *w = calloc(1, sizeof(*w) + size * sizeof(w->worker[0]));
	pthread_condattr_t attr;

	if (w == NULL)
		return NULL;
	w->procs = p;
	w->size = size;
	w->uses_max = uses_max;
	for (size_t i = 0; i < size; i++)
		w->worker[i].fd = -1;
	pthread_mutex_init(&w->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->freed, &attr);
	pthread_condattr_destroy(&attr);
	return w;
}

static void
retire(struct worker *one)
{
	if (one->fd != -1)
		close(one->fd); /* end of file ends it */
	one->fd = -1;
	one->uses = 0;
}

void
workers_free(struct workers **w)
{
	if (*w == NULL)
		return;
	for (size_t i = 0; i < (*w)->size; i++)
		retire(&(*w)->worker[i]);
	pthread_cond_destroy(&(*w)->freed);
	pthread_mutex_destroy(&(*w)->mutex);
	free(*w);
	*w = NULL;
}

/* A free worker, one that runs already if there is any; NULL when none. Under the mutex. */
static struct worker *
find_free(struct workers *w)
{
	struct worker *found = NULL;

	for (size_t i = 0; i < w->size; i++)
		if (!w->worker[i].busy && (found == NULL || w->worker[i].fd != -1))
			found = &w->worker[i];
	return found;
}

static struct worker *
take(struct workers *w, int64_t end)
{
	struct timespec until = { .tv_sec = (time_t)(end / 1000),
				  .tv_nsec = (long)(end % 1000) * 1000000L };
	struct worker *one;

	pthread_mutex_lock(&w->mutex);
	while ((one = find_free(w)) == NULL)
		if (pthread_cond_timedwait(&w->freed, &w->mutex, &until) == ETIMEDOUT &&
		    (one = find_free(w)) == NULL)
			break;
	if (one != NULL)
		one->busy = true;
	pthread_mutex_unlock(&w->mutex);
	return one;
}

static void
give_back(struct workers *w, struct worker *one)
{
	pthread_mutex_lock(&w->mutex);
	one->busy = false;
	pthread_cond_signal(&w->freed);
	pthread_mutex_unlock(&w->mutex);
}

static int
left(int64_t end)
{
	int64_t ms = end - clock_ms();

	return ms < 0 ? 0 : (int)ms;
}

/* Hands the message over. A worker that has died while it was idle costs nobody anything: a fresh
 * one is started, once. */
static int
hand_over(struct workers *w, struct worker *one, int in_fd, const char *options, struct bd_err *e)
{
	for (int fresh = 0; fresh < 2; fresh++) {
		if (one->fd == -1) {
			fresh = 1;
			one->uses = 0;
			if ((one->fd = procs_reader(w->procs, &one->pid, e)) == -1)
				return -1;
		}
		if (sock_send_fds(one->fd, options, strlen(options), &in_fd, 1, e) == 0)
			return 0;
		retire(one);
	}
	return -1;
}

static int
answer_check(int fd, struct bd_err *e)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals == -1 || (seals & SEALS) != SEALS)
		return bd_fail(e, BD_E_READER, "the answer is no sealed memory file");
	return 0;
}

static int
collect(struct worker *one, int *out_fd, int64_t end, struct bd_err *e)
{
	char what;
	int fd = -1;
	size_t count = 1;
	ssize_t len = sock_recv_fds(one->fd, &what, 1, &fd, &count, left(end), e);

	if (len == 0)
		return bd_fail(e, BD_E_READER, "died on its message %u", one->uses + 1);
	if (len == -1)
		return -1;
	if (count != 1)
		return bd_fail(e, BD_E_READER, "answered without a letter");
	if (answer_check(fd, e) == -1) {
		close(fd);
		return -1;
	}
	*out_fd = fd;
	return 0;
}

int
workers_call(struct workers *w, int in_fd, const char *options, int *out_fd, int timeout_ms,
	     struct bd_err *e)
{
	int64_t end = clock_ms() + timeout_ms;
	struct worker *one;
	int rc;

	if (options[0] == '\0' || strlen(options) > OPTIONS_MAX_BYTES)
		return bd_fail(e, BD_E_INTERNAL, "reader options are empty or too long");
	if ((one = take(w, end)) == NULL)
		return bd_fail(e, BD_E_BUSY, "all %zu readers are busy", w->size);
	rc = hand_over(w, one, in_fd, options, e);
	if (rc == 0) {
		failpoint("workers.handed-over");
		rc = collect(one, out_fd, end, e);
		if (rc == 0 && ++one->uses >= w->uses_max)
			retire(one);
		else if (rc == -1) {
			bd_wrap(e, "reader %d", (int)one->pid);
			procs_end_reader(w->procs, one->pid); /* it may hang, deaf to end of file */
			retire(one);
		}
	}
	if (rc == -1)
		e->kind = BD_E_READER;
	give_back(w, one);
	return rc;
}

/* Moves the soft limit of processor time (which the fork server set) on by what was used, so that
 * it holds for each message anew. */
static void
cpu_limit_renew(rlim_t for_one)
{
	struct rusage used;
	struct rlimit limit;

	if (for_one == RLIM_INFINITY || getrusage(RUSAGE_SELF, &used) == -1 ||
	    getrlimit(RLIMIT_CPU, &limit) == -1)
		return;
	limit.rlim_cur = for_one + (rlim_t)used.ru_utime.tv_sec + (rlim_t)used.ru_stime.tv_sec + 1;
	setrlimit(RLIMIT_CPU, &limit);
}

int
workers_serve(int fd, int (*handle)(int in_fd, const char *options))
{
	char *options = malloc(OPTIONS_MAX_BYTES + 1);
	struct rlimit cpu = { RLIM_INFINITY, RLIM_INFINITY };
	struct bd_err e = { 0 };
	int rc = -1;

	if (options == NULL)
		return -1;
	getrlimit(RLIMIT_CPU, &cpu);
	for (;;) {
		int in_fd = -1, out_fd, sealed;
		size_t count = 1;
		ssize_t len = sock_recv_fds(fd, options, OPTIONS_MAX_BYTES, &in_fd, &count, -1, &e);
		char ok = 'k';

		if (len == 0) {
			rc = 0;
			break;
		}
		if (len == -1 || count != 1)
			break;
		options[len] = '\0';
		cpu_limit_renew(cpu.rlim_cur);
		out_fd = handle(in_fd, options);
		close(in_fd);
		if (out_fd == -1)
			break;
		sealed = fcntl(out_fd, F_GET_SEALS);
		if (sealed != -1 && (sealed & SEALS) != SEALS)
			fcntl(out_fd, F_ADD_SEALS, SEALS);
		rc = sock_send_fds(fd, &ok, 1, &out_fd, 1, &e);
		close(out_fd);
		if (rc == -1)
			break;
		rc = -1;
	}
	free(options);
	return rc;
}
