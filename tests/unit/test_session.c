/* SPDX-License-Identifier: Apache-2.0 */
/* The session's state machine with a recorded MTA: letters. */
#include "config.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "envelope/sealed.h"
#include "tests/unit/sessionrig.h"

#define S(text) ((char[]){ text })

static int
setup(void **state)
{
	*state = rig_new();
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	rig_free(&r);
	return 0;
}

static void
assert_reply(const struct rig *r, int code, const char *status)
{
	if (r->reply.code != code || strcmp(r->reply.status, status) != 0)
		fail_msg("%d %s %s", r->reply.code, r->reply.status, r->reply.text);
}

static void
test_letter_goes_out_sealed(void **state)
{
	struct rig *r = *state;
	struct control_record *c;
	char text[2000], to[128];

	assert_int_equal(rig_letter(r, 0), VERDICT_DISCARD);
	assert_int_equal(r->submitted_count, 1);
	assert_int_equal(r->replies, 0);
	assert_string_equal(r->submitted[0].ident, "4FRONT1");
	assert_string_equal(r->submitted[0].args, "RET=HDRS NOTIFY=FAILURE,DELAY");
	assert_string_equal(r->read, "Subject: Vedtak\r\nFrom: kari@etat.example\r\n\r\n"
				     "Hei.\r\n.punktum\r\n");
	assert_non_null(strstr(r->reader_options, "\"queue_id\":\"4FRONT1\""));
	assert_null(strstr((char *)r->submitted[0].data, r->people[0]));
	assert_null(strstr((char *)r->submitted[0].data, "Vedtak"));
	c = rig_open(r, 0, text, sizeof(text));
	assert_int_equal(strlen(text), 1000);
	snprintf(to, sizeof(to), "%s@" RIG_PROVIDER ".digital.brevdue.invalid", c->letter_id);
	assert_string_equal(r->submitted[0].to, to);
	assert_int_equal(strncmp(r->submitted[0].from, c->letter_id, 32), 0);
	assert_string_equal(r->submitted[0].from + 32, "@report.brevdue.invalid");
	assert_string_equal(c->agency, "etat");
	assert_string_equal(c->orgnr, "123456785");
	assert_string_equal(c->kind, "important");
	assert_string_equal(c->route, "digital");
	assert_string_equal(c->title, "Vedtak");
	assert_string_equal(c->public_title, "Brev fra etaten");
	assert_int_equal(c->security_level, 4);
	assert_true(c->open_receipt);
	assert_string_equal(c->mail_from, "kari@etat.example");
	assert_string_equal(c->envid, "e1");
	assert_string_equal(c->ret, "HDRS");
	assert_string_equal(c->notify, "SUCCESS,FAILURE");
	assert_string_equal(c->front_queue_id, "4FRONT1");
	snprintf(to, sizeof(to), "%s@" RIG_DOMAIN, r->people[0]);
	assert_string_equal(c->recipient, to);
	assert_string_equal(c->orcpt, "rfc822;x@y.example");
	assert_string_equal(c->addressees[0].national_id, r->people[0]);
	assert_string_equal(c->addressees[0].notice_email, "a@privat.example");
	assert_int_equal(c->repeat_count, 2);
	assert_int_equal(c->repeats[1], 7);
	assert_int_equal(c->index, 1);
	assert_int_equal(c->count, 1);
	control_free(&c);
}

static void
test_abort_at_every_step(void **state)
{
	struct rig *r = *state;

	for (int step = 0; step < 8; step++) {
		if (step > 0)
			assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
		if (step > 1)
			assert_int_equal(rig_rcpt_person(r, 0), VERDICT_CONTINUE);
		if (step > 2)
			assert_int_equal(rig_rcpt_person(r, 1), VERDICT_CONTINUE);
		r->queue_id = "4GONE";
		if (step > 3)
			assert_int_equal(session_data(r->s), VERDICT_CONTINUE);
		if (step > 4)
			assert_int_equal(session_header(r->s, "Subject", " x"), VERDICT_CONTINUE);
		if (step > 5)
			assert_int_equal(session_eoh(r->s), VERDICT_CONTINUE);
		if (step > 6)
			assert_int_equal(session_body(r->s, "x", 1), VERDICT_CONTINUE);
		r->queue_id = NULL;
		session_abort(r->s);
		if (step % 2 == 0)
			session_abort(r->s); /* observed: twice in a row */
		assert_int_equal(r->gate.memory.used, 0);
		assert_int_equal(r->open_questions, 0);
		assert_int_equal(atomic_load(&r->gate.mails), 0);
		if (step % 3 == 0)
			rig_connect(r);
		assert_int_equal(rig_letter(r, 2), VERDICT_DISCARD);
	}
	assert_int_equal(r->submitted_count, 8);
}

