/* SPDX-License-Identifier: Apache-2.0 */
/* The events of a session. What letters and ordinary mail do with them stands in session_letters.c
 * and session_ordinary.c. */
#include "config.h"
#include "milter/session_private.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/log.h"
#include "lookup/address.h"

#define LOCAL_PART_CHARS 1024

struct session *
session_new(struct gate *g, const struct mta_ops *ops, void *mta, bool lead_space)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->g = g;
	s->ops = ops;
	s->mta = mta;
	s->lead_space = lead_space;
	s->m.fd = -1;
	return s;
}

void
session_free(struct session **sp)
{
	if (*sp == NULL)
		return;
	session_end_mail(*sp);
	free(*sp);
	*sp = NULL;
}

const char *
session_macro(const struct session *s, const char *name)
{
	const char *value = s->ops->macro(s->mta, name);

	return value != NULL ? value : "";
}

void
session_take_queue_id(struct session *s, bool fresh)
{
	const char *id;

	if (s->m.queue_id[0] != '\0' || *(id = session_macro(s, "i")) == '\0')
		return;
	if (!fresh && strcmp(id, s->last_queue_id) == 0)
		return; /* threats.md 2 */
	snprintf(s->m.queue_id, sizeof(s->m.queue_id), "%s", id);
}

int
session_tick(void *session)
{
	struct session *s = session;

	return s->ops->still_working(s->mta);
}

void
session_end_mail(struct session *s)
{
	if (s->m.queue_id[0] != '\0')
		memcpy(s->last_queue_id, s->m.queue_id, sizeof(s->last_queue_id));
	s->g->ops->forget(&s->question);
	ordinary_clear(&s->ordinary);
	message_clear(&s->m);
	if (s->in_mail)
		atomic_fetch_sub(&s->g->mails, 1);
	s->in_mail = false;
	s->role = ROLE_NONE;
	s->data_done = s->body_started = s->late = s->doomed = false;
	s->authorised = s->reached = false;
	s->doom = (struct bd_err){ 0 };
	s->client = NULL;
	s->agency = NULL;
	s->sender = NULL;
}

enum verdict
session_refuse(struct session *s, const char *stage, const struct bd_err *e, unsigned position)
{
	struct reply r;

	/* The one place that logs a refusal is the one that sends it. Never an address. */
	reply_from_error(&r, e, s->g->conf->reply_language, s->m.rcpt_commands > 1 ? position : 0);
	(r.code / 100 == 5 ? log_info : log_warn)(
	    "refused queue=%s stage=%s recipient=%u kind=%s code=%d dsn=%s cause=%s",
	    s->m.queue_id[0] != '\0' ? s->m.queue_id : "-", stage, position, bd_kind_name(e->kind),
	    r.code, r.status, e->cause);
	s->ops->reply(s->mta, &r);
	return r.verdict;
}

enum verdict
session_refuse_mail(struct session *s, const char *stage, const struct bd_err *e, unsigned position)
{
	enum verdict v = session_refuse(s, stage, e, position);

	session_end_mail(s);
	return v;
}

enum verdict
session_answer(struct session *s, const char *stage, const struct submit_answer *a)
{
	struct reply r;

	reply_from_answer(&r, a->code, a->status, a->text);
	log_info("ordinary queue=%s stage=%s result=refused code=%d dsn=%s",
		 s->m.queue_id[0] != '\0' ? s->m.queue_id : "-", stage, r.code, r.status);
	s->ops->reply(s->mta, &r);
	return r.verdict;
}

enum verdict
session_connect(struct session *s, const char *hostname, const struct sockaddr *sa)
{
	socklen_t len = 0;

	session_end_mail(s);
	policy_peer_set(&s->peer, hostname, sa);
	snprintf(s->hostname, sizeof(s->hostname), "%s", hostname != NULL ? hostname : "unknown");
	s->address[0] = '\0';
	if (sa != NULL && sa->sa_family == AF_INET)
		len = sizeof(struct sockaddr_in);
	else if (sa != NULL && sa->sa_family == AF_INET6)
		len = sizeof(struct sockaddr_in6);
	if (len > 0 &&
	    getnameinfo(sa, len, s->address, sizeof(s->address), NULL, 0, NI_NUMERICHOST) != 0)
		s->address[0] = '\0';
	return VERDICT_CONTINUE;
}

