/* SPDX-License-Identifier: Apache-2.0 */
/* The sealed message: what is made can be opened, whatever was changed cannot, and only the one
 * structure is ever decrypted. */
#include "config.h"
#include "tests/unit/test.h"

#include <openssl/cms.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "envelope/cms.h"
#include "envelope/sealed.h"

#define LETTER "00112233445566778899aabbccddeeff"
#define OTHER "ffeeddccbbaa99887766554433221100"

static char id_new[] = "2026-11", id_old[] = "2026-05";
static struct seal_key two_keys[] = {
	{ .id = id_new, .key = { 1, 2, 3 } },
	{ .id = id_old, .key = { 9, 8, 7 } },
};
static const struct seal_keys keys = { two_keys, 2 };
static const struct seal_keys only_old = { two_keys + 1, 1 };

static struct control_record *
record_new(void)
{
	static const char json[] =
	    "{\"version\":1,\"letter_id\":\"" LETTER "\",\"mail_id\":\"m1\",\"index\":1,"
	    "\"count\":2,\"route\":\"digital\",\"agency\":\"kommune\",\"orgnr\":\"123456785\","
	    "\"unit\":\"skole\",\"kind\":\"important\",\"title\":\"Svar p\\u00e5 s\\u00f8knad\","
	    "\"public_title\":\"Brev\",\"language\":\"nb\",\"security_level\":4,"
	    "\"open_receipt\":true,\"notice_email_text\":\"Du har post\",\"repeats\":[0,7],"
	    "\"signer\":\"ab\",\"addressees\":[{\"national_id\":\"01819090013\","
	    "\"mailbox\":\"kari.test#1ABC\",\"provider\":\"984661185\","
	    "\"notice_email\":\"kari@example.no\",\"certificate\":"
	    "\"00000000000000000000000000000000000000000000000000000000000000ff\"}],"
	    "\"documents\":[{\"href\":\"brev.pdf\",\"mime\":\"application/pdf\",\"size\":17,"
	    "\"sha256\":"
	    "\"00000000000000000000000000000000000000000000000000000000000000ee\"}],"
	    "\"package_sha256\":"
	    "\"0000000000000000000000000000000000000000000000000000000000000000\","
	    "\"package_size\":0,\"mail_from\":\"\",\"wants_delivery\":false,"
	    "\"sealed_at\":1900000000,\"of_a_later_version\":{}}";
	struct control_record *c = NULL;
	struct bd_err e = { 0 };

	if (control_from_json(json, strlen(json), &c, &e) == -1)
		fail_msg("%s", e.cause);
	return c;
}

static void
package_fill(struct buf *package, size_t len)
{
	assert_int_equal(buf_reserve(package, len), 0);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(buf_addc(package, (char)(i * 7 + i / 256)), 0);
}

static void
message_make(struct buf *message, struct buf *package, size_t len)
{
	struct control_record *c = record_new();
	struct bd_err e = { 0 };

	package_fill(package, len);
	if (sealed_make(c, package, &keys, message, &e) == -1)
		fail_msg("%s", e.cause);
	control_free(&c);
}

/* The kind that opening ends in; BD_E_COUNT when it opens. */
static enum bd_kind
open_kind(const void *message, size_t len, const struct seal_keys *with, const char *letter)
{
	struct control_record *c = NULL;
	struct buf package = { 0 };
	struct bd_err e = { .kind = BD_E_COUNT };

	if (sealed_open(message, len, with, letter, &c, &package, &e) == -1) {
		assert_null(c);
		assert_int_equal(package.len, 0);
		assert_int_not_equal(e.kind, BD_E_COUNT);
		assert_true(e.cause[0] != '\0');
	}
	control_free(&c);
	buf_free(&package);
	return e.kind;
}