/* A new MAIL without an abort, and an end without close, must not mix two mails either. */
static void
test_three_mails_in_a_session(void **state)
{
	struct rig *r = *state;
	struct control_record *c;
	char text[2000];

	assert_int_equal(rig_letter(r, 0), VERDICT_DISCARD);
	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt_person(r, 1), VERDICT_CONTINUE);
	r->submit_fails_at = 2;
	assert_int_equal(rig_letter(r, 2), VERDICT_TEMPFAIL);
	assert_reply(r, 451, "4.3.0");
	r->submit_fails_at = 0;
	assert_int_equal(rig_letter(r, 3), VERDICT_DISCARD);
	assert_int_equal(r->submitted_count, 2);
	c = rig_open(r, 1, text, sizeof(text));
	assert_string_equal(c->addressees[0].national_id, r->people[3]);
	assert_int_equal(c->count, 1);
	control_free(&c);
}

static void
test_stale_queue_id(void **state)
{
	struct rig *r = *state;

	assert_int_equal(rig_letter(r, 0), VERDICT_DISCARD);
	r->queue_id = "4FRONT1"; /* still there when the next mail begins */
	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	/* were it taken for local mail, this would not be refused yet */
	assert_int_equal(rig_rcpt(r, "<12345678901@" RIG_DOMAIN ">"), VERDICT_REJECT);
	assert_int_equal(rig_rcpt_person(r, 1), VERDICT_CONTINUE);
	r->queue_id = "4FRONT2";
	assert_int_equal(rig_content(r), VERDICT_CONTINUE);
	assert_int_equal(rig_eom(r), VERDICT_DISCARD);
	assert_string_equal(r->submitted[1].ident, "4FRONT2");
}

static void
test_recipients_refused(void **state)
{
	static const struct {
		const char *name, *from, *to, *login, *tls;
		bool register_down;
		int code;
		const char *status;
	} cases[] = {
		{ "bad number", RIG_CLERK, "<12345678901@" RIG_DOMAIN ">", "kari", "TLSv1.3", false,
		  550, "5.1.3" },
		{ "no number", RIG_CLERK, "<kari@" RIG_DOMAIN ">", "kari", "TLSv1.3", false, 550,
		  "5.1.3" },
		{ "no login", RIG_CLERK, NULL, NULL, "TLSv1.3", false, 550, "5.7.1" },
		{ "unknown login", RIG_CLERK, NULL, "per", "TLSv1.3", false, 550, "5.7.1" },
		{ "not in the table", "<x@annen.example>", NULL, "kari", "TLSv1.3", false, 550,
		  "5.7.1" },
		{ "no TLS", RIG_CLERK, NULL, "kari", NULL, false, 550, "5.7.10" },
		{ "old TLS", RIG_CLERK, NULL, "kari", "TLSv1", false, 550, "5.7.10" },
		{ "null sender", "<>", NULL, "kari", "TLSv1.3", false, 550, "5.7.1" },
		{ "register down", RIG_CLERK, NULL, "kari", "TLSv1.3", true, 451, "4.4.3" },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum verdict v;

		r->login = cases[i].login;
		r->tls = cases[i].tls;
		r->register_down = cases[i].register_down;
		rig_connect(r);
		assert_int_equal(rig_mail(r, cases[i].from), VERDICT_CONTINUE);
		v = cases[i].to != NULL ? rig_rcpt(r, cases[i].to) : rig_rcpt_person(r, 0);
		if (v != (cases[i].code / 100 == 5 ? VERDICT_REJECT : VERDICT_TEMPFAIL))
			fail_msg("%s: verdict %d", cases[i].name, (int)v);
		assert_reply(r, cases[i].code, cases[i].status);
		session_abort(r->s);
	}
	assert_int_equal(r->asked, 0);
}

