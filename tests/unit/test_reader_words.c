/* SPDX-License-Identifier: Apache-2.0 */
/* Names, titles, text and HTML as the reader treats them (threats.md A7). */
#include "config.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/html.h"
#include "reader/names.h"
#include "reader/text.h"

static const struct {
	const char *name, *title, *extension;
} names[] = {
	{ "Vilkår.pdf", "Vilkår", "pdf" },
	{ "VILKÅR.PDF", "VILKÅR", "pdf" },
	{ "Vilka\xcc\x8ar.pdf", "Vilkår", "pdf" }, /* NFD from macOS */
	{ "../../etc/passwd", "passwd", "" },
	{ "C:\\Users\\kari\\Vedtak.pdf", "Vedtak", "pdf" },
	{ "\\\\server\\share\\a.pdf", "a", "pdf" },
	{ "/", "", "" },
	{ "..", "", "" },
	{ ".pdf", "", "pdf" },
	{ "a.pdf. . ", "a", "pdf" },
	{ "a.pdf\n.exe", "a.pdf", "exe" },
	{ "Vedtak nr. 12", "Vedtak nr. 12", "" },
	{ "Vedtak 12.2023", "Vedtak 12.2023", "" },
	{ "a.tar.gz", "a.tar", "gz" },
	{ "a.b c", "a.b c", "" },
	{ "a.extension", "a.extension", "" },
	{ "\xe2\x80\xaegnp.exe", "gnp", "exe" },
	{ "fdp\xe2\x80\xae.pdf", "fdp", "pdf" },
	{ "a\xe2\x80\x8b.p\xe2\x80\x8b"
	  "df",
	  "a", "pdf" },
	{ "a\tb\x01"
	  "c\x7f.pdf",
	  "a b c", "pdf" },
	{ "a\xff"
	  "b.pdf",
	  "a\xef\xbf\xbd"
	  "b",
	  "pdf" },
	{ "  a   b  ", "a b", "" },
	{ "\xc2\x85 \xe2\x80\xa8.pdf", "", "pdf" },
	{ "CON", "CON", "" },
	{ "mimetype", "mimetype", "" },
	{ "META-INF/manifest.xml", "manifest", "xml" },
	{ "", "", "" },
};

static void
test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char extension[NAMES_EXTENSION_SIZE], *title = names_title(names[i].name, true);

		names_extension(names[i].name, extension);
		if (strcmp(title, names[i].title) != 0 ||
		    strcmp(extension, names[i].extension) != 0)
			fail_msg("name %zu \"%s\": \"%s\" \"%s\"", i, names[i].name, title,
				 extension);
		free(title);
	}
}

static void
test_long_titles_are_cut_at_words(void **state)
{
	char text[1400] = "", *title;

	(void)state;
	for (int i = 0; i < 100; i++)
		strcat(text, "åååååå ");
	title = names_clean(text);
	assert_string_equal(title + strlen(title) - strlen("å…"), "å…");
	assert_true(strlen(title) <= 2 * NAMES_TITLE_MAX_CHARS + 3);
	free(title);
	memset(text, 'x', 300);
	text[300] = '\0';
	title = names_clean(text);
	assert_int_equal(strlen(title), 254 + strlen("…"));
	free(title);
	text[255] = '\0';
	title = names_clean(text);
	assert_string_equal(title, text);
	free(title);
}

static void
test_unique(void **state)
{
	const char *before[] = { "Vedlegg", "vedlegg (2)", "Vilka\xcc\x8ar" };
	const struct {
		const char *title, *unique;
	} cases[] = {
		{ "Annet", "Annet" },
		{ "VEDLEGG", "VEDLEGG (3)" },
		{ "Vilkår", "Vilkår (2)" },
		{ "Vedlegg (2)", "Vedlegg (2) (2)" },
	};
	char longest[256], *title;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		title = strdup(cases[i].title);
		assert_int_equal(names_unique(&title, before, 3), 0);
		assert_string_equal(title, cases[i].unique);
		free(title);
	}
	memset(longest, 'x', 255);
	longest[255] = '\0';
	before[0] = longest;
	title = strdup(longest);
	assert_int_equal(names_unique(&title, before, 3), 0);
	assert_int_equal(strlen(title), 255);
	assert_string_equal(title + 251, " (2)");
	free(title);
}

