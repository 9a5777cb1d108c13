/* SPDX-License-Identifier: Apache-2.0 */
/* Citizen addresses, with a real configuration. */
#include "config.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "lookup/address.h"

#define ID "01819090013"

static const struct {
	const char *local;
	const char *id; /* NULL: refused */
	enum decide_force force;
	bool service, level3;
} locals[] = {
	{ ID, ID, DECIDE_ANY, false, false },
	{ "Kari.Nordmann." ID, ID, DECIDE_ANY, false, false },
	{ "k." ID, ID, DECIDE_ANY, false, false },
	{ "K\xc3\xa5re." ID, ID, DECIDE_ANY, false, false },
	{ "1." ID, ID, DECIDE_ANY, false, false },
	{ "Kari+Ola." ID, ID, DECIDE_ANY, false, false },
	{ "Kari+print." ID "+info", ID, DECIDE_ANY, true, false },
	{ ID "+print", ID, DECIDE_PRINT, false, false },
	{ ID "+digital", ID, DECIDE_DIGITAL, false, false },
	{ ID "+info", ID, DECIDE_ANY, true, false },
	{ ID "+level3", ID, DECIDE_ANY, false, true },
	{ ID "+level3+PRINT+Info", ID, DECIDE_PRINT, true, true },
	{ ID "+print+print", ID, DECIDE_PRINT, false, false },
	{ "Kari." ID "+info+digital", ID, DECIDE_DIGITAL, true, false },
	{ "41810120035", "41810120035", DECIDE_ANY, false, false },
	{ ID "+print+digital", NULL, DECIDE_ANY, false, false },
	{ ID "+post", NULL, DECIDE_ANY, false, false },
	{ ID "+", NULL, DECIDE_ANY, false, false },
	{ ID "++info", NULL, DECIDE_ANY, false, false },
	{ ID "+info ", NULL, DECIDE_ANY, false, false },
	{ "." ID, NULL, DECIDE_ANY, false, false },
	{ "Kari" ID, NULL, DECIDE_ANY, false, false },
	{ "Kari-" ID, NULL, DECIDE_ANY, false, false },
	{ "0" ID, NULL, DECIDE_ANY, false, false },
	{ "01819090014", NULL, DECIDE_ANY, false, false },
	{ "0181909001", NULL, DECIDE_ANY, false, false },
	{ "+print", NULL, DECIDE_ANY, false, false },
	{ "", NULL, DECIDE_ANY, false, false },
	{ "Kari.~abcdefghij", NULL, DECIDE_ANY, false, false },
	{ "Kari.Nordmann", NULL, DECIDE_ANY, false, false },
};

static void
test_local_parts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++) {
		struct citizen c;
		struct bd_err e = { 0 };

		print_message("  %s\n", locals[i].local);
		if (locals[i].id == NULL) {
			assert_int_equal(citizen_parse(locals[i].local, true, &c, &e), -1);
			assert_int_equal(e.kind, BD_E_BAD_NUMBER);
			assert_null(strstr(e.cause, "1819090"));
			continue;
		}
		assert_int_equal(citizen_parse(locals[i].local, true, &c, &e), 0);
		assert_string_equal(c.id, locals[i].id);
		assert_int_equal(c.force, locals[i].force);
		assert_int_equal(c.service, locals[i].service);
		assert_int_equal(c.level3, locals[i].level3);
		assert_int_equal(citizen_parse(locals[i].local, false, &c, &e), -1);
	}
}

/* What the sender reads behind the sentence: which part of the address to mend. */
static const struct {
	const char *local, *detail;
} details[] = {
	{ "01819090014", "" },
	{ "Kari.01819090014+info", "" },
	{ ID "+post", "behind + stand print, digital, info or level3" },
	{ "Kari." ID "+", "behind + stand print, digital, info or level3" },
	{ ID "+print+digital", "print and digital exclude each other" },
	{ "Kari.Nordmann", "eleven digits, or a name, a full stop and eleven digits" },
	{ "Kari+Nordmann", "eleven digits, or a name, a full stop and eleven digits" },
	{ "Kari" ID, "eleven digits, or a name, a full stop and eleven digits" },
	{ "0181909001", "eleven digits, or a name, a full stop and eleven digits" },
};