static void
test_null_sender_with_reports_to(void **state)
{
	struct rig *r = *state;
	struct control_record *c;
	char text[2000];

	r->conf.clients[0].reports_to = S("vakt@etat.example");
	assert_int_equal(rig_mail(r, "<>"), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt_person(r, 0), VERDICT_CONTINUE);
	assert_int_equal(rig_content(r), VERDICT_CONTINUE);
	/* vakt@ may send service messages only, and answers for the null sender */
	assert_int_equal(rig_eom(r), VERDICT_REJECT);
	assert_reply(r, 550, "5.7.1");
	r->conf.domains[0].kind = CONF_KIND_SERVICE;
	assert_int_equal(rig_mail(r, "<>"), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt_person(r, 0), VERDICT_CONTINUE);
	assert_int_equal(rig_content(r), VERDICT_CONTINUE);
	assert_int_equal(rig_eom(r), VERDICT_DISCARD);
	c = rig_open(r, 0, text, sizeof(text));
	assert_string_equal(c->mail_from, "");
	assert_string_equal(c->reports_to, "vakt@etat.example");
	assert_string_equal(c->kind, "service");
	control_free(&c);
}

static void
test_nothing_is_known(void **state)
{
	struct rig *r = *state;

	r->login = r->tls = r->listener = NULL;
	r->queue_id = NULL;
	rig_connect(r);
	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt_person(r, 0), VERDICT_REJECT);
	/* content all the same: events out of order must not crash, and are never accepted */
	assert_int_equal(session_eom(r->s), VERDICT_TEMPFAIL);
	assert_int_equal(session_body(r->s, "x", 1), VERDICT_TEMPFAIL);
	assert_int_equal(session_header(r->s, "x", " y"), VERDICT_TEMPFAIL);
	assert_int_equal(session_rcpt(r->s, NULL), VERDICT_TEMPFAIL);
	assert_int_equal(session_mail(r->s, NULL), VERDICT_TEMPFAIL);
	assert_int_equal(r->submitted_count, 0);
}

static void
test_mixed_recipients(void **state)
{
	struct rig *r = *state;

	for (int order = 0; order < 2; order++) {
		assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
		if (order == 0) {
			assert_int_equal(rig_rcpt_person(r, 0), VERDICT_CONTINUE);
			assert_int_equal(rig_rcpt(r, "<kari@privat.example>"), VERDICT_REJECT);
		} else {
			assert_int_equal(rig_rcpt(r, "<kari@privat.example>"), VERDICT_CONTINUE);
			assert_int_equal(rig_rcpt_person(r, 0), VERDICT_REJECT);
		}
		assert_reply(r, 550, "5.7.1");
		assert_int_equal(rig_content(r), VERDICT_REJECT);
		assert_reply(r, 550, "5.7.1");
		r->queue_id = NULL;
	}
	assert_int_equal(r->submitted_count, 0);
	assert_int_equal(r->asked, 0);
	assert_int_equal(rig_letter(r, 0), VERDICT_DISCARD);
}

/* A citizen's recipient that was refused was still meant: the letter's text goes to nobody else. */
static void
test_mixed_with_a_refused_citizen(void **state)
{
	static const struct {
		const char *name, *to; /* NULL: people[0] */
		const char *size;
		bool register_down;
		int code;
	} cases[] = {
		{ "mistyped number", "<12345678901@" RIG_DOMAIN ">", NULL, false, 550 },
		{ "register down", NULL, NULL, true, 451 },
		{ "too much work", NULL, "SIZE=60000000", false, 452 },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int outsider_first = 0; outsider_first < 2; outsider_first++) {
			char from[] = RIG_CLERK, size[32];
			char *argv[] = { from, cases[i].size != NULL ? size : NULL, NULL };

			print_message("  %s %d\n", cases[i].name, outsider_first);
			snprintf(size, sizeof(size), "%s",
				 cases[i].size != NULL ? cases[i].size : "");
			r->conf.milter.mail_work = cases[i].size != NULL ? 1000 : 200000000;
			r->register_down = cases[i].register_down;
			assert_int_equal(session_mail(r->s, argv), VERDICT_CONTINUE);
			if (outsider_first)
				assert_int_equal(rig_rcpt(r, "<kari@privat.example>"),
						 VERDICT_CONTINUE);
			assert_int_not_equal(cases[i].to != NULL ? rig_rcpt(r, cases[i].to)
								 : rig_rcpt_person(r, 0),
					     VERDICT_CONTINUE);
			assert_int_equal(r->reply.code, outsider_first ? 550 : cases[i].code);
			/* a second outsider, after both */
			assert_int_equal(rig_rcpt(r, "<ola@privat.example>"), VERDICT_REJECT);
			assert_reply(r, 550, "5.7.1");
			assert_non_null(strstr(r->reply.text, "other recipients"));
			assert_int_equal(rig_content(r), VERDICT_REJECT);
			assert_reply(r, 550, "5.7.1");
			r->queue_id = NULL;
		}
	}
	r->register_down = false;
	r->conf.milter.mail_work = 200000000;
	assert_int_equal(r->submitted_count, 0);
	assert_int_equal(rig_letter(r, 0), VERDICT_DISCARD);
}