static void
test_round_trip(void **state)
{
	static const size_t sizes[] = { 0, 1, 56, 57, 58, 1000, 100000 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buf message = { 0 }, package = { 0 }, back = { 0 };
		struct control_record *c = NULL;
		struct bd_err e = { 0 };

		message_make(&message, &package, sizes[i]);
		if (sealed_open(message.data, message.len, &keys, LETTER, &c, &back, &e) == -1)
			fail_msg("%zu bytes: %s", sizes[i], e.cause);
		assert_int_equal(back.len, package.len);
		if (back.len > 0)
			assert_memory_equal(back.data, package.data, back.len);
		assert_string_equal(c->title, "Svar p\xc3\xa5 s\xc3\xb8knad");
		assert_string_equal(c->mail_from, "");
		assert_null(c->envid);
		assert_string_equal(c->addressees[0].mailbox, "kari.test#1ABC");
		assert_int_equal(c->addressees[0].certificate[31], 0xff);
		assert_int_equal(c->documents[0].size, 17);
		assert_int_equal(c->repeat_count, 2);
		assert_int_equal(c->repeats[1], 7);
		assert_int_equal(c->count, 2);
		assert_true(c->open_receipt);
		assert_int_equal(c->package_size, sizes[i]);
		control_free(&c);
		buf_free(&message);
		buf_free(&package);
		buf_free(&back);
	}
}

/* Nothing of the record is readable, every line is short 7-bit text with CRLF. */
static void
test_message_form(void **state)
{
	static const char *const secrets[] = { "01819090013", "kari", "skole", "S2FyaQ", "Svar" };
	struct buf message = { 0 }, package = { 0 };
	size_t column = 0;

	(void)state;
	message_make(&message, &package, 10000);
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		assert_null(strstr(buf_str(&message), secrets[i]));
	for (size_t i = 0; i < message.len; i++) {
		assert_true(message.data[i] < 0x7f);
		if (message.data[i] == '\n') {
			assert_int_equal(message.data[i - 1], '\r');
			column = 0;
		} else {
			assert_true(++column < 120);
		}
	}
	assert_non_null(strstr(buf_str(&message), "Date: Sun, 17 Mar 2030 17:46:40 +0000\r\n"));
	assert_non_null(
	    strstr(buf_str(&message), "Message-ID: <" LETTER "@report.brevdue.invalid>\r\n"));
	buf_free(&message);
	buf_free(&package);
}

/* Each byte of the message, from the first boundary on, with one bit flipped. A changed line end is
 * the only change that may pass, since it changes nothing. */
static void
test_each_byte(void **state)
{
	struct buf message = { 0 }, package = { 0 };
	size_t start, second, opened = 0;

	(void)state;
	message_make(&message, &package, 500);
	start = (size_t)(strstr(buf_str(&message), "\r\n\r\n--") - buf_str(&message)) + 4;
	second = (size_t)(strstr(buf_str(&message),
				 "\r\n--brevdue-sealed\r\nContent-Type: application/cms") -
			  buf_str(&message)) +
		 4; /* without its dashes the first part has no end */
	for (size_t i = start; i < message.len; i++) {
		unsigned char was = message.data[i];
		enum bd_kind kind;

		message.data[i] = was ^ 1;
		kind = open_kind(message.data, message.len, &keys, LETTER);
		message.data[i] = was;
		if (kind == BD_E_COUNT)
			opened++;
		else
			assert_int_equal(kind, i < second ? BD_E_NOT_SEALED : BD_E_DAMAGED);
	}
	assert_int_equal(opened, 0);
	assert_int_equal(open_kind(message.data, message.len, &keys, LETTER), BD_E_COUNT);
	buf_free(&message);
	buf_free(&package);
}

static void
test_truncated(void **state)
{
	struct buf message = { 0 }, package = { 0 };

	(void)state;
	message_make(&message, &package, 300);
	for (size_t len = 0; len < message.len; len++) {
		unsigned char *part = malloc(len + 1); /* exact, so that a sanitizer sees reads */

		memcpy(part, message.data, len);
		assert_int_not_equal(open_kind(part, len, &keys, NULL), BD_E_COUNT);
		free(part);
	}
	assert_int_equal(buf_adds(&message, "more"), 0);
	assert_int_equal(open_kind(message.data, message.len, &keys, NULL), BD_E_DAMAGED);
	buf_free(&message);
	buf_free(&package);
}

static void
test_keys_and_letter(void **state)
{
	struct seal_key wrong_bytes = { .id = id_new, .key = { 4 } };
	const struct seal_keys wrong = { &wrong_bytes, 1 }, none = { NULL, 0 };
	struct buf message = { 0 }, package = { 0 }, old = { 0 };
	struct control_record *c = record_new();
	struct bd_err e = { 0 };

	(void)state;
	message_make(&message, &package, 300);
	assert_int_equal(open_kind(message.data, message.len, &only_old, NULL), BD_E_NOT_SEALED);
	assert_int_equal(open_kind(message.data, message.len, &wrong, NULL), BD_E_NOT_SEALED);
	assert_int_equal(open_kind(message.data, message.len, &none, NULL), BD_E_NOT_SEALED);
	assert_int_equal(open_kind(message.data, message.len, &keys, OTHER), BD_E_NOT_SEALED);
	/* rolled: what the old key sealed still opens */
	assert_int_equal(sealed_make(c, &package, &only_old, &old, &e), 0);
	assert_int_equal(open_kind(old.data, old.len, &keys, LETTER), BD_E_COUNT);
	assert_int_equal(sealed_make(c, &package, &none, &old, &e), -1);
	assert_int_equal(e.kind, BD_E_CONFIG);
	control_free(&c);
	buf_free(&message);
	buf_free(&package);
	buf_free(&old);
}

