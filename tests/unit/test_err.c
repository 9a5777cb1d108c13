/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>

#include "common/err.h"

static void
test_every_kind_has_code_status_and_ascii_texts(void **state)
{
	(void)state;
	for (int k = 0; k < BD_E_COUNT; k++) {
		enum bd_kind kind = (enum bd_kind)k;
		int code = bd_kind_code(kind);
		const char *status = bd_kind_status(kind);
		const char *languages[] = { "en", "nb" };

		assert_in_range(code, 421, 559);
		assert_int_equal(status[0] - '0', code / 100);
		for (size_t i = 0; i < 2; i++) {
			const char *text = bd_kind_text(kind, languages[i]);

			assert_non_null(text);
			for (; *text != '\0'; text++)
				assert_in_range(*text, ' ', '~');
		}
	}
}

static void
test_forgotten_kind_is_temporary(void **state)
{
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(bd_kind_code(e.kind), 451);
}

static void
test_wrap_puts_context_first(void **state)
{
	struct bd_err e = { 0 };

	(void)state;
	errno = ENOENT;
	assert_int_equal(bd_fail_errno(&e, BD_E_SEAL, "reading %s", "key"), -1);
	assert_int_equal(bd_wrap(&e, "sealing letter %d", 2), -1);
	assert_string_equal(e.cause, "sealing letter 2: reading key: No such file or directory");
	assert_int_equal(e.kind, BD_E_SEAL);
}

static void
test_overlong_causes_are_cut(void **state)
{
	struct bd_err e = { 0 };
	char longtext[600];

	(void)state;
	memset(longtext, 'x', sizeof(longtext) - 1);
	longtext[sizeof(longtext) - 1] = '\0';
	bd_fail(&e, BD_E_CONTENT, "%s", longtext);
	bd_wrap(&e, "%s", longtext);
	assert_int_equal(strlen(e.cause), sizeof(e.cause) - 1);
}

static void
test_detail_is_ascii(void **state)
{
	struct bd_err e = { 0 };

	(void)state;
	bd_detail(&e, "part %d, %s", 3, "image/\r\n\xc3\xa5");
	assert_string_equal(e.detail, "part 3, image/????");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_has_code_status_and_ascii_texts),
		cmocka_unit_test(test_forgotten_kind_is_temporary),
		cmocka_unit_test(test_wrap_puts_context_first),
		cmocka_unit_test(test_overlong_causes_are_cut),
		cmocka_unit_test(test_detail_is_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
