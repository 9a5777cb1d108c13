/* SPDX-License-Identifier: Apache-2.0 */
/* Mail with no recipient of ours: left alone, or handed on to the durable instance
 * when it is whole. */
#include "config.h"
#include "milter/session_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "milter/work.h"

enum verdict
ordinary_mail_rcpt(struct session *s, char **argv)
{
	struct bd_err e = { 0 };

	if (ordinary_add(&s->ordinary, argv, &e) == -1)
		return session_refuse(s, "rcpt", &e, 0);
	s->role = ROLE_ORDINARY;
	return VERDICT_CONTINUE;
}

/* What a foreign host said of itself, fit for a comment in a header. */
static void
add_clean(struct buf *b, const char *text)
{
	for (size_t n = 0; *text != '\0' && n < 200; text++, n++) {
		bool fits = *text > ' ' && *text < 0x7f && strchr("()<>\\\",;@", *text) == NULL;

		buf_addc(b, fits ? *text : '?');
	}
}

/* The front instance's Received line: the milter protocol does not show it to us, so it would be
 * lost, and with it the trace of the mail (RFC 5321 4.4). */
static int
make_received(const struct session *s, struct buf *b)
{
	char date[64];
	time_t now = clock_wall();
	struct tm tm;
	const char *auth = *session_macro(s, "{auth_authen}") != '\0' ? "A" : "";
	const char *tls = *session_macro(s, "{tls_version}") != '\0' ? "S" : "";

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	buf_adds(b, "Received: from ");
	add_clean(b, s->helo[0] != '\0' ? s->helo : "unknown");
	buf_adds(b, " (");
	add_clean(b, s->hostname);
	if (s->address[0] != '\0')
		buf_addf(b, " [%s%s]", strchr(s->address, ':') != NULL ? "IPv6:" : "", s->address);
	buf_adds(b, ")\r\n\tby ");
	add_clean(b, *session_macro(s, "j") != '\0' ? session_macro(s, "j") : "localhost");
	buf_addf(b, " (brevdue) with ESMTP%s%s id ", tls, auth);
	add_clean(b, s->m.queue_id[0] != '\0' ? s->m.queue_id : "unknown");
	return buf_addf(b, ";\r\n\t%s\r\n", date);
}

enum verdict
ordinary_mail_data(struct session *s)
{
	struct bd_err e = { 0 };
	struct buf received = { 0 };
	int rc;

	if (s->g->conf->milter.ordinary == CONF_ORDINARY_PASS) {
		/* As early as can be: from here on the MTA does not even show it to us. */
		session_end_mail(s);
		return VERDICT_ACCEPT;
	}
	if ((rc = make_received(s, &received)) == -1)
		bd_fail(&e, BD_E_MEMORY, "Received line");
	else
		rc = message_add(&s->m, received.data, received.len, &e);
	buf_free(&received);
	return rc == -1 ? session_refuse_mail(s, "data", &e, 0) : VERDICT_CONTINUE;
}

int
ordinary_mail_header(struct session *s, const char *name, const char *value, struct bd_err *e)
{
	if (message_add(&s->m, name, strlen(name), e) == -1 ||
	    message_add(&s->m, ": ", s->lead_space ? 1 : 2, e) == -1 ||
	    message_add(&s->m, value, strlen(value), e) == -1)
		return -1;
	return message_add(&s->m, "\r\n", 2, e);
}

struct job {
	struct session *s;
	atomic_bool gone;
	struct submit_answer a;
	int rc;
	struct bd_err e;
};

static void
run_job(void *arg)
{
	struct job *j = arg;
	const struct message *m = &j->s->m;
	struct submit_envelope env = {
		.from = m->from,
		.from_args = m->from_args,
		.ident = m->queue_id,
	};

	j->rc = ordinary_send(&j->s->ordinary, j->s->g->mail_pool, &env, m->fd, m->size,
			      clock_ms() + SESSION_EOM_MS, &j->gone, &j->a, &j->e);
}

enum verdict
ordinary_mail_eom(struct session *s)
{
	struct job j = { .s = s, .rc = -1 };
	char queue_id[SUBMIT_QUEUE_ID_CHARS];
	int64_t begun = clock_ms();

	if (message_finish(&s->m, &j.e) == -1 ||
	    work_run(run_job, &j, session_tick, s, &j.gone, &j.e) == -1 || j.rc == -1)
		return session_refuse(s, "eom", &j.e, 0);
	if (j.a.code / 100 != 2)
		return session_answer(s, "eom", &j.a);
	submit_queue_id(&j.a, queue_id);
	log_info("ordinary queue=%s submitted=%s recipients=%zu result=resubmitted dsn=2.0.0 "
		 "ms=%lld",
		 s->m.queue_id[0] != '\0' ? s->m.queue_id : "-",
		 queue_id[0] != '\0' ? queue_id : "-", s->ordinary.count,
		 (long long)(clock_ms() - begun));
	return VERDICT_DISCARD;
}
