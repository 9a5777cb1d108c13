/* SPDX-License-Identifier: Apache-2.0 */
/* The strict pass: what it refuses and why, what it accepts, and that its work is linear. */
#include "config.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/strict.h"

#define MULTI "Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n"

static const struct {
	const char *name, *mail, *detail; /* NULL: accepted */
	size_t parts;
} cases[] = {
	{ "text", "Subject: s\n\ntext\n", NULL, 1 },
	{ "CRLF", "Subject: s\r\n\r\ntext\r\n", NULL, 1 },
	{ "LF in folded headers of a CRLF mail", "Subject: s\n t\r\nTo: x\r\n\r\ntext\r\n", NULL,
	  1 },
	{ "headers only", "Subject: s\n", NULL, 1 },
	{ "no line end at the end", "Subject: s\n\ntext", NULL, 1 },
	{ "multipart", MULTI "--b\n\none\n--b\n\ntwo\n--b--\n", NULL, 3 },
	{ "padding after a boundary", MULTI "--b \t\n\none\n--b-- \n", NULL, 2 },
	{ "blank epilogue", MULTI "--b\n\none\n--b--\n\n  \n", NULL, 2 },
	{ "preamble", MULTI "This is MIME.\n--b\n\none\n--b--", NULL, 2 },
	{ "nested",
	  MULTI "--b\nContent-Type: multipart/alternative; boundary=\"c d\"\n\n--c d\n\none\n"
		"--c d--\n\n--b--\n",
	  NULL, 3 },
	{ "trailing semicolon", "Content-Type: text/plain; charset=utf-8;\n\nx", NULL, 1 },
	{ "sloppy boundary",
	  "Content-Type: multipart/mixed; boundary=----=_Part_1:2\n\n------=_Part_1:2\n\nx\n"
	  "------=_Part_1:2--\n",
	  NULL, 2 },
	{ "name twice, by RFC 2231 and plain",
	  "Content-Type: application/pdf; name=\"a.pdf\"; name*=utf-8''%C3%A5.pdf\n\nx", NULL, 1 },
	{ "name in sections", "Content-Type: application/pdf; name*0=\"a\"; name*1=\".pdf\"\n\nx",
	  NULL, 1 },
	{ "base64", "Content-Transfer-Encoding: BASE64\n\naGVp\naGU=\n\n", NULL, 1 },
	{ "quoted-printable", "Content-Transfer-Encoding: quoted-printable\n\na=3D=e5=\nb\n", NULL,
	  1 },
	{ "dashes that are no boundary", MULTI "--b\n\n-- \nKari\n---\n--b--\n", NULL, 2 },

	{ "nothing", "", "the mail is empty", 0 },
	{ "two Subject", "Subject: a\nsubject: b\n\n", "two headers: Subject", 0 },
	{ "two From", "From: a@b\nFrom: c@d\n\n", "two headers: From", 0 },
	{ "two Content-Type", "Content-Type: text/plain\nContent-Type: text/html\n\n",
	  "two headers: Content-Type", 0 },
	{ "two encodings in a part",
	  MULTI "--b\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\n--b--",
	  "part 1, two headers: Content-Transfer-Encoding", 0 },
	{ "two Message-ID", "Message-ID: <a@b>\nMessage-Id: <c@d>\n\n", "two headers: Message-ID",
	  0 },
	{ "two boundaries", "Content-Type: multipart/mixed; boundary=a; Boundary=b\n\n--a--",
	  "Content-Type: a parameter twice", 0 },
	{ "boundary in sections", "Content-Type: multipart/mixed; boundary*0=a\n\n--a--",
	  "Content-Type: a boundary or charset in sections", 0 },
	{ "charset twice", "Content-Type: text/plain; charset=utf-8; charset=latin1\n\n",
	  "Content-Type: a parameter twice", 0 },
	{ "comment in a type", "Content-Type: text/plain (hidden); charset=utf-8\n\n",
	  "Content-Type: text that is no parameter", 0 },
	{ "type without subtype", "Content-Type: text\n\n", "Content-Type: not type/subtype", 0 },
	{ "empty type", "Content-Type:\n\n", "Content-Type: a header without a usable value", 0 },
	{ "quote without end", "Content-Type: text/plain; charset=\"utf-8\n\n",
	  "Content-Type: a quote without its end", 0 },
	{ "names that differ", "Content-Type: a/b; name=a.pdf; name*=utf-8''a.exe\n\n",
	  "Content-Type: two file names that differ", 0 },
	{ "a section missing", "Content-Type: a/b; name*0=a; name*2=b\n\n",
	  "Content-Type: parameter sections that do not fit together", 0 },
	{ "unquoted blanks", "Content-Disposition: attachment; filename=my file.pdf\n\n",
	  "Content-Disposition: text that is no parameter", 0 },
	{ "NUL", "Subject: s\n\nNUL", "a NUL byte", 0 }, /* put in by the test */
	{ "bare CR", "Subject: s\n\na\rb\n", "a carriage return alone", 0 },
	{ "CR CR LF", "Subject: s\n\na\r\r\n", "a carriage return alone", 0 },
	{ "mixed line ends", "Subject: s\r\n\r\na\r\nb\nc\r\n", "two kinds of line ends", 0 },
	{ "smuggled end", "Subject: s\r\n\r\na\r\n\n.\r\nMAIL FROM\r\n", "two kinds of line ends",
	  0 },
	{ "line without colon", "Subject: s\nnonsense\n\n", "a line among the headers that is none",
	  0 },
	{ "blank before the colon", "Subject : s\n\n", "a line among the headers that is none", 0 },
	{ "mbox line", "From a@b Mon Jan 1\nSubject: s\n\n",
	  "a line among the headers that is none", 0 },
	{ "continuation first", " Subject: s\n\n", "a continuation line without a header", 0 },
	{ "blank continuation", "Subject: s\n \nTo: x\n\n", "a blank continuation line in a header",
	  0 },
	{ "control character",
	  "Subject: a\x0b"
	  "b\n\n",
	  "a control character in a header", 0 },
	{ "no end boundary", MULTI "--b\n\none\n", "part 1, a multipart without its end boundary",
	  0 },
	{ "no boundary at all", MULTI "text\n", "a multipart without its end boundary", 0 },
	{ "inner without its end",
	  MULTI "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--b--\n",
	  "part 1, a multipart without its end boundary", 0 },
	{ "no boundary parameter", "Content-Type: multipart/mixed\n\n--b--",
	  "a multipart without a boundary", 0 },
	{ "boundary too long",
	  "Content-Type: multipart/mixed; boundary="
	  "0123456789012345678901234567890123456789012345678901234567890123456789x\n\n",
	  "Content-Type: an empty or overlong parameter", 0 },
	{ "equal boundaries",
	  MULTI "--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n--b--\n",
	  "part 1, a boundary that begins like an outer one", 0 },
	{ "prefix boundary", MULTI "--b\nContent-Type: multipart/mixed; boundary=bc\n\n--b--",
	  "part 1, a boundary that begins like an outer one", 0 },
	{ "shorter boundary",
	  "Content-Type: multipart/mixed; boundary=bc\n\n--bc\n"
	  "Content-Type: multipart/mixed; boundary=b\n\n--b--",
	  "part 1, a boundary that begins like an outer one", 0 },
	{ "boundary and more", MULTI "--b\n\none\n--bx\n--b--\n",
	  "part 1, a line that begins like a boundary", 0 },
	{ "no part", MULTI "--b--\n", "a multipart without parts", 0 },
	{ "part without blank line", MULTI "--b\nContent-Type: text/plain\n--b--\n",
	  "part 1, a part without the empty line after its headers", 0 },
	{ "text after the end", MULTI "--b\n\none\n--b--\nhidden\n",
	  "part 1, text after the last boundary", 0 },
	{ "part after the end", MULTI "--b\n\none\n--b--\n--b\n\nhidden\n--b--\n",
	  "part 1, text after the last boundary", 0 },
	{ "unknown encoding", "Content-Transfer-Encoding: x-uuencode\n\n",
	  "an unknown Content-Transfer-Encoding", 0 },
	{ "two encodings in one", "Content-Transfer-Encoding: 7bit base64\n\n",
	  "an unknown Content-Transfer-Encoding", 0 },
	{ "encoded multipart",
	  "Content-Transfer-Encoding: base64\nContent-Type: multipart/mixed; boundary=b\n\n",
	  "a multipart with a transfer encoding", 0 },
	{ "junk in base64", "Content-Transfer-Encoding: base64\n\naGVp!aGVp\n", "junk in base64",
	  0 },
	{ "base64 that goes on", "Content-Transfer-Encoding: base64\n\naGU=\naGVp\n",
	  "base64 that goes on after its end", 0 },
	{ "base64 cut", "Content-Transfer-Encoding: base64\n\naGVpa\n", "base64 without its end",
	  0 },
	{ "base64 of padding", "Content-Transfer-Encoding: base64\n\na===\n",
	  "base64 without its end", 0 },
	{ "junk in quoted-printable", "Content-Transfer-Encoding: quoted-printable\n\na=zz\n",
	  "junk in quoted-printable", 0 },
	{ "cut quoted-printable", "Content-Transfer-Encoding: quoted-printable\n\na=3\n",
	  "junk in quoted-printable", 0 },
	{ "two dispositions", "Content-Disposition: inline\nContent-Disposition: attachment\n\n",
	  "two headers: Content-Disposition", 0 },
	{ "a digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nx\n--b--",
	  "part 1, a digest of mails", 0 },
};