static void
test_only_refused_citizens_is_no_ordinary_mail(void **state)
{
	struct rig *r = *state;

	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt(r, "<12345678901@" RIG_DOMAIN ">"), VERDICT_REJECT);
	assert_int_equal(rig_content(r), VERDICT_TEMPFAIL);
	assert_int_equal(r->asked, 0);
	r->queue_id = NULL;
	/* the next mail, and the one after RSET, know nothing of it */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
		assert_int_equal(rig_rcpt(r, "<12345678901@" RIG_DOMAIN ">"), VERDICT_REJECT);
		if (i == 1)
			session_abort(r->s);
		assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
		assert_int_equal(rig_rcpt(r, "<kari@privat.example>"), VERDICT_CONTINUE);
		assert_int_equal(session_data(r->s), VERDICT_ACCEPT);
	}
}

static void
test_thousand_recipients(void **state)
{
	struct rig *r = *state;
	size_t taken = 0;

	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	for (size_t i = 0; i < RIG_PEOPLE; i++) {
		if (rig_rcpt_person(r, i) == VERDICT_CONTINUE)
			taken++;
		else
			assert_reply(r, 452, "4.5.3");
	}
	assert_int_equal(taken, 100);
	assert_int_equal(r->reached, 1);
	assert_int_equal(rig_content(r), VERDICT_CONTINUE);
	assert_int_equal(rig_eom(r), VERDICT_DISCARD);
	assert_int_equal(r->submitted_count, 100);
	assert_int_equal(r->asked, 1);
	for (size_t i = 1; i < 100; i++)
		assert_string_not_equal(r->submitted[i].to, r->submitted[i - 1].to);
}

static void
test_same_person_twice_is_one_letter(void **state)
{
	struct rig *r = *state;
	char named[128];

	snprintf(named, sizeof(named), "<Kari.Nordmann.%s@" RIG_DOMAIN ">", r->people[0]);
	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt_person(r, 0), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt(r, named), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt_person(r, 0), VERDICT_CONTINUE);
	assert_int_equal(rig_content(r), VERDICT_CONTINUE);
	assert_int_equal(rig_eom(r), VERDICT_DISCARD);
	assert_int_equal(r->submitted_count, 1);
}

/* A retry, and one through another gateway, makes the same letter in the same set. */
static void
test_retry_is_the_same_letter(void **state)
{
	struct rig *r = *state;
	struct control_record *a, *b;
	char text[2000];

	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
		assert_int_equal(rig_rcpt_person(r, 0), VERDICT_CONTINUE);
		assert_int_equal(rig_rcpt_person(r, 1), VERDICT_CONTINUE);
		r->queue_id = i == 0 ? "4ONE" : "4TWO";
		r->message_id = i == 0 ? "2030.4ONE@front" : "2030.4TWO@front"; /* Postfix's own */
		assert_int_equal(rig_content(r), VERDICT_CONTINUE);
		assert_int_equal(rig_eom(r), VERDICT_DISCARD);
	}
	assert_int_equal(r->submitted_count, 4);
	assert_string_equal(r->submitted[0].to, r->submitted[2].to);
	assert_string_equal(r->submitted[1].to, r->submitted[3].to);
	a = rig_open(r, 0, text, sizeof(text));
	b = rig_open(r, 3, text, sizeof(text));
	assert_string_equal(a->mail_id, b->mail_id);
	assert_null(a->message_id);
	assert_int_equal(b->index, 2);
	assert_int_equal(b->count, 2);
	control_free(&a);
	control_free(&b);
	r->message_id = "real@etat.example"; /* the sender's own: another letter */
	assert_int_equal(rig_letter(r, 0), VERDICT_DISCARD);
	assert_string_not_equal(r->submitted[4].to, r->submitted[0].to);
}