static void
test_subjects(void **state)
{
	const struct {
		const char *subject;
		bool reply, recall, automatic;
	} cases[] = {
		{ "Re: Vedtak", true, false, false },
		{ "SV : Vedtak", true, false, false },
		{ "VS: Vedtak", true, false, false },
		{ "fwd: Vedtak", true, false, false },
		{ "RE[12]: Vedtak", true, false, false },
		{ "Re(2): Vedtak", true, false, false },
		{ "Videresendt: x", true, false, false },
		{ "Regnskap: 2026", false, false, false },
		{ "Re Vedtak", false, false, false },
		{ "SVar: x", true, false, false },
		{ "Vedtak Re: x", false, false, false },
		{ "Recall: Vedtak", false, true, false },
		{ "Tilbakekall av løyve", false, false, false },
		{ "Tilbakekall: Vedtak", false, true, false },
		{ "Automatisk svar: Vedtak", false, false, true },
		{ "", false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *s = cases[i].subject;

		if (names_is_reply(s) != cases[i].reply || names_is_recall(s) != cases[i].recall ||
		    names_is_auto_reply(s) != cases[i].automatic)
			fail_msg("\"%s\"", s);
	}
}

static void
test_charsets(void **state)
{
	const struct {
		const char *charset, *in, *out; /* out NULL: refused */
	} cases[] = {
		{ "utf-8", "på", "på" },
		{ "utf-8", "\xef\xbb\xbfpå", "på" },
		{ "utf-8", "p\xe5", NULL },
		{ "", "p\xe5", "på" },
		{ "", "på", "på" },
		{ "us-ascii", "p\xe5 \x80", "på €" },
		{ "iso-8859-1", "p\xe5 \x96", "på –" },
		{ "iso-8859-15", "\xa4", "€" },
		{ "windows-1252", "\x81", NULL },
		{ "cp865", "p\x86", "på" },
		{ "koi8-r", "\xc1", "а" },
		{ "iso-2022-jp", "\x1b$B$\"\x1b(B", "あ" },
		{ "utf-7", "p+AOU-", "på" },
		{ "x-klingon", "x", NULL },
		{ "utf-8//translit", "x", NULL },
		{ "utf-8",
		  "a\x08"
		  "b",
		  NULL },
		{ "", "dos\r\n\x1a", "dos\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = { 0 };
		struct bd_err e = { 0 };
		int rc = text_to_utf8(cases[i].in, strlen(cases[i].in), cases[i].charset, &out, &e);

		if (cases[i].out == NULL ? rc != -1 || e.kind != BD_E_CONTENT
					 : rc != 0 || strcmp(buf_str(&out), cases[i].out) != 0)
			fail_msg("%s %zu: %d \"%s\"", cases[i].charset, i, rc, buf_str(&out));
		buf_free(&out);
	}
}

static void
test_utf16_with_its_mark(void **state)
{
	struct buf out = { 0 };
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(text_to_utf8("\xff\xfe\xe5\0x\0", 6, "", &out, &e), 0);
	assert_string_equal(buf_str(&out), "åx");
	buf_clear(&out);
	assert_int_equal(text_to_utf8("a\0b", 3, "utf-8", &out, &e), -1);
	assert_int_equal(text_to_utf8("a\0b", 3, "iso-8859-15", &out, &e), -1);
	buf_free(&out);
}

static void
test_flowed(void **state)
{
	const struct {
		const char *in, *out;
		bool delsp;
	} cases[] = {
		{ "a \r\nb\r\n", "a b\r\n", false },
		{ "a \r\nb\r\n", "ab\r\n", true },
		{ "a\r\nb", "a\r\nb\r\n", false },
		{ "> a \r\n> b\r\nc\r\n", "> a b\r\nc\r\n", false },
		{ "> a \r\nc\r\n", "> a \r\nc\r\n", false },
		{ " >x\r\n", ">x\r\n", false },
		{ "-- \r\nKari\r\n", "-- \r\nKari\r\n", false },
		{ "a ", "a \r\n", false },
		{ "", "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = { 0 };

		assert_int_equal(
		    text_unflow(cases[i].in, strlen(cases[i].in), cases[i].delsp, &out), 0);
		if (strcmp(buf_str(&out), cases[i].out) != 0)
			fail_msg("flowed %zu: \"%s\"", i, buf_str(&out));
		buf_free(&out);
	}
}

static void
test_signature(void **state)
{
	const struct {
		const char *text;
		size_t chars;
	} cases[] = {
		{ "Hei på deg\r\n", 8 },
		{ "Hei\n-- \nKari Nordmann", 3 },
		{ "Hei\r\n\r\n  Med vennlig hilsen\r\nKari", 3 },
		{ "Hei\nMvh, Kari", 3 },
		{ "Hei\nMvhx", 7 },
		{ "Hilsenen\n", 8 },
		{ "\xc2\xa0\n\xe2\x80\x8b", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (text_above_signature(cases[i].text, strlen(cases[i].text)) != cases[i].chars)
			fail_msg("signature %zu", i);
}

static void
test_html(void **state)
{
	const struct {
		const char *in, *charset, *utf8, *text;
	} cases[] = {
		{ "<p>Hei<br>du</p>", "", "<meta charset=\"utf-8\"><p>Hei<br>du</p>",
		  "\nHei\ndu\n" },
		{ "<!DOCTYPE html><p>x", "", "<!DOCTYPE html><meta charset=\"utf-8\"><p>x", "\nx" },
		{ "<HEAD><META CHARSET='ISO-8859-1'></HEAD>x", "iso-8859-1",
		  "<HEAD><META CHARSET='utf-8'></HEAD>x", "x" },
		{ "<meta http-equiv=Content-Type content=text/html;charset=cp1252>x", "cp1252",
		  "<meta http-equiv=Content-Type content=text/html;charset=utf-8>x", "x" },
		{ "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?><html>x", "",
		  "<html><meta charset=\"utf-8\">x", "x" },
		{ "<!-- <meta charset=x> --><head>a<title>t</title>b</head>c", "",
		  "<!-- <meta charset=x> --><head><meta "
		  "charset=\"utf-8\">a<title>t</title>b</head>c",
		  "c" },
		{ "<body><meta charset=x>a<style>p{}</style>b<script>if(a<b)</script>c", "x",
		  "<meta charset=\"utf-8\"><body><meta charset=x>a<style>p{}</style>b"
		  "<script>if(a<b)</script>c",
		  "abc" },
		{ "a &lt; b&nbsp;&nbsp; c", "", "<meta charset=\"utf-8\">a &lt; b&nbsp;&nbsp; c",
		  "a < b  c" },
		{ "1 < 2 <b title=\"a>b\">x</b>", "",
		  "<meta charset=\"utf-8\">1 < 2 <b title=\"a>b\">x</b>", "1 < 2 x" },
		{ "<meta charset=utf-16>x", "utf-8", "<meta charset=utf-8>x", "x" },
		{ "a<!-- never ends", "", "<meta charset=\"utf-8\">a<!-- never ends", "a" },
		{ "a<p", "", "<meta charset=\"utf-8\">a<p", "a\n" },
		{ "", "", "<meta charset=\"utf-8\">", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].in);
		char charset[HTML_CHARSET_SIZE];
		struct buf utf8 = { 0 }, text = { 0 };

		html_charset(cases[i].in, len, charset);
		assert_int_equal(html_say_utf8(cases[i].in, len, &utf8), 0);
		assert_int_equal(html_text(cases[i].in, len, &text), 0);
		if (strcmp(charset, cases[i].charset) != 0 ||
		    strcmp(buf_str(&utf8), cases[i].utf8) != 0 ||
		    strcmp(buf_str(&text), cases[i].text) != 0)
			fail_msg("html %zu: \"%s\" \"%s\" \"%s\"", i, charset, buf_str(&utf8),
				 buf_str(&text));
		buf_free(&utf8);
		buf_free(&text);
	}
}

static int
find(void *arg, const char *id, size_t len, struct buf *out)
{
	(void)arg;
	return len == 3 && memcmp(id, "a@b", 3) == 0 ? (buf_adds(out, "DATA") == 0 ? 1 : -1) : 0;
}

static void
test_inline(void **state)
{
	const struct {
		const char *in, *out;
	} cases[] = {
		{ "<img src=\"cid:a@b\">", "<img src=\"DATA\">" },
		{ "<img src=cid:a@b>", "<img src=DATA>" },
		{ "<td style='background:url(cid:a@b)'>", "<td style='background:url(DATA)'>" },
		{ "<img src=\"CID:a@b\"><img src='cid:x'>", "<img src=\"DATA\"><img src='cid:x'>" },
		{ "incid:a@b", "incid:a@b" },
		{ "cid:", "cid:" },
		{ " cid:", " cid:" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = { 0 };

		assert_int_equal(html_inline(cases[i].in, strlen(cases[i].in), find, NULL, &out),
				 0);
		if (strcmp(buf_str(&out), cases[i].out) != 0)
			fail_msg("inline %zu: \"%s\"", i, buf_str(&out));
		buf_free(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_titles_are_cut_at_words),
		cmocka_unit_test(test_unique),
		cmocka_unit_test(test_subjects),
		cmocka_unit_test(test_charsets),
		cmocka_unit_test(test_utf16_with_its_mark),
		cmocka_unit_test(test_flowed),
		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_html),
		cmocka_unit_test(test_inline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
