/* SPDX-License-Identifier: Apache-2.0 */
/* Ordinary mail in a session: pass, refuse, resubmit against a scripted server. */
#include "config.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "milter/submit.h"
#include "tests/unit/sessionrig.h"
#include "tests/unit/smtpsink.h"

#define POOL 2 /* connections */

static char folder[] = "/tmp/brevdue-ordinary-XXXXXX";
static char path[64];

static struct rig *
rig_with(enum conf_ordinary ordinary)
{
	struct rig *r = rig_new();
	struct bd_err e = { 0 };

	r->conf.milter.ordinary = ordinary;
	if (ordinary == CONF_ORDINARY_RESUBMIT)
		r->gate.mail_pool = submit_pool_new(path, POOL, 1000, &e);
	return r;
}

static void
test_pass(void **state)
{
	struct rig *r = rig_with(CONF_ORDINARY_PASS);

	(void)state;
	r->login = NULL; /* nobody asks who sends ordinary mail */
	assert_int_equal(rig_mail(r, "<>"), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt(r, "<a@b.example>"), VERDICT_CONTINUE);
	assert_int_equal(session_data(r->s), VERDICT_ACCEPT);
	/* an old MTA: at its first header */
	assert_int_equal(rig_mail(r, "<>"), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt(r, "<a@b.example>"), VERDICT_CONTINUE);
	assert_int_equal(session_header(r->s, "Subject", " x"), VERDICT_ACCEPT);
	assert_int_equal(r->replies, 0);
	rig_free(&r);
}

static void
test_refuse(void **state)
{
	struct rig *r = rig_with(CONF_ORDINARY_REFUSE);

	(void)state;
	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt(r, "<a@b.example>"), VERDICT_REJECT);
	assert_int_equal(r->reply.code, 550);
	/* no recipient was taken: the letter is not spoiled */
	assert_int_equal(rig_rcpt_person(r, 0), VERDICT_CONTINUE);
	session_abort(r->s);
	rig_free(&r);
}

#define NUMBER "01819090013"

/* Ordinary mail would show the number to every log and queue on its way, ours first (promise 6). */
static void
test_numbers_elsewhere(void **state)
{
	static const enum conf_ordinary ways[] = { CONF_ORDINARY_PASS, CONF_ORDINARY_REFUSE,
						   CONF_ORDINARY_RESUBMIT };
	static const char *const senders[] = { "<" NUMBER "@etat.example>", "<" NUMBER ">",
					       "<" NUMBER "@" RIG_DOMAIN ">",
					       "<b+" NUMBER "=x.example@etat.example>" };
	static const char *const recipients[] = { "<" NUMBER "@privat.example>", "<" NUMBER ">",
						  "<Kari." NUMBER "@innbyger.example>" };

	(void)state;
	for (size_t w = 0; w < 3; w++) {
		struct rig *r = rig_with(ways[w]); /* no server: nothing may ask for one */

		for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++) {
			r->reply.code = 0;
			assert_int_equal(rig_mail(r, senders[i]), VERDICT_REJECT);
			assert_int_equal(r->reply.code, 550);
			assert_string_equal(r->reply.status, "5.1.2");
		}
		for (size_t i = 0; i < sizeof(recipients) / sizeof(recipients[0]); i++) {
			assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
			assert_int_equal(rig_rcpt(r, recipients[i]), VERDICT_REJECT);
			assert_string_equal(r->reply.status, "5.1.2");
			/* it was meant as a letter: no outsider may get its text */
			assert_int_equal(rig_rcpt(r, "<a@b.example>"), VERDICT_REJECT);
			assert_string_equal(r->reply.status, "5.7.1");
			assert_int_equal(rig_content(r), VERDICT_REJECT);
			r->queue_id = NULL;
		}
		rig_free(&r);
	}
}

