/* SPDX-License-Identifier: Apache-2.0 */
/* The submission client against a scripted server: what is tried again, what is not, and the pool.
 */
#include "config.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "milter/smtpc.h"
#include "milter/submit.h"
#include "tests/unit/smtpsink.h"

static char folder[] = "/tmp/brevdue-submit-XXXXXX";
static char path[64];

static const struct submit_envelope envelope = {
	.from = "id@report.brevdue.invalid",
	.from_args = "RET=HDRS",
	.ident = "4FRONT1",
};

static int
send_text(struct submit_pool *p, const char *text, char queue_id[SUBMIT_QUEUE_ID_CHARS],
	  struct bd_err *e)
{
	return submit_mail(p, &envelope, "id@x.digital.brevdue.invalid", "NOTIFY=FAILURE,DELAY",
			   text, strlen(text), clock_ms() + 5000, queue_id, e);
}

static struct submit_pool *
new_pool(unsigned connections, int timeout_ms)
{
	struct bd_err e = { 0 };
	struct submit_pool *p = submit_pool_new(path, connections, timeout_ms, &e);

	assert_non_null(p);
	return p;
}

static char *
make_text(size_t len)
{
	char *text = malloc(len + 1);

	for (size_t i = 0; i < len; i += 2)
		memcpy(text + i, i % 78 == 76 || i + 2 == len ? "\r\n" : "xx", 2);
	text[len] = '\0';
	return text;
}

struct cut_case {
	const char *name;
	struct sink_script script;
	int rc;
	enum bd_kind kind;
	unsigned connections; /* made in all */
	size_t mails;         /* whose dot reached the server */
};

static const struct cut_case cut_cases[] = {
	{ "all is well", { 0 }, 0, 0, 1, 1 },
	{ "no greeting", { .cut = SINK_CUT_GREETING, .cut_connections = 9 }, -1, BD_E_QUEUE, 1, 0 },
	{ "cut at MAIL, once", { .cut = SINK_CUT_MAIL, .cut_connections = 1 }, 0, 0, 2, 1 },
	{ "cut at MAIL, twice",
	  { .cut = SINK_CUT_MAIL, .cut_connections = 2 },
	  -1,
	  BD_E_QUEUE,
	  2,
	  0 },
	{ "cut at RCPT, once", { .cut = SINK_CUT_RCPT, .cut_connections = 1 }, 0, 0, 2, 1 },
	{ "cut at DATA, once", { .cut = SINK_CUT_DATA, .cut_connections = 1 }, 0, 0, 2, 1 },
	{ "cut in content, once", { .cut = SINK_CUT_CONTENT, .cut_connections = 1 }, 0, 0, 2, 1 },
	{ "cut in content, twice",
	  { .cut = SINK_CUT_CONTENT, .cut_connections = 2 },
	  -1,
	  BD_E_QUEUE,
	  2,
	  0 },
	{ "cut after the dot",
	  { .cut = SINK_CUT_DOT, .cut_connections = 1 },
	  -1,
	  BD_E_QUEUE,
	  1,
	  1 },
	{ "4xx to MAIL", { .mail = "452 4.3.1 full" }, -1, BD_E_QUEUE, 1, 0 },
	{ "5xx to MAIL", { .mail = "550 5.7.1 no" }, -1, BD_E_QUEUE, 1, 0 },
	{ "421 to MAIL, always", { .mail = "421 4.3.2 going" }, -1, BD_E_QUEUE, 2, 0 },
	{ "4xx to RCPT", { .rcpt = "451 4.3.0 later" }, -1, BD_E_QUEUE, 1, 0 },
	{ "5xx to RCPT", { .rcpt = "550 5.1.1 nobody" }, -1, BD_E_QUEUE, 1, 0 },
	{ "5xx to DATA", { .data = "554 5.5.1 no" }, -1, BD_E_QUEUE, 1, 0 },
	{ "4xx to the dot", { .dot = "452 4.3.1 full" }, -1, BD_E_QUEUE, 1, 1 },
	{ "5xx to the dot", { .dot = "552 5.3.4 big" }, -1, BD_E_QUEUE, 1, 1 },
	{ "slow to the dot", { .dot_delay_ms = 900 }, -1, BD_E_QUEUE, 1, 1 },
	{ "no SMTP", { .mail = "hello" }, -1, BD_E_QUEUE, 2, 0 },
};

