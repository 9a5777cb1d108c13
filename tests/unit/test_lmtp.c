/* SPDX-License-Identifier: Apache-2.0 */
/* The LMTP dialogue without sockets: parsing, replies (one per recipient, in order), dots. */
#include "config.h"
#include "tests/unit/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/dsn_read.h"
#include "transport/lmtp.h"
#include "transport/lmtp_line.h"
#include "transport/target.h"

static const struct {
	const char *line;
	enum lmtp_verb verb;
	enum lmtp_fault fault;
	const char *address;
	unsigned long long size;
} lines[] = {
	{ "LHLO mail.example", LMTP_LHLO, LMTP_FINE, "", 0 },
	{ "LHLO", LMTP_LHLO, LMTP_SYNTAX, "", 0 },
	{ "lhlo x", LMTP_LHLO, LMTP_FINE, "", 0 },
	{ "EHLO x", LMTP_HELO, LMTP_FINE, "", 0 },
	{ "MAIL FROM:<>", LMTP_MAIL, LMTP_FINE, "", 0 },
	{ "MAIL FROM:<a@b> SIZE=17 BODY=8BITMIME", LMTP_MAIL, LMTP_FINE, "a@b", 17 },
	{ "mail from:<a@b> SMTPUTF8 RET=HDRS ENVID=x+2By", LMTP_MAIL, LMTP_FINE, "a@b", 0 },
	{ "MAIL FROM: <a@b>  SIZE=1 ", LMTP_MAIL, LMTP_FINE, "a@b", 1 },
	{ "MAIL FROM:<\"a>b\"@c>", LMTP_MAIL, LMTP_FINE, "\"a>b\"@c", 0 },
	{ "MAIL FROM:<\"a\\\"b\"@c>", LMTP_MAIL, LMTP_FINE, "\"a\\\"b\"@c", 0 },
	{ "MAIL FROM:a@b", LMTP_MAIL, LMTP_SYNTAX, NULL, 0 },
	{ "MAIL FROM:<a@b", LMTP_MAIL, LMTP_SYNTAX, NULL, 0 },
	{ "MAIL FROM:<<a@b>>", LMTP_MAIL, LMTP_SYNTAX, NULL, 0 },
	{ "MAIL FROM:<a@b>SIZE=1", LMTP_MAIL, LMTP_SYNTAX, NULL, 0 },
	{ "MAIL FROM:<a@b> SIZE=-1", LMTP_MAIL, LMTP_SYNTAX, NULL, 0 },
	{ "MAIL FROM:<a@b> SIZE=", LMTP_MAIL, LMTP_SYNTAX, NULL, 0 },
	{ "MAIL FROM:<a@b> SIZE", LMTP_MAIL, LMTP_SYNTAX, NULL, 0 },
	{ "MAIL FROM:<a@b> SIZE=99999999999999999999", LMTP_MAIL, LMTP_SYNTAX, NULL, 0 },
	{ "MAIL FROM:<a@b> NOTIFY=NEVER", LMTP_MAIL, LMTP_BAD_PARAMETER, NULL, 0 },
	{ "MAIL FROM:<a@b> AUTH=<>", LMTP_MAIL, LMTP_BAD_PARAMETER, NULL, 0 },
	{ "MAIL", LMTP_MAIL, LMTP_SYNTAX, NULL, 0 },
	{ "RCPT TO:<a@b> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@b", LMTP_RCPT, LMTP_FINE, "a@b", 0 },
	{ "RCPT TO:<>", LMTP_RCPT, LMTP_SYNTAX, NULL, 0 },
	{ "RCPT FROM:<a@b>", LMTP_RCPT, LMTP_SYNTAX, NULL, 0 },
	{ "DATA", LMTP_DATA, LMTP_FINE, "", 0 },
	{ "DATA ", LMTP_DATA, LMTP_FINE, "", 0 },
	{ "DATA x", LMTP_DATA, LMTP_SYNTAX, "", 0 },
	{ "DATAX", LMTP_UNKNOWN, LMTP_FINE, "", 0 },
	{ "BDAT 1 LAST", LMTP_UNKNOWN, LMTP_FINE, "", 0 },
	{ "RSET", LMTP_RSET, LMTP_FINE, "", 0 },
	{ "NOOP anything", LMTP_NOOP, LMTP_FINE, "", 0 },
	{ "QUIT", LMTP_QUIT, LMTP_FINE, "", 0 },
	{ "VRFY x", LMTP_VRFY, LMTP_FINE, "", 0 },
	{ "", LMTP_UNKNOWN, LMTP_FINE, "", 0 },
	{ "NO\tOP", LMTP_UNKNOWN, LMTP_SYNTAX, "", 0 },
};

