/* SPDX-License-Identifier: Apache-2.0 */
/* The document package in memory: no changed byte brings other documents, no text breaks the XML,
 * threads do not mix. Judgement by other programs is in tests/wire/test_package.py. */
#include "config.h"
#include "tests/unit/test.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/signer.h"
#include "envelope/asice.h"
#include "envelope/manifest.h"
#include "envelope/package.h"
#include "envelope/xml.h"

static EVP_PKEY *key;
static struct cert_chain chain;
static struct signer *signer;

static X509 *
certificate_make(EVP_PKEY *pkey)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	const unsigned char *text = (const unsigned char *)"Test & <Co>";

	assert_non_null(cert);
	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 4711);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, text, -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, pkey);
	assert_true(X509_sign(cert, pkey, EVP_sha256()) > 0);
	return cert;
}

static int
keys_make(void **state)
{
	(void)state;
	key = EVP_RSA_gen(2048);
	assert_non_null(key);
	chain.leaf = certificate_make(key);
	chain.rest = sk_X509_new_null();
	signer = signer_direct(key);
	return 0;
}

static int
keys_free(void **state)
{
	(void)state;
	signer_free(&signer);
	cert_chain_clear(&chain);
	EVP_PKEY_free(key);
	return 0;
}

static int
make(struct document *documents, size_t count, struct buf *out, struct bd_err *e)
{
	const struct package_sender sender = { .orgnr = "123456785",
					       .label = "x",
					       .chain = &chain };
	const struct letter letter = { .documents = documents, .document_count = count };

	return package_make(&letter, "kari.test#1ABC", "nb", &sender, signer, out, e);
}

static char href[] = "brev.html", href2[] = "vedlegg-01.txt", html[] = "text/html",
	    text[] = "text/plain", title[] = "Brev", title2[] = "Vedlegg";

static void
make_small(struct buf *out)
{
	struct document documents[] = {
		{ href, html, title, (const uint8_t *)"<p>Ja</p>", 9 },
		{ href2, text, title2, (const uint8_t *)"Hei", 3 },
	};
	struct bd_err e = { 0 };

	if (make(documents, 2, out, &e) == -1)
		fail_msg("%s", e.cause);
}

/* 1 when it opens to the two documents, 0 when it is refused; anything else fails. */
static int
opens(const void *data, size_t len)
{
	struct package_open o = { 0 };
	struct bd_err e = { .kind = BD_E_COUNT };

	if (package_verify(data, len, NULL, &o, &e) == -1) {
		assert_int_equal(e.kind, BD_E_DAMAGED);
		return 0;
	}
	assert_int_equal(o.document_count, 2);
	assert_string_equal(o.mailbox, "kari.test#1ABC");
	assert_string_equal(o.documents[0].href, href);
	assert_string_equal(o.documents[1].title, title2);
	assert_string_equal(buf_str(&o.documents[0].data), "<p>Ja</p>");
	assert_string_equal(buf_str(&o.documents[1].data), "Hei");
	package_open_clear(&o);
	return 1;
}

/* One bit of every byte of the container. Some bytes of a zip mean nothing (times, comments): with
 * those changed it may open, but only to the same documents. */
static void
test_each_byte_of_the_container(void **state)
{
	struct buf asice = { 0 };
	size_t refused = 0;

	(void)state;
	make_small(&asice);
	assert_int_equal(opens(asice.data, asice.len), 1);
	for (size_t i = 0; i < asice.len; i++) {
		asice.data[i] ^= (unsigned char)(1 << i % 8);
		refused += opens(asice.data, asice.len) == 0;
		asice.data[i] ^= (unsigned char)(1 << i % 8);
	}
	assert_true(refused > asice.len * 8 / 10);
	for (size_t len = 0; len < asice.len; len += 7) {
		unsigned char *part = malloc(len + 1);

		memcpy(part, asice.data, len);
		assert_int_equal(opens(part, len), 0);
		free(part);
	}
	buf_free(&asice);
}

