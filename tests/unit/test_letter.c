/* SPDX-License-Identifier: Apache-2.0 */
/* The letter's wire form: what goes in comes out, and nothing a hostile reader sends is believed.
 */
#include "config.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/buf.h"
#include "envelope/doctype.h"
#include "envelope/letter.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int
memfd_of(const void *data, size_t len, int seals)
{
	int fd = memfd_create("test", MFD_ALLOW_SEALING);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	if (seals != 0)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void
test_round_trip(void **state)
{
	static char name[] = "security-level", value[] = "3", empty_name[] = "case", empty[] = "",
		    title[] = "Vedtak om støtte æøå", id[] = "1@agency.example",
		    href[] = "brev.html", mime[] = "text/html", href2[] = "vedlegg-01.pdf",
		    mime2[] = "application/pdf", title2[] = "Vilkår";
	struct letter_option options[] = { { name, value }, { empty_name, empty } };
	struct document docs[] = {
		{ href, mime, title, (const uint8_t *)"<p>hei</p>", 10 },
		{ href2, mime2, title2, (const uint8_t *)"\0%PDF\xff", 6 },
	};
	struct letter in = { .title = title,
			     .message_id = id,
			     .private_mark = true,
			     .wants_delivery = true,
			     .options = options,
			     .option_count = 2,
			     .documents = docs,
			     .document_count = 2 };
	struct letter *out = NULL;
	struct bd_err e = { 0 };
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(in.digest); i++)
		in.digest[i] = (uint8_t)(i * 7);
	assert_int_equal(letter_write(&in, &fd, &e), 0);
	assert_int_equal(letter_read(fd, &out, &e), 0);
	close(fd);
	assert_string_equal(out->title, title);
	assert_string_equal(out->message_id, id);
	assert_null(out->from);
	assert_true(out->private_mark);
	assert_true(out->wants_delivery);
	assert_false(out->wants_open_receipt);
	assert_false(out->is_reply);
	assert_string_equal(letter_option(out, "security-level"), "3");
	assert_string_equal(letter_option(out, "case"), "");
	assert_null(letter_option(out, "main"));
	assert_int_equal(out->document_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(out->documents[i].href, docs[i].href);
		assert_string_equal(out->documents[i].mime, docs[i].mime);
		assert_string_equal(out->documents[i].title, docs[i].title);
		assert_int_equal(out->documents[i].len, docs[i].len);
		assert_memory_equal(out->documents[i].data, docs[i].data, docs[i].len);
	}
	assert_memory_equal(out->digest, in.digest, sizeof(in.digest));
	letter_free(&out);
	assert_null(out);
	letter_free(&out);
}

static void
test_refusal(void **state)
{
	struct bd_err refusal = { 0 }, e = { 0 };
	struct letter *out = NULL;
	int fd;

	(void)state;
	bd_fail(&refusal, BD_E_CONTENT_TYPE, "declared image/tiff");
	bd_detail(&refusal, "part 3, image/tiff");
	assert_int_equal(letter_write_refusal(&refusal, &fd, &e), 0);
	assert_int_equal(letter_read(fd, &out, &e), -1);
	close(fd);
	assert_null(out);
	assert_int_equal(e.kind, BD_E_CONTENT_TYPE);
	assert_string_equal(e.detail, "part 3, image/tiff");
	assert_string_equal(e.cause, "declared image/tiff");
}

static void
test_a_cause_cut_inside_a_character_still_travels(void **state)
{
	struct bd_err refusal = { 0 }, e = { 0 };
	struct letter *out = NULL;
	int fd;

	(void)state;
	bd_fail(&refusal, BD_E_CONTENT, "%s", "cut \xc3");
	assert_int_equal(letter_write_refusal(&refusal, &fd, &e), 0);
	assert_int_equal(letter_read(fd, &out, &e), -1);
	close(fd);
	assert_int_equal(e.kind, BD_E_CONTENT);
	assert_string_equal(e.cause, "cut ?");
}

