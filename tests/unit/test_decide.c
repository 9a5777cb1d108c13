/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of the register's persons and the decision table: each row of spec/krr.md 5 and each
 * sentence of design section 4, "Routes".
 */
#include "config.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>
#include <jansson.h>

#include "common/clock.h"
#include "lookup/decide.h"
#include "lookup/person.h"

#define NOW "2026-01-15T12:00:00Z"
#define ID "\"personidentifikator\":\"01819090013\""
#define ACTIVE "\"status\":\"AKTIV\",\"reservasjon\":\"NEI\",\"varslingsstatus\":\"KAN_VARSLES\""
#define EMAIL_FRESH \
	"\"epostadresse\":\"a@example.org\",\"epostadresse_oppdatert\":\"2025-06-01T08:00:00+02\""
#define EMAIL_OLD \
	"\"epostadresse\":\"a@example.org\",\"epostadresse_oppdatert\":\"2020-06-01T08:00:00+02\""
#define EMAIL_SHARED EMAIL_FRESH ",\"epostadresse_duplisert\":\"JA\""
#define MOBILE_FRESH                                                                               \
	"\"mobiltelefonnummer\":\"+4799999999\",\"mobiltelefonnummer_sist_verifisert\":\"2025-06-" \
	"01T08:00:00+02\""
#define MOBILE_OLD                                                                                 \
	"\"mobiltelefonnummer\":\"+4799999999\",\"mobiltelefonnummer_oppdatert\":\"2020-06-01T08:" \
	"00:00+02\""
#define CONTACT(x) "\"kontaktinformasjon\":{" x "}"
#define MAILBOX                                                          \
	"\"digital_post\":{\"postkasseadresse\":\"kari.nordmann#9YDT\"," \
	"\"postkasseleverandoeradresse\":\"984661185\"},\"sertifikat\":\"MIIB\""
#define POSTAL                                           \
	"\"postadresse\":{\"adresselinje\":[\"Storgata " \
	"1\"],\"postnummer\":\"0155\",\"poststed\":\"OSLO\"}"
#define PERSON(x) "{" ID "," x "}"

static time_t
at(const char *text)
{
	time_t when;

	assert_int_equal(clock_parse(text, &when), 0);
	return when;
}

static int
parse(const char *text, struct person *p)
{
	struct bd_err e = { 0 };
	json_t *json = json_loads(text, 0, NULL);
	int rc;

	assert_non_null(json);
	rc = person_parse(json, p, &e);
	json_decref(json);
	if (rc == -1)
		assert_int_equal(e.kind, BD_E_REGISTER);
	return rc;
}

#define I CONF_KIND_IMPORTANT
#define S CONF_KIND_SERVICE