static void
test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct lmtp_command c;
		/* of the exact size, so that the sanitizer sees a read past the end */
		size_t len = strlen(lines[i].line);
		char *line = malloc(len + 1);

		memcpy(line, lines[i].line, len);
		line[len] = 'X';
		lmtp_line_parse(line, len, &c);
		if (c.verb != lines[i].verb || c.fault != lines[i].fault ||
		    (lines[i].address != NULL && strcmp(c.address, lines[i].address) != 0) ||
		    (c.fault == LMTP_FINE && c.size != lines[i].size))
			fail_msg("%s: verb %d fault %d address %s size %llu", lines[i].line,
				 (int)c.verb, (int)c.fault, c.address, c.size);
		free(line);
	}
}

static void
test_line_limits(void **state)
{
	struct lmtp_command c;
	char line[LMTP_LINE_MAX_BYTES];
	int n;

	(void)state;
	n = snprintf(line, sizeof(line), "RCPT TO:<%0320d>", 1);
	lmtp_line_parse(line, (size_t)n, &c);
	assert_int_equal(c.fault, LMTP_FINE);
	n = snprintf(line, sizeof(line), "RCPT TO:<%0321d>", 1);
	lmtp_line_parse(line, (size_t)n, &c);
	assert_int_equal(c.fault, LMTP_SYNTAX);
	lmtp_line_parse("NO\0P", 4, &c);
	assert_int_equal(c.fault, LMTP_SYNTAX);
}

#define MESSAGE_MAX 64

struct recorder {
	char out[4096];
	char message[256];
	size_t message_len;
	int delivered;
	int gone_after; /* writes until the client is gone, -1 never */
	bool cut;       /* deliver cannot reply */
};

static void
on_recipient(void *arg, const char *sender, const char *address, struct lmtp_reply *reply)
{
	(void)arg;
	(void)sender;
	if (strncmp(address, "bad", 3) == 0)
		lmtp_reply_set(reply, 550, "5.1.2 no");
	else
		lmtp_reply_set(reply, 250, "2.1.5 Ok");
}

static int
on_deliver(void *arg, const char *sender, const char *address, const struct buf *message,
	   struct lmtp_reply *reply)
{
	struct recorder *r = arg;

	(void)sender;
	r->delivered++;
	assert_in_range(message->len, 0, sizeof(r->message));
	if (message->len > 0)
		memcpy(r->message, message->data, message->len);
	r->message_len = message->len;
	if (r->cut && strncmp(address, "cut", 3) == 0)
		return -1;
	if (strncmp(address, "later", 5) == 0)
		lmtp_reply_set(reply, 451, "4.4.1 <%s>\r\nX", address);
	else
		lmtp_reply_set(reply, 250, "2.0.0 <%s>", address);
	return 0;
}

static int
on_write(void *arg, const char *data, size_t len)
{
	struct recorder *r = arg;

	if (r->gone_after == 0)
		return -1;
	r->gone_after--;
	strncat(r->out, data, len);
	return 0;
}

static const struct lmtp_ops ops = { on_recipient, on_deliver, on_write };