static void
test_number_after_an_outsider(void **state)
{
	struct rig *r = rig_with(CONF_ORDINARY_PASS);
	char to[] = "<c@d.example>", orcpt[] = "ORCPT=rfc822;" NUMBER "@" RIG_DOMAIN;
	char *argv[] = { to, orcpt, NULL };

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
		assert_int_equal(rig_rcpt(r, "<a@b.example>"), VERDICT_CONTINUE);
		if (i == 0)
			assert_int_equal(rig_rcpt(r, "<" NUMBER "@b.example>"), VERDICT_REJECT);
		else
			assert_int_equal(session_rcpt(r->s, argv), VERDICT_REJECT);
		assert_string_equal(r->reply.status, "5.1.2");
		assert_int_equal(rig_content(r), VERDICT_REJECT);
		assert_string_equal(r->reply.status, "5.1.2");
		r->queue_id = NULL;
	}
	rig_free(&r);
}

/* cleanup keeps local mail that is refused before its end: the answer waits, and no submission is
 * opened for it. */
static void
test_numbers_in_local_mail(void **state)
{
	struct rig *r = rig_with(CONF_ORDINARY_RESUBMIT);

	(void)state;
	for (int i = 0; i < 2; i++) {
		r->queue_id = i == 0 ? "4LOCAL1" : "4LOCAL2";
		assert_int_equal(rig_mail(r, i == 0 ? "<" NUMBER "@etat.example>" : RIG_CLERK),
				 VERDICT_CONTINUE);
		if (i == 1)
			assert_int_equal(rig_rcpt(r, "<" NUMBER "@b.example>"), VERDICT_CONTINUE);
		assert_int_equal(rig_rcpt(r, "<a@b.example>"), VERDICT_CONTINUE);
		assert_int_equal(r->replies, i);
		assert_int_equal(rig_content(r), VERDICT_CONTINUE);
		assert_int_equal(rig_eom(r), VERDICT_REJECT);
		assert_string_equal(r->reply.status, "5.1.2");
	}
	rig_free(&r);
}

static void
test_resubmit(void **state)
{
	struct rig *r = rig_with(CONF_ORDINARY_RESUBMIT);
	struct sink *k = sink_start(path, &(struct sink_script){ 0 });
	char from[] = "<ola@etat.example>", size[] = "SIZE=300", body[] = "BODY=8BITMIME";
	char auth[] = "AUTH=<>", utf8[] = "SMTPUTF8", to[] = "<a@b.example>";
	char orcpt[] = "ORCPT=rfc822;x@b.example", notify[] = "NOTIFY=NEVER";
	char *mail_argv[] = { from, size, body, auth, utf8, NULL };
	char *rcpt_argv[] = { to, notify, orcpt, NULL };
	const struct sink_mail *m;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(session_mail(r->s, mail_argv), VERDICT_CONTINUE);
		assert_int_equal(session_rcpt(r->s, rcpt_argv), VERDICT_CONTINUE);
		assert_int_equal(rig_rcpt(r, "<c@d.example>"), VERDICT_CONTINUE);
		r->queue_id = i == 0 ? "4A" : "4B";
		assert_int_equal(session_data(r->s), VERDICT_CONTINUE);
		assert_int_equal(session_header(r->s, "Received", " from x\n\tby y; date"),
				 VERDICT_CONTINUE);
		assert_int_equal(session_header(r->s, "Subject", " \xc3\xa6"), VERDICT_CONTINUE);
		assert_int_equal(session_header(r->s, "Subject", "second"), VERDICT_CONTINUE);
		assert_int_equal(session_eoh(r->s), VERDICT_CONTINUE);
		assert_int_equal(session_body(r->s, ".a\r", 3), VERDICT_CONTINUE);
		assert_int_equal(session_body(r->s, "\n..\r\n", 5), VERDICT_CONTINUE);
		assert_int_equal(rig_eom(r), VERDICT_DISCARD);
	}
	assert_int_equal(sink_mail_count(k), 2);
	assert_int_equal(sink_connections(k), 1);
	m = sink_mail(k, 1);
	assert_string_equal(m->lines[0], "XFORWARD IDENT=4B");
	assert_string_equal(m->lines[1],
			    "MAIL FROM:<ola@etat.example> SIZE=300 BODY=8BITMIME SMTPUTF8");
	assert_string_equal(m->lines[2],
			    "RCPT TO:<a@b.example> NOTIFY=NEVER ORCPT=rfc822;x@b.example");
	assert_string_equal(
	    m->lines[3], "RCPT TO:<c@d.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@y.example");
	assert_int_equal(strncmp(m->content, "Received: from pc (pc.etat.example [10.0.0.1])", 45),
			 0);
	assert_non_null(strstr(m->content, "with ESMTPSA id 4B;"));
	assert_non_null(strstr(m->content, "+0000\r\nReceived: from x\r\n\tby y; date\r\n"
					   "Subject: \xc3\xa6\r\nSubject:second\r\n\r\n"
					   "..a\r\n...\r\n"));
	assert_int_equal(r->gate.memory.used, 0);
	rig_free(&r);
	sink_stop(k);
}