static void
test_cuts_and_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cut_cases) / sizeof(cut_cases[0]); i++) {
		const struct cut_case *c = &cut_cases[i];
		struct sink *k = sink_start(path, &c->script);
		struct submit_pool *p = new_pool(2, 400);
		char queue_id[SUBMIT_QUEUE_ID_CHARS] = "";
		/* more than socket buffers hold, so that a cut comes before the dot */
		char *text = make_text(c->script.cut == SINK_CUT_CONTENT ? 3000000 : 30);
		struct bd_err e = { 0 };
		int rc = send_text(p, text, queue_id, &e);

		if (rc != c->rc || (rc == -1 && e.kind != c->kind) ||
		    sink_connections(k) != c->connections || sink_mail_count(k) != c->mails)
			fail_msg("%s: rc %d kind %d connections %u mails %zu: %s", c->name, rc,
				 (int)e.kind, sink_connections(k), sink_mail_count(k), e.cause);
		if (rc == 0)
			assert_string_equal(queue_id, "4SINK1");
		submit_pool_free(&p);
		sink_stop(k);
		free(text);
	}
}

static void
test_envelope_on_the_wire(void **state)
{
	struct sink *k = sink_start(path, &(struct sink_script){ 0 });
	struct submit_pool *p = new_pool(2, 2000);
	char queue_id[SUBMIT_QUEUE_ID_CHARS];
	struct bd_err e = { 0 };
	const struct sink_mail *m;

	(void)state;
	assert_int_equal(send_text(p, "a\r\n.b\r\n..\r\n", queue_id, &e), 0);
	m = sink_mail(k, 0);
	assert_int_equal(m->line_count, 4);
	assert_string_equal(m->lines[0], "XFORWARD IDENT=4FRONT1");
	assert_string_equal(m->lines[1], "MAIL FROM:<id@report.brevdue.invalid> RET=HDRS");
	assert_string_equal(m->lines[2],
			    "RCPT TO:<id@x.digital.brevdue.invalid> NOTIFY=FAILURE,DELAY");
	assert_string_equal(m->content, "a\r\n..b\r\n...\r\n");
	submit_pool_free(&p);
	sink_stop(k);
}

static void
test_what_is_not_offered_is_not_said(void **state)
{
	struct sink *k = sink_start(
	    path, &(struct sink_script){ .ehlo = "250-sink\r\n250 ENHANCEDSTATUSCODES" });
	struct submit_pool *p = new_pool(2, 2000);
	char queue_id[SUBMIT_QUEUE_ID_CHARS];
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(send_text(p, "a\r\n", queue_id, &e), 0);
	assert_int_equal(sink_mail(k, 0)->line_count, 3);
	assert_string_equal(sink_mail(k, 0)->lines[0], "MAIL FROM:<id@report.brevdue.invalid>");
	assert_string_equal(sink_mail(k, 0)->lines[1], "RCPT TO:<id@x.digital.brevdue.invalid>");
	submit_pool_free(&p);
	sink_stop(k);
}

/* All chunkings of content must come out alike. */
static void
test_dots_and_line_ends_in_any_chunking(void **state)
{
	static const char in[] = ".a\r\n..\r\n\n.lone\nx\r.y\r\n.\r\nlast";
	static const char out[] = "..a\r\n...\r\n\r\n..lone\r\nx\r.y\r\n..\r\nlast\r\n";
	static const size_t chunks[] = { 1, 2, 3, 7, 100 };

	(void)state;
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		struct sink *k = sink_start(path, &(struct sink_script){ 0 });
		struct submit_pool *p = new_pool(1, 2000);
		struct submit_stream *s;
		struct submit_answer a;
		struct bd_err e = { 0 };
		int64_t deadline = clock_ms() + 5000;

		assert_int_equal(submit_open(p, &envelope, deadline, &s, &a, &e), 0);
		assert_int_equal(submit_rcpt(s, "a@b", "", deadline, &a, &e), 0);
		assert_int_equal(submit_data(s, deadline, &a, &e), 0);
		for (size_t at = 0; at < sizeof(in) - 1; at += chunks[i]) {
			size_t n = sizeof(in) - 1 - at;

			assert_int_equal(
			    submit_write(s, in + at, n < chunks[i] ? n : chunks[i], deadline, &e),
			    0);
		}
		assert_int_equal(submit_end(s, deadline, &a, &e), 0);
		assert_int_equal(a.code, 250);
		submit_close(&s);
		assert_string_equal(sink_mail(k, 0)->content, out);
		submit_pool_free(&p);
		sink_stop(k);
	}
}