static void
test_one_refusal_refuses_all_by_position(void **state)
{
	static const struct {
		const char *name;
		enum rig_fate second, third;
		int code;
		const char *status, *text;
	} cases[] = {
		{ "opted out", FATE_OPTED_OUT, FATE_DIGITAL, 550, "5.3.3", "Recipient 2: " },
		{ "no answer for one", FATE_DIGITAL, FATE_UNKNOWN, 451, "4.4.3", "Recipient 3: " },
		{ "answer for another", FATE_OTHER_PERSON, FATE_DIGITAL, 451, "4.4.3",
		  "Recipient 2: " },
		{ "bad certificate", FATE_BAD_CERTIFICATE, FATE_DIGITAL, 451, "4.7.5",
		  "Recipient 2: " },
		{ "certificate of another provider", FATE_OTHERS_CERTIFICATE, FATE_DIGITAL, 451,
		  "4.7.5", "Recipient 2: " },
		{ "certificate of an untrusted root", FATE_DIGITAL, FATE_UNTRUSTED_ROOT, 451,
		  "4.7.5", "Recipient 3: " },
		{ "permanent goes first", FATE_UNKNOWN, FATE_OPTED_OUT, 550, "5.3.3",
		  "Recipient 3: " },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r->fate[1] = cases[i].second;
		r->fate[2] = cases[i].third;
		assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
		for (size_t p = 0; p < 3; p++)
			assert_int_equal(rig_rcpt_person(r, p), VERDICT_CONTINUE);
		assert_int_equal(rig_content(r), VERDICT_CONTINUE);
		if (rig_eom(r) != (cases[i].code / 100 == 5 ? VERDICT_REJECT : VERDICT_TEMPFAIL))
			fail_msg("%s", cases[i].name);
		assert_reply(r, cases[i].code, cases[i].status);
		if (strncmp(r->reply.text, cases[i].text, strlen(cases[i].text)) != 0)
			fail_msg("%s: %s", cases[i].name, r->reply.text);
	}
	assert_int_equal(r->submitted_count, 0);
}

static void
test_mail_refused(void **state)
{
	struct rig *r = *state;

	r->is_reply = true;
	assert_int_equal(rig_letter(r, 0), VERDICT_REJECT);
	assert_reply(r, 550, "5.6.0");
	r->conf.agencies[0].replies = true;
	assert_int_equal(rig_letter(r, 0), VERDICT_DISCARD);

	r->options[0] = (struct letter_option){ S("kind"), S("urgent") };
	r->option_count = 1;
	assert_int_equal(rig_letter(r, 0), VERDICT_REJECT);
	assert_reply(r, 550, "5.6.0");
	assert_non_null(strstr(r->reply.text, "Brevdue-Kind"));
	r->option_count = 0;

	r->read_fails = BD_E_CONTENT_TYPE;
	assert_int_equal(rig_letter(r, 0), VERDICT_REJECT);
	assert_reply(r, 550, "5.6.1");
	r->read_fails = 0;

	r->conf.milter.package_size = 60000;
	assert_int_equal(rig_letter(r, 0), VERDICT_REJECT);
	assert_reply(r, 552, "5.3.4");
	r->conf.milter.package_size = 50000000;

	r->collect_fails = true;
	assert_int_equal(rig_letter(r, 0), VERDICT_TEMPFAIL);
	assert_reply(r, 451, "4.4.3");
	r->collect_fails = false;

	r->ask_fails = true;
	assert_int_equal(rig_letter(r, 0), VERDICT_TEMPFAIL);
	assert_reply(r, 451, "4.4.3");
	r->ask_fails = false;

	r->gate.memory.limit = 100;
	assert_int_equal(rig_letter(r, 0), VERDICT_TEMPFAIL);
	assert_reply(r, 451, "4.3.1");
	r->gate.memory.limit = 500000000;
	assert_int_equal(r->submitted_count, 1);
	assert_int_equal(rig_letter(r, 0), VERDICT_DISCARD);
}

static void
test_third_death_of_a_reader(void **state)
{
	struct rig *r = *state;

	r->read_fails = BD_E_READER;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_letter(r, 0), VERDICT_TEMPFAIL);
		assert_reply(r, 451, "4.3.0");
	}
	assert_int_equal(rig_letter(r, 0), VERDICT_REJECT);
	assert_reply(r, 554, "5.6.0");
}