static const struct dialogue {
	const char *name;
	const char *in;
	const char *out; /* reply codes after the greeting, first of multi-line ones */
	int delivered;
	int rc;
	const char *message; /* NULL: not compared */
} dialogues[] = {
	{ "whole", "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n",
	  "250 250 250 354 250 221", 1, 1, "x\r\n" },
	{ "one reply each, in order",
	  "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<later@b>\r\nRCPT TO:<bad@b>\r\n"
	  "RCPT TO:<c@b>\r\nDATA\r\n.\r\n",
	  "250 250 250 250 550 250 354 250 451 250", 3, 0, "" },
	{ "twice the same is delivered once, answered twice",
	  "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<later@b>\r\nRCPT TO:<a@b>\r\nRCPT TO:<later@b>\r\n"
	  "DATA\r\n.\r\n",
	  "250 250 250 250 250 354 451 250 451", 2, 0, "" },
	{ "too big is answered for each",
	  "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@b>\r\nDATA\r\n"
	  "0123456789012345678901234567890123456789012345678901234567890123456789\r\n.\r\nNOOP\r\n",
	  "250 250 250 250 354 552 552 250", 0, 0, NULL },
	{ "announced too big", "LHLO x\r\nMAIL FROM:<> SIZE=65\r\nRCPT TO:<a@b>\r\n", "250 552 503",
	  0, 0, NULL },
	{ "no recipient left", "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bad@b>\r\nDATA\r\n",
	  "250 250 550 503", 0, 0, NULL },
	{ "out of order", "MAIL FROM:<>\r\nLHLO x\r\nRCPT TO:<a@b>\r\nDATA\r\nHELO x\r\nBDAT 3\r\n",
	  "503 250 503 503 500 500", 0, 0, NULL },
	{ "two MAIL, RSET between",
	  "LHLO x\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRSET\r\nDATA\r\n"
	  "MAIL FROM:<>\r\nRCPT TO:<c@b>\r\nDATA\r\n.\r\nMAIL FROM:<>\r\nDATA\r\n",
	  "250 250 503 250 250 503 250 250 354 250 250 503", 1, 0, "" },
	{ "two messages",
	  "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n1\r\n.\r\n"
	  "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n2\r\n.\r\n",
	  "250 250 250 354 250 250 250 354 250", 2, 0, "2\r\n" },
	{ "bare LF is no line end", "LHLO x\nNOOP\r\n", "500 250", 0, 0, NULL },
	{ "dots",
	  "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n"
	  "..\r\n...a\r\n.b\r\n\n.\n\r.\r\n.\rc\r\n..\r.\r\nd\r\n.\r\n",
	  "250 250 250 354 250", 1, 0, ".\r\n..a\r\nb\r\n\n.\n\r.\r\n\rc\r\n.\r.\r\nd\r\n" },
	{ "no final CRLF before the dot",
	  "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n"
	  "x.\r\n.\r\n",
	  "250 250 250 354 250", 1, 0, "x.\r\n" },
	{ "a dot after bare LF ends nothing",
	  "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nx\n.\r\ny\r.\r\n.\r\n",
	  "250 250 250 354 250", 1, 0, "x\n.\r\ny\r.\r\n" },
};

static void
codes_of(const char *out, char *codes, size_t size)
{
	size_t n = 0;
	bool within = false;

	codes[0] = '\0';
	for (const char *line = out; *line != '\0'; line = strchr(line, '\n') + 1) {
		assert_non_null(strchr(line, '\n'));
		if (!within)
			n +=
			    (size_t)snprintf(codes + n, size - n, "%s%.3s", n > 0 ? " " : "", line);
		within = line[3] == '-';
	}
}

static void
test_dialogues(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(dialogues) / sizeof(dialogues[0]); i++) {
		const struct dialogue *d = &dialogues[i];

		/* whole, and in pieces of every small size */
		for (size_t piece = 1; piece < 14; piece++) {
			struct recorder r = { .gone_after = -1 };
			struct lmtp *l = lmtp_new(&ops, &r, "host.example", MESSAGE_MAX);
			size_t len = strlen(d->in), step = piece == 13 ? len : piece;
			char codes[256];
			int rc = 0;

			assert_string_equal(r.out, "220 host.example brevdue\r\n");
			r.out[0] = '\0';
			for (size_t at = 0; at < len && rc == 0; at += step)
				rc = lmtp_input(l, d->in + at, len - at < step ? len - at : step);
			codes_of(r.out, codes, sizeof(codes));
			if (strcmp(codes, d->out) != 0 || rc != d->rc ||
			    r.delivered != d->delivered)
				fail_msg("%s, pieces of %zu: %s, %d delivered, rc %d", d->name,
					 step, codes, r.delivered, rc);
			if (d->message != NULL &&
			    (r.message_len != strlen(d->message) ||
			     memcmp(r.message, d->message, r.message_len) != 0))
				fail_msg("%s, pieces of %zu: message differs", d->name, step);
			lmtp_free(&l);
		}
	}
}

