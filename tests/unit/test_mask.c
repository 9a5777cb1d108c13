/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "tests/unit/test.h"

#include <string.h>

#include "cli/mask.h"

static const char *const domains[] = { "innbygger.example.no", "post.example.no", NULL };

static const struct {
	const char *name, *in, *out;
} cases[] = {
	{ "recipient", "to=<Kari.Nordmann.01819090013@innbygger.example.no>, relay",
	  "to=<***@innbygger.example.no>, relay" },
	{ "no number in it", "RCPT from x[::1]: 550 <feil@INNBYGGER.example.no>: no",
	  "RCPT from x[::1]: 550 <***@INNBYGGER.example.no>: no" },
	{ "options", "<01819090013+print@post.example.no>", "<***@post.example.no>" },
	{ "quoted", "to=<\"Kari \\\"N\\\" a@b 1\"@post.example.no>", "to=<***@post.example.no>" },
	{ "two in a line", "<a@post.example.no> orig_to=<b@innbygger.example.no>",
	  "<***@post.example.no> orig_to=<***@innbygger.example.no>" },
	{ "subdomain", "<kari@x.post.example.no>", "<***@x.post.example.no>" },
	{ "percent hack", "<kari%post.example.no@relay.example>",
	  "<***%post.example.no@relay.example>" },
	{ "final dot", "to=<kari@post.example.no.>", "to=<***@post.example.no.>" },
	{ "at the end", "kari@post.example.no", "***@post.example.no" },
	{ "others stay", "from=<clerk@example.no> <a@notpost.example.no> <b@post.example.nova>",
	  "from=<clerk@example.no> <a@notpost.example.no> <b@post.example.nova>" },
	{ "longer domain stays", "<a@post.example.no.evil.example>",
	  "<a@post.example.no.evil.example>" },
	{ "number elsewhere", "message-id=<01819090013.x@host>", "message-id=<***.x@host>" },
	{ "number in a run", "x9901819090013998 y", "x*** y" },
	{ "parted number", "id 018190 90013, 018190-90013", "id ***, ***" },
	{ "D-number", "41810120035", "***" },
	{ "no valid number", "12345678901 20261123213015", "12345678901 20261123213015" },
	{ "short", "0181909001", "0181909001" },
	{ "empty", "", "" },
};

static void
test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = { 0 };

		assert_int_equal(mask_line(cases[i].in, strlen(cases[i].in), domains, &out), 0);
		if (strcmp(buf_str(&out), cases[i].out) != 0)
			fail_msg("%s: %s", cases[i].name, buf_str(&out));
		buf_free(&out);
	}
}

static void
test_nul_hides_nothing(void **state)
{
	const char line[] = "a\0<kari@post.example.no> 01819090013";
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(mask_line(line, sizeof(line) - 1, domains, &out), 0);
	assert_string_equal(buf_str(&out), "a?<***@post.example.no> ***");
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_nul_hides_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
