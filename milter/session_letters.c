/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mail to citizens: who may send it and to whom at RCPT, the question to the register at DATA, and
 * at the end the order of promise 2: everything that can be refused for good for every letter, then
 * sign, encrypt and submit one after the other, and from the first submission on only 4xx.
 */
#include "config.h"
#include "milter/session_private.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "milter/work.h"

/* The 5xx reasons that the whole session or transaction shares, found once per mail. */
static int
authorise(struct session *s, struct bd_err *e)
{
	const struct conf *c = s->g->conf;
	const char *tls = session_macro(s, "{tls_version}");
	const char *sender = s->m.from;
	enum policy_how how;

	if (s->authorised)
		return 0;
	s->client = policy_client(c, &s->peer, session_macro(s, "{auth_authen}"),
				  session_macro(s, "{daemon_name}"), &how);
	if (s->client == NULL)
		return bd_fail(e, BD_E_NOT_AUTHORISED, "no client of the configuration");
	if (!policy_is_private(s->client, &s->peer, tls))
		return bd_fail(e, BD_E_NO_TLS, "client %s: no TLS 1.2 or later", s->client->name);
	if (*sender == '\0') {
		sender = s->client->reports_to; /* who answers for it, also in the sender table */
		if (sender == NULL)
			return bd_fail(e, BD_E_NO_REPORTS,
				       "client %s: null sender and no reports-to", s->client->name);
	}
	if (policy_agency(c, s->client, how, sender, NULL, &s->agency, &s->sender, e) == -1)
		return -1;
	s->authorised = true;
	return 0;
}

static bool
is_read_alike(const struct session *s, const struct conf_domain *domain)
{
	return s->m.recipient_count == 0 || s->m.recipients[0].domain->main == domain->main;
}

int
letters_rcpt(struct session *s, char **argv, const struct conf_domain *domain, const char *local,
	     struct bd_err *e)
{
	const struct conf *c = s->g->conf;
	struct citizen citizen;
	int rc = -1;

	if (authorise(s, e) == -1)
		return -1;
	if (citizen_parse(local, c->synthetic, &citizen, e) == -1)
		goto out;
	if (s->m.recipient_count >= c->milter.mail_recipients || !is_read_alike(s, domain)) {
		bd_fail(e, BD_E_MAIL_WORK,
			"recipients above milter.mail-recipients, or of "
			"profiles with different main documents");
		goto out;
	}
	if (message_fits(c, s->m.recipient_count + 1, s->m.announced, e) == -1)
		goto out;
	if (!s->reached && s->g->ops->reach(s->g, e) == -1)
		goto out;
	s->reached = true;
	rc = message_add_recipient(&s->m, argv, &citizen, domain, e) == -1 ? -1 : 0;
out:
	explicit_bzero(&citizen, sizeof(citizen));
	return rc;
}

int
letters_ask(struct session *s, struct bd_err *e)
{
	const char **ids = calloc(s->m.recipient_count + 1, sizeof(*ids));

	if (ids == NULL)
		return bd_fail(e, BD_E_MEMORY, "question");
	for (size_t i = 0; i < s->m.recipient_count; i++)
		ids[i] = s->m.recipients[i].citizen.id;
	s->question = s->g->ops->ask(s->g, s->agency->name, ids, s->m.recipient_count, e);
	free(ids);
	return s->question != NULL ? 0 : -1;
}

struct job {
	struct session *s;
	int64_t begun_ms, deadline_ms;
	atomic_bool gone; /* the MTA hung up */
	struct person *persons;
	struct letter *letter;
	struct letters letters;
	int rc;
	unsigned position;
	struct bd_err e;
};

static int
remaining(const struct job *j, int most_ms)
{
	int64_t left = j->deadline_ms - clock_ms();

	return left <= 0 ? 1 : left < most_ms ? (int)left : most_ms;
}

/* No step begins when nobody waits for its result any more. */
static int
check_time(struct job *j)
{
	if (atomic_load(&j->gone))
		return bd_fail(&j->e, BD_E_BUSY, "the MTA hung up");
	if (clock_ms() >= j->deadline_ms)
		return bd_fail(&j->e, BD_E_BUSY, "%d s are over", SESSION_EOM_MS / 1000);
	return 0;
}

static char *
reader_options(const struct session *s)
{
	static const char *const mains[] = {
		[CONF_MAIN_AUTO] = "auto",
		[CONF_MAIN_BODY] = "body",
		[CONF_MAIN_ATTACHMENT] = "attachment",
	};
	json_t *o = json_pack(
	    "{s:s, s:s, s:b, s:s, s:s, s:I, s:I}", "main", mains[s->m.recipients[0].domain->main],
	    "formats", s->agency->formats == CONF_FORMATS_MAILBOX ? "mailbox" : "printable",
	    "replies", (int)s->agency->replies, "language",
	    s->agency->language != NULL ? s->agency->language : "nb", "queue_id", s->m.queue_id,
	    "message_size", (json_int_t)s->g->conf->milter.message_size, "size_limit",
	    (json_int_t)s->g->conf->milter.package_size);
	char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	return text;
}

/* A mail on which readers die again and again is refused for good. */
static void
count_death(struct job *j)
{
	uint8_t digest[SHA256_BYTES];
	struct bd_err ignored = { 0 };
	unsigned deaths;

	if (j->e.kind != BD_E_READER || message_digest(&j->s->m, digest, &ignored) == -1)
		return;
	deaths = poison_note(&j->s->g->poison, digest, clock_ms());
	bd_wrap(&j->e, "death %u of a reader on this mail", deaths);
	if (deaths >= POISON_DEATHS)
		j->e.kind = BD_E_READER_GAVE_UP;
}