static void
test_announcements(void **state)
{
	struct recorder r = { .gone_after = -1 };
	struct lmtp *l = lmtp_new(&ops, &r, "h", MESSAGE_MAX);

	(void)state;
	assert_int_equal(lmtp_input(l, "LHLO x\r\n", 8), 0);
	assert_string_equal(r.out, "220 h brevdue\r\n250-h\r\n250-SIZE 64\r\n250-8BITMIME\r\n"
				   "250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 DSN\r\n");
	r.out[0] = '\0';
	lmtp_farewell(l, "bye");
	assert_string_equal(r.out, "421 4.3.2 bye\r\n");
	assert_int_equal(lmtp_input(l, "NOOP\r\n", 6), -1);
	lmtp_free(&l);
}

/* If a reply cannot be given, the connection is cut: never 221, never a reply too few. */
static void
test_cut(void **state)
{
	static const char in[] = "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<cut@b>\r\n"
				 "RCPT TO:<c@b>\r\nDATA\r\n.\r\nQUIT\r\n";

	(void)state;
	{
		struct recorder r = { .gone_after = -1, .cut = true };
		struct lmtp *l = lmtp_new(&ops, &r, "h", MESSAGE_MAX);

		assert_int_equal(lmtp_input(l, in, sizeof(in) - 1), -1);
		assert_int_equal(r.delivered, 2);
		assert_null(strstr(r.out, "221"));
		assert_int_equal(lmtp_input(l, "QUIT\r\n", 6), -1);
		lmtp_farewell(l, "bye");
		assert_null(strstr(r.out, "421"));
		lmtp_free(&l);
	}
	/* the client goes away before reply k: nothing is delivered after it */
	for (int k = 1; k < 11; k++) {
		struct recorder r = { .gone_after = k };
		struct lmtp *l = lmtp_new(&ops, &r, "h", MESSAGE_MAX);
		int expected = k < 7 ? 0 : k - 6;

		assert_int_equal(lmtp_input(l, in, sizeof(in) - 1),
				 k < 11 ? (k == 10 ? 1 : -1) : 1);
		assert_int_equal(r.delivered, expected > 3 ? 3 : expected);
		lmtp_free(&l);
	}
}

static const struct {
	const char *address;
	enum target_kind kind;
	const char *provider;
} targets[] = {
	{ "0123456789abcdef0123456789abcdef@984661185.digital.brevdue.invalid", TARGET_DIGITAL,
	  "984661185" },
	{ "0123456789abcdef0123456789abcdef@984661185.Digital.Brevdue.INVALID", TARGET_DIGITAL,
	  "984661185" },
	{ "0123456789abcdef0123456789abcdef@report.brevdue.invalid", TARGET_REPORT, "" },
	{ "0123456789ABCDEF0123456789abcdef@report.brevdue.invalid", TARGET_NONE, "" },
	{ "0123456789abcdef0123456789abcde@report.brevdue.invalid", TARGET_NONE, "" },
	{ "0123456789abcdef0123456789abcdef@98466118.digital.brevdue.invalid", TARGET_NONE, "" },
	{ "0123456789abcdef0123456789abcdef@9846611850.digital.brevdue.invalid", TARGET_NONE, "" },
	{ "0123456789abcdef0123456789abcdef@984661185.print.brevdue.invalid", TARGET_NONE, "" },
	{ "0123456789abcdef0123456789abcdef@digital.brevdue.invalid", TARGET_NONE, "" },
	{ "0123456789abcdef0123456789abcdef@984661185.digital.brevdue.invalid.example", TARGET_NONE,
	  "" },
	{ "0123456789abcdef0123456789abcdef", TARGET_NONE, "" },
	{ "", TARGET_NONE, "" },
};

static void
test_targets(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct target t;

		target_parse(targets[i].address, &t);
		if (t.kind != targets[i].kind || strcmp(t.provider, targets[i].provider) != 0)
			fail_msg("%s: %d %s", targets[i].address, (int)t.kind, t.provider);
	}
}

#define ID "0123456789abcdef0123456789abcdef"
#define TOP(type)                                                              \
	"Received: by x (Postfix)\r\n\tid 1; now\r\nFrom: MAILER-DAEMON@x\r\n" \
	"Content-Type: " type "\r\nMIME-Version: 1.0\r\n\r\nThis is a MIME message.\r\n\r\n"
