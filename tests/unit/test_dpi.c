/* SPDX-License-Identifier: Apache-2.0 */
/* What the access point's answers mean, pauses, and the second look at a decision. */
#include "config.h"
#include "tests/unit/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/dpi_answer.h"
#include "transport/pauses.h"
#include "transport/queueid.h"
#include "transport/recheck.h"

#define PROBLEM(detail) "{\"type\":\"about:blank\",\"detail\":\"" detail "\"}"

static const struct {
	const char *name;
	int status;
	const char *body;
	enum dpi_class class;
} answers[] = {
	{ "created", 201, "", DPI_ACCEPTED },
	{ "any 2xx is success", 202, "whatever", DPI_ACCEPTED },
	{ "validation error", 400, PROBLEM("ikkesensitivtittel is missing"), DPI_REFUSED },
	{ "400 without a document", 400, "", DPI_REFUSED },
	{ "400 with rubbish", 400, "<html>", DPI_REFUSED },
	{ "old duplicate text", 400,
	  PROBLEM(
	      "ERROR: duplicate key value violates unique constraint \\\"unique_message_uuid\\\""),
	  DPI_DUPLICATE },
	{ "another unique constraint", 400,
	  PROBLEM("duplicate key value violates unique constraint \\\"other\\\""), DPI_REFUSED },
	{ "damaged upload", 400,
	  PROBLEM("Upload was not accepted, SHA-256 digest of dokumentpakke was abc, expected def"),
	  DPI_NOT_NOW },
	{ "the text outside of detail", 400,
	  "{\"type\":\"a\",\"detail\":\"b\",\"title\":\"Upload was not accepted, SHA-256 digest of "
	  "dokumentpakke was\"}",
	  DPI_REFUSED },
	{ "token", 401, "", DPI_TOKEN },
	{ "agreement", 403, "", DPI_FORBIDDEN },
	{ "no such address", 404, "", DPI_FORBIDDEN },
	{ "duplicate", 409, PROBLEM("409002: Document with ID x already exists"), DPI_DUPLICATE },
	{ "too big", 413, "", DPI_REFUSED },
	{ "unprocessable", 422, "", DPI_REFUSED },
	{ "slow down", 429, "", DPI_NOT_NOW },
	{ "broken", 500, "", DPI_IN_DOUBT },
	{ "gateway", 502, "", DPI_IN_DOUBT },
	{ "away", 503, "", DPI_IN_DOUBT },
	{ "redirect", 302, "", DPI_IN_DOUBT },
};

static void
test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		enum dpi_class class =
		    dpi_answer_class(answers[i].status, answers[i].body, strlen(answers[i].body));

		if (class != answers[i].class)
			fail_msg("%s: %d", answers[i].name, (int)class);
		if (class != DPI_ACCEPTED && class != DPI_DUPLICATE)
			assert_string_not_equal(dpi_answer_reason(class, answers[i].status), "");
	}
}

static const struct {
	const char *name, *body;
	enum driver_found found;
	const char *status;
	bool final;
} statuses[] = {
	{ "nothing yet", "[]", DRIVER_ABSENT, "", false },
	{ "created", "[{\"status\":\"OPPRETTET\"}]", DRIVER_THERE, "OPPRETTET", false },
	{ "sent", "[{\"status\":\"OPPRETTET\"},{\"status\":\"SENDT\",\"timestamp\":\"x\"}]",
	  DRIVER_THERE, "SENDT", true },
	{ "any order", "[{\"status\":\"SENDT\"},{\"status\":\"OPPRETTET\"}]", DRIVER_THERE, "SENDT",
	  true },
	{ "gave up", "[{\"status\":\"OPPRETTET\"},{\"status\":\"FEILET\",\"beskrivelse\":\"x\"}]",
	  DRIVER_GAVE_UP, "FEILET", true },
	{ "what may have arrived is not sent again",
	  "[{\"status\":\"SENDT\"},{\"status\":\"FEILET\"}]", DRIVER_THERE, "SENDT", true },
	{ "the other way round", "[{\"status\":\"FEILET\"},{\"status\":\"SENDT\"}]", DRIVER_THERE,
	  "SENDT", true },
	{ "a status of tomorrow", "[{\"status\":\"MOTTATT\"}]", DRIVER_THERE, "OPPRETTET", false },
	{ "no list", "{}", DRIVER_UNKNOWN, "", false },
	{ "no JSON", "<html>", DRIVER_UNKNOWN, "", false },
	{ "empty", "", DRIVER_UNKNOWN, "", false },
};

static void
test_statuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		struct driver_note note = { 0 };
		struct bd_err e = { 0 };
		enum driver_found found =
		    dpi_answer_statuses(statuses[i].body, strlen(statuses[i].body), &note, &e);

		if (found != statuses[i].found || strcmp(note.status, statuses[i].status) != 0 ||
		    note.final != statuses[i].final)
			fail_msg("%s: %d %s", statuses[i].name, (int)found, note.status);
	}
}