/* From the first submission on only 4xx: for each k of n. */
static void
test_kth_submission_fails(void **state)
{
	struct rig *r = *state;

	for (size_t k = 1; k <= 3; k++) {
		size_t before = r->submitted_count;

		assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
		for (size_t p = 0; p < 3; p++)
			assert_int_equal(rig_rcpt_person(r, p), VERDICT_CONTINUE);
		assert_int_equal(rig_content(r), VERDICT_CONTINUE);
		r->submit_fails_at = before + k;
		assert_int_equal(rig_eom(r), VERDICT_TEMPFAIL);
		assert_reply(r, 451, "4.3.0");
		assert_int_equal(r->submitted_count, before + k - 1);
	}
}

/* What would be a refusal for good before the first submission is none after it: a client that took
 * it for final would report letters as not sent that are on their way. */
static void
test_permanent_failure_after_a_submission(void **state)
{
	struct rig *r = *state;

	r->submit_fails_at = 2;
	r->submit_fails = BD_E_TOO_BIG;
	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	for (size_t p = 0; p < 2; p++)
		assert_int_equal(rig_rcpt_person(r, p), VERDICT_CONTINUE);
	assert_int_equal(rig_content(r), VERDICT_CONTINUE);
	assert_int_equal(rig_eom(r), VERDICT_TEMPFAIL);
	assert_reply(r, 451, "4.3.0");
	assert_int_equal(r->submitted_count, 1);
}

static void
test_hourly_limit(void **state)
{
	struct rig *r = *state;
	struct bd_err e = { 0 };

	r->conf.agencies[0].senders[0].per_hour = 2;
	rate_clear(&r->gate.rate);
	assert_int_equal(rate_init(&r->gate.rate, &r->conf, &e), 0);
	r->submit_fails_at = 1;
	assert_int_equal(rig_letter(r, 0), VERDICT_TEMPFAIL); /* not sent, not counted */
	r->submit_fails_at = 0;
	assert_int_equal(rig_letter(r, 0), VERDICT_DISCARD);
	assert_int_equal(rig_letter(r, 1), VERDICT_DISCARD);
	assert_int_equal(rig_letter(r, 2), VERDICT_TEMPFAIL);
	assert_reply(r, 451, "4.7.0");
	assert_int_equal(r->submitted_count, 2);
	r->conf.agencies[0].senders[0].per_hour = 0;
}

static void
test_levels_and_options(void **state)
{
	struct rig *r = *state;
	struct control_record *c;
	char text[2000], to[128];
	struct {
		const char *option, *suffix;
		bool private_mark;
		int level;
	} cases[] = {
		{ NULL, "", false, 4 },       { "3", "", false, 3 }, { NULL, "+level3", false, 3 },
		{ "4", "+level3", false, 4 }, { "3", "", true, 4 },  { NULL, "+level3", true, 4 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char value[2] = "";

		r->option_count = cases[i].option != NULL;
		if (cases[i].option != NULL)
			memcpy(value, cases[i].option, 2);
		r->options[0] = (struct letter_option){ S("security-level"), value };
		r->private_mark = cases[i].private_mark;
		snprintf(to, sizeof(to), "<%s%s@" RIG_DOMAIN ">", r->people[i], cases[i].suffix);
		assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
		assert_int_equal(rig_rcpt(r, to), VERDICT_CONTINUE);
		assert_int_equal(rig_content(r), VERDICT_CONTINUE);
		assert_int_equal(rig_eom(r), VERDICT_DISCARD);
		c = rig_open(r, i, text, sizeof(text));
		assert_int_equal(c->security_level, cases[i].level);
		control_free(&c);
	}
}

static void
test_headers_that_do_not_fit(void **state)
{
	struct rig *r = *state;
	char *big = calloc(1, 40000);

	memset(big, 'x', 39999);
	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt_person(r, 0), VERDICT_CONTINUE);
	assert_int_equal(session_data(r->s), VERDICT_CONTINUE);
	assert_int_equal(session_header(r->s, "Subject", big), VERDICT_REJECT);
	assert_reply(r, 550, "5.6.0");
	free(big);
	assert_int_equal(r->gate.memory.used, 0);
}