enum verdict
session_helo(struct session *s, const char *helo)
{
	snprintf(s->helo, sizeof(s->helo), "%s", helo);
	return VERDICT_CONTINUE;
}

static void
doom_mail(struct session *s, const struct bd_err *e)
{
	if (!s->doomed)
		s->doom = *e;
	s->doomed = true;
}

enum verdict
session_mail(struct session *s, char **argv)
{
	struct bd_err e = { 0 };

	session_end_mail(s); /* macros and data of the mail before are stale */
	atomic_fetch_add(&s->g->mails, 1);
	s->in_mail = true;
	if (argv == NULL || argv[0] == NULL) {
		bd_fail(&e, BD_E_INTERNAL, "MAIL without an address");
		return session_refuse_mail(s, "mail", &e, 0);
	}
	if (message_init(&s->m, &s->g->memory, argv, &e) == -1)
		return session_refuse_mail(s, "mail", &e, 0);
	/* smtpd has no queue id yet at MAIL (observed); cleanup, for local mail, has. */
	session_take_queue_id(s, false);
	s->late = s->m.queue_id[0] != '\0';
	/* Of a letter as well: reports to it would show the number. */
	if (address_holds_number(s->m.from)) {
		bd_fail(&e, BD_E_NUMBER_ELSEWHERE, "national number in the sender's address");
		if (!s->late)
			return session_refuse_mail(s, "mail", &e, 0);
		doom_mail(s, &e);
	}
	return VERDICT_CONTINUE;
}

/* "None was sent", says the answer to mixed recipients, so the rest of the mail goes too. */
static enum verdict
refuse_mixed(struct session *s)
{
	struct bd_err e = { 0 };

	bd_fail(&e, BD_E_MIXED, "citizens and others in one mail");
	doom_mail(s, &e);
	return s->late ? VERDICT_CONTINUE : session_refuse(s, "rcpt", &e, 0);
}

/* A mistyped or forgotten domain makes ordinary mail of a letter, and logs and queues on its way
 * would show the number. It was meant as a letter, so it counts as a citizen's. */
static bool
holds_number(char **argv)
{
	const char *orcpt = message_param(argv, "ORCPT");

	return address_holds_number(argv[0]) || (orcpt != NULL && address_holds_number(orcpt));
}

static enum verdict
rcpt_with_number(struct session *s)
{
	struct bd_err e = { 0 };

	bd_fail(&e, BD_E_NUMBER_ELSEWHERE, "national number in another recipient's address");
	if (s->late || s->role == ROLE_ORDINARY)
		doom_mail(s, &e);
	else
		s->role = ROLE_LETTERS;
	return s->late ? VERDICT_CONTINUE : session_refuse(s, "rcpt", &e, 0);
}

static enum verdict
rcpt_other(struct session *s, char **argv)
{
	struct bd_err e = { 0 };

	if (holds_number(argv))
		return rcpt_with_number(s);
	if (s->role == ROLE_LETTERS)
		return refuse_mixed(s);
	if (s->doomed) /* it goes to nobody, so nobody is asked about it */
		return s->late ? VERDICT_CONTINUE : session_refuse(s, "rcpt", &s->doom, 0);
	switch (s->g->conf->milter.ordinary) {
	case CONF_ORDINARY_PASS:
		s->role = ROLE_ORDINARY;
		return VERDICT_CONTINUE;
	case CONF_ORDINARY_RESUBMIT:
		return ordinary_mail_rcpt(s, argv);
	case CONF_ORDINARY_REFUSE:
		break;
	}
	bd_fail(&e, BD_E_NOT_FOR_CITIZENS, "ordinary = refuse");
	if (!s->late)
		return session_refuse(s, "rcpt", &e, 0);
	doom_mail(s, &e);
	return VERDICT_CONTINUE;
}