static void
test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct strict_mail m;
		struct bd_err e = { 0 };
		char *mail = strdup(cases[i].mail), *nul = strstr(mail, "NUL");
		int rc;

		if (nul != NULL)
			nul[1] = '\0';
		rc = strict_read(mail, strlen(cases[i].mail), &m, &e);
		if (cases[i].detail == NULL && rc == -1)
			fail_msg("%s: refused: %s", cases[i].name, e.cause);
		if (cases[i].detail != NULL &&
		    (rc == 0 || e.kind != BD_E_CONTENT || strcmp(e.detail, cases[i].detail) != 0))
			fail_msg("%s: %d \"%s\"", cases[i].name, rc, e.detail);
		if (rc == 0)
			assert_int_equal(m.part_count, cases[i].parts);
		strict_clear(&m);
		free(mail);
	}
}

/* Every line end policy holds wherever a line may stand: any cut of a good mail neither crashes nor
 * reads outside (sanitizers), and all but the whole are refused or shorter. */
static void
test_cuts(void **state)
{
	const char *mail =
	    "Subject: s\r\n t\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n"
	    "--b\r\nContent-Transfer-Encoding: base64\r\n\r\naGVp\r\n--b\r\n"
	    "Content-Type: text/html; charset=x\r\n\r\n<p>\r\n--b--\r\n";
	size_t len = strlen(mail);

	(void)state;
	for (size_t n = 0; n <= len; n++) {
		struct strict_mail m;
		struct bd_err e = { 0 };
		char *copy = malloc(n + (n == 0));
		int rc;

		memcpy(copy, mail, n);
		rc = strict_read(copy, n, &m, &e);
		if (n == len)
			assert_int_equal(rc, 0);
		if (n > 70 && n < len - 2)
			assert_int_equal(rc, -1);
		strict_clear(&m);
		free(copy);
	}
}

