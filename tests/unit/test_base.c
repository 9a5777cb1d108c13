/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers, encodings, clocks and JSON. */
#include "config.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/encode.h"
#include "common/json.h"

static void
test_buffer_grows_to_its_maximum_and_no_further(void **state)
{
	struct buf b = { .max = 1000 };

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(buf_addf(&b, "%010d", i), 0);
	assert_int_equal(buf_addc(&b, 'x'), -1);
	assert_int_equal(b.len, 1000);
	assert_string_equal(buf_str(&b) + 990, "0000000099");
	buf_free(&b);
	assert_string_equal(buf_str(&b), "");
}

static void
test_base64(void **state)
{
	/* RFC 4648 section 10, then what strictness refuses */
	static const struct {
		const char *plain, *coded;
	} good[] = { { "", "" },        { "f", "Zg==" },          { "fo", "Zm8=" },
		     { "foo", "Zm9v" }, { "foobar", "Zm9vYmFy" }, { "\xfb\xff", "+/8=" } };
	static const char *const bad[] = { "Zg",       "Zg=",   "Zg===", "Zh==", "Zm9=", "Z",
					   "Zg==Zg==", "Zm9v=", "Zm 9v", "-_8=", "=",    "Zm9v\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct buf coded = { 0 }, plain = { 0 };

		assert_int_equal(base64_encode(&coded, good[i].plain, strlen(good[i].plain)), 0);
		assert_string_equal(buf_str(&coded), good[i].coded);
		assert_int_equal(base64_decode(&plain, buf_str(&coded), coded.len, 0), 0);
		assert_string_equal(buf_str(&plain), good[i].plain);
		buf_free(&coded);
		buf_free(&plain);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct buf plain = { 0 };

		assert_int_equal(base64_decode(&plain, bad[i], strlen(bad[i]), 0), -1);
		assert_int_equal(plain.len, 0);
		buf_free(&plain);
	}
}

static void
test_base64_white_space_and_url(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(base64_decode(&b, "Zm9v\r\nYmFy\r\n", 12, 1), 0);
	assert_string_equal(buf_str(&b), "foobar");
	buf_clear(&b);
	assert_int_equal(base64url_encode(&b, "\xfb\xff", 2), 0);
	assert_string_equal(buf_str(&b), "-_8");
	assert_int_equal(base64url_decode(&b, "-_8=", 4), -1);
	assert_int_equal(base64url_decode(&b, "-_9", 3), -1);
	assert_int_equal(b.len, 3);
	buf_free(&b);
}

static void
test_hex(void **state)
{
	uint8_t bytes[3];
	char text[7];

	(void)state;
	assert_int_equal(hex_decode(bytes, 3, "00fFa5"), 0);
	hex_encode(text, bytes, 3);
	assert_string_equal(text, "00ffa5");
	assert_int_equal(hex_decode(bytes, 3, "00ffa"), -1);
	assert_int_equal(hex_decode(bytes, 3, "00ffa5a"), -1);
	assert_int_equal(hex_decode(bytes, 3, "00ffag"), -1);
}

static void
test_hmac_tells_lists_of_parts_apart(void **state)
{
	struct hmac_part one[] = { { "ab", 2 }, { "c", 1 } }, two[] = { { "a", 1 }, { "bc", 2 } };
	uint8_t a[SHA256_BYTES], b[SHA256_BYTES];

	(void)state;
	hmac_parts(a, "key", 3, one, 2);
	hmac_parts(b, "key", 3, two, 2);
	assert_memory_not_equal(a, b, sizeof(a));
	hmac_parts(b, "key", 3, one, 2);
	assert_memory_equal(a, b, sizeof(a));
}

static void
test_uuids(void **state)
{
	uint8_t bytes[16] = { 0 };
	char a[UUID_CHARS], b[UUID_CHARS];

	(void)state;
	uuid_from_bytes(a, bytes);
	assert_string_equal(a, "00000000-0000-8000-8000-000000000000");
	assert_int_equal(uuid_random(a), 0);
	assert_int_equal(uuid_random(b), 0);
	assert_int_equal(a[14], '4');
	assert_string_not_equal(a, b);
}

static void
test_date_times(void **state)
{
	static const struct {
		const char *text;
		long long when; /* -1: refused */
	} cases[] = {
		{ "2023-06-29T10:14:52+02", 1688026492 },
		{ "2023-08-05T10:45:15.768Z", 1691232315 },
		{ "2010-12-16T13:32:05.000+01:00", 1292502725 },
		{ "2024-02-29T00:00:00Z", 1709164800 },
		{ "2023-02-29T00:00:00Z", -1 },
		{ "2023-06-29T10:14:52", -1 },
		{ "2023-06-29 10:14:52Z", -1 },
		{ "2023-13-01T00:00:00Z", -1 },
		{ "2023-06-29T24:00:00Z", -1 },
		{ "2023-06-29T10:14:52.Z", -1 },
		{ "2023-06-29T10:14:52.1234567890Z", -1 },
		{ "2023-06-29T10:14:52+0200", -1 },
		{ "2023-06-29T10:14:52Zx", -1 },
		{ "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		time_t when = -1;
		int rc = clock_parse(cases[i].text, &when);

		assert_int_equal(rc, cases[i].when == -1 ? -1 : 0);
		assert_int_equal(when, cases[i].when);
	}
}

static void
test_months_before_clamps_the_day(void **state)
{
	time_t from, to;

	(void)state;
	assert_int_equal(clock_parse("2025-08-31T12:00:00Z", &from), 0);
	assert_int_equal(clock_parse("2024-02-29T12:00:00Z", &to), 0);
	assert_int_equal(clock_months_before(from, 18), to);
}

static void
test_rfc3339(void **state)
{
	char text[RFC3339_CHARS];

	(void)state;
	clock_rfc3339(text, 1691232315768);
	assert_string_equal(text, "2023-08-05T10:45:15.768Z");
}

static void
test_json_is_strict_and_bounded(void **state)
{
	static const char *const bad[] = {
		"", "{", "{\"a\":1,\"a\":2}", "{\"a\":1,}", "[1] x", "3"
	};
	char deep[200];
	struct bd_err e = { 0 };
	struct buf out = { 0 };
	json_t *v;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_null(json_parse(bad[i], strlen(bad[i]), 100, &e));
	memset(deep, '[', 40);
	memset(deep + 40, ']', 40);
	assert_null(json_parse(deep, 80, 100, &e));
	assert_null(json_parse("[\"long\"]", 8, 7, &e));
	assert_non_null(v = json_parse("{\"b\":\"[[[\",\"a\":\"\"}", 18, 100, &e));
	assert_string_equal(json_text(v, "b"), "[[[");
	assert_null(json_text(v, "a"));
	assert_null(json_text(v, "c"));
	assert_int_equal(json_write(v, 1, &out, &e), 0);
	assert_string_equal(buf_str(&out), "{\"a\":\"\",\"b\":\"[[[\"}");
	buf_free(&out);
	json_decref(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buffer_grows_to_its_maximum_and_no_further),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_white_space_and_url),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_hmac_tells_lists_of_parts_apart),
		cmocka_unit_test(test_uuids),
		cmocka_unit_test(test_date_times),
		cmocka_unit_test(test_months_before_clamps_the_day),
		cmocka_unit_test(test_rfc3339),
		cmocka_unit_test(test_json_is_strict_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