static void
test_big_content_arrives_whole(void **state)
{
	size_t len = 3000000;
	char *big = make_text(len), queue_id[SUBMIT_QUEUE_ID_CHARS];
	struct sink *k = sink_start(path, &(struct sink_script){ 0 });
	struct submit_pool *p = new_pool(1, 5000);
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(send_text(p, big, queue_id, &e), 0);
	assert_int_equal(sink_mail(k, 0)->content_len, len);
	assert_memory_equal(sink_mail(k, 0)->content, big, len);
	submit_pool_free(&p);
	sink_stop(k);
	free(big);
}

static void
test_connections_are_reused_and_closed_when_idle(void **state)
{
	struct sink *k = sink_start(path, &(struct sink_script){ 0 });
	struct submit_pool *p = new_pool(4, 2000);
	char queue_id[SUBMIT_QUEUE_ID_CHARS];
	struct bd_err e = { 0 };
	int64_t begun = clock_ms();

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(send_text(p, "a\r\n", queue_id, &e), 0);
	assert_int_equal(sink_connections(k), 1);
	while (sink_live(k) > 0 && clock_ms() - begun < 3 * SUBMIT_IDLE_MS)
		usleep(50000);
	assert_int_equal(sink_live(k), 0);
	assert_in_range(clock_ms() - begun, SUBMIT_IDLE_MS, SUBMIT_IDLE_MS + 3000);
	assert_int_equal(submit_pool_open(p), 0);
	assert_int_equal(send_text(p, "a\r\n", queue_id, &e), 0);
	submit_pool_free(&p);
	sink_stop(k);
}

/* The server ended the pooled connection meanwhile: the next mail does not notice. */
static void
test_stale_connection_is_replaced(void **state)
{
	struct sink *k = sink_start(path, &(struct sink_script){ .close_idle = true });
	struct submit_pool *p = new_pool(4, 2000);
	char queue_id[SUBMIT_QUEUE_ID_CHARS];
	struct bd_err e = { 0 };

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(send_text(p, "a\r\n", queue_id, &e), 0);
	assert_int_equal(sink_connections(k), 3);
	assert_int_equal(sink_mail_count(k), 3);
	submit_pool_free(&p);
	sink_stop(k);
}

static void
test_refused_mail_leaves_the_connection_usable_or_closed(void **state)
{
	struct sink *k = sink_start(path, &(struct sink_script){ .rcpt = "550 5.1.1 no" });
	struct submit_pool *p = new_pool(1, 2000);
	char queue_id[SUBMIT_QUEUE_ID_CHARS];
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(send_text(p, "a\r\n", queue_id, &e), -1);
	sink_script_set(k, &(struct sink_script){ 0 });
	assert_int_equal(send_text(p, "a\r\n", queue_id, &e), 0);
	/* nothing of the refused transaction is left in the next one */
	assert_int_equal(sink_mail(k, 0)->line_count, 4);
	submit_pool_free(&p);
	sink_stop(k);
}

static void
test_full_pool_is_busy(void **state)
{
	struct sink *k = sink_start(path, &(struct sink_script){ 0 });
	struct submit_pool *p = new_pool(1, 2000);
	char queue_id[SUBMIT_QUEUE_ID_CHARS];
	struct submit_stream *s;
	struct submit_answer a;
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(submit_open(p, &envelope, clock_ms() + 2000, &s, &a, &e), 0);
	assert_int_equal(
	    submit_mail(p, &envelope, "a@b", "", "a\r\n", 3, clock_ms() + 200, queue_id, &e), -1);
	assert_int_equal(e.kind, BD_E_BUSY);
	submit_close(&s);
	assert_int_equal(send_text(p, "a\r\n", queue_id, &e), 0);
	submit_pool_free(&p);
	sink_stop(k);
}