#define DIGEST "\"digest\":\"0000000000000000000000000000000000000000000000000000000000000000\","
#define FLAGS                                                                           \
	"\"wants_open_receipt\":false,\"wants_delivery\":false,\"private_mark\":false," \
	"\"is_reply\":false,"
#define HEAD "{\"title\":\"T\"," DIGEST FLAGS "\"options\":[],"
#define DOC(href, mime, title, bytes) \
	"{\"href\":\"" href "\",\"mime\":\"" mime "\",\"title\":\"" title "\",\"bytes\":" bytes "}"
#define ONE DOC("brev.txt", "text/plain", "T", "3")

static const struct {
	const char *name, *header, *body;
	bool good;
} wire_cases[] = {
	{ "the plain case", HEAD "\"documents\":[" ONE "]}", "abc", true },
	{ "bytes missing", HEAD "\"documents\":[" ONE "]}", "ab", false },
	{ "bytes left over", HEAD "\"documents\":[" ONE "]}", "abcd", false },
	{ "negative length", HEAD "\"documents\":[" DOC("brev.txt", "text/plain", "T", "-1") "]}",
	  "", false },
	{ "length as text", HEAD "\"documents\":[" DOC("brev.txt", "text/plain", "T", "\"0\"") "]}",
	  "", false },
	{ "huge length",
	  HEAD "\"documents\":[" DOC("brev.txt", "text/plain", "T", "9223372036854775807") "]}",
	  "abc", false },
	{ "no document", HEAD "\"documents\":[]}", "", false },
	{ "documents missing", HEAD "\"x\":1}", "", false },
	{ "a path", HEAD "\"documents\":[" DOC("../brev.txt", "text/plain", "T", "0") "]}", "",
	  false },
	{ "hidden name", HEAD "\"documents\":[" DOC(".brev", "text/plain", "T", "0") "]}", "",
	  false },
	{ "reserved name", HEAD "\"documents\":[" DOC("Manifest.xml", "text/plain", "T", "0") "]}",
	  "", false },
	{ "reserved mimetype", HEAD "\"documents\":[" DOC("mimetype", "text/plain", "T", "0") "]}",
	  "", false },
	{ "short name", HEAD "\"documents\":[" DOC("a.b", "text/plain", "T", "0") "]}", "", false },
	{ "unknown type",
	  HEAD "\"documents\":[" DOC("brev.exe", "application/x-dosexec", "T", "0") "]}", "",
	  false },
	{ "control character in a title",
	  HEAD "\"documents\":[" DOC("brev.txt", "text/plain", "T\\n", "0") "]}", "", false },
	{ "empty title", HEAD "\"documents\":[" DOC("brev.txt", "text/plain", "", "0") "]}", "",
	  false },
	{ "two of one name",
	  HEAD "\"documents\":[" ONE "," DOC("BREV.txt", "text/plain", "U", "0") "]}", "abc",
	  false },
	{ "two of one title",
	  HEAD "\"documents\":[" ONE "," DOC("vedlegg.txt", "text/plain", "T", "0") "]}", "abc",
	  false },
	{ "no title", "{" DIGEST FLAGS "\"options\":[],\"documents\":[" ONE "]}", "abc", false },
	{ "no digest", "{\"title\":\"T\"," FLAGS "\"options\":[],\"documents\":[" ONE "]}", "abc",
	  false },
	{ "flags missing", "{\"title\":\"T\"," DIGEST "\"options\":[],\"documents\":[" ONE "]}",
	  "abc", false },
	{ "options twice the same",
	  "{\"title\":\"T\"," DIGEST FLAGS "\"options\":[{\"name\":\"a\",\"value\":\"1\"},"
	  "{\"name\":\"a\",\"value\":\"2\"}],\"documents\":[" ONE "]}",
	  "abc", false },
	{ "option with a line break",
	  "{\"title\":\"T\"," DIGEST FLAGS "\"options\":[{\"name\":\"a\",\"value\":\"1\\r\\n2\"}],"
	  "\"documents\":[" ONE "]}",
	  "abc", false },
	{ "not an object", "[]", "", false },
	{ "not JSON", "{", "", false },
	{ "member twice",
	  "{\"title\":\"T\",\"title\":\"U\"," DIGEST FLAGS "\"options\":[],"
	  "\"documents\":[" ONE "]}",
	  "abc", false },
	{ "refusal of a kind that is not the reader's",
	  "{\"refusal\":{\"kind\":\"NOT_AUTHORISED\",\"cause\":\"x\"}}", "", false },
};