static void
test_details(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
		struct citizen c;
		struct bd_err e = { 0 };

		print_message("  %s\n", details[i].local);
		assert_int_equal(citizen_parse(details[i].local, true, &c, &e), -1);
		assert_string_equal(e.detail, details[i].detail);
	}
}

static struct conf_domain domain = { .name = (char *)(uintptr_t) "innbygger.example.no" };
static struct conf conf = { .domains = &domain, .domain_count = 1 };

static const struct {
	const char *address;
	const char *local; /* NULL: not ours */
} addresses[] = {
	{ ID "@innbygger.example.no", ID },
	{ "<" ID "@innbygger.example.no>", ID },
	{ ID "@INNBYGGER.Example.NO", ID },
	{ ID "@innbygger.example.no.", ID },
	{ "Kari." ID "+print@innbygger.example.no", "Kari." ID "+print" },
	{ "\"" ID "\"@innbygger.example.no", ID },
	{ "\"Kari \\\"K\\\"." ID "\"@innbygger.example.no", "Kari \"K\"." ID },
	{ "a@b@innbygger.example.no", "a@b" },
	{ "@innbygger.example.no", "" },
	{ ID "@example.no", NULL },
	{ ID "@x.innbygger.example.no", NULL },
	{ ID "@innbygger.example.no.example.com", NULL },
	{ ID, NULL },
	{ "", NULL },
	{ "<>", NULL },
	{ ID "@", NULL },
	{ ID "@.", NULL },
};

static void
test_domains(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		char local[64];
		const struct conf_domain *d;

		print_message("  %s\n", addresses[i].address);
		d = citizen_domain(&conf, addresses[i].address, local, sizeof(local));
		assert_int_equal(d == &domain, addresses[i].local != NULL);
		assert_string_equal(local, addresses[i].local != NULL ? addresses[i].local : "");
	}
}

/* An address of ours that is too long must not turn into ordinary mail. */
static void
test_too_long_is_ours_and_invalid(void **state)
{
	char address[300], local[16];
	struct citizen c;
	struct bd_err e = { 0 };

	(void)state;
	snprintf(address, sizeof(address), "A.very.long.name." ID "@innbygger.example.no");
	assert_ptr_equal(citizen_domain(&conf, address, local, sizeof(local)), &domain);
	assert_int_equal(citizen_parse(local, true, &c, &e), -1);
}

static const struct {
	const char *text;
	bool holds;
} numbers[] = {
	{ ID "@privat.example", true },
	{ "<" ID "@privat.example>", true },
	{ ID, true },
	{ "Kari." ID "@innbyger.example", true },
	{ ID "+print@innbyger.example", true },
	{ "bounce+" ID "=innbygger.example@etat.example", true },
	{ "\"Kari " ID "\"@privat.example", true },
	{ "kari@" ID, true },
	{ "kari@" ID ".example", true },
	{ "rfc822;" ID "@innbygger.example.no", true },
	{ "41810120035@privat.example", true },
	{ "12345678901." ID "@privat.example", true },
	{ "0" ID "@privat.example", false },
	{ ID "0@privat.example", false },
	{ "01819090014@privat.example", false },
	{ "0181909001@privat.example", false },
	{ "018190.90013@privat.example", false },
	{ "4790000000@sms.example", false },
	{ "kari@privat.example", false },
	{ "", false },
	{ "<>", false },
};

static void
test_numbers_elsewhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		print_message("  %s\n", numbers[i].text);
		assert_int_equal(address_holds_number(numbers[i].text), numbers[i].holds);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_local_parts),
		cmocka_unit_test(test_details),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_numbers_elsewhere),
		cmocka_unit_test(test_too_long_is_ours_and_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