static void
replaced(const struct buf *message, const char *from, const char *to, struct buf *out)
{
	const char *at = strstr(buf_str(message), from);

	assert_non_null(at);
	assert_int_equal(buf_add(out, message->data, (size_t)(at - buf_str(message))), 0);
	assert_int_equal(buf_adds(out, to), 0);
	at += strlen(from);
	assert_int_equal(
	    buf_add(out, at, message->len - (size_t)(at - (const char *)message->data)), 0);
}

static void
test_headers(void **state)
{
	static const struct {
		const char *name, *from, *to;
		enum bd_kind kind;
	} cases[] = {
		{ "Postfix adds Received", "Date: ",
		  "Received: from x (x [127.0.0.1])\r\n\tby y; today\r\nDate: ", BD_E_COUNT },
		{ "Postfix adds From", "MIME-Version: 1.0\r\n",
		  "MIME-Version: 1.0\r\nFrom: a@report.brevdue.invalid\r\n", BD_E_COUNT },
		{ "no MIME-Version", "MIME-Version: 1.0\r\n", "", BD_E_NOT_SEALED },
		{ "two Content-Type", "MIME-Version: 1.0\r\n",
		  "MIME-Version: 1.0\r\nContent-type: text/plain\r\n", BD_E_NOT_SEALED },
		{ "the same Content-Type twice", "MIME-Version: 1.0\r\n",
		  "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
		  "boundary=\"brevdue-sealed\"\r\n",
		  BD_E_NOT_SEALED },
		{ "continued Content-Type", "sealed\"\r\n\r\n", "sealed\"\r\n ; x=y\r\n\r\n",
		  BD_E_NOT_SEALED },
		{ "encoding of the whole", "MIME-Version: 1.0\r\n",
		  "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n", BD_E_NOT_SEALED },
		{ "preamble", "\r\n\r\n--brevdue", "\r\n\r\nHello\r\n--brevdue", BD_E_NOT_SEALED },
		{ "header line in a part", "application/cms;", "application/cms; x=y;",
		  BD_E_DAMAGED },
		{ "epilogue", "--brevdue-sealed--\r\n", "--brevdue-sealed--\r\nHello\r\n",
		  BD_E_DAMAGED },
		{ "third part", "--brevdue-sealed--\r\n",
		  "--brevdue-sealed\r\n\r\nx\r\n--brevdue-sealed--\r\n", BD_E_DAMAGED },
	};
	struct buf message = { 0 }, package = { 0 };

	(void)state;
	message_make(&message, &package, 300);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf changed = { 0 };
		enum bd_kind kind;

		replaced(&message, cases[i].from, cases[i].to, &changed);
		kind = open_kind(changed.data, changed.len, &keys, LETTER);
		if (kind != cases[i].kind)
			fail_msg("%s: %d, not %d", cases[i].name, kind, cases[i].kind);
		buf_free(&changed);
	}
	buf_free(&message);
	buf_free(&package);
}

/* As postcat shows it: LF line ends. */
static void
test_lf(void **state)
{
	struct buf message = { 0 }, package = { 0 }, lf = { 0 };

	(void)state;
	message_make(&message, &package, 300);
	for (size_t i = 0; i < message.len; i++)
		if (message.data[i] != '\r')
			assert_int_equal(buf_addc(&lf, (char)message.data[i]), 0);
	assert_int_equal(open_kind(lf.data, lf.len, &keys, LETTER), BD_E_COUNT);
	buf_free(&message);
	buf_free(&package);
	buf_free(&lf);
}

/* Other CMS structures made with the right key: none is decrypted. */

