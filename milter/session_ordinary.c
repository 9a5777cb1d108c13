/* SPDX-License-Identifier: Apache-2.0 */
/* Mail with no recipient of ours: left alone, or handed on to the durable instance as it comes. */
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

static enum verdict
failed(struct session *s, const char *stage, const struct bd_err *e)
{
	ordinary_free(&s->ordinary);
	return session_refuse(s, stage, e, 0);
}

static enum verdict
open_transaction(struct session *s)
{
	struct submit_envelope env = {
		.from = s->m.from,
		.from_args = s->m.from_args,
		.ident = s->m.queue_id,
	};
	struct submit_answer a;
	struct bd_err e = { 0 };

	if (s->ordinary != NULL)
		return VERDICT_CONTINUE;
	if (s->refusal.code != 0)
		return session_answer(s, "rcpt", &s->refusal);
	if (ordinary_open(s->g->mail_pool, &env, &s->ordinary, &a, &e) == -1)
		return failed(s, "rcpt", &e);
	if (a.code == 250)
		return VERDICT_CONTINUE;
	s->refusal = a; /* the sender: every recipient gets it */
	ordinary_free(&s->ordinary);
	return session_answer(s, "rcpt", &a);
}

enum verdict
ordinary_mail_rcpt(struct session *s, char **argv)
{
	struct submit_answer a;
	struct bd_err e = { 0 };
	struct buf args = { 0 };
	enum verdict v;
	char *to;
	int rc;

	if ((v = open_transaction(s)) != VERDICT_CONTINUE)
		return v;
	rc = (to = message_address(argv[0])) == NULL ? -1 : 0;
	for (char **arg = argv + 1; rc == 0 && *arg != NULL; arg++)
		rc = buf_addf(&args, "%s%s", args.len > 0 ? " " : "", *arg);
	if (rc == -1)
		bd_fail(&e, BD_E_MEMORY, "recipient");
	else
		rc = ordinary_rcpt(s->ordinary, to, buf_str(&args), &a, &e);
	free(to);
	buf_free(&args);
	if (rc == -1)
		return failed(s, "rcpt", &e);
	if (a.code / 100 != 2)
		return session_answer(s, "rcpt", &a);
	s->role = ROLE_ORDINARY;
	s->ordinary_recipients++;
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
	struct submit_answer a;
	struct bd_err e = { 0 };
	struct buf received = { 0 };
	enum verdict v = VERDICT_CONTINUE;
	int rc;

	if (s->g->conf->milter.ordinary == CONF_ORDINARY_PASS) {
		/* As early as can be: from here on the MTA does not even show it to us. */
		session_end_mail(s);
		return VERDICT_ACCEPT;
	}
	if (s->ordinary == NULL)
		rc = bd_fail(&e, BD_E_QUEUE, "submission was lost before DATA");
	else if ((rc = make_received(s, &received)) == -1)
		bd_fail(&e, BD_E_MEMORY, "Received line");
	else
		rc = ordinary_data(s->ordinary, buf_str(&received), &a, &e);
	buf_free(&received);
	if (rc == -1) {
		v = session_refuse_mail(s, "data", &e, 0);
	} else if (a.code != 354) {
		v = session_answer(s, "data", &a);
		session_end_mail(s);
	}
	return v;
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

	j->rc = ordinary_end(j->s->ordinary, clock_ms() + SESSION_EOM_MS, &j->a, &j->e);
}

enum verdict
ordinary_mail_eom(struct session *s)
{
	struct job j = { .s = s, .rc = -1 };
	char queue_id[SUBMIT_QUEUE_ID_CHARS];
	int64_t begun = clock_ms();

	if (work_run(run_job, &j, session_tick, s, &j.gone, &j.e) == -1 || j.rc == -1)
		return failed(s, "eom", &j.e);
	if (j.a.code / 100 != 2)
		return session_answer(s, "eom", &j.a);
	submit_queue_id(&j.a, queue_id);
	log_info("ordinary queue=%s submitted=%s recipients=%u result=resubmitted dsn=2.0.0 "
		 "ms=%lld",
		 s->m.queue_id[0] != '\0' ? s->m.queue_id : "-",
		 queue_id[0] != '\0' ? queue_id : "-", s->ordinary_recipients,
		 (long long)(clock_ms() - begun));
	return VERDICT_DISCARD;
}
