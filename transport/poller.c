/* SPDX-License-Identifier: Apache-2.0 */
/* The status poller: a list in memory of who is asked when. Sends no letter. */
#include "config.h"
#include "transport/poller.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"

#define QUERY_MAX_MS 20000
#define CLAIM_WAIT_MS 2000
#define ALARM_AFTER_MS ((int64_t)24 * 3600 * 1000)
#define GIVE_UP_AFTER_MS ((int64_t)10 * 24 * 3600 * 1000)

static const int waits_ms[] = { 500, 1000, 2000, 5000, 10000, 30000, 60000, 300000, 900000 };

struct waiting {
	TAILQ_ENTRY(waiting) next;
	char letter_id[LETTER_ID_CHARS];
	unsigned generation;
	unsigned asked;
	int64_t due_ms; /* monotonic */
	bool alarmed;
};

struct poller {
	struct deliver *d;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stopping;
	TAILQ_HEAD(list, waiting) list; /* by due time */
};

static int64_t
wait_after(unsigned asked)
{
	size_t last = sizeof(waits_ms) / sizeof(waits_ms[0]) - 1;

	return waits_ms[asked < last ? asked : last];
}

/* The lock is held. Most entries are due last, so the search starts there. */
static void
insert(struct poller *p, struct waiting *w)
{
	struct waiting *at;

	w->due_ms = clock_ms() + wait_after(w->asked);
	TAILQ_FOREACH_REVERSE(at, &p->list, list, next)
	if (at->due_ms <= w->due_ms) {
		TAILQ_INSERT_AFTER(&p->list, at, w, next);
		return;
	}
	TAILQ_INSERT_HEAD(&p->list, w, next);
}

void
poller_add(struct poller *p, const char *letter_id, unsigned generation)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return; /* it stays in the records and is asked about after the next start */
	strncpy(w->letter_id, letter_id, sizeof(w->letter_id) - 1);
	w->generation = generation;
	pthread_mutex_lock(&p->lock);
	insert(p, w);
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static int
add_stored(void *arg, const char *letter_id, unsigned generation)
{
	poller_add(arg, letter_id, generation);
	return 0;
}

/* A final status is stored under the letter's claim. 0 when the letter is finished with. */
static int
status_store(struct poller *p, struct waiting *w, const char *status)
{
	struct bd_err e = { 0 };
	int rc;

	if (claims_take(p->d->claims, w->letter_id, CLAIM_WAIT_MS, &e) == -1)
		return -1;
	rc = deliver_status(p->d, w->letter_id, w->generation, status, &e);
	claims_release(p->d->claims, w->letter_id);
	if (rc == -1)
		log_error("letter id=%s status not stored: %s", w->letter_id, e.cause);
	return rc;
}

static int
grow_old(struct poller *p, struct waiting *w, const struct view *v)
{
	int64_t age = clock_wall_ms() - v->ended_ms;
	struct bd_err e = { 0 };

	if (age > ALARM_AFTER_MS && !w->alarmed) {
		w->alarmed = true;
		log_error("letter id=%s generation=%u: no final status after %lld hours",
			  w->letter_id, w->generation, (long long)(age / 3600000));
	}
	if (age <= GIVE_UP_AFTER_MS)
		return -1;
	return records_wait_over(p->d->records, w->letter_id, w->generation, &e);
}

/* One question. 0 when the letter is finished with, -1 to ask again later. */
static int
ask(struct poller *p, struct waiting *w)
{
	struct driver_note note = { 0 };
	struct bd_err e = { 0 };
	struct driver_query q;
	struct view v;

	switch (records_view(p->d->records, w->letter_id, NULL, &v, &e)) {
	case 1:
		break;
	case 0:
		return 0;
	default:
		log_error("letter id=%s: %s", w->letter_id, e.cause);
		return -1;
	}
	if (v.generation != w->generation || v.confirmed || v.state == VIEW_FAILED)
		return records_wait_over(p->d->records, w->letter_id, w->generation, &e);
	q = (struct driver_query){ .agency = v.agency,
				   .instance = v.instance,
				   .deadline_ms = clock_ms() + QUERY_MAX_MS };
	if (p->d->driver->query(p->d->driver_self, &q, &note, &e) == DRIVER_UNKNOWN)
		log_warn("letter id=%s: %s", w->letter_id, e.cause);
	else if (note.final)
		return status_store(p, w, note.status);
	return grow_old(p, w, &v);
}

static void *
run(void *arg)
{
	struct poller *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->stopping) {
		struct waiting *w = TAILQ_FIRST(&p->list);
		struct timespec until;
		int rc;

		if (w == NULL) {
			pthread_cond_wait(&p->changed, &p->lock);
			continue;
		}
		if (w->due_ms > clock_ms()) {
			until.tv_sec = (time_t)(w->due_ms / 1000);
			until.tv_nsec = (long)(w->due_ms % 1000) * 1000000;
			pthread_cond_timedwait(&p->changed, &p->lock, &until);
			continue;
		}
		TAILQ_REMOVE(&p->list, w, next);
		pthread_mutex_unlock(&p->lock);
		rc = ask(p, w);
		pthread_mutex_lock(&p->lock);
		if (rc == 0) {
			free(w);
		} else {
			w->asked++;
			insert(p, w);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct poller *
poller_start(struct deliver *d, struct bd_err *e)
{
	struct poller *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;

	if (p == NULL) {
		bd_fail(e, BD_E_MEMORY, "poller");
		return NULL;
	}
	p->d = d;
	TAILQ_INIT(&p->list);
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (records_waiting(d->records, add_stored, p, e) == -1 ||
	    pthread_create(&p->thread, NULL, run, p) != 0) {
		bd_wrap(e, "poller");
		p->thread = pthread_self();
		poller_stop(&p);
		return NULL;
	}
	return p;
}

void
poller_stop(struct poller **p)
{
	struct waiting *w;

	if (*p == NULL)
		return;
	pthread_mutex_lock(&(*p)->lock);
	(*p)->stopping = true;
	pthread_cond_signal(&(*p)->changed);
	pthread_mutex_unlock(&(*p)->lock);
	if (!pthread_equal((*p)->thread, pthread_self()))
		pthread_join((*p)->thread, NULL);
	while ((w = TAILQ_FIRST(&(*p)->list)) != NULL) {
		TAILQ_REMOVE(&(*p)->list, w, next);
		free(w);
	}
	pthread_cond_destroy(&(*p)->changed);
	pthread_mutex_destroy(&(*p)->lock);
	free(*p);
	*p = NULL;
}
