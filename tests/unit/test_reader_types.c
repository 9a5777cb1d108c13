/* SPDX-License-Identifier: Apache-2.0 */
/* Types of attachments: content, name and declaration must agree. */
#include "config.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "reader/types.h"

#define PDF "%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"
#define PNG "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\10\2\0\0\0"
#define GIF "GIF89a\1\0\1\0\0\0\0"
#define JPEG "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
#define TIFF "II*\0\x08\0\0\0\0\0\0\0"
#define ZEROS "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define EXE "MZ\x90\0" ZEROS ZEROS ZEROS "PE\0\0"
#define ELF "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0>\0"
#define ZIP "PK\3\4\24\0\0\0\0\0\0\0\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0a.txthei, hei"
#define ODT                                                                          \
	"PK\3\4\24\0\0\0\0\0\0\0\x21\0\0\0\0\0\x27\0\0\0\x27\0\0\0\10\0\0\0mimetype" \
	"application/vnd.oasis.opendocument.textPK\3\4"
#define FODS                                       \
	"<?xml version=\"1.0\"?><office:document " \
	"office:mimetype=\"application/vnd.oasis.opendocument.spreadsheet\">"
#define B(x) x, sizeof(x) - 1
#define ODF "application/vnd.oasis.opendocument."

static const struct {
	const char *what, *declared, *name, *data;
	size_t len;
	bool mailbox;
	const char *mime, *detail; /* one of them */
} cases[] = {
	{ "pdf", "application/pdf", "a.pdf", B(PDF), false, "application/pdf", NULL },
	{ "pdf as data", "application/octet-stream", "a.PDF", B(PDF), false, "application/pdf",
	  NULL },
	{ "pdf without name", "application/pdf", "", B(PDF), false, "application/pdf", NULL },
	{ "pdf without anything", "", "", B(PDF), false, "application/pdf", NULL },
	{ "pdf, no extension", "application/pdf", "Vedtak nr. 12", B(PDF), false, "application/pdf",
	  NULL },
	{ "x-pdf", "application/x-pdf", "a.pdf", B(PDF), false, "application/pdf", NULL },
	{ "png", "image/png", "a.png", B(PNG), false, "image/png", NULL },
	{ "gif", "image/gif", "a.gif", B(GIF), false, "image/gif", NULL },
	{ "jpg", "image/jpg", "a.JPG", B(JPEG), false, "image/jpeg", NULL },
	{ "txt", "text/plain", "a.txt", B("Hei\r\n"), false, "text/plain", NULL },
	{ "txt as data", "application/octet-stream", "a.txt", B("Hei\r\n"), false, "text/plain",
	  NULL },
	{ "txt of json", "text/plain", "a.txt", B("{\"a\": [1, 2]}\n"), false, "text/plain", NULL },
	{ "html", "text/html", "a.htm", B("<html><body>x"), false, "text/html", NULL },
	{ "zip", "application/zip", "a.zip", B(ZIP), true, "application/octet-stream", NULL },
	{ "odt", ODF "text", "a.odt", B(ODT), true, ODF "text", NULL },
	{ "flat fods", "", "a.fods", B(FODS), true, ODF "spreadsheet", NULL },
	{ "ehf", "application/ehf+xml", "a.xml", B("<?xml version=\"1.0\"?><Invoice>"), true,
	  "application/ehf+xml", NULL },

	{ "tiff", "image/tiff", "a.tif", B(TIFF), true, NULL, "image/tiff" },
	{ "tiff as data", "application/octet-stream", "a.tif", B(TIFF), true, NULL, "image/tiff" },
	{ "program", "application/octet-stream", "a.exe", B(EXE), true, NULL,
	  "application/x-dosexec" },
	{ "program as pdf", "application/pdf", "a.pdf", B(EXE), true, NULL,
	  "application/pdf that is none" },
	{ "program as text", "text/plain", "a.txt", B(EXE), true, NULL, "text/plain that is none" },
	{ "elf as zip", "application/zip", "a.zip", B(ELF), true, NULL,
	  "application/octet-stream that is none" },
	{ "pdf as png", "image/png", "a.png", B(PDF), true, NULL, "image/png that is none" },
	{ "pdf as text", "text/plain", "a.txt", B(PDF), true, NULL, "text/plain that is none" },
	{ "declared wrongly", "image/png", "a.pdf", B(PDF), true, NULL, "image/png that is none" },
	{ "name and content against the declaration", "text/plain", "a.pdf", B(PDF), true, NULL,
	  "text/plain that is none" },
	{ "script", "text/plain", "a.js", B("alert(1)\n"), true, NULL, "text/plain" },
	{ "csv", "text/csv", "a.csv", B("a;b\n"), true, NULL, "text/csv" },
	{ "svg", "image/svg+xml", "a.svg", B("<svg xmlns=\"http://www.w3.org/2000/svg\">"), true,
	  NULL, "image/svg+xml" },
	{ "svg as text", "text/plain", "a.txt",
	  B("<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"></svg>"), true, NULL,
	  "text/plain that is none" },
	{ "zip for print", "application/zip", "a.zip", B(ZIP), false, NULL,
	  "application/octet-stream" },
	{ "zip as docx", "", "a.docx", B(ZIP), true, NULL,
	  "application/vnd.openxmlformats-officedocument.wordprocessingml.docum" },
	{ "zip as odt", ODF "text", "a.odt", B(ZIP), true, NULL, ODF "text that is none" },
	{ "data document", "application/vnd.difi.dpi.lenke+xml", "a.xml", B("<lenke/>"), true, NULL,
	  "application/vnd.difi.dpi.lenke+xml" },
	{ "a number in disguise", "application/x-12345678901", "", B("\1\2"), true, NULL,
	  "application/x-12345xxxxxx" },
};

static void
test_table(void **state)
{
	struct bd_err e = { 0 };
	struct types *t = types_open(&e);

	(void)state;
	assert_non_null(t);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct types_question q = { cases[i].declared, cases[i].name, cases[i].data,
					    cases[i].len, cases[i].mailbox };
		const struct doctype *row = NULL;
		int rc = types_decide(t, &q, &row, &e);

		if (cases[i].mime != NULL && (rc != 0 || strcmp(row->mime, cases[i].mime) != 0))
			fail_msg("%s: %s", cases[i].what, rc == 0 ? row->mime : e.detail);
		if (cases[i].detail != NULL &&
		    (rc != -1 || e.kind != BD_E_CONTENT_TYPE ||
		     strncmp(e.detail, cases[i].detail, strlen(cases[i].detail)) != 0))
			fail_msg("%s: %d %s", cases[i].what, rc, e.detail);
	}
	types_close(&t);
	assert_null(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_table) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