static const struct row {
	const char *name;
	const char *person; /* NULL: no answer */
	enum conf_kind kind;
	enum decide_force force;
	bool prints;
	enum route route;
	int row;
	const char *notify; /* "e", "m" or "" */
} rows[] = {
	/* row 1: hold, for both kinds, whatever is forced */
	{ "no answer", NULL, I, 0, true, ROUTE_HOLD, 1, "" },
	{ "no answer, service", NULL, S, 0, true, ROUTE_HOLD, 1, "" },
	{ "no answer, paper forced", NULL, I, DECIDE_PRINT, true, ROUTE_HOLD, 1, "" },
	{ "no answer, digital forced", NULL, I, DECIDE_DIGITAL, true, ROUTE_HOLD, 1, "" },
	{ "nothing but a number", "{" ID "}", I, 0, true, ROUTE_HOLD, 1, "" },
	{ "unknown status",
	  PERSON("\"status\":\"DVALE\",\"reservasjon\":\"NEI\",\"varslingsstatus\":\"KAN_"
		 "VARSLES\"," CONTACT(EMAIL_FRESH) "," MAILBOX "," POSTAL),
	  I, 0, true, ROUTE_HOLD, 1, "" },
	{ "status missing",
	  PERSON("\"reservasjon\":\"NEI\",\"varslingsstatus\":\"KAN_VARSLES\"," MAILBOX), S, 0,
	  true, ROUTE_HOLD, 1, "" },
	{ "varslingsstatus missing (token without the contact scope)",
	  PERSON("\"status\":\"AKTIV\",\"reservasjon\":\"NEI\"," CONTACT(EMAIL_FRESH) "," MAILBOX
										      "," POSTAL),
	  I, 0, true, ROUTE_HOLD, 1, "" },
	{ "varslingsstatus missing, service",
	  PERSON("\"status\":\"AKTIV\",\"reservasjon\":\"NEI\"," MAILBOX "," POSTAL), S, 0, true,
	  ROUTE_HOLD, 1, "" },
	{ "varslingsstatus unknown",
	  PERSON("\"status\":\"AKTIV\",\"reservasjon\":\"NEI\",\"varslingsstatus\":"
		 "\"KANSKJE\"," MAILBOX),
	  I, 0, true, ROUTE_HOLD, 1, "" },
	{ "reservasjon missing on an active person",
	  PERSON("\"status\":\"AKTIV\",\"varslingsstatus\":\"KAN_VARSLES\"," CONTACT(
	      EMAIL_FRESH) "," MAILBOX "," POSTAL),
	  I, 0, true, ROUTE_HOLD, 1, "" },
	{ "reservasjon unknown on an active person, service",
	  PERSON("\"status\":\"AKTIV\",\"reservasjon\":\"VET_IKKE\",\"varslingsstatus\":\"KAN_"
		 "VARSLES\"," MAILBOX),
	  S, 0, true, ROUTE_HOLD, 1, "" },
	{ "lower case is another value",
	  PERSON("\"status\":\"aktiv\",\"reservasjon\":\"nei\",\"varslingsstatus\":\"kan_"
		 "varsles\"," MAILBOX),
	  I, 0, true, ROUTE_HOLD, 1, "" },

	/* row 2: opted out: print or refuse, never digital */
	{ "opted out, important",
	  PERSON("\"status\":\"AKTIV\",\"reservasjon\":\"JA\",\"varslingsstatus\":\"KAN_IKKE_"
		 "VARSLES\"," POSTAL),
	  I, 0, true, ROUTE_PRINT, 2, "" },
	{ "opted out, agency does not print",
	  PERSON("\"status\":\"AKTIV\",\"reservasjon\":\"JA\",\"varslingsstatus\":\"KAN_IKKE_"
		 "VARSLES\"," POSTAL),
	  I, 0, false, ROUTE_REFUSE, 2, "" },
	{ "opted out with KAN_VARSLES and a mailbox",
	  PERSON("\"status\":\"AKTIV\",\"reservasjon\":\"JA\",\"varslingsstatus\":\"KAN_"
		 "VARSLES\"," CONTACT(EMAIL_FRESH) "," MAILBOX "," POSTAL),
	  I, 0, true, ROUTE_PRINT, 2, "" },
	{ "opted out, service, with a mailbox",
	  PERSON("\"status\":\"AKTIV\",\"reservasjon\":\"JA\",\"varslingsstatus\":\"KAN_"
		 "VARSLES\"," CONTACT(EMAIL_FRESH) "," MAILBOX "," POSTAL),
	  S, 0, true, ROUTE_PRINT, 2, "" },
	{ "opted out, service, no print",
	  PERSON("\"status\":\"AKTIV\",\"reservasjon\":\"JA\",\"varslingsstatus\":\"KAN_"
		 "VARSLES\"," MAILBOX "," POSTAL),
	  S, 0, false, ROUTE_REFUSE, 2, "" },
	{ "opted out, digital forced",
	  PERSON("\"status\":\"AKTIV\",\"reservasjon\":\"JA\",\"varslingsstatus\":\"KAN_"
		 "VARSLES\"," CONTACT(EMAIL_FRESH) "," MAILBOX "," POSTAL),
	  I, DECIDE_DIGITAL, true, ROUTE_REFUSE, 2, "" },
	{ "opted out and deleted",
	  PERSON("\"status\":\"SLETTET\",\"reservasjon\":\"JA\",\"varslingsstatus\":\"KAN_IKKE_"
		 "VARSLES\"," POSTAL),
	  I, 0, true, ROUTE_PRINT, 2, "" },

	/* row 3: deleted or never registered */
	{ "deleted, no reservasjon at all",
	  PERSON("\"status\":\"SLETTET\",\"varslingsstatus\":\"KAN_IKKE_VARSLES\"," POSTAL), I, 0,
	  true, ROUTE_PRINT, 3, "" },
	{ "never registered, address not known",
	  PERSON("\"status\":\"IKKE_REGISTRERT\",\"reservasjon\":\"NEI\",\"varslingsstatus\":\"KAN_"
		 "IKKE_VARSLES\""),
	  I, 0, true, ROUTE_REFUSE, 3, "" },
	{ "never registered, service",
	  PERSON("\"status\":\"IKKE_REGISTRERT\",\"reservasjon\":\"NEI\",\"varslingsstatus\":\"KAN_"
		 "IKKE_VARSLES\""),
	  S, 0, false, ROUTE_REFUSE, 3, "" },
	{ "deleted with a mailbox left over, service",
	  PERSON("\"status\":\"SLETTET\",\"reservasjon\":\"NEI\",\"varslingsstatus\":\"KAN_"
		 "VARSLES\"," CONTACT(EMAIL_FRESH) "," MAILBOX),
	  S, 0, false, ROUTE_REFUSE, 3, "" },
	{ "deleted with a mailbox left over, important",
	  PERSON("\"status\":\"SLETTET\",\"reservasjon\":\"NEI\",\"varslingsstatus\":\"KAN_"
		 "VARSLES\"," CONTACT(EMAIL_FRESH) "," MAILBOX),
	  I, 0, false, ROUTE_REFUSE, 3, "" },

	/* row 4: cannot be notified */
	{ "cannot be notified, important, though complete",
	  PERSON("\"status\":\"AKTIV\",\"reservasjon\":\"NEI\",\"varslingsstatus\":\"KAN_IKKE_"
		 "VARSLES\"," CONTACT(EMAIL_FRESH) "," MAILBOX "," POSTAL),
	  I, 0, true, ROUTE_PRINT, 4, "" },
	{ "cannot be notified, service with mailbox",
	  PERSON("\"status\":\"AKTIV\",\"reservasjon\":\"NEI\",\"varslingsstatus\":\"KAN_IKKE_"
		 "VARSLES\"," MAILBOX),
	  S, 0, false, ROUTE_DIGITAL, 4, "" },
	{ "cannot be notified, service without mailbox",
	  PERSON("\"status\":\"AKTIV\",\"reservasjon\":\"NEI\",\"varslingsstatus\":\"KAN_IKKE_"
		 "VARSLES\"," CONTACT(EMAIL_FRESH)),
	  S, 0, false, ROUTE_REFUSE, 4, "" },

	/* row 5: said to be notifiable, no fresh channel */
	{ "no fresh channel",
	  PERSON(ACTIVE "," CONTACT(EMAIL_OLD "," MOBILE_OLD) "," MAILBOX "," POSTAL), I, 0, true,
	  ROUTE_PRINT, 5, "" },
	{ "no channel at all", PERSON(ACTIVE "," MAILBOX "," POSTAL), I, 0, true, ROUTE_PRINT, 5,
	  "" },
	{ "the only fresh channel is shared",
	  PERSON(ACTIVE "," CONTACT(EMAIL_SHARED) "," MAILBOX "," POSTAL), I, 0, true, ROUTE_PRINT,
	  5, "" },
	{ "channel without dates",
	  PERSON(ACTIVE "," CONTACT("\"epostadresse\":\"a@example.org\"") "," MAILBOX "," POSTAL),
	  I, 0, true, ROUTE_PRINT, 5, "" },
	{ "validated does not count",
	  PERSON(ACTIVE "," CONTACT("\"epostadresse\":\"a@example.org\",\"epostadresse_sist_"
				    "validert\":\"2025-12-01T08:00:00Z\"") "," MAILBOX "," POSTAL),
	  I, 0, true, ROUTE_PRINT, 5, "" },
	{ "dates without a channel",
	  PERSON(ACTIVE "," CONTACT("\"epostadresse\":\"\",\"epostadresse_oppdatert\":\"2025-12-"
				    "01T08:00:00Z\"") "," MAILBOX "," POSTAL),
	  I, 0, true, ROUTE_PRINT, 5, "" },
	{ "no fresh channel, service", PERSON(ACTIVE "," CONTACT(EMAIL_OLD) "," MAILBOX), S, 0,
	  false, ROUTE_DIGITAL, 5, "" },
	{ "no fresh channel, no print",
	  PERSON(ACTIVE "," CONTACT(EMAIL_OLD) "," MAILBOX "," POSTAL), I, 0, false, ROUTE_REFUSE,
	  5, "" },

	/* row 6: digital */
	{ "e-mail fresh", PERSON(ACTIVE "," CONTACT(EMAIL_FRESH) "," MAILBOX), I, 0, false,
	  ROUTE_DIGITAL, 6, "e" },
	{ "mobile fresh only", PERSON(ACTIVE "," CONTACT(EMAIL_OLD "," MOBILE_FRESH) "," MAILBOX),
	  I, 0, false, ROUTE_DIGITAL, 6, "m" },
	{ "both fresh: e-mail first",
	  PERSON(ACTIVE "," CONTACT(EMAIL_FRESH "," MOBILE_FRESH) "," MAILBOX), I, 0, false,
	  ROUTE_DIGITAL, 6, "e" },
	{ "e-mail shared, mobile fresh",
	  PERSON(ACTIVE "," CONTACT(EMAIL_SHARED "," MOBILE_FRESH) "," MAILBOX), I, 0, false,
	  ROUTE_DIGITAL, 6, "m" },
	{ "service orders no notice", PERSON(ACTIVE "," CONTACT(EMAIL_FRESH) "," MAILBOX), S, 0,
	  false, ROUTE_DIGITAL, 6, "" },
	{ "digital before print", PERSON(ACTIVE "," CONTACT(EMAIL_FRESH) "," MAILBOX "," POSTAL), I,
	  0, true, ROUTE_DIGITAL, 6, "e" },
	{ "paper forced", PERSON(ACTIVE "," CONTACT(EMAIL_FRESH) "," MAILBOX "," POSTAL), I,
	  DECIDE_PRINT, true, ROUTE_PRINT, 6, "" },
	{ "paper forced, no print", PERSON(ACTIVE "," CONTACT(EMAIL_FRESH) "," MAILBOX "," POSTAL),
	  I, DECIDE_PRINT, false, ROUTE_REFUSE, 6, "" },
	{ "paper forced, no address", PERSON(ACTIVE "," CONTACT(EMAIL_FRESH) "," MAILBOX), I,
	  DECIDE_PRINT, true, ROUTE_REFUSE, 6, "" },
	{ "digital forced", PERSON(ACTIVE "," CONTACT(EMAIL_FRESH) "," MAILBOX "," POSTAL), I,
	  DECIDE_DIGITAL, true, ROUTE_DIGITAL, 6, "e" },

	/* rows 7 and 8: no complete mailbox */
	{ "no mailbox, e-mail fresh", PERSON(ACTIVE "," CONTACT(EMAIL_FRESH) "," POSTAL), I, 0,
	  true, ROUTE_PRINT, 7, "" },
	{ "no mailbox, e-mail fresh, no print", PERSON(ACTIVE "," CONTACT(EMAIL_FRESH) "," POSTAL),
	  I, 0, false, ROUTE_REFUSE, 7, "" },
	{ "no mailbox, service", PERSON(ACTIVE "," CONTACT(EMAIL_FRESH) "," POSTAL), S, 0, true,
	  ROUTE_PRINT, 7, "" },
	{ "no mailbox, digital forced", PERSON(ACTIVE "," CONTACT(EMAIL_FRESH) "," POSTAL), I,
	  DECIDE_DIGITAL, true, ROUTE_REFUSE, 7, "" },
	{ "no mailbox, mobile fresh",
	  PERSON(ACTIVE "," CONTACT(EMAIL_OLD "," MOBILE_FRESH) "," POSTAL), I, 0, true,
	  ROUTE_PRINT, 8, "" },
	{ "test data: empty address and certificate beside a supplier",
	  PERSON(ACTIVE "," CONTACT(EMAIL_FRESH) ",\"digital_post\":{\"postkasseadresse\":\"\","
						 "\"postkasseleverandoeradresse\":\"984661185\"},"
						 "\"sertifikat\":\"\"," POSTAL),
	  I, 0, true, ROUTE_PRINT, 7, "" },
	{ "certificate missing",
	  PERSON(ACTIVE
		 "," CONTACT(EMAIL_FRESH) ",\"digital_post\":{\"postkasseadresse\":\"kari#9YDT\","
					  "\"postkasseleverandoeradresse\":\"984661185\"}"),
	  I, 0, false, ROUTE_REFUSE, 7, "" },
	{ "supplier null",
	  PERSON(ACTIVE "," CONTACT(
	      EMAIL_FRESH) ",\"digital_post\":{\"postkasseadresse\":\"kari#9YDT\","
			   "\"postkasseleverandoeradresse\":null},\"sertifikat\":\"MIIB\""),
	  S, 0, false, ROUTE_REFUSE, 7, "" },

	/* the population register's words */
	{ "deceased is never digital",
	  PERSON(ACTIVE ",\"personstatus\":\"doed\"," CONTACT(EMAIL_FRESH) "," MAILBOX "," POSTAL),
	  I, 0, true, ROUTE_PRINT, 0, "" },
	{ "deceased, service, no print",
	  PERSON(ACTIVE ",\"personstatus\":\"doed\"," CONTACT(EMAIL_FRESH) "," MAILBOX), S, 0,
	  false, ROUTE_REFUSE, 0, "" },
	{ "deceased, digital forced",
	  PERSON(ACTIVE ",\"personstatus\":\"doed\"," CONTACT(EMAIL_FRESH) "," MAILBOX "," POSTAL),
	  I, DECIDE_DIGITAL, true, ROUTE_REFUSE, 0, "" },
	{ "protected address is no address",
	  PERSON(ACTIVE "," CONTACT(EMAIL_FRESH) ",\"postadresse\":{\"poststed\":\"OSLO\","
						 "\"adressegradering\":\"fortrolig\"}"),
	  I, 0, true, ROUTE_REFUSE, 7, "" },
	{ "postadresse null", PERSON(ACTIVE "," CONTACT(EMAIL_FRESH) ",\"postadresse\":null"), I, 0,
	  true, ROUTE_REFUSE, 7, "" },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct person p = { 0 };
		struct decision d;

		print_message("  %s\n", r->name);
		if (r->person != NULL)
			assert_int_equal(parse(r->person, &p), 0);
		decide(&(struct decide_in){ .person = r->person != NULL ? &p : NULL,
					    .kind = r->kind,
					    .force = r->force,
					    .prints = r->prints,
					    .now = at(NOW) },
		       &d);
		assert_string_equal(route_name(d.route), route_name(r->route));
		assert_int_equal(d.row, r->row);
		assert_int_equal(d.notify_email, strcmp(r->notify, "e") == 0);
		assert_int_equal(d.notify_mobile, strcmp(r->notify, "m") == 0);
		assert_non_null(d.reason);
		person_clear(&p);
	}
}