static int
read_mail(struct job *j)
{
	struct session *s = j->s;
	char *options;
	int rc;

	if (message_finish(&s->m, &j->e) == -1)
		return -1;
	/* The letter holds the same bytes again while both exist. */
	if (memory_take(&s->m.share, s->m.size, &j->e) == -1)
		return -1;
	if ((options = reader_options(s)) == NULL)
		return bd_fail(&j->e, BD_E_MEMORY, "reader's options");
	rc = s->g->ops->read(s->g, s->m.fd, options,
			     remaining(j, s->g->conf->milter.reader_timeout_ms), &j->letter, &j->e);
	free(options);
	if (rc == -1) {
		count_death(j);
		return -1;
	}
	message_drop_content(&s->m);
	return 0;
}

static void
log_letter(const struct job *j, const struct planned *p, const char *submitted, const char *result,
	   const char *dsn)
{
	log_info("letter id=%s mail=%s queue=%s submitted=%s agency=%s person=%s route=%s "
		 "result=%s dsn=%s ms=%lld",
		 p->record->letter_id, p->record->mail_id,
		 j->s->m.queue_id[0] != '\0' ? j->s->m.queue_id : "-", submitted, p->record->agency,
		 p->pseudonym, p->record->route, result, dsn,
		 (long long)(clock_ms() - j->begun_ms));
}

static int
send_one(struct job *j, const struct letters_mail *mail, size_t n)
{
	struct session *s = j->s;
	const struct planned *p = &j->letters.planned[n];
	size_t bytes = letters_seal_bytes(j->letter);
	char from[LETTER_ID_CHARS + 32], queue_id[SUBMIT_QUEUE_ID_CHARS] = "";
	struct submit_envelope env = { .from = from, .from_args = "RET=HDRS" };
	struct buf sealed = { 0 };
	int rc = -1;

	if (check_time(j) == -1 || memory_take(&s->m.share, bytes, &j->e) == -1)
		return -1;
	env.ident = s->m.queue_id;
	snprintf(from, sizeof(from), "%s@report.brevdue.invalid", p->record->letter_id);
	if (letters_seal(mail, &j->letters, n, &sealed, &j->e) == -1)
		goto out;
	failpoint("milter.before-submit");
	if (s->g->ops->submit(s->g, &env, p->to, "NOTIFY=FAILURE,DELAY", sealed.data, sealed.len,
			      j->deadline_ms, queue_id, &j->e) == -1)
		goto out;
	log_letter(j, p, queue_id[0] != '\0' ? queue_id : "-", "queued", "2.0.0");
	rc = 0;
out:
	buf_free(&sealed);
	memory_give(&s->m.share, bytes);
	return rc;
}

static int
send_all(struct job *j, const struct letters_mail *mail)
{
	struct session *s = j->s;

	if (rate_take(&s->g->rate, s->sender, j->letters.count, clock_ms(), &j->e) == -1)
		return -1;
	for (size_t n = 0; n < j->letters.count; n++) {
		if (n > 0)
			failpoint("milter.between-submissions");
		if (send_one(j, mail, n) == 0)
			continue;
		if (bd_kind_code(j->e.kind) / 100 != 4)
			j->e.kind = BD_E_QUEUE; /* promise 2: some may be queued by now */
		rate_give(&s->g->rate, s->sender, j->letters.count - n);
		for (size_t i = n; i < j->letters.count; i++)
			log_letter(j, &j->letters.planned[i], "-", "deferred",
				   bd_kind_status(j->e.kind));
		return -1;
	}
	failpoint("milter.after-submit");
	return 0;
}

static int
run(struct job *j)
{
	struct session *s = j->s;
	struct letters_mail mail = {
		.gate = s->g,
		.client = s->client,
		.agency = s->agency,
		.sender = s->sender,
		.message = &s->m,
		.persons = j->persons,
	};

	if (s->g->ops->collect(s->g, s->question, j->persons, s->m.recipient_count, &j->e) == -1)
		return -1;
	failpoint("milter.after-persons");
	if (check_time(j) == -1 || read_mail(j) == -1)
		return -1;
	failpoint("milter.after-read");
	mail.letter = j->letter;
	if (check_time(j) == -1 || letters_plan(&mail, &j->letters, &j->position, &j->e) == -1)
		return -1;
	return send_all(j, &mail);
}

static void
run_job(void *arg)
{
	struct job *j = arg;

	j->rc = run(j);
}

enum verdict
letters_eom(struct session *s)
{
	struct job j = { .s = s, .begun_ms = clock_ms(), .rc = -1 };

	j.deadline_ms = j.begun_ms + SESSION_EOM_MS;
	if ((j.persons = calloc(s->m.recipient_count + 1, sizeof(*j.persons))) == NULL)
		bd_fail(&j.e, BD_E_MEMORY, "persons");
	else if (work_run(run_job, &j, session_tick, s, &j.gone, &j.e) == -1)
		j.rc = -1;
	for (size_t i = 0; j.persons != NULL && i < s->m.recipient_count; i++)
		person_clear(&j.persons[i]);
	free(j.persons);
	letters_clear(&j.letters);
	letter_free(&j.letter);
	if (j.rc == -1)
		return session_refuse(s, "eom", &j.e, j.position);
	return VERDICT_DISCARD;
}