static const struct {
	const char *name, *head, *unit, *tail;
} nasty[] = {
	{ "a million empty lines", "Subject: s\n\n", "\n", "" },
	{ "a long line", "Subject: s\n\n", "x", "" },
	{ "dashes", MULTI "--b\n\n", "--\n", "--b--\n" },
	{ "almost boundaries",
	  "Content-Type: multipart/mixed; boundary=aaaaaaaaaaaaaaaaaaaaaaaab\n\n",
	  "--aaaaaaaaaaaaaaaaaaaaaaaaa\n", "" },
	{ "parts", MULTI, "--b\n\n", "--b--\n" },
	{ "headers", "", "A: b\n", "\n" },
	{ "one header", "Subject: s", "\n x", "\n\n" },
	{ "equal signs", "Content-Transfer-Encoding: quoted-printable\n\n", "=3D", "" },
	{ "parameters", "Content-Type: text/plain", "; a=b", "\n\n" },
	{ "sections", "Content-Type: text/plain", "; name*0=b", "\n\n" },
	{ "quotes", "Content-Type: text/plain; a=", "\"", "\n\n" },
	{ "nested boundaries", "", "Content-Type: multipart/mixed; boundary=b\n\n--b\n", "" },
	{ "base64", "Content-Transfer-Encoding: base64\n\n", "aGVp\n", "" },
};