static void
test_resubmit_answers(void **state)
{
	static const struct {
		const char *name;
		struct sink_script script;
		int code;
		const char *status, *text;
		size_t mails; /* whose final dot came */
	} cases[] = {
		{ "sender refused",
		  { .mail = "550 5.7.1 not you 100%" },
		  550,
		  "5.7.1",
		  "not you 100%",
		  0 },
		{ "one recipient refused, the last",
		  { .rcpt = "550 5.1.1 no such user", .rcpt_of = "c@d.example" },
		  550,
		  "5.1.1",
		  "no such user",
		  0 },
		{ "one recipient later, the first",
		  { .rcpt = "450 4.2.0 greylisted", .rcpt_of = "a@b.example" },
		  450,
		  "4.2.0",
		  "greylisted",
		  0 },
		{ "DATA refused", { .data = "452 4.3.1 full" }, 452, "4.3.1", "full", 0 },
		{ "content refused", { .dot = "550 5.7.1 spam" }, 550, "5.7.1", "spam", 1 },
		{ "lost at MAIL",
		  { .cut = SINK_CUT_MAIL, .cut_connections = 9 },
		  451,
		  "4.3.0",
		  "",
		  0 },
		{ "lost at RCPT",
		  { .cut = SINK_CUT_RCPT, .cut_connections = 9 },
		  451,
		  "4.3.0",
		  "",
		  0 },
		{ "lost at DATA",
		  { .cut = SINK_CUT_DATA, .cut_connections = 9 },
		  451,
		  "4.3.0",
		  "",
		  0 },
		{ "lost after the dot",
		  { .cut = SINK_CUT_DOT, .cut_connections = 9 },
		  451,
		  "4.3.0",
		  "",
		  1 },
		{ "late", { .dot_delay_ms = 1500 }, 451, "4.3.0", "", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig *r = rig_with(CONF_ORDINARY_RESUBMIT);
		struct sink *k = sink_start(path, &cases[i].script);

		/* All is taken until the end, where the durable instance is asked. */
		assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
		assert_int_equal(rig_rcpt(r, "<a@b.example>"), VERDICT_CONTINUE);
		assert_int_equal(rig_rcpt(r, "<c@d.example>"), VERDICT_CONTINUE);
		assert_int_equal(rig_content(r), VERDICT_CONTINUE);
		assert_int_equal(rig_eom(r),
				 cases[i].code / 100 == 5 ? VERDICT_REJECT : VERDICT_TEMPFAIL);
		if (r->reply.code != cases[i].code ||
		    strcmp(r->reply.status, cases[i].status) != 0 ||
		    strncmp(r->reply.text, cases[i].text, strlen(cases[i].text)) != 0)
			fail_msg("%s: %d %s %s", cases[i].name, r->reply.code, r->reply.status,
				 r->reply.text);
		assert_int_equal(sink_mail_count(k), cases[i].mails);
		rig_free(&r);
		sink_stop(k);
	}
}

/* Clients that are slow, or have fallen silent, hold no connection of the pool (design section 6).
 */
static void
test_idle_clients_hold_no_connection(void **state)
{
	struct rig *r = rig_with(CONF_ORDINARY_RESUBMIT);
	struct sink *k = sink_start(path, &(struct sink_script){ 0 });
	struct session *idle[POOL + 1] = { 0 };

	(void)state;
	for (size_t i = 0; i < POOL + 1; i++) {
		assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
		assert_int_equal(rig_rcpt(r, "<a@b.example>"), VERDICT_CONTINUE);
		if (i > 0)
			assert_int_equal(rig_content(r), VERDICT_CONTINUE);
		assert_int_equal(submit_pool_open(r->gate.mail_pool), 0);
		r->queue_id = NULL;
		idle[i] = r->s;
		r->s = NULL;
		rig_connect(r);
	}
	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt(r, "<c@d.example>"), VERDICT_CONTINUE);
	assert_int_equal(rig_content(r), VERDICT_CONTINUE);
	assert_int_equal(rig_eom(r), VERDICT_DISCARD);
	assert_int_equal(sink_mail_count(k), 1);
	/* and theirs is taken when they go on */
	assert_int_equal(session_eom(idle[POOL]), VERDICT_DISCARD);
	assert_int_equal(sink_mail_count(k), 2);
	for (size_t i = 0; i < POOL + 1; i++)
		session_free(&idle[i]);
	rig_free(&r);
	sink_stop(k);
}