static void
kek_add(CMS_ContentInfo *cms, const char *id, int nid, size_t key_len)
{
	unsigned char *key = OPENSSL_memdup(two_keys[0].key, 32);
	unsigned char *name = OPENSSL_memdup(id, strlen(id));

	assert_non_null(
	    CMS_add0_recipient_key(cms, nid, key, key_len, name, strlen(id), NULL, NULL, NULL));
}

static void
foreign_make(int which, struct buf *out)
{
	BIO *in = BIO_new_mem_buf("{}", 2);
	CMS_ContentInfo *cms;
	unsigned char *der = NULL;
	int len;

	if (which == 0) /* not authenticated at all */
		cms = CMS_encrypt(NULL, NULL, EVP_aes_256_cbc(), CMS_PARTIAL | CMS_BINARY);
	else if (which == 1)
		cms = CMS_AuthEnvelopedData_create(EVP_aes_128_gcm());
	else
		cms = CMS_AuthEnvelopedData_create(EVP_aes_256_gcm());
	assert_non_null(cms);
	assert_int_equal(CMS_set_detached(cms, 0), 1);
	if (which == 3)
		kek_add(cms, id_new, NID_id_aes128_wrap, 16);
	else
		kek_add(cms, id_new, NID_id_aes256_wrap, 32);
	if (which == 2)
		kek_add(cms, id_old, NID_id_aes256_wrap, 32);
	assert_int_equal(CMS_final(cms, in, NULL, CMS_BINARY), 1);
	len = i2d_CMS_ContentInfo(cms, &der);
	assert_true(len > 0);
	assert_int_equal(buf_add(out, der, (size_t)len), 0);
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
	BIO_free(in);
}

static void
test_foreign_structures(void **state)
{
	static const char *const names[] = { "envelopedData", "AES-128-GCM", "two recipients",
					     "AES-128 key wrap" };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct buf cms = { 0 }, out = { 0 };
		struct bd_err e = { 0 };

		foreign_make(i, &cms);
		if (cms_open(cms.data, cms.len, &keys, &out, &e) == 0)
			fail_msg("%s was opened", names[i]);
		assert_int_equal(e.kind, BD_E_NOT_SEALED);
		assert_int_equal(out.len, 0);
		buf_free(&cms);
		buf_free(&out);
	}
}

/* A tag cut to 12 bytes with its parameter adjusted is legal by RFC 5084 and must not pass. */
static void
test_short_tag(void **state)
{
	struct buf cms = { 0 }, out = { 0 };
	struct bd_err e = { 0 };
	unsigned char *at;

	(void)state;
	assert_int_equal(cms_seal("{}", 2, &two_keys[0], &cms, &e), 0);
	assert_int_equal(cms_open(cms.data, cms.len, &keys, &out, &e), 0);
	assert_int_equal(out.len, 2);
	at = memmem(cms.data, cms.len, "\x02\x01\x10", 3);
	assert_non_null(at);
	at[2] = 12;
	assert_int_equal(cms_open(cms.data, cms.len, &keys, &out, &e), -1);
	assert_non_null(strstr(e.cause, "tag"));
	buf_free(&cms);
	buf_free(&out);
}

static void
test_control_refuses(void **state)
{
	static const struct {
		const char *name, *from, *to;
		enum bd_kind kind;
	} cases[] = {
		{ "newer version", "\"version\":1", "\"version\":2", BD_E_CONFIG },
		{ "no version", "\"version\":1,", "", BD_E_DAMAGED },
		{ "version zero", "\"version\":1", "\"version\":0", BD_E_DAMAGED },
		{ "letter id of another form", LETTER, "0011", BD_E_DAMAGED },
		{ "upper case letter id", "aabbcc", "AABBCC", BD_E_DAMAGED },
		{ "index above count", "\"index\":1", "\"index\":3", BD_E_DAMAGED },
		{ "text that is a number", "\"route\":\"digital\"", "\"route\":7", BD_E_DAMAGED },
		{ "no route", "\"route\":\"digital\",", "", BD_E_DAMAGED },
		{ "duplicate member", "\"route\":\"digital\"",
		  "\"route\":\"digital\",\"route\":\"print\"", BD_E_DAMAGED },
		{ "repeat out of range", "[0,7]", "[0,26]", BD_E_DAMAGED },
		{ "too many repeats", "[0,7]", "[0,1,2,3,4,5,6,7,8,9,10]", BD_E_DAMAGED },
		{ "addressee without certificate", "\"certificate\":", "\"x\":", BD_E_DAMAGED },
		{ "document without href", "\"href\":", "\"x\":", BD_E_DAMAGED },
		{ "no documents", "\"documents\":", "\"x\":", BD_E_DAMAGED },
	};
	struct control_record *c = record_new();
	struct buf json = { 0 };
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(control_to_json(c, &json, &e), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct control_record *none = NULL;
		struct buf changed = { 0 };

		replaced(&json, cases[i].from, cases[i].to, &changed);
		if (control_from_json(changed.data, changed.len, &none, &e) == 0)
			fail_msg("%s was taken", cases[i].name);
		if (e.kind != cases[i].kind)
			fail_msg("%s: kind %d (%s)", cases[i].name, e.kind, e.cause);
		assert_null(none);
		buf_free(&changed);
	}
	buf_free(&json);
	free(c->title);
	c->title = strdup("not \xff UTF-8");
	assert_int_equal(control_to_json(c, &json, &e), -1);
	assert_int_equal(e.kind, BD_E_INTERNAL);
	buf_free(&json);
	control_free(&c);
}