enum verdict
session_rcpt(struct session *s, char **argv)
{
	const struct conf_domain *domain;
	char local[LOCAL_PART_CHARS];
	struct bd_err e = { 0 };
	enum verdict v;

	if (!s->in_mail || argv == NULL || argv[0] == NULL) {
		bd_fail(&e, BD_E_INTERNAL, "RCPT without MAIL or address");
		return session_refuse_mail(s, "rcpt", &e, 0);
	}
	session_take_queue_id(s, false);
	s->m.rcpt_commands++;
	domain = citizen_domain(s->g->conf, argv[0], local, sizeof(local));
	if (domain == NULL)
		return rcpt_other(s, argv);
	if (s->role == ROLE_ORDINARY) {
		explicit_bzero(local, sizeof(local));
		return refuse_mixed(s);
	}
	/* A refused citizen counts as one too: the sender meant a letter, and clients go on to DATA
	 * with whom was taken. */
	s->role = ROLE_LETTERS;
	v = VERDICT_CONTINUE;
	if (letters_rcpt(s, argv, domain, local, &e) == -1) {
		if (s->late)
			doom_mail(s, &e);
		else
			v = session_refuse(s, "rcpt", &e, s->m.rcpt_commands);
	}
	explicit_bzero(local, sizeof(local));
	return v;
}

enum verdict
session_data(struct session *s)
{
	struct bd_err e = { 0 };

	if (!s->in_mail) {
		bd_fail(&e, BD_E_INTERNAL, "content without MAIL");
		return session_refuse_mail(s, "data", &e, 0);
	}
	s->data_done = true;
	session_take_queue_id(s, true);
	if (s->doomed)
		return s->late ? VERDICT_CONTINUE : session_refuse_mail(s, "data", &s->doom, 0);
	switch (s->role) {
	case ROLE_LETTERS:
		if (s->m.recipient_count == 0)
			break;
		if (letters_ask(s, &e) == -1)
			return session_refuse_mail(s, "data", &e, 0);
		return VERDICT_CONTINUE;
	case ROLE_ORDINARY:
		return ordinary_mail_data(s);
	case ROLE_NONE:
		break;
	}
	bd_fail(&e, BD_E_INTERNAL, "mail without recipients");
	return session_refuse_mail(s, "data", &e, 0);
}

/* Whether content of this mail goes anywhere; else *v_r is the answer. */
static bool
wants_content(struct session *s, enum verdict *v_r)
{
	*v_r = VERDICT_CONTINUE;
	if (!s->data_done || !s->in_mail)
		*v_r = session_data(s);
	return *v_r == VERDICT_CONTINUE && !s->doomed;
}

/* After -1 from a content event: letters and ordinary mail fail alike. */
static enum verdict
content_result(struct session *s, int rc, const struct bd_err *e)
{
	if (rc == 0)
		return VERDICT_CONTINUE;
	session_take_queue_id(s, true);
	return session_refuse_mail(s, "content", e, 0);
}

enum verdict
session_header(struct session *s, const char *name, const char *value)
{
	struct bd_err e = { 0 };
	enum verdict v;
	int rc;

	if (!wants_content(s, &v))
		return v;
	if (s->role == ROLE_ORDINARY)
		rc = ordinary_mail_header(s, name, value, &e);
	else
		rc = message_header(&s->m, s->g->conf, name, value, s->lead_space, &e);
	return content_result(s, rc, &e);
}

enum verdict
session_eoh(struct session *s)
{
	struct bd_err e = { 0 };
	enum verdict v;

	if (!wants_content(s, &v))
		return v;
	session_take_queue_id(s, true);
	s->body_started = true;
	return content_result(s,
			      s->role == ROLE_ORDINARY ? message_add(&s->m, "\r\n", 2, &e)
						       : message_eoh(&s->m, s->g->conf, &e),
			      &e);
}

enum verdict
session_body(struct session *s, const void *data, size_t len)
{
	struct bd_err e = { 0 };
	enum verdict v;
	int rc;

	if (!wants_content(s, &v))
		return v;
	if (!s->body_started && (v = session_eoh(s)) != VERDICT_CONTINUE)
		return v;
	if (s->role == ROLE_ORDINARY)
		rc = message_add(&s->m, data, len, &e);
	else
		rc = message_body(&s->m, s->g->conf, data, len, &e);
	return content_result(s, rc, &e);
}

enum verdict
session_eom(struct session *s)
{
	enum verdict v;

	if (!wants_content(s, &v))
		return v == VERDICT_CONTINUE ? session_refuse_mail(s, "eom", &s->doom, 0) : v;
	session_take_queue_id(s, true);
	if (!s->body_started && (v = session_eoh(s)) != VERDICT_CONTINUE)
		return v;
	v = s->role == ROLE_ORDINARY ? ordinary_mail_eom(s) : letters_eom(s);
	session_end_mail(s);
	return v;
}

void
session_abort(struct session *s)
{
	session_end_mail(s);
}