static void
test_ordinary_mail_counts_as_memory(void **state)
{
	struct rig *r = rig_with(CONF_ORDINARY_RESUBMIT);
	struct sink *k = sink_start(path, &(struct sink_script){ 0 });
	static const char chunk[65535];

	(void)state;
	r->gate.memory.limit = 100000;
	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt(r, "<a@b.example>"), VERDICT_CONTINUE);
	assert_int_equal(rig_content(r), VERDICT_CONTINUE);
	assert_int_equal(session_body(r->s, chunk, sizeof(chunk)), VERDICT_CONTINUE);
	assert_int_equal(session_body(r->s, chunk, sizeof(chunk)), VERDICT_TEMPFAIL);
	assert_int_equal(r->reply.code, 451);
	assert_int_equal(r->gate.memory.used, 0);
	assert_int_equal(sink_connections(k), 0);
	rig_free(&r);
	sink_stop(k);
}

static void
test_abort_submits_nothing(void **state)
{
	struct rig *r = rig_with(CONF_ORDINARY_RESUBMIT);
	struct sink *k = sink_start(path, &(struct sink_script){ 0 });

	(void)state;
	for (int step = 0; step < 3; step++) {
		assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
		assert_int_equal(rig_rcpt(r, "<a@b.example>"), VERDICT_CONTINUE);
		if (step > 0)
			assert_int_equal(rig_content(r), VERDICT_CONTINUE);
		if (step == 2)
			rig_connect(r);
		else
			session_abort(r->s);
		r->queue_id = NULL;
	}
	assert_int_equal(sink_connections(k), 0);
	/* a mixed mail is refused whichever came first, and nothing of it is submitted */
	assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt(r, "<a@b.example>"), VERDICT_CONTINUE);
	assert_int_equal(rig_rcpt_person(r, 0), VERDICT_REJECT);
	assert_int_equal(rig_content(r), VERDICT_REJECT);
	assert_int_equal(sink_mail_count(k), 0);
	assert_int_equal(r->submitted_count, 0);
	rig_free(&r);
	sink_stop(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_refuse),
		cmocka_unit_test(test_numbers_elsewhere),
		cmocka_unit_test(test_number_after_an_outsider),
		cmocka_unit_test(test_numbers_in_local_mail),
		cmocka_unit_test(test_resubmit),
		cmocka_unit_test(test_resubmit_answers),
		cmocka_unit_test(test_idle_clients_hold_no_connection),
		cmocka_unit_test(test_ordinary_mail_counts_as_memory),
		cmocka_unit_test(test_abort_submits_nothing),
	};
	int rc;

	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/s", folder);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return rc;
}