static const struct {
	const char *body, *shown;
} details[] = {
	{ PROBLEM("Instance failed to match all required schemas"),
	  "Instance failed to match all required schemas" },
	{ PROBLEM("varsler.epostvarsel: kari@example.no is not an address"),
	  "* * is not an address" },
	{ PROBLEM("Person 01819090013 Kari Nordmann not found: SBD:5023."),
	  "Person * * * not found: *" },
	{ PROBLEM("409002: Document with ID 0f3c2a52 already exists"),
	  "409002: * with ID * already exists" }, /* a capital inside a sentence may be a name */
	{ "no JSON", "" },
	{ "", "" },
};

static void
test_details_hold_no_person(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
		char out[64];

		dpi_answer_detail(details[i].body, strlen(details[i].body), out, sizeof(out));
		assert_string_equal(out, details[i].shown);
	}
}

static void
test_pauses(void **state)
{
	struct pauses *p = pauses_new();
	int64_t now = 1000;

	(void)state;
	for (int i = 0; i < PAUSE_FAILURES - 1; i++)
		pauses_failure(p, "a", now);
	assert_int_equal(pauses_left(p, "a", now), 0);
	pauses_failure(p, "a", now);
	assert_int_equal(pauses_left(p, "a", now), PAUSE_FIRST_MS);
	assert_int_equal(pauses_left(p, "b", now), 0); /* the others go on */
	now += PAUSE_FIRST_MS;
	assert_int_equal(pauses_left(p, "a", now), 0);              /* one tries */
	assert_int_equal(pauses_left(p, "a", now), PAUSE_TRIAL_MS); /* the others wait */
	pauses_failure(p, "a", now);
	assert_int_equal(pauses_left(p, "a", now), 2 * PAUSE_FIRST_MS);
	pauses_success(p, "a");
	assert_int_equal(pauses_left(p, "a", now), 0);
	pauses_failure(p, "a", now);
	assert_int_equal(pauses_left(p, "a", now), 0);
	pauses_hold(p, "a", now, 7000);
	assert_int_equal(pauses_left(p, "a", now), 7000);
	pauses_hold(p, "a", now, (int64_t)1 << 40);
	assert_int_equal(pauses_left(p, "a", now), PAUSE_MAX_MS);
	for (int i = 0; i < 20; i++)
		pauses_failure(p, "a", now);
	assert_int_equal(pauses_left(p, "a", now), PAUSE_MAX_MS);
	pauses_free(&p);
}

#define FP "0A0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"

static const struct {
	const char *name;
	struct lookup_decision now;
	int rc;
} decisions[] = {
	{ "the same", { "digital", "984661185", "box#1", FP }, 1 },
	{ "opted out", { "print", "", "", "" }, 0 },
	{ "no way", { "refuse", "", "", "" }, 0 },
	{ "moved to another provider", { "digital", "922020175", "box#1", FP }, 0 },
	{ "another mailbox", { "digital", "984661185", "box#2", FP }, 0 },
	{ "new certificate", { "digital", "984661185", "box#1", "bb" }, 0 },
	{ "certificate cannot be read", { "digital", "984661185", "box#1", "" }, 0 },
	{ "hold is no answer", { "hold", "", "", "" }, -1 },
	{ "nothing", { "", "", "", "" }, -1 },
};

static void
test_recheck(void **state)
{
	static char provider[] = "984661185", mailbox[] = "box#1", route[] = "digital";
	struct control_addressee a = { .provider = provider, .mailbox = mailbox };
	struct control_record c = { .route = route, .addressees = &a, .addressee_count = 1 };

	(void)state;
	memset(a.certificate, 0x0a, sizeof(a.certificate));
	for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++) {
		struct bd_err e = { 0 };
		int rc = recheck_compare(&c, &decisions[i].now, &e);

		if (rc != decisions[i].rc || (rc == -1 && e.kind != BD_E_REGISTER))
			fail_msg("%s: %d %s", decisions[i].name, rc, e.cause);
	}
}

static const struct {
	const char *message, *id;
} queue_ids[] = {
	{ "Received: from x (unknown [unix:x])\r\n\tby y (Postfix) with ESMTP id 4Zabc12345\r\n"
	  "\tfor <z>; Mon\r\nReceived: by a id OTHER;\r\n\r\n",
	  "4Zabc12345" },
	{ "Return-Path: <x>\nReceived: by y id ABC; x\n\n", "ABC" },
	{ "Subject: x\r\n\r\nReceived: by y id ABC;\r\n", "" },
	{ "Received: by y\r\nReceived: by z id ABC;\r\n\r\n", "" },
	{ "Received: by y id 0123456789012345678901234567890;\r\n\r\n", "" },
	{ "Received: by y id ", "" },
	{ "", "" },
};

static void
test_queue_ids(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(queue_ids) / sizeof(queue_ids[0]); i++) {
		size_t len = strlen(queue_ids[i].message);
		char *message = malloc(len + 1), id[QUEUE_ID_CHARS];

		memcpy(message, queue_ids[i].message, len);
		message[len] = 'X';
		queue_id_read(message, len, id);
		assert_string_equal(id, queue_ids[i].id);
		free(message);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_details_hold_no_person),
		cmocka_unit_test(test_pauses),
		cmocka_unit_test(test_recheck),
		cmocka_unit_test(test_queue_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
