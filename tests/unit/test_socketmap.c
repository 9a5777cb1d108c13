/* SPDX-License-Identifier: Apache-2.0 */
/* The socketmap protocol: bytes to requests, and the connection's state machine, without sockets.
 */
#include "config.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lookup/session.h"
#include "lookup/socketmap.h"

#define ID "01819090013"
#define OTHER "41810120035"

static const struct {
	const char *name;
	const char *data;
	size_t len; /* 0: strlen */
	enum socketmap_result result;
	const char *map, *key;
	size_t used;
} cases[] = {
	{ "request", "18:person 01819090013,", 0, SOCKETMAP_REQUEST, "person", ID, 22 },
	{ "bytes behind", "8:person a,9:per", 0, SOCKETMAP_REQUEST, "person", "a", 11 },
	{ "empty key", "7:person ,", 0, SOCKETMAP_REQUEST, "person", "", 10 },
	{ "blanks in the key", "10:persons  a,", 0, SOCKETMAP_REQUEST, "persons", " a", 14 },
	{ "nothing", "", 0, SOCKETMAP_MORE, NULL, NULL, 0 },
	{ "half a length", "1", 0, SOCKETMAP_MORE, NULL, NULL, 0 },
	{ "half a text", "18:person 018", 0, SOCKETMAP_MORE, NULL, NULL, 0 },
	{ "comma missing yet", "8:person a", 0, SOCKETMAP_MORE, NULL, NULL, 0 },
	{ "comma wrong", "8:person ab", 0, SOCKETMAP_BROKEN, NULL, NULL, 0 },
	{ "too long", "100001:", 0, SOCKETMAP_BROKEN, NULL, NULL, 0 },
	{ "far too long", "99999999999999999999:", 0, SOCKETMAP_BROKEN, NULL, NULL, 0 },
	{ "no end of digits", "0000000000", 0, SOCKETMAP_BROKEN, NULL, NULL, 0 },
	{ "leading zero", "08:person a,", 0, SOCKETMAP_BROKEN, NULL, NULL, 0 },
	{ "negative", "-1:a,", 0, SOCKETMAP_BROKEN, NULL, NULL, 0 },
	{ "sign", "+8:person a,", 0, SOCKETMAP_BROKEN, NULL, NULL, 0 },
	{ "blank before the colon", "8 :person a,", 0, SOCKETMAP_BROKEN, NULL, NULL, 0 },
	{ "no length", ":person a,", 0, SOCKETMAP_BROKEN, NULL, NULL, 0 },
	{ "HTTP", "GET / HTTP/1.1\r\n", 0, SOCKETMAP_BROKEN, NULL, NULL, 0 },
	{ "NUL for a length", "\0", 1, SOCKETMAP_BROKEN, NULL, NULL, 0 },
	{ "empty", "0:,", 0, SOCKETMAP_REFUSED, NULL, NULL, 3 },
	{ "no blank", "6:person,", 0, SOCKETMAP_REFUSED, NULL, NULL, 9 },
	{ "no map", "2: a,", 0, SOCKETMAP_REFUSED, NULL, NULL, 5 },
	{ "map too long", "40:abcdefghijabcdefghijabcdefghijabcdefghi ,", 0, SOCKETMAP_REFUSED,
	  NULL, NULL, 44 },
	{ "CR", "9:person a\r,", 0, SOCKETMAP_REFUSED, NULL, NULL, 12 },
	{ "LF", "9:person \na,", 0, SOCKETMAP_REFUSED, NULL, NULL, 12 },
	{ "NUL in the key", "9:person a\0,", 12, SOCKETMAP_REFUSED, NULL, NULL, 12 },
	{ "LF in the map", "9:per\non a,", 0, SOCKETMAP_MORE, NULL, NULL, 0 },
};

static void
test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = cases[i].len != 0 ? cases[i].len : strlen(cases[i].data), used = 0;
		/* on the heap to its last byte, so that a sanitizer sees a read beyond */
		char *data = malloc(len + 1);
		struct socketmap_request r;

		assert_non_null(data);
		memcpy(data, cases[i].data, len);
		print_message("  %s\n", cases[i].name);
		assert_int_equal(socketmap_parse(data, len, &r, &used), cases[i].result);
		if (cases[i].used != 0)
			assert_int_equal(used, cases[i].used);
		if (cases[i].map != NULL) {
			assert_string_equal(r.map, cases[i].map);
			assert_int_equal(r.key_len, strlen(cases[i].key));
			assert_memory_equal(r.key, cases[i].key, r.key_len);
		}
		free(data);
	}
}