static struct buf
wire(const char *header, size_t stated, const char *body)
{
	struct buf b = { 0 };
	unsigned char len[4] = { (unsigned char)(stated >> 24), (unsigned char)(stated >> 16),
				 (unsigned char)(stated >> 8), (unsigned char)stated };

	assert_int_equal(buf_adds(&b, "BDL1"), 0);
	assert_int_equal(buf_add(&b, len, 4), 0);
	assert_int_equal(buf_adds(&b, header), 0);
	assert_int_equal(buf_adds(&b, body), 0);
	return b;
}

static void
read_expect(const char *name, int fd, bool good)
{
	struct letter *l = NULL;
	struct bd_err e = { .kind = BD_E_CONTENT };
	int rc = letter_read(fd, &l, &e);

	close(fd);
	if ((rc == 0) != good)
		fail_msg("%s: %d %s", name, rc, e.cause);
	if (rc == -1 && e.kind != BD_E_READER)
		fail_msg("%s: kind %s", name, bd_kind_name(e.kind));
	letter_free(&l);
}

static void
test_wire_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wire_cases) / sizeof(wire_cases[0]); i++) {
		const char *header = wire_cases[i].header;
		struct buf b = wire(header, strlen(header), wire_cases[i].body);

		read_expect(wire_cases[i].name, memfd_of(b.data, b.len, SEALS), wire_cases[i].good);
		buf_free(&b);
	}
}

static void
test_frame_is_checked(void **state)
{
	const char *header = wire_cases[0].header;
	struct buf b = wire(header, strlen(header), "abc");
	struct buf lie = wire(header, 0xffffffff, "abc");
	int pipes[2];

	(void)state;
	read_expect("unsealed", memfd_of(b.data, b.len, 0), false);
	read_expect("may shrink", memfd_of(b.data, b.len, SEALS & ~F_SEAL_SHRINK), false);
	read_expect("may change", memfd_of(b.data, b.len, SEALS & ~F_SEAL_WRITE), false);
	for (size_t len = 0; len < b.len; len++)
		read_expect("cut short", memfd_of(b.data, len, SEALS), false);
	read_expect("header length beyond the end", memfd_of(lie.data, lie.len, SEALS), false);
	b.data[0] ^= 1;
	read_expect("other magic", memfd_of(b.data, b.len, SEALS), false);
	assert_int_equal(pipe(pipes), 0);
	close(pipes[1]);
	read_expect("a pipe", pipes[0], false);
	buf_free(&b);
	buf_free(&lie);
}

static void
test_types(void **state)
{
	(void)state;
	assert_string_equal(doctype_by_extension("JPG")->mime, "image/jpeg");
	assert_string_equal(doctype_by_extension("zip")->mime, "application/octet-stream");
	assert_string_equal(doctype_by_mime("text/html")->extension, "html");
	assert_null(doctype_by_extension("exe"));
	assert_null(doctype_by_mime("application/zip"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_a_cause_cut_inside_a_character_still_travels),
		cmocka_unit_test(test_wire_is_checked),
		cmocka_unit_test(test_frame_is_checked),
		cmocka_unit_test(test_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