/* Nothing but an active person who has not opted out gets digital post, over all combinations. */
static void
test_never_digital_unless(void **state)
{
	char text[] = "x";

	(void)state;
	for (int n = 0; n < 3 * 3 * 4 * 2 * 2 * 2 * 3 * 2; n++) {
		struct person p = { .id = "01819090013" };
		struct decision d;
		int bits = n;
		struct decide_in in = { .person = &p, .now = at(NOW) };

		p.notifiable = (enum person_notifiable)(bits % 3);
		p.reserved = (enum person_reserved)((bits /= 3) % 3);
		p.status = (enum person_status)((bits /= 3) % 4);
		if ((bits /= 4) % 2)
			p.email = (struct person_channel){ .address = text, .updated = in.now };
		if ((bits /= 2) % 2)
			p.mailbox = p.provider = p.certificate = text;
		p.deceased = (bits /= 2) % 2;
		in.force = (enum decide_force)((bits /= 2) % 3);
		in.kind = (bits /= 3) % 2 ? CONF_KIND_SERVICE : CONF_KIND_IMPORTANT;
		decide(&in, &d);
		if (d.route != ROUTE_DIGITAL)
			continue;
		assert_int_equal(p.status, PERSON_ACTIVE);
		assert_int_equal(p.reserved, PERSON_NOT_RESERVED);
		assert_false(p.deceased);
		assert_non_null(p.mailbox);
		assert_int_not_equal(in.force, DECIDE_PRINT);
		if (in.kind == CONF_KIND_IMPORTANT) {
			assert_int_equal(p.notifiable, PERSON_NOTIFIABLE);
			assert_true(d.notify_email);
		}
	}
}

