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

static char folder[] = "/tmp/brevdue-ordinary-XXXXXX";
static char path[64];

static struct rig *
rig_with(enum conf_ordinary ordinary)
{
	struct rig *r = rig_new();
	struct bd_err e = { 0 };

	r->conf.milter.ordinary = ordinary;
	if (ordinary == CONF_ORDINARY_RESUBMIT)
		r->gate.mail_pool = submit_pool_new(path, 2, 1000, &e);
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
	assert_string_equal(m->lines[0],
			    "MAIL FROM:<ola@etat.example> SIZE=300 BODY=8BITMIME SMTPUTF8");
	assert_string_equal(m->lines[1],
			    "RCPT TO:<a@b.example> NOTIFY=NEVER ORCPT=rfc822;x@b.example");
	assert_string_equal(
	    m->lines[2], "RCPT TO:<c@d.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@y.example");
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
		int at; /* 0 RCPT, 1 DATA, 2 end */
		int code;
		const char *status, *text;
	} cases[] = {
		{ "sender refused",
		  { .mail = "550 5.7.1 not you 100%" },
		  0,
		  550,
		  "5.7.1",
		  "not you 100%" },
		{ "recipient refused",
		  { .rcpt = "550 5.1.1 no such user" },
		  0,
		  550,
		  "5.1.1",
		  "no such user" },
		{ "recipient later",
		  { .rcpt = "450 4.2.0 greylisted" },
		  0,
		  450,
		  "4.2.0",
		  "greylisted" },
		{ "DATA refused", { .data = "452 4.3.1 full" }, 1, 452, "4.3.1", "full" },
		{ "content refused", { .dot = "550 5.7.1 spam" }, 2, 550, "5.7.1", "spam" },
		{ "lost at MAIL",
		  { .cut = SINK_CUT_MAIL, .cut_connections = 9 },
		  0,
		  451,
		  "4.3.0",
		  "" },
		{ "lost at DATA",
		  { .cut = SINK_CUT_DATA, .cut_connections = 9 },
		  1,
		  451,
		  "4.3.0",
		  "" },
		{ "lost after the dot",
		  { .cut = SINK_CUT_DOT, .cut_connections = 9 },
		  2,
		  451,
		  "4.3.0",
		  "" },
		{ "late", { .dot_delay_ms = 1500 }, 2, 451, "4.3.0", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig *r = rig_with(CONF_ORDINARY_RESUBMIT);
		struct sink *k = sink_start(path, &cases[i].script);
		enum verdict v;
		int at = 0;

		assert_int_equal(rig_mail(r, RIG_CLERK), VERDICT_CONTINUE);
		v = rig_rcpt(r, "<a@b.example>");
		if (v == VERDICT_CONTINUE) {
			at = 1;
			v = rig_content(r);
		}
		if (v == VERDICT_CONTINUE) {
			at = 2;
			v = rig_eom(r);
		}
		if (at != cases[i].at || r->reply.code != cases[i].code ||
		    strcmp(r->reply.status, cases[i].status) != 0 ||
		    strncmp(r->reply.text, cases[i].text, strlen(cases[i].text)) != 0)
			fail_msg("%s: at %d %d %s %s", cases[i].name, at, r->reply.code,
				 r->reply.status, r->reply.text);
		rig_free(&r);
		sink_stop(k);
	}
}

static void
test_abort_cuts_the_submission(void **state)
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
	assert_int_equal(submit_pool_open(r->gate.mail_pool), 0);
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
		cmocka_unit_test(test_resubmit),
		cmocka_unit_test(test_resubmit_answers),
		cmocka_unit_test(test_abort_cuts_the_submission),
	};
	int rc;

	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/s", folder);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return rc;
}
