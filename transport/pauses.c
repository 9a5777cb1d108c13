/* SPDX-License-Identifier: Apache-2.0 */
/* Circuit breakers by name. Keeps no queue and wakes nobody. */
#include "config.h"
#include "transport/pauses.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct pause {
	SLIST_ENTRY(pause) next;
	int64_t until_ms;
	int64_t length_ms; /* of the last pause */
	unsigned failures; /* in a row */
	char name[];
};

struct pauses {
	pthread_mutex_t lock;
	SLIST_HEAD(, pause) list; /* as many as there are providers: a handful */
};

struct pauses *
pauses_new(void)
{
	struct pauses *p = calloc(1, sizeof(*p));

	if (p != NULL) {
		pthread_mutex_init(&p->lock, NULL);
		SLIST_INIT(&p->list);
	}
	return p;
}

void
pauses_free(struct pauses **p)
{
	struct pause *pa;

	if (*p == NULL)
		return;
	while ((pa = SLIST_FIRST(&(*p)->list)) != NULL) {
		SLIST_REMOVE_HEAD(&(*p)->list, next);
		free(pa);
	}
	pthread_mutex_destroy(&(*p)->lock);
	free(*p);
	*p = NULL;
}

/* NULL out of memory: then there is no pause, and the call itself decides. */
static struct pause *
find(struct pauses *p, const char *name)
{
	struct pause *pa;

	SLIST_FOREACH(pa, &p->list, next)
	if (strcmp(pa->name, name) == 0)
		return pa;
	if ((pa = calloc(1, sizeof(*pa) + strlen(name) + 1)) == NULL)
		return NULL;
	strcpy(pa->name, name);
	SLIST_INSERT_HEAD(&p->list, pa, next);
	return pa;
}

int64_t
pauses_left(struct pauses *p, const char *name, int64_t now_ms)
{
	struct pause *pa;
	int64_t left = 0;

	pthread_mutex_lock(&p->lock);
	if ((pa = find(p, name)) != NULL && pa->until_ms != 0) {
		if (now_ms < pa->until_ms)
			left = pa->until_ms - now_ms;
		else /* the pause is over: this caller tries, the others wait for it */
			pa->until_ms = now_ms + PAUSE_TRIAL_MS;
	}
	pthread_mutex_unlock(&p->lock);
	return left;
}

void
pauses_success(struct pauses *p, const char *name)
{
	struct pause *pa;

	pthread_mutex_lock(&p->lock);
	if ((pa = find(p, name)) != NULL) {
		pa->until_ms = pa->length_ms = 0;
		pa->failures = 0;
	}
	pthread_mutex_unlock(&p->lock);
}

void
pauses_failure(struct pauses *p, const char *name, int64_t now_ms)
{
	struct pause *pa;

	pthread_mutex_lock(&p->lock);
	if ((pa = find(p, name)) != NULL && ++pa->failures >= PAUSE_FAILURES) {
		pa->length_ms = pa->length_ms == 0 ? PAUSE_FIRST_MS : 2 * pa->length_ms;
		if (pa->length_ms > PAUSE_MAX_MS)
			pa->length_ms = PAUSE_MAX_MS;
		pa->until_ms = now_ms + pa->length_ms;
	}
	pthread_mutex_unlock(&p->lock);
}

void
pauses_hold(struct pauses *p, const char *name, int64_t now_ms, int64_t ms)
{
	struct pause *pa;

	if (ms <= 0)
		return;
	pthread_mutex_lock(&p->lock);
	if ((pa = find(p, name)) != NULL)
		pa->until_ms = now_ms + (ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS);
	pthread_mutex_unlock(&p->lock);
}
