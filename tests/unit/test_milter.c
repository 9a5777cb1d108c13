/* SPDX-License-Identifier: Apache-2.0 */
/* The milter's parts that need no session: policy, replies, options, mails in memory, accounts. */
#include "config.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "milter/memory.h"
#include "milter/message.h"
#include "milter/options.h"
#include "milter/poison.h"
#include "milter/policy.h"
#include "milter/rate.h"
#include "milter/reply.h"

#define S(text) ((char[]){ text })

/* ---- policy ---- */

static struct conf_sender skole_senders[] = {
	{ .pattern = S("@skole.example"), .important = true, .service = true },
	{ .pattern = S("vaktmester@skole.example"), .service = true },
};
static struct conf_sender helse_senders[] = {
	{ .pattern = S("@helse.example"), .important = true, .service = true },
	{ .pattern = S("felles@kommune.example"), .important = true },
};
static struct conf_sender skatt_senders[] = {
	{ .pattern = S("felles@kommune.example"), .important = true },
};
static struct conf_agency agencies[] = {
	{ .name = S("skole"), .senders = skole_senders, .sender_count = 2 },
	{ .name = S("helse"), .senders = helse_senders, .sender_count = 2 },
	{ .name = S("skatt"), .senders = skatt_senders, .sender_count = 1 },
	{ .name = S("tom") },
};
static char *skole_only[] = { S("skole"), NULL };
static char *helse_only[] = { S("helse"), NULL };
static char *helse_skatt[] = { S("helse"), S("skatt"), NULL };
static char *tom_only[] = { S("tom"), NULL };
static char *login_kari[] = { S("kari"), NULL };
static char *login_both[] = { S("felles"), NULL };
static char *login_tom[] = { S("tom"), NULL };
static char *net_wide[] = { S("192.0.2.0/24"), S("2001:db8::/32"), NULL };
static char *net_narrow[] = { S("192.0.2.128/25"), NULL };
static char *net_shared[] = { S("198.51.100.0/24"), NULL };
static char *net_both[] = { S("203.0.113.7"), NULL };
static char *net_unix[] = { S("unix"), NULL };
static char *listener_cert[] = { S("cert-helse"), NULL };
static struct conf_client clients[] = {
	{ .name = S("kari"), .logins = login_kari, .agencies = skole_only },
	{ .name = S("felles"), .logins = login_both, .agencies = helse_skatt },
	{ .name = S("bred"), .networks = net_wide, .agencies = skole_only },
	{ .name = S("smal"), .networks = net_narrow, .agencies = helse_only, .tls_optional = true },
	{ .name = S("delt"), .networks = net_shared, .agencies = helse_only, .shared = true },
	{ .name = S("to"), .networks = net_both, .agencies = helse_skatt },
	{ .name = S("lokal"), .networks = net_unix, .agencies = skole_only },
	{ .name = S("sertifikat"), .listeners = listener_cert, .agencies = helse_only },
	{ .name = S("tom"), .logins = login_tom, .agencies = tom_only },
};
static const struct conf conf = {
	.agencies = agencies,
	.agency_count = sizeof(agencies) / sizeof(agencies[0]),
	.clients = clients,
	.client_count = sizeof(clients) / sizeof(clients[0]),
};

static void
peer_from(struct policy_peer *p, const char *address)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (address == NULL)
		policy_peer_set(p, "unknown", NULL);
	else if (strcmp(address, "unix") == 0)
		policy_peer_set(p, "localhost", NULL);
	else if (inet_pton(AF_INET, address, &in.sin_addr) == 1)
		policy_peer_set(p, "x", (struct sockaddr *)&in);
	else if (inet_pton(AF_INET6, address, &in6.sin6_addr) == 1)
		policy_peer_set(p, "x", (struct sockaddr *)&in6);
	else
		fail_msg("%s", address);
}

