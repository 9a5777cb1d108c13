/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that may wait for the register. Knows no connections. */
#include "config.h"
#include "lookup/asker.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "lookup/audit.h"

struct list {
	struct asker_job *first, **last;
};

struct asker {
	const struct conf *conf;
	struct registry registry;
	uint8_t secret[32];
	int fd;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	struct list todo, done;
	bool stopping;
};

static void
list_add(struct list *l, struct asker_job *job)
{
	job->next = NULL;
	*l->last = job;
	l->last = &job->next;
}

static struct asker_job *
list_take(struct list *l)
{
	struct asker_job *job = l->first;

	if (job != NULL && (l->first = job->next) == NULL)
		l->last = &l->first;
	return job;
}

static void
job_do(const struct asker *a, struct asker_job *job)
{
	const struct question *q = &job->question;
	const char **ids = calloc(q->count, sizeof(*ids));
	json_t *persons = json_array();
	struct bd_err e = { 0 };
	int rc = -1;

	audit_log(a->secret, job->user, question_map_name(q->map), q->purpose, q->agency, q->ids,
		  q->count);
	if (ids == NULL || persons == NULL) {
		bd_fail(&e, BD_E_MEMORY, "out of memory");
	} else {
		for (size_t i = 0; i < q->count; i++)
			ids[i] = q->ids[i];
		rc = a->registry.ops->persons(a->registry.self, ids, q->count, persons, &e);
		if (rc == 0)
			rc = question_answer(a->conf, q, persons, &job->answer, &e);
	}
	failpoint("lookup.before-answer");
	job->status = rc == 0 ? "OK" : "TEMP";
	if (rc == -1) {
		static const char words[] = "the register did not answer usably";

		log_error("lookup map=%s user=%s result=%s: %s", question_map_name(q->map),
			  job->user, bd_kind_name(e.kind), e.cause);
		buf_clear(&job->answer);
		if (buf_add(&job->answer, words, sizeof(words) - 1) == -1)
			log_error("lookup: out of memory");
	}
	json_decref(persons);
	free(ids);
}

static void *
asker_run(void *arg)
{
	struct asker *a = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&a->lock);
	for (;;) {
		struct asker_job *job;

		while (!a->stopping && a->todo.first == NULL)
			pthread_cond_wait(&a->wake, &a->lock);
		if (a->stopping)
			break;
		job = list_take(&a->todo);
		pthread_mutex_unlock(&a->lock);
		job_do(a, job);
		pthread_mutex_lock(&a->lock);
		list_add(&a->done, job);
		if (write(a->fd, &one, sizeof(one)) == -1)
			log_error("lookup: cannot wake the loop");
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

struct asker *
asker_start(const struct conf *c, struct registry r, const uint8_t secret[32], struct bd_err *e)
{
	struct asker *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return NULL;
	}
	a->conf = c;
	a->registry = r;
	memcpy(a->secret, secret, sizeof(a->secret));
	a->todo.last = &a->todo.first;
	a->done.last = &a->done.first;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->wake, NULL);
	a->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->fd == -1 || (errno = pthread_create(&a->thread, NULL, asker_run, a)) != 0) {
		bd_fail_errno(e, BD_E_INTERNAL, "database thread");
		if (a->fd != -1)
			close(a->fd);
		pthread_cond_destroy(&a->wake);
		pthread_mutex_destroy(&a->lock);
		free(a);
		return NULL;
	}
	return a;
}

int
asker_fd(const struct asker *a)
{
	return a->fd;
}

void
asker_give(struct asker *a, struct asker_job *job)
{
	pthread_mutex_lock(&a->lock);
	list_add(&a->todo, job);
	pthread_cond_signal(&a->wake);
	pthread_mutex_unlock(&a->lock);
}

struct asker_job *
asker_take(struct asker *a)
{
	struct asker_job *job;
	uint64_t n;

	pthread_mutex_lock(&a->lock);
	job = list_take(&a->done);
	/* Level-triggered: cleared when the list is empty, under the lock that fills it. */
	if (job == NULL && read(a->fd, &n, sizeof(n)) == -1 && errno != EAGAIN)
		log_error("lookup: eventfd");
	pthread_mutex_unlock(&a->lock);
	return job;
}

void
asker_job_free(struct asker_job **jobp)
{
	struct asker_job *job = *jobp;

	if (job == NULL)
		return;
	question_clear(&job->question);
	buf_free(&job->answer);
	free(job);
	*jobp = NULL;
}

void
asker_stop(struct asker **ap)
{
	struct asker *a = *ap;
	struct asker_job *job;

	if (a == NULL)
		return;
	pthread_mutex_lock(&a->lock);
	a->stopping = true;
	pthread_cond_signal(&a->wake);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	while ((job = list_take(&a->todo)) != NULL || (job = list_take(&a->done)) != NULL)
		asker_job_free(&job);
	close(a->fd);
	pthread_cond_destroy(&a->wake);
	pthread_mutex_destroy(&a->lock);
	explicit_bzero(a->secret, sizeof(a->secret));
	free(a);
	*ap = NULL;
}