/* However the bytes are cut, the request is the same and nothing before its end is one. */
static void
test_any_cut(void **state)
{
	const char text[] = "18:person 01819090013,";

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		struct socketmap_request r;
		size_t used;

		assert_int_equal(socketmap_parse(text, len, &r, &used), SOCKETMAP_MORE);
	}
}

static struct conf_agency agency = { .name = (char *)(uintptr_t) "agency", .prints = true };
static struct conf_domain domain = { .name = (char *)(uintptr_t) "innbygger.example.no" };
static struct conf conf = { .synthetic = true,
			    .agencies = &agency,
			    .agency_count = 1,
			    .domains = &domain,
			    .domain_count = 1 };

static void
feed(struct session *s, const char *text)
{
	assert_int_equal(session_input(s, text, strlen(text)), 0);
}

static void
test_session_one_question_at_a_time(void **state)
{
	struct session s = { 0 };
	struct question q;

	(void)state;
	feed(&s, "18:person " ID ",18:person " OTHER ",");
	assert_true(session_next(&s, &conf, &q));
	assert_int_equal(q.map, QUESTION_PERSON);
	assert_string_equal(q.ids[0], ID);
	question_clear(&q);
	assert_false(session_next(&s, &conf, &q)); /* the second waits */
	question_clear(&q);
	assert_int_equal(session_answer(&s, "OK", "first", 5), 0);
	assert_true(session_next(&s, &conf, &q));
	assert_string_equal(q.ids[0], OTHER);
	question_clear(&q);
	assert_int_equal(session_answer(&s, "TEMP", "second", 6), 0);
	assert_string_equal(buf_str(&s.out), "8:OK first,11:TEMP second,");
	session_clear(&s);
}

/* Appends text as a netstring. */
static void
feed_request(struct session *s, const char *text)
{
	struct buf framed = { 0 };

	assert_int_equal(buf_addf(&framed, "%zu:%s,", strlen(text), text), 0);
	feed(s, buf_str(&framed));
	buf_free(&framed);
}

static const struct {
	const char *name;
	const char *request; /* NULL: only the bytes behind */
	const char *behind;
	const char *answer; /* NULL: none */
	bool broken;
} answered[] = {
	{ "no number", "person a", "", "NOTFOUND ", false },
	{ "wrong check digit", "person 01819090014", "", "NOTFOUND ", false },
	{ "no such map", "nobody a", "",
	  "PERM no such map; there are person, recipient, decision and persons", false },
	{ "control character", "person a\n", "", "PERM a request is: map, blank, key on one line",
	  false },
	{ "no kind", "decision a", "",
	  "PERM the key is [AGENCY/]important:NUMBER or service:NUMBER", false },
	{ "unknown kind", "decision paper:" ID, "", "PERM the kind is important or service",
	  false },
	{ "unknown agency", "decision other/important:" ID, "", "PERM no such agency", false },
	{ "decision about no number", "decision important:1", "", "NOTFOUND ", false },
	{ "batch without JSON", "persons {", "", "PERM the key is not JSON", false },
	{ "batch without purpose", "persons {\"ids\":[\"" ID "\"]}", "",
	  "PERM purpose must say in a word what the question is for", false },
	{ "purpose of many words", "persons {\"ids\":[\"" ID "\"],\"purpose\":\"a b\"}", "",
	  "PERM purpose must say in a word what the question is for", false },
	{ "batch of none", "persons {\"ids\":[],\"purpose\":\"x\"}", "",
	  "PERM ids must be an array of 1 to 1000 numbers", false },
	{ "batch of numbers", "persons {\"ids\":[7],\"purpose\":\"x\"}", "",
	  "PERM one of ids is not a valid number", false },
	{ "batch for an unknown agency",
	  "persons {\"ids\":[\"" ID "\"],\"purpose\":\"x\",\"agency\":\"other\"}", "",
	  "PERM no such agency", false },
	{ "recipient of ours", "recipient Kari." ID "@innbygger.example.no", "", "OK OK", false },
	{ "recipient without a number", "recipient kari@innbygger.example.no", "", "NOTFOUND ",
	  false },
	{ "recipient of others", "recipient " ID "@example.no", "", "NOTFOUND ", false },
	{ "recipient, domain only", "recipient @innbygger.example.no", "", "NOTFOUND ", false },
	{ "broken", NULL, "hello", NULL, true },
	{ "good, then broken", "person a", "hello", "NOTFOUND ", true },
};

