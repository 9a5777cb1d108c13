/* SPDX-License-Identifier: Apache-2.0 */
/* A list of letter ids in work. As many as there are connections, so a list is enough. */
#include "config.h"
#include "spool/claims.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

struct claim {
	LIST_ENTRY(claim) next;
	char id[LETTER_ID_CHARS];
};

struct claims {
	pthread_mutex_t lock;
	pthread_cond_t released;
	LIST_HEAD(, claim) held;
};

struct claims *
claims_new(void)
{
	struct claims *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;

	if (c == NULL)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->released, &attr);
	pthread_condattr_destroy(&attr);
	LIST_INIT(&c->held);
	return c;
}

static struct claim *
find(struct claims *c, const char *letter_id)
{
	struct claim *cl;

	LIST_FOREACH(cl, &c->held, next)
	if (strcmp(cl->id, letter_id) == 0)
		return cl;
	return NULL;
}

int
claims_take(struct claims *c, const char *letter_id, int wait_ms, struct bd_err *e)
{
	struct claim *cl = calloc(1, sizeof(*cl));
	struct timespec until;
	int rc = 0;

	if (cl == NULL)
		return bd_fail(e, BD_E_MEMORY, "claim");
	strncpy(cl->id, letter_id, sizeof(cl->id) - 1);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&c->lock);
	while (rc == 0 && find(c, letter_id) != NULL)
		if (wait_ms == 0 ||
		    pthread_cond_timedwait(&c->released, &c->lock, &until) == ETIMEDOUT)
			rc = find(c, letter_id) != NULL ? -1 : 0;
	if (rc == 0)
		LIST_INSERT_HEAD(&c->held, cl, next);
	pthread_mutex_unlock(&c->lock);
	if (rc == -1) {
		free(cl);
		bd_fail(e, BD_E_BUSY, "another session is sending this letter");
	}
	return rc;
}

void
claims_release(struct claims *c, const char *letter_id)
{
	struct claim *cl;

	pthread_mutex_lock(&c->lock);
	if ((cl = find(c, letter_id)) != NULL) {
		LIST_REMOVE(cl, next);
		free(cl);
	}
	pthread_cond_broadcast(&c->released);
	pthread_mutex_unlock(&c->lock);
}

void
claims_free(struct claims **c)
{
	struct claim *cl;

	if (*c == NULL)
		return;
	while ((cl = LIST_FIRST(&(*c)->held)) != NULL) {
		LIST_REMOVE(cl, next);
		free(cl);
	}
	pthread_cond_destroy(&(*c)->released);
	pthread_mutex_destroy(&(*c)->lock);
	free(*c);
	*c = NULL;
}
