/* SPDX-License-Identifier: Apache-2.0 */
/* The watch over incomplete sets: a timer and a log line. What a set is, is spool/sets.c's. */
#include "config.h"
#include "transport/setwatch.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "spool/sets.h"

#define LOOK_MIN_SEC 1
#define LOOK_MAX_SEC 60
#define LOOKS_PER_TIMEOUT 20

struct setwatch {
	struct deliver *d;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stopping;
};

static void
tell(void *arg, const struct set *s)
{
	(void)arg;
	if (s->arrived < s->count)
		log_error(
		    "mail id=%s: %u of %u letters arrived, the others are not here; \"brevdue "
		    "letters incomplete\" lists such mails",
		    s->mail, s->arrived, s->count);
	else
		log_info("mail id=%s: all %u letters have arrived now", s->mail, s->count);
}

static void
look(struct setwatch *w)
{
	int64_t timeout_ms = (int64_t)w->d->conf->transport.set_timeout_sec * 1000;
	struct bd_err e = { 0 };

	if (sets_check(records_store(w->d->records), clock_wall_ms() - timeout_ms, tell, w, &e) ==
	    -1)
		log_error("incomplete sets are not looked for: %s", e.cause);
}

static void *
run(void *arg)
{
	struct setwatch *w = arg;
	unsigned every = w->d->conf->transport.set_timeout_sec / LOOKS_PER_TIMEOUT;

	every = every < LOOK_MIN_SEC ? LOOK_MIN_SEC : every > LOOK_MAX_SEC ? LOOK_MAX_SEC : every;
	pthread_mutex_lock(&w->lock);
	while (!w->stopping) {
		int64_t due_ms;

		pthread_mutex_unlock(&w->lock);
		look(w);
		pthread_mutex_lock(&w->lock);
		due_ms = clock_ms() + (int64_t)every * 1000;
		while (!w->stopping && clock_ms() < due_ms) {
			const struct timespec until = { .tv_sec = (time_t)(due_ms / 1000),
							.tv_nsec =
							    (long)(due_ms % 1000) * 1000000 };

			pthread_cond_timedwait(&w->changed, &w->lock, &until);
		}
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct setwatch *
setwatch_start(struct deliver *d, struct bd_err *e)
{
	struct setwatch *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;

	if (w == NULL) {
		bd_fail(e, BD_E_MEMORY, "set watch");
		return NULL;
	}
	w->d = d;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
	w->running = pthread_create(&w->thread, NULL, run, w) == 0;
	if (!w->running) {
		bd_fail(e, BD_E_MEMORY, "set watch: no thread");
		setwatch_stop(&w);
	}
	return w;
}

void
setwatch_stop(struct setwatch **w)
{
	if (*w == NULL)
		return;
	pthread_mutex_lock(&(*w)->lock);
	(*w)->stopping = true;
	pthread_cond_signal(&(*w)->changed);
	pthread_mutex_unlock(&(*w)->lock);
	if ((*w)->running)
		pthread_join((*w)->thread, NULL);
	pthread_cond_destroy(&(*w)->changed);
	pthread_mutex_destroy(&(*w)->lock);
	free(*w);
	*w = NULL;
}