static void
test_boundary_of_18_months(void **state)
{
	char address[] = "a@example.org";
	struct person_channel c = { .address = address };

	(void)state;
	/* 18 months before 31 August 2025 is 29 February 2024 (spec/krr.md 4) */
	c.updated = at("2024-02-29T12:00:00Z");
	assert_true(person_channel_is_fresh(&c, at("2025-08-31T12:00:00Z")));
	assert_false(person_channel_is_fresh(&c, at("2025-08-31T12:00:01Z")));
	c.verified = at("2025-08-01T00:00:00Z");
	assert_true(person_channel_is_fresh(&c, at("2025-08-31T12:00:01Z")));
	c.shared = true;
	assert_false(person_channel_is_fresh(&c, at("2025-08-31T12:00:01Z")));
}

static void
test_unusable_elements(void **state)
{
	static const char *const texts[] = {
		"[]",
		"\"01819090013\"",
		"{}",
		"{\"personidentifikator\":1819090013}",
		"{\"personidentifikator\":\"01819090014\"}",
		"{\"personidentifikator\":null}",
	};
	struct person p;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *json = json_loads(texts[i], JSON_DECODE_ANY, NULL);
		struct bd_err e = { 0 };

		assert_non_null(json);
		assert_int_equal(person_parse(json, &p, &e), -1);
		assert_int_equal(e.kind, BD_E_REGISTER);
		assert_null(strstr(e.cause, "1819090"));
		json_decref(json);
		person_clear(&p);
	}
}