static void
test_session_answers_without_the_register(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answered) / sizeof(answered[0]); i++) {
		struct session s = { 0 };
		struct question q;
		struct buf expected = { 0 };

		print_message("  %s\n", answered[i].name);
		if (answered[i].request != NULL)
			feed_request(&s, answered[i].request);
		feed(&s, answered[i].behind);
		if (answered[i].answer != NULL)
			assert_int_equal(buf_addf(&expected, "%zu:%s,", strlen(answered[i].answer),
						  answered[i].answer),
					 0);
		assert_false(session_next(&s, &conf, &q));
		question_clear(&q);
		assert_string_equal(buf_str(&s.out), buf_str(&expected));
		assert_int_equal(s.broken, answered[i].broken);
		buf_free(&expected);
		session_clear(&s);
	}
}

static void
test_session_decision_and_batch(void **state)
{
	struct session s = { 0 };
	struct question q;

	(void)state;
	feed_request(&s, "decision agency/service:" ID);
	assert_true(session_next(&s, &conf, &q));
	assert_int_equal(q.map, QUESTION_DECISION);
	assert_int_equal(q.kind, CONF_KIND_SERVICE);
	assert_string_equal(q.agency, "agency");
	question_clear(&q);
	session_clear(&s);

	feed_request(&s, "persons {\"ids\":[\"" ID "\",\"" OTHER
			 "\"],\"agency\":\"agency\",\"purpose\":\"letter\"}");
	assert_true(session_next(&s, &conf, &q));
	assert_int_equal(q.map, QUESTION_PERSONS);
	assert_int_equal(q.count, 2);
	assert_string_equal(q.ids[1], OTHER);
	assert_string_equal(q.purpose, "letter");
	question_clear(&q);
	session_clear(&s);
}

static void
test_session_is_bounded(void **state)
{
	static char much[SOCKETMAP_REQUEST_MAX_BYTES];
	struct session s = { 0 };
	int rc = 0;

	(void)state;
	memset(much, '1', sizeof(much));
	for (int i = 0; i < 10 && rc == 0; i++)
		rc = session_input(&s, much, sizeof(much));
	assert_int_equal(rc, -1);
	session_clear(&s);
}

/* The register's answer must be about those asked for, in their order (threats.md A15). */
static void
test_answers_about_others_are_refused(void **state)
{
	static const char *const registers[] = {
		"[]",
		"[{\"personidentifikator\":\"" OTHER "\"}]",
		"[{\"status\":\"AKTIV\"}]",
		"[{\"personidentifikator\":\"" ID "\"},{\"personidentifikator\":\"" ID "\"}]",
		"[null]",
	};
	char ids[1][NATIONALID_CHARS] = { ID };
	struct question q = { .map = QUESTION_PERSON, .ids = ids, .count = 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
		json_t *persons = json_loads(registers[i], 0, NULL);
		struct buf out = { 0 };
		struct bd_err e = { 0 };

		assert_non_null(persons);
		assert_int_equal(question_answer(&conf, &q, persons, &out, &e), -1);
		assert_int_equal(e.kind, BD_E_REGISTER);
		assert_null(strstr(e.cause, OTHER));
		assert_int_equal(out.len, 0);
		json_decref(persons);
		buf_free(&out);
	}
}

static void
test_written_as_netstrings(void **state)
{
	struct buf out = { 0 };
	const char *text;
	size_t len, used;

	(void)state;
	assert_int_equal(socketmap_write(&out, "OK", "a,b", 3), 0);
	assert_string_equal(buf_str(&out), "6:OK a,b,");
	assert_int_equal(socketmap_netstring(out.data, out.len, 5, &text, &len, &used),
			 SOCKETMAP_BROKEN);
	assert_int_equal(socketmap_netstring(out.data, out.len, 6, &text, &len, &used),
			 SOCKETMAP_REQUEST);
	assert_int_equal(len, 6);
	assert_int_equal(used, out.len);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_any_cut),
		cmocka_unit_test(test_session_one_question_at_a_time),
		cmocka_unit_test(test_session_answers_without_the_register),
		cmocka_unit_test(test_session_decision_and_batch),
		cmocka_unit_test(test_session_is_bounded),
		cmocka_unit_test(test_answers_about_others_are_refused),
		cmocka_unit_test(test_written_as_netstrings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