static void
test_each_byte_of_the_cms(void **state)
{
	struct buf asice = { 0 }, cms = { 0 };
	size_t refused = 0, step;
	struct bd_err e = { 0 };

	(void)state;
	make_small(&asice);
	assert_int_equal(package_encrypt(&asice, chain.leaf, &cms, &e), 0);
	for (size_t i = 0; i < cms.len; i += step) {
		struct buf out = { 0 };

		step = i < 700 ? 1 : 13; /* every byte of the structure, a part of the content */
		cms.data[i] ^= 1;
		if (package_decrypt(cms.data, cms.len, chain.leaf, key, &out, &e) == -1) {
			assert_int_equal(e.kind, BD_E_DAMAGED);
			refused++;
		} else {
			refused += opens(out.data, out.len) == 0;
		}
		cms.data[i] ^= 1;
		buf_free(&out);
	}
	assert_true(refused > 600);
	for (size_t len = 0; len < cms.len; len += len < 700 ? 1 : 97) {
		unsigned char *part = malloc(len + 1);
		struct buf out = { 0 };

		memcpy(part, cms.data, len);
		assert_int_equal(package_decrypt(part, len, chain.leaf, key, &out, &e), -1);
		free(part);
		buf_free(&out);
	}
	buf_free(&asice);
	buf_free(&cms);
}

static void
test_limits(void **state)
{
	static uint8_t big[50 * 1000 * 1000];
	struct document many[MANIFEST_ATTACHMENTS_MAX + 2];
	static char names[MANIFEST_ATTACHMENTS_MAX + 2][20];
	struct document same[] = { { href, html, title, big, 1 }, { href, html, title2, big, 1 } };
	char upper[] = "BREV.HTML";
	struct buf out = { 0 }, cms = { 0 };
	struct bd_err e = { 0 };
	uint32_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
		snprintf(names[i], sizeof(names[i]), "vedlegg-%03zu.txt", i);
		many[i] = (struct document){ names[i], text, names[i], big, 3 };
	}
	assert_int_equal(make(many, MANIFEST_ATTACHMENTS_MAX + 1, &out, &e), 0);
	buf_free(&out);
	assert_int_equal(make(many, MANIFEST_ATTACHMENTS_MAX + 2, &out, &e), -1);
	assert_int_equal(e.kind, BD_E_CONTENT);
	assert_int_equal(make(many, 0, &out, &e), -1);
	assert_int_equal(make(same, 2, &out, &e), -1);
	same[1].href = upper;
	assert_int_equal(make(same, 2, &out, &e), -1);
	for (size_t i = 0; i < sizeof(big); i++) {
		seed = seed * 1664525 + 1013904223;
		big[i] = (uint8_t)(seed >> 24);
	}
	many[0].len = sizeof(big);
	assert_int_equal(make(many, 1, &out, &e), -1);
	assert_int_equal(e.kind, BD_E_TOO_BIG);
	assert_int_equal(out.len, 0);
	/* what the check lets through, packing and encrypting do too */
	many[0].len = sizeof(big) - 500 * 1000 + 1;
	assert_int_equal(make(many, 1, &out, &e), -1);
	many[0].len--;
	if (make(many, 1, &out, &e) == -1 || package_encrypt(&out, chain.leaf, &cms, &e) == -1)
		fail_msg("%s", e.cause);
	buf_free(&out);
	buf_free(&cms);
}

/* Random bytes as title: refused, or what is read back is what xml_add says it becomes. */
static void
test_titles_survive(void **state)
{
	static const char *const pieces[] = {
		"&",    "<",        ">",    "\"",       "'",
		"]]>",  "&amp;",    "<!--", "\xc3\xa6", "\xe2\x82\xac",
		"\x01", "\t",       "\xff", "\xed\xa0", "\xf0\x9f\x98\x80",
		"a",    "</title>", "%s",   "\r\n",     "\xef\xbf\xbe"
	};
	uint32_t seed = 7;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct document d = { href, html, title, NULL, 0 };
		const struct letter letter = { .documents = &d, .document_count = 1 };
		const struct package_sender sender = { .orgnr = "123456785", .chain = &chain };
		struct buf given = { 0 }, xml = { 0 };
		struct manifest m;
		struct bd_err e = { 0 };

		for (int i = 0; i < 1 + round % 9; i++) {
			seed = seed * 1664525 + 1013904223;
			assert_int_equal(buf_adds(&given, pieces[(seed >> 16) % 20]), 0);
		}
		d.title = (char *)given.data;
		if (manifest_make(&letter, "m", "nb", &sender, &xml, &e) == -1) {
			assert_int_equal(xml_chars(d.title), -1);
		} else {
			struct buf back = { 0 }, again = { 0 };

			assert_int_equal(manifest_read(xml.data, xml.len, &m, &e), 0);
			assert_int_equal(xml_add(&back, d.title, &e), 0);
			assert_int_equal(xml_add(&again, m.documents[0].title, &e), 0);
			assert_string_equal(buf_str(&back), buf_str(&again));
			if (!xml_changes(d.title))
				assert_string_equal(m.documents[0].title, d.title);
			manifest_clear(&m);
			buf_free(&back);
			buf_free(&again);
		}
		buf_free(&given);
		buf_free(&xml);
	}
}