#define REPORT TOP("multipart/report; report-type=delivery-status;\r\n\tboundary=\"B.1/x\"")
#define TEXT "--B.1/x\r\nContent-Type: text/plain\r\n\r\nAction: failed\r\nStatus: 5.0.0\r\n\r\n"
#define STATUS(type, encoding)                                \
	"--B.1/x\r\nContent-Description: Delivery report\r\n" \
	"Content-Type: " type "\r\n" encoding "\r\nReporting-MTA: dns; x\r\n\r\n"
#define ABOUT(action, status)                                                   \
	"Final-Recipient: rfc822; " ID "@984661185.digital.brevdue.invalid\r\n" \
	"Action: " action "\r\nStatus: " status                                 \
	"\r\nDiagnostic-Code: x-unix; some\r\n    words\r\n"

static const struct {
	const char *name, *message;
	const char *action, *status; /* NULL: not understood */
} notices[] = {
	{ "bounce",
	  REPORT TEXT STATUS("message/delivery-status", "")
	      ABOUT("failed", "5.4.7") "\r\n--B.1/x--",
	  "failed", "5.4.7" },
	{ "delay",
	  REPORT TEXT STATUS("message/delivery-status", "")
	      ABOUT("delayed", "4.4.1") "\r\n--B.1/x--",
	  "delayed", "4.4.1" },
	{ "SMTPUTF8",
	  REPORT STATUS("message/global-delivery-status", "Content-Transfer-Encoding: 8bit\r\n")
	      ABOUT("Failed", "5.0.0"),
	  "failed", "5.0.0" },
	{ "second recipient is ours",
	  REPORT STATUS("message/delivery-status",
			"") "Final-Recipient: rfc822; x@y\r\nAction: delivered\r\nStatus: "
			    "2.0.0\r\n\r\n" ABOUT("failed", "5.4.7"),
	  "failed", "5.4.7" },
	{ "about somebody else",
	  REPORT STATUS("message/delivery-status", "") "Final-Recipient: rfc822; x@y\r\nAction: "
						       "failed\r\nStatus: 5.0.0\r\n\r\n--B.1/x--",
	  NULL, NULL },
	{ "unknown action", REPORT STATUS("message/delivery-status", "") ABOUT("vanished", "5.4.7"),
	  NULL, NULL },
	{ "odd status", REPORT STATUS("message/delivery-status", "") ABOUT("failed", "+5. 4.7"),
	  NULL, NULL },
	{ "encoded",
	  REPORT STATUS("message/delivery-status", "Content-Transfer-Encoding: base64\r\n")
	      ABOUT("failed", "5.4.7"),
	  NULL, NULL },
	{ "only in the text part", REPORT TEXT "--B.1/x--\r\n", NULL, NULL },
	{ "in the returned message",
	  REPORT "--B.1/x--\r\n" STATUS("text/plain", "") ABOUT("failed", "5.4.7"), NULL, NULL },
	{ "ordinary mail", TOP("text/plain") ABOUT("failed", "5.4.7"), NULL, NULL },
	{ "no boundary", TOP("multipart/report") ABOUT("failed", "5.4.7"), NULL, NULL },
	{ "two types",
	  "Content-Type: text/plain\r\n" REPORT STATUS("message/delivery-status", "")
	      ABOUT("failed", "5.4.7"),
	  NULL, NULL },
	{ "cut", REPORT STATUS("message/delivery-status", "") "Final-Recipient: rfc822; " ID, NULL,
	  NULL },
	{ "empty", "", NULL, NULL },
};

static void
test_notices(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(notices) / sizeof(notices[0]); i++) {
		size_t len = strlen(notices[i].message);
		char *message = malloc(len + 1);
		struct dsn_notice n = { 0 };
		int rc;

		memcpy(message, notices[i].message, len);
		message[len] = 'X';
		rc = dsn_read(message, len, ID, &n);
		if ((rc == 0) != (notices[i].action != NULL) ||
		    (rc == 0 && (strcmp(n.action, notices[i].action) != 0 ||
				 strcmp(n.status, notices[i].status) != 0)))
			fail_msg("%s: %d %s %s", notices[i].name, rc, n.action, n.status);
		free(message);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),     cmocka_unit_test(test_line_limits),
		cmocka_unit_test(test_dialogues), cmocka_unit_test(test_announcements),
		cmocka_unit_test(test_cut),       cmocka_unit_test(test_targets),
		cmocka_unit_test(test_notices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