struct many {
	struct submit_pool *p;
	int failures;
};

static void *
send_many(void *arg)
{
	struct many *m = arg;
	char queue_id[SUBMIT_QUEUE_ID_CHARS];

	for (int i = 0; i < 5; i++) {
		struct bd_err e = { 0 };

		if (send_text(m->p, "a\r\n", queue_id, &e) == -1)
			__atomic_add_fetch(&m->failures, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void
test_pool_is_bounded_under_load(void **state)
{
	struct sink *k = sink_start(path, &(struct sink_script){ .dot_delay_ms = 5 });
	struct many m = { .p = new_pool(3, 2000) };
	pthread_t threads[10];

	(void)state;
	for (size_t i = 0; i < 10; i++)
		pthread_create(&threads[i], NULL, send_many, &m);
	for (size_t i = 0; i < 10; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(m.failures, 0);
	assert_int_equal(sink_mail_count(k), 50);
	assert_in_range(sink_connections(k), 1, 3);
	submit_pool_free(&m.p);
	sink_stop(k);
}

static void
test_no_server(void **state)
{
	struct submit_pool *p = new_pool(1, 500);
	char queue_id[SUBMIT_QUEUE_ID_CHARS];
	struct bd_err e = { 0 };

	(void)state;
	unlink(path);
	assert_int_equal(send_text(p, "a\r\n", queue_id, &e), -1);
	assert_int_equal(e.kind, BD_E_QUEUE);
	assert_int_equal(submit_pool_open(p), 0);
	submit_pool_free(&p);
}

static void
test_reply_lines(void **state)
{
	static const struct {
		const char *line;
		int rc, code;
		bool more;
		const char *rest;
	} cases[] = {
		{ "250 2.0.0 Ok", 0, 250, false, "2.0.0 Ok" },
		{ "250-x", 0, 250, true, "x" },
		{ "250", 0, 250, false, "" },
		{ "25", -1, 0, false, "" },
		{ "150 x", -1, 0, false, "" },
		{ "650 x", -1, 0, false, "" },
		{ "2500 x", -1, 0, false, "" },
		{ "", -1, 0, false, "" },
		{ "2 0 x", -1, 0, false, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *rest = "";
		int code = 0;
		bool more = false;

		assert_int_equal(smtpc_parse_line(cases[i].line, &code, &more, &rest), cases[i].rc);
		assert_int_equal(code, cases[i].code);
		assert_int_equal(more, cases[i].more);
		assert_string_equal(rest, cases[i].rest);
	}
}

static void
test_queue_id(void **state)
{
	struct submit_answer a = { .code = 250, .text = "Ok: queued as 4ABC (x)" };
	char id[SUBMIT_QUEUE_ID_CHARS];

	(void)state;
	submit_queue_id(&a, id);
	assert_string_equal(id, "4ABC");
	snprintf(a.text, sizeof(a.text), "fine");
	submit_queue_id(&a, id);
	assert_string_equal(id, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts_and_refusals),
		cmocka_unit_test(test_envelope_on_the_wire),
		cmocka_unit_test(test_what_is_not_offered_is_not_said),
		cmocka_unit_test(test_dots_and_line_ends_in_any_chunking),
		cmocka_unit_test(test_big_content_arrives_whole),
		cmocka_unit_test(test_connections_are_reused_and_closed_when_idle),
		cmocka_unit_test(test_stale_connection_is_replaced),
		cmocka_unit_test(test_refused_mail_leaves_the_connection_usable_or_closed),
		cmocka_unit_test(test_full_pool_is_busy),
		cmocka_unit_test(test_pool_is_bounded_under_load),
		cmocka_unit_test(test_no_server),
		cmocka_unit_test(test_reply_lines),
		cmocka_unit_test(test_queue_id),
	};
	int rc;

	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/s", folder);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return rc;
}