static void
test_members_of_other_types_are_absent(void **state)
{
	struct person p;

	(void)state;
	assert_int_equal(
	    parse(PERSON("\"status\":7,\"reservasjon\":true,\"varslingsstatus\":[\"KAN_VARSLES\"],"
			 "\"kontaktinformasjon\":[1],\"digital_post\":\"x\",\"sertifikat\":{},"
			 "\"spraak\":null,\"helt_nytt\":{\"a\":[1]}"),
		  &p),
	    0);
	assert_int_equal(p.status, PERSON_STATUS_UNKNOWN);
	assert_int_equal(p.reserved, PERSON_RESERVED_UNKNOWN);
	assert_int_equal(p.notifiable, PERSON_NOTIFIABLE_UNKNOWN);
	assert_null(p.email.address);
	assert_null(p.mailbox);
	assert_null(p.certificate);
	assert_null(p.language);
	person_clear(&p);
}

static void
test_shared_unless_it_says_no(void **state)
{
	static const struct {
		const char *json;
		bool shared;
	} cases[] = { { "\"JA\"", true }, { "\"NEI\"", false }, { "null", false },
		      { "\"\"", false },  { "true", true },     { "\"KANSKJE\"", true } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];
		struct person p;

		snprintf(text, sizeof(text),
			 PERSON(CONTACT("\"mobiltelefonnummer\":\"+4799999999\","
					"\"mobiltelefonnummer_duplisert\":%s")),
			 cases[i].json);
		assert_int_equal(parse(text, &p), 0);
		assert_int_equal(p.mobile.shared, cases[i].shared);
		person_clear(&p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_never_digital_unless),
		cmocka_unit_test(test_boundary_of_18_months),
		cmocka_unit_test(test_unusable_elements),
		cmocka_unit_test(test_members_of_other_types_are_absent),
		cmocka_unit_test(test_shared_unless_it_says_no),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