static size_t
work_of(size_t i, size_t bytes)
{
	size_t unit = strlen(nasty[i].unit), head = strlen(nasty[i].head), len;
	size_t units = bytes / unit;
	char *mail = malloc(head + units * unit + strlen(nasty[i].tail) + 1), *p = mail;
	struct strict_mail m;
	struct bd_err e = { 0 };

	p = stpcpy(p, nasty[i].head);
	for (size_t k = 0; k < units; k++, p += unit)
		memcpy(p, nasty[i].unit, unit);
	p = stpcpy(p, nasty[i].tail);
	len = (size_t)(p - mail);
	strict_read(mail, len, &m, &e);
	len = m.work;
	strict_clear(&m);
	free(mail);
	return len;
}

static void
test_work_is_linear(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(nasty) / sizeof(nasty[0]); i++) {
		size_t once = work_of(i, 1 << 20), twice = work_of(i, 2 << 20);

		if (once > (size_t)12 << 20)
			fail_msg("%s: %zu bytes of work for 1 MB", nasty[i].name, once);
		if (twice > once / 10 * 22 + 1000000)
			fail_msg("%s: %zu, then %zu for twice the input", nasty[i].name, once,
				 twice);
	}
}

static void
test_limits(void **state)
{
	const struct {
		const char *head, *unit, *tail;
		size_t good, bad;
		const char *detail;
	} limits[] = {
		{ MULTI, "--b\n\n", "--b--\n", 249, 250, "part 249, more than 250 parts" },
		{ "Subject:", "x", "\n\n", (32 << 10) - 8, (32 << 10) - 7, "a header over 32 kB" },
		{ "", "A: 0123456789012345678901234567890123456789012345678901234567890\n", "\n",
		  4096, 4097, "headers over 256 kB" },
		{ MULTI, "0123456789abcdef\n", "--b\n\n--b--\n", 128, 129,
		  "much text before the first boundary" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		for (size_t bad = 0; bad < 2; bad++) {
			struct buf mail = { 0 };
			struct strict_mail m;
			struct bd_err e = { 0 };
			int rc;

			buf_adds(&mail, limits[i].head);
			for (size_t k = 0; k < (bad ? limits[i].bad : limits[i].good); k++)
				buf_adds(&mail, limits[i].unit);
			buf_adds(&mail, limits[i].tail);
			rc = strict_read(mail.data, mail.len, &m, &e);
			if (rc != (bad ? -1 : 0) ||
			    (bad && strcmp(e.detail, limits[i].detail) != 0))
				fail_msg("limit %zu: %d \"%s\"", i, rc, e.detail);
			strict_clear(&m);
			buf_free(&mail);
		}
}

static void
test_depth(void **state)
{
	(void)state;
	for (int depth = 20; depth <= 21; depth++) {
		struct buf mail = { 0 };
		struct strict_mail m;
		struct bd_err e = { 0 };
		int rc;

		for (int i = 0; i < depth; i++)
			buf_addf(&mail,
				 "Content-Type: multipart/mixed; boundary=\"%c%c\"\n\n--%c%c\n",
				 'a' + i, 'a' + i, 'a' + i, 'a' + i);
		buf_adds(&mail, "\ntext");
		for (int i = depth - 1; i >= 0; i--)
			buf_addf(&mail, "\n--%c%c--", 'a' + i, 'a' + i);
		rc = strict_read(mail.data, mail.len, &m, &e);
		assert_int_equal(rc, depth == 20 ? 0 : -1);
		if (rc == -1)
			assert_string_equal(e.detail, "part 1, parts nested more than 20 deep");
		strict_clear(&m);
		buf_free(&mail);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),          cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_work_is_linear), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