static void
test_same_bytes_again(void **state)
{
	const struct asice_entry entries[] = { { "a.txt", "text/plain", "abc", 3 },
					       { "b.pdf", "application/pdf", "", 0 } };
	struct buf one = { 0 }, two = { 0 };
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(asice_write(entries, 2, &one, &e), 0);
	assert_int_equal(asice_write(entries, 2, &two, &e), 0);
	assert_int_equal(one.len, two.len);
	assert_memory_equal(one.data, two.data, one.len);
	buf_free(&one);
	buf_free(&two);
}

static void *
verify_often(void *arg)
{
	const struct buf *asice = arg;
	uintptr_t good = 0;

	for (int i = 0; i < 50; i++) {
		struct package_open o = { 0 };
		struct bd_err e = { 0 };

		good += package_verify(asice->data, asice->len, NULL, &o, &e) == 0;
		package_open_clear(&o);
	}
	return (void *)good;
}

/* Good and bad packages in threads of their own: xmlsec1's callbacks have no argument of ours. */
static void
test_threads(void **state)
{
	struct document other = { href, html, title2, (const uint8_t *)"<p>Nei</p>", 10 };
	struct buf packages[4] = { { 0 }, { 0 }, { 0 }, { 0 } };
	pthread_t threads[4];
	struct bd_err e = { 0 };

	(void)state;
	for (int i = 0; i < 4; i++) {
		if (i % 2 == 0)
			make_small(&packages[i]);
		else
			assert_int_equal(make(&other, 1, &packages[i], &e), 0);
	}
	packages[3].data[packages[3].len / 2] ^= 1;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, verify_often, &packages[i]), 0);
	for (int i = 0; i < 4; i++) {
		void *good;

		pthread_join(threads[i], &good);
		assert_int_equal((uintptr_t)good, i == 3 ? 0 : 50);
		buf_free(&packages[i]);
	}
}

static void
test_hrefs(void **state)
{
	static const struct {
		const char *name;
		bool safe;
	} cases[] = {
		{ "brev.pdf", true },
		{ "vedlegg-01.pdf", true },
		{ "A_b-c.d", true },
		{ "abc", false },
		{ "", false },
		{ ".pdf", false },
		{ "../a", false },
		{ "a/b.pdf", false },
		{ "a\\b.pdf", false },
		{ "a b.pdf", false },
		{ "a:b.pdf", false },
		{ "brev\xc3\xa6.pdf", false },
		{ "manifest.xml", false },
		{ "MANIFEST.XML", false },
		{ "mimetype", false },
		{ "META-INF", false },
		{ "meta-inf", false },
		{ "a%2eb.pdf", false },
		{ "a+b.pdf", false },
		{ "a\nb.pdf", false },
	};
	char longest[102];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (manifest_href_is_safe(cases[i].name) != cases[i].safe)
			fail_msg("%s", cases[i].name);
	memset(longest, 'a', sizeof(longest));
	longest[100] = '\0';
	assert_true(manifest_href_is_safe(longest));
	longest[100] = 'a';
	longest[101] = '\0';
	assert_false(manifest_href_is_safe(longest));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_byte_of_the_container),
		cmocka_unit_test(test_each_byte_of_the_cms),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_titles_survive),
		cmocka_unit_test(test_same_bytes_again),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_hrefs),
	};

	return cmocka_run_group_tests(tests, keys_make, keys_free);
}
