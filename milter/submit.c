/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of submission connections and the transactions on them: whole sealed messages, and
 * streamed ordinary mail. Decides what may be tried again; words for senders are made elsewhere.
 */
#include "config.h"
#include "milter/submit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/clock.h"
#include "milter/smtpc.h"

#define REAP_MS 500

struct submit_pool {
	char *socket;
	unsigned max;
	int timeout_ms;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned open;      /* connections, idle or not; lock */
	struct smtpc *idle; /* newest first; lock */
	bool ending;        /* lock */
	pthread_t reaper;
};

struct submit_stream {
	struct submit_pool *pool;
	struct smtpc *c;
	bool in_transaction; /* MAIL was accepted, its end not seen */
};

static void
timespec_in(struct timespec *at, int64_t ms)
{
	clock_gettime(CLOCK_MONOTONIC, at);
	at->tv_sec += (time_t)(ms / 1000);
	at->tv_nsec += (long)(ms % 1000) * 1000000L;
	if (at->tv_nsec >= 1000000000L) {
		at->tv_sec++;
		at->tv_nsec -= 1000000000L;
	}
}

/* Takes the idle connections not used since before off the list. Called with the lock. */
static struct smtpc *
take_idle(struct submit_pool *p, int64_t before)
{
	struct smtpc *old = NULL, **link = &p->idle;

	while (*link != NULL) {
		struct smtpc *c = *link;

		if (c->idle_since > before) {
			link = &c->next;
			continue;
		}
		*link = c->next;
		c->next = old;
		old = c;
		p->open--;
	}
	return old;
}

static void
close_list(struct smtpc *list)
{
	while (list != NULL) {
		struct smtpc *next = list->next;

		smtpc_close(&list, true);
		list = next;
	}
}

static void *
reaper(void *arg)
{
	struct submit_pool *p = arg;
	struct timespec at;

	pthread_mutex_lock(&p->lock);
	while (!p->ending) {
		if (p->idle == NULL) {
			pthread_cond_wait(&p->changed, &p->lock);
			continue;
		}
		timespec_in(&at, REAP_MS);
		pthread_cond_timedwait(&p->changed, &p->lock, &at);
		struct smtpc *old = take_idle(p, clock_ms() - SUBMIT_IDLE_MS);

		if (old == NULL)
			continue;
		pthread_cond_broadcast(&p->changed);
		pthread_mutex_unlock(&p->lock);
		close_list(old);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct submit_pool *
submit_pool_new(const char *socket, unsigned connections, int timeout_ms, struct bd_err *e)
{
	struct submit_pool *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;

	if (p == NULL || (p->socket = strdup(socket)) == NULL)
		goto fail;
	p->max = connections > 0 ? connections : 1;
	p->timeout_ms = timeout_ms;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attr);
	pthread_condattr_destroy(&attr);
	if ((errno = pthread_create(&p->reaper, NULL, reaper, p)) == 0)
		return p;
fail:
	bd_fail_errno(e, BD_E_MEMORY, "submission pool");
	if (p != NULL)
		free(p->socket);
	free(p);
	return NULL;
}

void
submit_pool_free(struct submit_pool **pp)
{
	struct submit_pool *p = *pp;

	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->reaper, NULL);
	close_list(p->idle);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p->socket);
	free(p);
	*pp = NULL;
}

unsigned
submit_pool_open(struct submit_pool *p)
{
	unsigned n;

	pthread_mutex_lock(&p->lock);
	n = p->open;
	pthread_mutex_unlock(&p->lock);
	return n;
}

static int64_t
answer_deadline(const struct submit_pool *p, int64_t deadline_ms)
{
	int64_t own = clock_ms() + p->timeout_ms;

	return own < deadline_ms ? own : deadline_ms;
}

static void
pool_put(struct submit_pool *p, struct smtpc *c, bool reusable)
{
	pthread_mutex_lock(&p->lock);
	if (reusable && !c->lost && !p->ending) {
		c->idle_since = clock_ms();
		c->next = p->idle;
		p->idle = c;
		c = NULL;
	} else {
		p->open--;
	}
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	smtpc_close(&c, !reusable);
}