static void
test_size_and_work_limits(void **state)
{
	struct rig *r = *state;
	char from[] = RIG_CLERK, size[] = "SIZE=120000000", small[] = "SIZE=60000000";
	char *argv[] = { from, size, NULL };

	assert_int_equal(session_mail(r->s, argv), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt_person(r, 0), VERDICT_REJECT);
	assert_reply(r, 552, "5.3.4");
	argv[1] = small;
	assert_int_equal(session_mail(r->s, argv), VERDICT_CONTINUE);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(rig_rcpt_person(r, i), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt_person(r, 3), VERDICT_TEMPFAIL);
	assert_reply(r, 452, "4.5.3");
	session_abort(r->s);
	/* the same when it was not announced */
	r->conf.milter.mail_work = 100;
	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(rig_rcpt_person(r, i), VERDICT_CONTINUE);
	assert_int_equal(rig_content(r), VERDICT_TEMPFAIL);
	assert_reply(r, 452, "4.5.3");
}

static void
test_profiles_that_read_differently(void **state)
{
	struct rig *r = *state;
	char to[128];

	snprintf(to, sizeof(to), "<%s@faktura.example.no>", r->people[1]);
	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt_person(r, 0), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt(r, to), VERDICT_TEMPFAIL);
	assert_reply(r, 452, "4.5.3"); /* the client sends it in a mail of its own */
}

static void
test_old_mta_without_data(void **state)
{
	struct rig *r = *state;

	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt_person(r, 0), VERDICT_CONTINUE);
	assert_int_equal(session_header(r->s, "Subject", " x"), VERDICT_CONTINUE);
	assert_int_equal(session_eoh(r->s), VERDICT_CONTINUE);
	assert_int_equal(session_eom(r->s), VERDICT_DISCARD); /* no body at all */
	assert_int_equal(r->asked, 1);
	assert_string_equal(r->read, "Subject: x\r\n\r\n");
}

static void
test_local_submission_is_refused_at_the_end(void **state)
{
	struct rig *r = *state;

	r->queue_id = "4LOCAL"; /* known at MAIL: cleanup, not smtpd */
	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt_person(r, 0), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt(r, "<12345678901@" RIG_DOMAIN ">"), VERDICT_CONTINUE);
	assert_int_equal(rig_content(r), VERDICT_CONTINUE);
	assert_int_equal(rig_eom(r), VERDICT_REJECT);
	assert_reply(r, 550, "5.1.3");
	assert_int_equal(r->submitted_count, 0);
	assert_int_equal(r->gate.memory.used, 0);
}

static void
test_mta_hangs_up_while_we_wait(void **state)
{
	struct rig *r = *state;

	r->collect_ms = 1500;
	r->is_gone = true;
	assert_int_equal(rig_letter(r, 0), VERDICT_TEMPFAIL);
	assert_true(r->ticks >= 1);
	assert_int_equal(r->submitted_count, 0);
	r->is_gone = false;
	assert_int_equal(rig_letter(r, 0), VERDICT_DISCARD);
}

#define SESSION_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SESSION_TEST(test_letter_goes_out_sealed),
		SESSION_TEST(test_abort_at_every_step),
		SESSION_TEST(test_three_mails_in_a_session),
		SESSION_TEST(test_stale_queue_id),
		SESSION_TEST(test_recipients_refused),
		SESSION_TEST(test_null_sender_with_reports_to),
		SESSION_TEST(test_nothing_is_known),
		SESSION_TEST(test_mixed_recipients),
		SESSION_TEST(test_mixed_with_a_refused_citizen),
		SESSION_TEST(test_only_refused_citizens_is_no_ordinary_mail),
		SESSION_TEST(test_thousand_recipients),
		SESSION_TEST(test_same_person_twice_is_one_letter),
		SESSION_TEST(test_retry_is_the_same_letter),
		SESSION_TEST(test_one_refusal_refuses_all_by_position),
		SESSION_TEST(test_mail_refused),
		SESSION_TEST(test_third_death_of_a_reader),
		SESSION_TEST(test_kth_submission_fails),
		SESSION_TEST(test_permanent_failure_after_a_submission),
		SESSION_TEST(test_hourly_limit),
		SESSION_TEST(test_levels_and_options),
		SESSION_TEST(test_headers_that_do_not_fit),
		SESSION_TEST(test_size_and_work_limits),
		SESSION_TEST(test_profiles_that_read_differently),
		SESSION_TEST(test_old_mta_without_data),
		SESSION_TEST(test_local_submission_is_refused_at_the_end),
		SESSION_TEST(test_mta_hangs_up_while_we_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