static void
test_client(void **state)
{
	static const struct {
		const char *name, *address, *login, *listener, *client;
		enum policy_how how;
	} cases[] = {
		{ "login", "10.0.0.1", "kari", NULL, "kari", POLICY_LOGIN },
		{ "login before network", "192.0.2.1", "felles", NULL, "felles", POLICY_LOGIN },
		{ "login before listener", "10.0.0.1", "kari", "cert-helse", "kari", POLICY_LOGIN },
		{ "other case is another login", "10.0.0.1", "Kari", NULL, NULL, POLICY_NONE },
		{ "unknown login, known network", "192.0.2.1", "ola", NULL, "bred",
		  POLICY_NETWORK },
		{ "empty login", "10.0.0.1", "", "", NULL, POLICY_NONE },
		{ "listener", "10.0.0.1", NULL, "cert-helse", "sertifikat", POLICY_LISTENER },
		{ "wide network", "192.0.2.127", NULL, NULL, "bred", POLICY_NETWORK },
		{ "narrow network wins", "192.0.2.128", NULL, NULL, "smal", POLICY_NETWORK },
		{ "IPv6", "2001:db8:1::1", NULL, NULL, "bred", POLICY_NETWORK },
		{ "IPv6 outside", "2001:db9::1", NULL, NULL, NULL, POLICY_NONE },
		{ "mapped IPv4", "::ffff:192.0.2.1", NULL, NULL, "bred", POLICY_NETWORK },
		{ "just outside", "192.0.3.0", NULL, NULL, NULL, POLICY_NONE },
		{ "unix", "unix", NULL, NULL, "lokal", POLICY_NETWORK },
		{ "address not known", NULL, NULL, NULL, NULL, POLICY_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct policy_peer p;
		enum policy_how how;
		const struct conf_client *c;

		peer_from(&p, cases[i].address);
		c = policy_client(&conf, &p, cases[i].login, cases[i].listener, &how);
		if (how != cases[i].how || (c == NULL) != (cases[i].client == NULL) ||
		    (c != NULL && strcmp(c->name, cases[i].client) != 0))
			fail_msg("%s: %s %d", cases[i].name, c != NULL ? c->name : "none",
				 (int)how);
	}
}

static void
test_private(void **state)
{
	static const struct {
		const char *name, *address, *tls;
		size_t client;
		bool ok;
	} cases[] = {
		{ "none", "10.0.0.1", NULL, 0, false },
		{ "empty", "10.0.0.1", "", 0, false },
		{ "1.1", "10.0.0.1", "TLSv1.1", 0, false },
		{ "SSL", "10.0.0.1", "SSLv3", 0, false },
		{ "1.2", "10.0.0.1", "TLSv1.2", 0, true },
		{ "1.3", "10.0.0.1", "TLSv1.3", 0, true },
		{ "loopback", "127.0.0.2", NULL, 0, true },
		{ "loopback 6", "::1", NULL, 0, true },
		{ "unix", "unix", NULL, 0, true },
		{ "unknown", NULL, NULL, 0, false },
		{ "listed by name", "10.0.0.1", NULL, 3, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct policy_peer p;

		peer_from(&p, cases[i].address);
		if (policy_is_private(&clients[cases[i].client], &p, cases[i].tls) != cases[i].ok)
			fail_msg("%s", cases[i].name);
	}
}

static void
test_agency(void **state)
{
	static const struct {
		const char *name;
		size_t client;
		enum policy_how how;
		const char *sender, *dkim, *agency;
	} cases[] = {
		{ "domain", 0, POLICY_LOGIN, "a@skole.example", NULL, "skole" },
		{ "case does not matter", 0, POLICY_LOGIN, "A@Skole.Example", NULL, "skole" },
		{ "other agency's sender", 0, POLICY_LOGIN, "a@helse.example", NULL, NULL },
		{ "subdomain is another", 0, POLICY_LOGIN, "a@x.skole.example", NULL, NULL },
		{ "suffix trick", 0, POLICY_LOGIN, "a@evilskole.example", NULL, NULL },
		{ "no domain", 0, POLICY_LOGIN, "a", NULL, NULL },
		{ "one of two by table", 1, POLICY_LOGIN, "a@helse.example", NULL, "helse" },
		{ "two of two", 1, POLICY_LOGIN, "felles@kommune.example", NULL, NULL },
		{ "network and two agencies", 5, POLICY_NETWORK, "a@helse.example", NULL, NULL },
		{ "the same with a signature", 5, POLICY_NETWORK, "a@helse.example",
		  "helse.example", "helse" },
		{ "signature of another", 5, POLICY_NETWORK, "a@helse.example", "skole.example",
		  NULL },
		{ "shared network", 4, POLICY_NETWORK, "a@helse.example", NULL, NULL },
		{ "shared, signed", 4, POLICY_NETWORK, "a@helse.example", "helse.example",
		  "helse" },
		{ "no sender table is nobody", 8, POLICY_LOGIN, "a@skole.example", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct conf_agency *a = NULL;
		const struct conf_sender *s = NULL;
		struct bd_err e = { 0 };
		int rc = policy_agency(&conf, &clients[cases[i].client], cases[i].how,
				       cases[i].sender, cases[i].dkim, &a, &s, &e);

		if ((rc == 0) != (cases[i].agency != NULL) ||
		    (rc == 0 && strcmp(a->name, cases[i].agency) != 0))
			fail_msg("%s", cases[i].name);
		if (rc == -1) {
			assert_int_equal(e.kind, BD_E_NOT_AUTHORISED);
			assert_null(strchr(e.cause, '@'));
		}
	}
}

static void
test_sender_kinds(void **state)
{
	const struct conf_sender *s = policy_sender(&agencies[0], "vaktmester@skole.example");

	(void)state;
	assert_false(policy_sender_may(s, CONF_KIND_IMPORTANT));
	assert_true(policy_sender_may(s, CONF_KIND_SERVICE));
	s = policy_sender(&agencies[0], "rektor@skole.example");
	assert_true(policy_sender_may(s, CONF_KIND_IMPORTANT));
}

/* ---- replies ---- */

static void
test_every_reply_agrees_with_its_verdict(void **state)
{
	(void)state;
	for (int k = 0; k < BD_E_COUNT; k++) {
		struct bd_err e = { .kind = (enum bd_kind)k, .detail = "100% part 3" };
		struct reply r;
		char doubled[2 * REPLY_TEXT_CHARS];

		reply_from_error(&r, &e, "nb", 2);
		assert_int_equal(r.verdict, r.code / 100 == 5 ? VERDICT_REJECT : VERDICT_TEMPFAIL);
		assert_int_equal(r.status[0] - '0', r.code / 100);
		assert_in_range(strlen(r.text), 10, REPLY_TEXT_CHARS - 1);
		assert_non_null(strstr(r.text, "Mottaker 2: "));
		reply_double_percent(doubled, sizeof(doubled), r.text);
		assert_non_null(strstr(doubled, "100%% part"));
		for (const char *p = r.text; *p != '\0'; p++)
			assert_in_range(*p, ' ', '~');
	}
}

static void
test_answers_of_others(void **state)
{
	static const struct {
		int code;
		const char *status, *text;
		int out;
		const char *out_status;
		enum verdict verdict;
	} cases[] = {
		{ 550, "5.1.1", "no such user", 550, "5.1.1", VERDICT_REJECT },
		{ 450, "4.2.0", "later", 450, "4.2.0", VERDICT_TEMPFAIL },
		{ 421, "4.3.2", "going", 451, "4.3.2", VERDICT_TEMPFAIL },
		{ 550, "", "", 550, "5.0.0", VERDICT_REJECT },
		{ 550, "4.2.0", "odd", 550, "5.0.0", VERDICT_REJECT },
		{ 250, "2.0.0", "what", 451, "4.0.0", VERDICT_TEMPFAIL },
		{ 0, "", "", 451, "4.0.0", VERDICT_TEMPFAIL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reply r;

		reply_from_answer(&r, cases[i].code, cases[i].status, cases[i].text);
		assert_int_equal(r.code, cases[i].out);
		assert_string_equal(r.status, cases[i].out_status);
		assert_int_equal(r.verdict, cases[i].verdict);
		assert_true(r.text[0] != '\0');
	}
}

/* ---- options ---- */

#define NOW ((time_t)1893456000) /* 2030-01-01T00:00:00Z */

static void
test_options(void **state)
{
	static const struct {
		const char *name, *value;
		bool ok;
	} cases[] = {
		{ "public-title", "Brev fra skolen", true },
		{ "public-title", "", false },
		{ "public-title", "Se https://skole.example", false },
		{ "public-title", "Brev om 01819090013", false },
		{ "security-level", "3", true },
		{ "security-level", "4", true },
		{ "security-level", "2", false },
		{ "security-level", "34", false },
		{ "kind", "service", true },
		{ "kind", "Important", true },
		{ "kind", "urgent", false },
		{ "language", "nn", true },
		{ "language", "EN", true },
		{ "language", "norsk", false },
		{ "effective", "2030-02-01", true },
		{ "effective", "2030-02-30", false },
		{ "effective", "2030-02-01T08:00:00+01:00", true },
		{ "effective", "tomorrow", false },
		{ "effective", "2032-02-01", false },
		{ "effective", "2020-02-01", true },
		{ "sms-text", "Du har brev", true },
		{ "sms-text", "www.skole.example", false },
		{ "email-text", "Du har brev", true },
		{ "repeat", "0,7", true },
		{ "repeat", "0, 25", true },
		{ "repeat", "26", false },
		{ "repeat", "1,1", false },
		{ "repeat", "", false },
		{ "repeat", "1,", false },
		{ "repeat", "-1", false },
		{ "repeat", "1;2", false },
		{ "repeat", "0,1,2,3,4,5,6,7,8,9", true },
		{ "repeat", "0,1,2,3,4,5,6,7,8,9,10", false },
		{ "main", "body", true },
		{ "main", "tail", false },
		{ "invoice-reference", "F-77", true },
		{ "invoice-reference", "12345678901234567890123456789012345678901", false },
		{ "unit", "123456785:skole", true },
		{ "unit", "a\tb", false },
		{ "case", "2030/1", false },
		{ "colour", "yes", false },
		{ "colur", "yes", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct letter_option option = { .name = strdup(cases[i].name),
						.value = strdup(cases[i].value) };
		struct letter l = { .options = &option, .option_count = 1 };
		struct options o;
		struct bd_err e = { 0 };
		int rc = options_read(&l, NOW, &o, &e);

		if ((rc == 0) != cases[i].ok)
			fail_msg("%s: %s: %s", cases[i].name, cases[i].value, e.cause);
		if (rc == -1) {
			assert_int_equal(e.kind, BD_E_CONTENT);
			assert_non_null(strstr(e.detail, "Brevdue-"));
		}
		free(option.name);
		free(option.value);
	}
}

static void
test_options_values(void **state)
{
	struct letter_option given[] = {
		{ S("effective"), S("2030-07-01") },
		{ S("repeat"), S("0, 3,10") },
		{ S("security-level"), S("3") },
		{ S("kind"), S("service") },
	};
	struct letter l = { .options = given, .option_count = 4 };
	struct options o;
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(options_read(&l, NOW, &o, &e), 0);
	assert_int_equal(strncmp(o.effective, "2030-06-30T22:00:00", 19), 0);
	assert_int_equal(o.repeat_count, 3);
	assert_int_equal(o.repeats[2], 10);
	assert_int_equal(o.level, 3);
	assert_true(o.has_kind && o.kind == CONF_KIND_SERVICE);
	l.option_count = 1;
	assert_int_equal(options_read(&l, NOW + 300 * 86400, &o, &e), 0);
	assert_string_equal(o.effective, ""); /* it is past */
}

static void
test_option_twice(void **state)
{
	struct letter_option given[] = { { S("kind"), S("service") }, { S("kind"), S("service") } };
	struct letter l = { .options = given, .option_count = 2 };
	struct options o;
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(options_read(&l, NOW, &o, &e), -1);
}

static void
test_norwegian_midnight(void **state)
{
	static const struct {
		const char *date;
		time_t when; /* of UTC midnight minus */
		int hours;
	} cases[] = {
		{ "2030-01-01", 1893456000, 1 },
		{ "2030-03-31", 1901145600, 1 }, /* summer time begins that night */
		{ "2030-04-01", 1901232000, 2 },
		{ "2030-10-27", 1919289600, 2 }, /* and ends that night */
		{ "2030-10-28", 1919376000, 1 },
	};
	time_t when;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(options_norwegian_midnight(cases[i].date, &when), 0);
		assert_int_equal(when, cases[i].when - cases[i].hours * 3600);
	}
	assert_int_equal(options_norwegian_midnight("2030-1-1", &when), -1);
	assert_int_equal(options_norwegian_midnight("2030-13-01", &when), -1);
	assert_int_equal(options_norwegian_midnight("2030-01-01x", &when), -1);
}

/* ---- mails in memory ---- */

static struct conf
small_conf(void)
{
	struct conf c = { 0 };

	c.milter.message_size = 600000;
	c.milter.mail_work = 1000000;
	c.milter.mail_recipients = 3;
	return c;
}

static void
test_mail_is_kept_byte_by_byte(void **state)
{
	static const size_t chunks[] = { 1, 2, 7, 4096, 65535 };
	struct conf c = small_conf();
	char body[20000];

	(void)state;
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)(i % 251); /* NUL, CR, LF and 8-bit too */
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		struct memory account = { .limit = 100000 };
		struct message m;
		struct bd_err e = { 0 };
		char *argv[] = { S("<a@b.example>"), S("SIZE=5"), S("ENVID=x+20y"), NULL };
		static const char head[] = "Subject: a\r\n\tb\r\nX:  c\r\n\r\n";
		char *map;

		assert_int_equal(message_init(&m, &account, argv, &e), 0);
		assert_string_equal(m.from, "a@b.example");
		assert_string_equal(m.from_args, "SIZE=5 ENVID=x+20y");
		assert_string_equal(m.envid, "x+20y");
		assert_int_equal(m.announced, 5);
		assert_int_equal(message_header(&m, &c, "Subject", " a\n\tb", true, &e), 0);
		assert_int_equal(message_header(&m, &c, "X", " c", false, &e), 0);
		assert_int_equal(message_eoh(&m, &c, &e), 0);
		for (size_t at = 0; at < sizeof(body); at += chunks[i]) {
			size_t n = sizeof(body) - at < chunks[i] ? sizeof(body) - at : chunks[i];

			assert_int_equal(message_body(&m, &c, body + at, n, &e), 0);
		}
		assert_int_equal(message_finish(&m, &e), 0);
		assert_int_equal(m.size, sizeof(head) - 1 + sizeof(body));
		assert_int_equal(account.used, m.size);
		map = mmap(NULL, m.size, PROT_READ, MAP_SHARED, m.fd, 0);
		assert_ptr_not_equal(map, MAP_FAILED);
		assert_memory_equal(map, head, sizeof(head) - 1);
		assert_memory_equal(map + sizeof(head) - 1, body, sizeof(body));
		munmap(map, m.size);
		assert_int_equal(write(m.fd, "x", 1), -1); /* sealed */
		message_drop_content(&m);
		assert_int_equal(account.used, 0);
		message_clear(&m);
		message_clear(&m);
		assert_int_equal(account.used, 0);
	}
}

static void
test_headers_refused(void **state)
{
	static char huge[40000];
	static const struct {
		const char *name, *value;
		bool ok;
	} cases[] = {
		{ "Subject", " x", true },
		{ "Subject", " x\r\n y", true },
		{ "Subject", " x\r\nBcc: y", false },
		{ "Subject", " x\nBcc: y", false },
		{ "Subject", " x\ry", false },
		{ "Subject", huge, false },
		{ "Sub ject", " x", false },
		{ "Sub:ject", " x", false },
		{ "", " x", false },
		{ "S\xc3\xb8", " x", false },
	};
	struct conf c = small_conf();

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct memory account = { .limit = 100000 };
		struct message m;
		struct bd_err e = { 0 };
		char *argv[] = { S("<>"), NULL };
		int rc;

		assert_int_equal(message_init(&m, &account, argv, &e), 0);
		rc = message_header(&m, &c, cases[i].name, cases[i].value, true, &e);
		if ((rc == 0) != cases[i].ok)
			fail_msg("case %zu", i);
		if (rc == -1)
			assert_int_equal(e.kind, BD_E_CONTENT);
		message_clear(&m);
		assert_int_equal(account.used, 0);
	}
}

static void
test_limits(void **state)
{
	struct conf c = small_conf();
	struct memory account = { .limit = 1000 };
	struct message m;
	struct bd_err e = { 0 };
	char *argv[] = { S("<a@b>"), NULL }, bytes[600] = { 0 };

	(void)state;
	assert_int_equal(message_fits(&c, 1, 600000, &e), 0);
	assert_int_equal(message_fits(&c, 1, 600001, &e), -1);
	assert_int_equal(e.kind, BD_E_TOO_BIG);
	assert_int_equal(message_fits(&c, 2, 500000, &e), 0);
	assert_int_equal(message_fits(&c, 2, 500001, &e), -1);
	assert_int_equal(e.kind, BD_E_MAIL_WORK);
	assert_int_equal(message_fits(&c, 0, 0, &e), 0);

	assert_int_equal(message_init(&m, &account, argv, &e), 0);
	assert_int_equal(message_body(&m, &c, bytes, sizeof(bytes), &e), 0);
	assert_int_equal(message_body(&m, &c, bytes, sizeof(bytes), &e), -1);
	assert_int_equal(e.kind, BD_E_MEMORY);
	assert_int_equal(account.used, 600);
	message_clear(&m);
	assert_int_equal(account.used, 0);
}

static void
test_same_person_twice(void **state)
{
	struct memory account = { .limit = 1000 };
	struct message m;
	struct bd_err e = { 0 };
	struct conf_domain domain = { .name = S("innbygger.example.no") };
	struct citizen kari = { .id = "01819090013" }, paper = kari;
	char *from[] = { S("<a@b>"), NULL };
	char *to[] = { S("<01819090013@innbygger.example.no>"), S("NOTIFY=NEVER"),
		       S("ORCPT=rfc822;x"), NULL };

	(void)state;
	paper.force = DECIDE_PRINT;
	assert_int_equal(message_init(&m, &account, from, &e), 0);
	m.rcpt_commands = 1;
	assert_int_equal(message_add_recipient(&m, to, &kari, &domain, &e), 0);
	m.rcpt_commands = 2;
	assert_int_equal(message_add_recipient(&m, to, &kari, &domain, &e), 1);
	assert_int_equal(message_add_recipient(&m, to, &paper, &domain, &e), -1);
	assert_int_equal(e.kind, BD_E_CONTENT);
	assert_int_equal(m.recipient_count, 1);
	assert_string_equal(m.recipients[0].notify, "NEVER");
	assert_string_equal(m.recipients[0].orcpt, "rfc822;x");
	assert_int_equal(m.recipients[0].position, 1);
	message_clear(&m);
}

/* ---- accounts ---- */

static void *
take_and_give(void *arg)
{
	struct memory *account = arg;
	struct memory_share share = { .account = account };
	struct bd_err e = { 0 };

	for (int i = 0; i < 10000; i++)
		if (memory_take(&share, 7, &e) == 0 && i % 2 == 0)
			memory_give(&share, 7);
	memory_drop(&share);
	return NULL;
}

static void
test_memory_account(void **state)
{
	struct memory account = { .limit = 100 };
	struct memory_share a = { .account = &account }, b = { .account = &account };
	struct bd_err e = { 0 };
	pthread_t threads[4];

	(void)state;
	assert_int_equal(memory_take(&a, 60, &e), 0);
	assert_int_equal(memory_take(&b, 41, &e), -1);
	assert_int_equal(memory_take(&b, 40, &e), 0);
	assert_int_equal(memory_take(&b, (size_t)-1, &e), -1);
	memory_drop(&a);
	memory_drop(&b);
	for (size_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, take_and_give, &account);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(account.used, 0);
}

static void
test_poison(void **state)
{
	struct poison p;
	uint8_t digest[SHA256_BYTES] = { 1 }, other[SHA256_BYTES] = { 2 };

	(void)state;
	poison_init(&p);
	assert_int_equal(poison_note(&p, digest, 0), 1);
	assert_int_equal(poison_note(&p, other, 0), 1);
	assert_int_equal(poison_note(&p, digest, 1000), 2);
	assert_int_equal(poison_note(&p, digest, 2000), 3);
	assert_int_equal(poison_note(&p, digest, POISON_TIME_MS + 1), 1); /* an hour later */
	for (unsigned i = 0; i < 2 * POISON_ENTRIES; i++) {
		uint8_t flood[SHA256_BYTES] = { 3, (uint8_t)i, (uint8_t)(i >> 8) };

		assert_int_equal(poison_note(&p, flood, POISON_TIME_MS + 2 + (int64_t)i), 1);
	}
}

static void
test_rate(void **state)
{
	static char all[] = "@a.example", one[] = "b@a.example";
	struct conf_sender lines[] = { { .pattern = all, .per_hour = 10 }, { .pattern = one } };
	struct conf_agency agency = { .senders = lines, .sender_count = 2 };
	struct conf c = { .agencies = &agency, .agency_count = 1 };
	struct bd_err e = { 0 };
	struct rate r;
	int64_t now = 1000000, hour = 3600000;

	(void)state;
	assert_int_equal(rate_init(&r, &c, &e), 0);
	assert_int_equal(rate_take(&r, &lines[0], 7, now, &e), 0);
	assert_int_equal(rate_take(&r, &lines[0], 4, now, &e), -1);
	assert_int_equal(e.kind, BD_E_RATE);
	assert_int_equal(rate_take(&r, &lines[0], 3, now, &e), 0);
	assert_int_equal(rate_take(&r, &lines[0], 1, now + 1, &e), -1);
	assert_int_equal(rate_take(&r, &lines[0], 1, now + hour / 10 + 1, &e), 0);
	rate_give(&r, &lines[0], 1);
	assert_int_equal(rate_take(&r, &lines[0], 1, now + hour / 10 + 2, &e), 0);
	/* more than an hour's letters at once: from a full bucket, then long nothing */
	assert_int_equal(rate_take(&r, &lines[0], 30, now + hour, &e), -1);
	assert_int_equal(rate_take(&r, &lines[0], 30, now + 3 * hour, &e), 0);
	assert_int_equal(rate_take(&r, &lines[0], 1, now + 5 * hour, &e), -1);
	assert_int_equal(rate_take(&r, &lines[0], 1, now + 6 * hour, &e), 0);
	assert_int_equal(rate_take(&r, &lines[1], 1000000, now, &e), 0); /* no limit */
	rate_clear(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_agency),
		cmocka_unit_test(test_sender_kinds),
		cmocka_unit_test(test_every_reply_agrees_with_its_verdict),
		cmocka_unit_test(test_answers_of_others),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_options_values),
		cmocka_unit_test(test_option_twice),
		cmocka_unit_test(test_norwegian_midnight),
		cmocka_unit_test(test_mail_is_kept_byte_by_byte),
		cmocka_unit_test(test_headers_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_same_person_twice),
		cmocka_unit_test(test_memory_account),
		cmocka_unit_test(test_poison),
		cmocka_unit_test(test_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