/* Reserves a place, giving an idle connection when there is one; NULL in *c_r: open one. */
static int
pool_wait(struct submit_pool *p, int64_t deadline_ms, struct smtpc **c_r, struct bd_err *e)
{
	struct timespec at;
	int rc = 0;

	*c_r = NULL;
	pthread_mutex_lock(&p->lock);
	while (p->idle == NULL && p->open >= p->max) {
		int64_t left = deadline_ms - clock_ms();

		if (left <= 0) {
			rc = bd_fail(e, BD_E_BUSY, "all %u submission connections in use", p->max);
			break;
		}
		timespec_in(&at, left < 1000 ? left : 1000);
		pthread_cond_timedwait(&p->changed, &p->lock, &at);
	}
	if (rc == 0 && p->idle != NULL) {
		*c_r = p->idle;
		p->idle = p->idle->next;
		(*c_r)->next = NULL;
	} else if (rc == 0) {
		p->open++;
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/* fresh: an idle connection will not do, the last one was lost. */
static struct smtpc *
pool_get(struct submit_pool *p, bool fresh, int64_t deadline_ms, struct bd_err *e)
{
	struct smtpc *c;

	if (pool_wait(p, deadline_ms, &c, e) == -1)
		return NULL;
	if (c != NULL && (fresh || smtpc_is_stale(c)))
		smtpc_close(&c, fresh); /* its place is still ours */
	if (c != NULL)
		return c;
	if ((c = smtpc_open(p->socket, answer_deadline(p, deadline_ms), e)) != NULL)
		return c;
	pthread_mutex_lock(&p->lock);
	p->open--;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static bool
is_token(const char *arg, size_t len, const char *name)
{
	size_t n = strlen(name);

	return len >= n && strncasecmp(arg, name, n) == 0 && (len == n || arg[n] == '=');
}

static bool
is_offered(unsigned ext, const char *arg, size_t len)
{
	static const struct {
		const char *name;
		unsigned ext;
	} known[] = {
		{ "RET", SMTPC_DSN },           { "ENVID", SMTPC_DSN }, { "NOTIFY", SMTPC_DSN },
		{ "ORCPT", SMTPC_DSN },         { "SIZE", SMTPC_SIZE }, { "BODY", SMTPC_8BITMIME },
		{ "SMTPUTF8", SMTPC_SMTPUTF8 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (is_token(arg, len, known[i].name))
			return (ext & known[i].ext) != 0;
	return false;
}

/* " ARG" for each argument that the server knows. */
static int
add_args(struct buf *line, const char *args, unsigned ext)
{
	while (args != NULL && *args != '\0') {
		size_t len = strcspn(args, " ");

		if (len > 0 && is_offered(ext, args, len) &&
		    (buf_addc(line, ' ') == -1 || buf_add(line, args, len) == -1))
			return -1;
		args += len + (args[len] == ' ');
	}
	return 0;
}

static int
send_line(struct submit_stream *s, struct buf *line, int built, int64_t deadline_ms,
	  struct submit_answer *a, struct bd_err *e)
{
	if (built == -1) {
		buf_free(line);
		a->code = 0;
		return bd_fail(e, BD_E_MEMORY, "SMTP command");
	}
	built = smtpc_command(s->c, buf_str(line), answer_deadline(s->pool, deadline_ms), a, e);
	buf_free(line);
	return built;
}

/* XFORWARD IDENT joins both queue ids in the sending instance's log; its answer does not matter. */
static int
send_ident(struct submit_stream *s, const char *ident, int64_t deadline_ms, struct bd_err *e)
{
	struct submit_answer a;
	struct buf line = { 0 };
	int built = 0;

	if (ident == NULL || *ident == '\0' || (s->c->ext & SMTPC_XFORWARD_IDENT) == 0)
		return 0;
	for (const char *p = ident; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f || *p == '+' || *p == '=')
			return 0; /* no queue id of Postfix */
	built = buf_addf(&line, "XFORWARD IDENT=%s", ident);
	return send_line(s, &line, built, deadline_ms, &a, e);
}

static int
send_mail_from(struct submit_stream *s, const struct submit_envelope *env, int64_t deadline_ms,
	       struct submit_answer *a, struct bd_err *e)
{
	struct buf line = { 0 };
	int built;

	if (send_ident(s, env->ident, deadline_ms, e) == -1)
		return -1;
	built = buf_addf(&line, "MAIL FROM:<%s>", env->from);
	if (built == 0)
		built = add_args(&line, env->from_args, s->c->ext);
	if (send_line(s, &line, built, deadline_ms, a, e) == -1)
		return -1;
	s->in_transaction = a->code == 250;
	return 0;
}

int
submit_open(struct submit_pool *p, const struct submit_envelope *env, int64_t deadline_ms,
	    struct submit_stream **s_r, struct submit_answer *a, struct bd_err *e)
{
	struct submit_stream *s = calloc(1, sizeof(*s));

	*s_r = NULL;
	*a = (struct submit_answer){ 0 };
	if (s == NULL)
		return bd_fail(e, BD_E_MEMORY, "submission");
	s->pool = p;
	/* A pooled connection may have ended just now, and 421 is Postfix's way to say so. */
	for (int attempt = 0; attempt < 2; attempt++) {
		if ((s->c = pool_get(p, attempt > 0, deadline_ms, e)) == NULL)
			break;
		if (send_mail_from(s, env, deadline_ms, a, e) == 0 && a->code != 421) {
			*s_r = s;
			return 0;
		}
		bool late = s->c->late;

		if (a->code == 421)
			bd_fail(e, BD_E_QUEUE, "submission service answers 421");
		pool_put(p, s->c, false);
		s->c = NULL;
		if (late)
			break;
	}
	free(s);
	return -1;
}

int
submit_rcpt(struct submit_stream *s, const char *to, const char *args, int64_t deadline_ms,
	    struct submit_answer *a, struct bd_err *e)
{
	struct buf line = { 0 };
	int built = buf_addf(&line, "RCPT TO:<%s>", to);

	if (built == 0)
		built = add_args(&line, args, s->c->ext);
	return send_line(s, &line, built, deadline_ms, a, e);
}

int
submit_data(struct submit_stream *s, int64_t deadline_ms, struct submit_answer *a, struct bd_err *e)
{
	smtpc_content_start(s->c);
	return smtpc_command(s->c, "DATA", answer_deadline(s->pool, deadline_ms), a, e);
}

int
submit_write(struct submit_stream *s, const void *data, size_t len, int64_t deadline_ms,
	     struct bd_err *e)
{
	return smtpc_content(s->c, data, len, answer_deadline(s->pool, deadline_ms), e);
}

int
submit_end(struct submit_stream *s, int64_t deadline_ms, struct submit_answer *a, struct bd_err *e)
{
	a->code = 0;
	if (smtpc_content_flush(s->c, answer_deadline(s->pool, deadline_ms), e) == -1)
		return -1;
	if (smtpc_dot(s->c, answer_deadline(s->pool, deadline_ms), a, e) == -1)
		return bd_wrap(e, "after the final dot");
	s->in_transaction = false;
	return 0;
}

void
submit_close(struct submit_stream **sp)
{
	struct submit_stream *s = *sp;

	if (s == NULL)
		return;
	pool_put(s->pool, s->c, !s->in_transaction);
	free(s);
	*sp = NULL;
}

void
submit_queue_id(const struct submit_answer *a, char queue_id[SUBMIT_QUEUE_ID_CHARS])
{
	static const char mark[] = "queued as ";
	const char *p = strstr(a->text, mark);
	size_t n = 0;

	if (a->code == 250 && p != NULL)
		for (p += sizeof(mark) - 1; n + 1 < SUBMIT_QUEUE_ID_CHARS && *p > ' ' && *p < 0x7f;
		     p++)
			queue_id[n++] = *p;
	queue_id[n] = '\0';
}

enum outcome { OUTCOME_QUEUED, OUTCOME_FAILED, OUTCOME_LOST_BEFORE_DOT };

static int
expect(const struct submit_answer *a, int code, const char *command, struct bd_err *e)
{
	if (a->code == code)
		return 0;
	return bd_fail(e, BD_E_QUEUE, "submission service answers %s with %d %s", command, a->code,
		       a->status);
}

static enum outcome
transaction(struct submit_stream *s, const struct submit_envelope *env, const char *to,
	    const char *to_args, const void *data, size_t len, int64_t deadline_ms,
	    struct submit_answer *a, struct bd_err *e)
{
	if (send_mail_from(s, env, deadline_ms, a, e) == -1)
		goto lost;
	if (a->code == 421) {
		bd_fail(e, BD_E_QUEUE, "submission service answers 421");
		return OUTCOME_LOST_BEFORE_DOT;
	}
	if (expect(a, 250, "MAIL", e) == -1)
		return OUTCOME_FAILED;
	if (submit_rcpt(s, to, to_args, deadline_ms, a, e) == -1)
		goto lost;
	if (expect(a, 250, "RCPT", e) == -1)
		return OUTCOME_FAILED;
	if (submit_data(s, deadline_ms, a, e) == -1)
		goto lost;
	if (expect(a, 354, "DATA", e) == -1)
		return OUTCOME_FAILED;
	if (submit_write(s, data, len, deadline_ms, e) == -1 ||
	    smtpc_content_flush(s->c, answer_deadline(s->pool, deadline_ms), e) == -1)
		goto lost;
	if (submit_end(s, deadline_ms, a, e) == -1 || expect(a, 250, "the final dot", e) == -1)
		return OUTCOME_FAILED;
	return OUTCOME_QUEUED;
lost:
	return s->c->late || !s->c->lost ? OUTCOME_FAILED : OUTCOME_LOST_BEFORE_DOT;
}

int
submit_mail(struct submit_pool *p, const struct submit_envelope *env, const char *to,
	    const char *to_args, const void *data, size_t len, int64_t deadline_ms,
	    char queue_id[SUBMIT_QUEUE_ID_CHARS], struct bd_err *e)
{
	struct submit_answer a = { 0 };
	enum outcome outcome = OUTCOME_LOST_BEFORE_DOT;

	for (int attempt = 0; attempt < 2 && outcome == OUTCOME_LOST_BEFORE_DOT; attempt++) {
		struct submit_stream s = { .pool = p };

		if ((s.c = pool_get(p, attempt > 0, deadline_ms, e)) == NULL)
			return -1;
		outcome = transaction(&s, env, to, to_args, data, len, deadline_ms, &a, e);
		pool_put(p, s.c, outcome == OUTCOME_QUEUED);
	}
	if (outcome != OUTCOME_QUEUED)
		return -1;
	submit_queue_id(&a, queue_id);
	return 0;
}
