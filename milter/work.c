/* SPDX-License-Identifier: Apache-2.0 */
/* A job on a helper thread, and a caller that keeps the MTA waiting in good faith. */
#include "config.h"
#include "milter/work.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

struct work {
	void (*job)(void *arg);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool done;
};

static void *
work_thread(void *arg)
{
	struct work *w = arg;

	w->job(w->arg);
	pthread_mutex_lock(&w->lock);
	w->done = true;
	pthread_cond_signal(&w->ended);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void
next_tick(struct timespec *at)
{
	clock_gettime(CLOCK_MONOTONIC, at);
	at->tv_sec += WORK_TICK_MS / 1000;
	at->tv_nsec += WORK_TICK_MS % 1000 * 1000000L;
	if (at->tv_nsec >= 1000000000L) {
		at->tv_sec++;
		at->tv_nsec -= 1000000000L;
	}
}

int
work_run(void (*job)(void *arg), void *arg, int (*tick)(void *tick_arg), void *tick_arg,
	 atomic_bool *gone, struct bd_err *e)
{
	struct work w = { .job = job, .arg = arg, .lock = PTHREAD_MUTEX_INITIALIZER };
	pthread_condattr_t attr;
	struct timespec at;
	pthread_t thread;
	int rc;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w.ended, &attr);
	pthread_condattr_destroy(&attr);
	if ((rc = pthread_create(&thread, NULL, work_thread, &w)) != 0) {
		pthread_cond_destroy(&w.ended);
		errno = rc;
		return bd_fail_errno(e, BD_E_MEMORY, "thread for the end of a mail");
	}
	next_tick(&at);
	pthread_mutex_lock(&w.lock);
	while (!w.done) {
		if (pthread_cond_timedwait(&w.ended, &w.lock, &at) != ETIMEDOUT)
			continue;
		pthread_mutex_unlock(&w.lock);
		if (tick(tick_arg) == -1)
			atomic_store(gone, true);
		next_tick(&at);
		pthread_mutex_lock(&w.lock);
	}
	pthread_mutex_unlock(&w.lock);
	pthread_join(thread, NULL);
	pthread_cond_destroy(&w.ended);
	return 0;
}