static void
test_ids(void **state)
{
	const uint8_t secret[32] = { 5 }, other[32] = { 6 }, digest[SHA256_BYTES] = { 7 };
	char a[LETTER_ID_CHARS], b[LETTER_ID_CHARS], p[17], q[17];
	char i1[UUID_CHARS], i2[UUID_CHARS], c1[UUID_CHARS];

	(void)state;
	letter_id_make(a, secret, "kommune", "01819090013", "m@x", digest, "title");
	letter_id_make(b, secret, "kommune", "01819090013", "m@x", digest, "title");
	assert_string_equal(a, b);
	assert_int_equal(strspn(a, "0123456789abcdef"), 32);
	letter_id_make(b, other, "kommune", "01819090013", "m@x", digest, "title");
	assert_string_not_equal(a, b);
	letter_id_make(b, secret, "kommune0", "1819090013", "m@x", digest, "title");
	assert_string_not_equal(a, b);
	letter_id_make(b, secret, "kommune", "01819090013", NULL, digest, "title");
	assert_string_not_equal(a, b);
	outward_id_make(i1, secret, a, 1, 'i');
	outward_id_make(i2, secret, a, 2, 'i');
	outward_id_make(c1, secret, a, 1, 'c');
	assert_string_not_equal(i1, i2);
	assert_string_not_equal(i1, c1);
	assert_int_equal(strlen(i1), 36);
	assert_int_equal(i1[14], '8');
	pseudonym_make(p, secret, "01819090013");
	pseudonym_make(q, other, "01819090013");
	assert_int_equal(strlen(p), 16);
	assert_string_not_equal(p, q);
}

static void
test_key_files(void **state)
{
	char folder[] = "/tmp/brevdue-test-XXXXXX", file[64];
	char one[] = "one", other[] = "two";
	struct conf_seal_key two[] = { { one, file }, { other, file } };
	struct conf_seal_key same[] = { { one, file }, { one, file } };
	static const size_t sizes[] = { 32, 0, 31, 33, 65 };
	struct seal_keys loaded;
	struct bd_err e = { 0 };

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/key", folder);
	assert_int_equal(seal_keys_load(two, 1, &loaded, &e), -1);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		FILE *f = fopen(file, "w");

		assert_non_null(f);
		for (size_t k = 0; k < sizes[i]; k++)
			fputc('k', f);
		fclose(f);
		assert_int_equal(chmod(file, 0640), 0);
		assert_int_equal(seal_keys_load(two, 2, &loaded, &e), i == 0 ? 0 : -1);
		if (i == 0) {
			assert_int_equal(loaded.count, 2);
			assert_string_equal(loaded.keys[1].id, "two");
			assert_int_equal(loaded.keys[1].key[31], 'k');
			seal_keys_clear(&loaded);
			assert_int_equal(seal_keys_load(same, 2, &loaded, &e), -1);
			assert_int_equal(chmod(file, 0644), 0);
			assert_int_equal(seal_keys_load(two, 1, &loaded, &e), -1);
			assert_non_null(strstr(e.cause, "others"));
		}
	}
	assert_int_equal(seal_keys_load(two, 0, &loaded, &e), -1);
	unlink(file);
	rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_message_form),
		cmocka_unit_test(test_each_byte),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_keys_and_letter),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_lf),
		cmocka_unit_test(test_foreign_structures),
		cmocka_unit_test(test_short_tag),
		cmocka_unit_test(test_control_refuses),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_key_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
