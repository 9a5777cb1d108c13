/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: the sample and the table say the same, values are read as written, and every
 * mistake is told with its line and in words. */
#include "config.h"
#include "tests/unit/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/network.h"
#include "common/publictext.h"

static char file[64];

static void
write_file(const char *text)
{
	FILE *out;
	int fd;

	strcpy(file, "/tmp/brevdue-conf-XXXXXX");
	fd = mkstemp(file);
	assert_true(fd >= 0);
	out = fdopen(fd, "w");
	assert_int_equal(fputs(text, out) >= 0, 1);
	assert_int_equal(fclose(out), 0);
}

static struct conf *
load(const char *text, struct bd_err *e)
{
	struct conf *c;

	write_file(text);
	c = conf_load(file, e);
	unlink(file);
	return c;
}

static char *
read_sample(void)
{
	const char *top = getenv("srcdir");
	char path[512];
	FILE *in;
	char *text = calloc(1, 65536);

	snprintf(path, sizeof(path), "%s/etc/brevdue.conf.sample", top == NULL ? TOP_SRCDIR : top);
	in = fopen(path, "r");
	assert_non_null(in);
	assert_true(fread(text, 1, 65535, in) > 1000);
	fclose(in);
	return text;
}

static void
test_sample_loads(void **state)
{
	struct bd_err e = { 0 };
	char *text = read_sample();
	struct conf *c = load(text, &e);

	(void)state;
	assert_string_equal(e.cause, "");
	assert_non_null(c);
	assert_string_equal(c->log, "stderr");
	assert_false(c->synthetic);
	assert_int_equal(c->seal_key_count, 1);
	assert_string_equal(c->seal_keys[0].id, "2026-11");
	assert_int_equal(c->agency_count, 1);
	assert_string_equal(conf_agency(c, "eksempel")->orgnr, "123456785");
	assert_null(conf_agency(c, "annen"));
	assert_true(c->agencies[0].open_receipts);
	assert_false(c->agencies[0].prints);
	assert_false(c->agencies[0].archive);
	assert_int_equal(c->agencies[0].formats, CONF_FORMATS_PRINTABLE);
	assert_null(c->agencies[0].mixed_domains);
	assert_int_equal(c->agencies[0].sender_count, 1);
	assert_true(c->agencies[0].senders[0].important && c->agencies[0].senders[0].service);
	assert_non_null(conf_domain(c, "INNBYGGER.eksempel.example"));
	assert_int_equal(c->domains[0].security_level, 4);
	assert_string_equal(c->clients[0].logins[1], "ola");
	assert_null(c->clients[0].logins[2]);
	assert_int_equal(c->milter.package_size, 50000000);
	assert_int_equal(c->milter.reader_timeout_ms, 20000);
	assert_int_equal(c->milter.reader_memory, 1000000000);
	assert_int_equal(c->milter.ordinary, CONF_ORDINARY_RESUBMIT);
	assert_int_equal(c->transport.copy_window_sec, 5 * 86400);
	assert_int_equal(c->access_point.connect_timeout_ms, 5000);
	assert_string_equal(c->maskinporten.scope, "digitalpostinnbygger:send");
	conf_free(&c);
	assert_null(c);
	free(text);
}

/* A setting of the sample: "#name = value" or "name = value", under its sections. */
struct sample {
	char *rest;
	char section[2][32];
	size_t depth;
};

static bool
sample_next(struct sample *s, char *name, char *value, bool *commented)
{
	char *line;

	while ((line = strsep(&s->rest, "\n")) != NULL) {
		size_t len;

		line += strspn(line, " \t");
		*commented = line[0] == '#';
		line += *commented;
		len = strspn(line, "abcdefghijklmnopqrstuvwxyz-");
		if (!*commented && line[0] == '}') {
			s->depth--;
		} else if (!*commented && len > 0 && line[strlen(line) - 1] == '{') {
			snprintf(s->section[s->depth++], 32, "%.*s", (int)len, line);
		} else if (len > 0 && strncmp(line + len, " = ", 3) == 0) {
			snprintf(name, 96, "%s%s%s%s%.*s", s->depth > 0 ? s->section[0] : "",
				 s->depth > 0 ? "." : "", s->depth > 1 ? s->section[1] : "",
				 s->depth > 1 ? "." : "", (int)len, line);
			snprintf(value, 256, "%s", line + len + 3);
			return true;
		}
	}
	return false;
}

static void
strip(char *value)
{
	char *out = value;

	for (char *in = value; *in != '\0'; in++)
		if (strchr("\"{}", *in) == NULL)
			*out++ = *in;
	*out = '\0';
	while (out > value && out[-1] == ' ')
		*--out = '\0';
	memmove(value, value + strspn(value, " "), strlen(value + strspn(value, " ")) + 1);
}

static void
compare_row(void *arg, const char *name, const char *type, const char *fallback, const char *help)
{
	char has[96], value[256];
	bool commented;

	if (!sample_next(arg, has, value, &commented))
		fail_msg("%s is not in the sample", name);
	assert_string_equal(has, name);
	assert_true(strlen(type) > 0 && strlen(help) > 0);
	strip(value);
	if (fallback != NULL && strcmp(name, "milter.reader") != 0) {
		if (!commented)
			fail_msg("%s has a default but is set in the sample", name);
		assert_string_equal(value, fallback);
	}
}

static void
test_sample_has_every_setting_with_its_default(void **state)
{
	char *text = read_sample(), has[96], value[256];
	struct sample s = { .rest = text };
	bool commented;

	(void)state;
	conf_settings(compare_row, &s);
	if (sample_next(&s, has, value, &commented))
		fail_msg("%s of the sample is no setting", has);
	free(text);
}

static void
test_sample_loads_with_every_setting(void **state)
{
	struct bd_err e = { 0 };
	char *text = read_sample();
	struct conf *c;

	(void)state;
	for (char *p = strchr(text, '#'); p != NULL; p = strchr(p + 1, '#')) {
		size_t len = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz-");

		if (len > 0 && strncmp(p + 1 + len, " = ", 3) == 0)
			*p = ' ';
	}
	c = load(text, &e);
	assert_string_equal(e.cause, "");
	assert_non_null(c);
	assert_string_equal(c->operators[0], "postmaster");
	assert_string_equal(c->transport.providers[1], "922020175");
	assert_string_equal(c->postfix.relayhost, "[smtp.eksempel.example]");
	assert_string_equal(c->clients[0].networks[1], "2001:db8::/32");
	conf_free(&c);
	free(text);
}

#define A40 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SEAL "seal-key k { file = /k }\n"
#define TOP "secret = /s\ntrust = /t\n"
#define AGENCY_HEAD                                                                               \
	"agency a { orgnr = 123456785 display-name = A certificate = /c key = /k archive = none " \
	"public-title = Brev "
#define AGENCY AGENCY_HEAD "sender '@a.example' {} }\n"
#define GOOD TOP SEAL AGENCY

struct mistake {
	const char *name;
	const char *text;
	const char *words; /* after the file's name */
};

static const struct mistake mistakes[] = {
	{ "unknown name", "\n# c\n# c\nfrobnicate = 3\n",
	  ":4: unknown setting or section \"frobnicate\"" },
	{ "misspelt", "milter {\n\tsokket = /x\n}\n",
	  ":2: unknown setting \"sokket\", is \"socket\" meant?" },
	{ "elsewhere", "copy-window = 5d\n",
	  ":1: \"copy-window\" does not stand here but in section \"transport\"" },
	{ "twice", "log = stderr\n\nlog = syslog\n", ":3: \"log\" stands twice, first in line 1" },
	{ "section twice", "lookup { }\nlookup { }\n",
	  ":2: \"lookup\" stands twice, first in line 1" },
	{ "title twice", SEAL SEAL, ":2: there is a section titled \"k\" already" },
	{ "open brace", "# x\nlookup {\n\nusers = a\n",
	  ":2: a brace is opened here and never closed" },
	{ "open quote", "log = \"x\n\n", ":1: a quote is opened here and never closed" },
	{ "closing brace", "\n}\n", ":2: a brace is closed that was never opened" },
	{ "open comment", "\n/* x\n\n", ":2: a comment is opened here and never closed" },
	{ "no equal sign", "log stderr\n", ":1: missing equal sign after option 'log'" },
	{ "word", "/* c\n */ log = paper\n", ":2: log must be one of stderr|syslog" },
	{ "empty word", "log = \"\"\n", ":1: log must be one of stderr|syslog" },
	{ "part of a word", "log = std\n", ":1: log must be one of stderr|syslog" },
	{ "bool", "debug = maybe\n", ":1: debug must be yes or no" },
	{ "relative path", "secret = etc/secret\n", ":1: secret must be an absolute path" },
	{ "number", "milter { readers = 4x }\n", ":1: readers is not a number" },
	{ "negative", "milter { readers = -4 }\n", ":1: readers is not a number" },
	{ "range", "milter { readers = 0 }\n", ":1: readers must be between 1 and 256" },
	{ "size", "milter { memory = 5T }\n", ":1: memory is not a size (for example 200M)" },
	{ "time", "lookup { timeout = 10y }\n",
	  ":1: timeout is not a time (for example 500ms, 10s, 5d)" },
	{ "time range", "lookup { timeout = 2h }\n",
	  ":1: timeout must be between 100 and 60000 ms" },
	{ "overflow", "milter { memory = 99999999999999G }\n",
	  ":1: memory is not a size (for example 200M)" },
	{ "socket length",
	  "lookup { socket = "
	  "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaa }\n",
	  ":1: socket is too long for a socket (at most 107 bytes)" },
	{ "check digit",
	  TOP SEAL "agency a {\n orgnr = 123456784\n display-name = A certificate = /c key = /k "
		   "archive = none public-title = B }\n",
	  ":5: orgnr is not an organisation number (nine digits, check digit)" },
	{ "missing", TOP SEAL "agency a {\n}\n",
	  ":5: section agency \"a\" ends here without \"orgnr\" (organisation number)" },
	{ "archive unsaid",
	  TOP SEAL "agency a { orgnr = 123456785 display-name = A certificate = /c key = /k "
		   "public-title = B }\n",
	  ":4: section agency \"a\" ends here without \"archive\" (archive copies; none must be "
	  "said, as letters are then kept by nobody)" },
	{ "no sender", TOP SEAL AGENCY_HEAD "}\n",
	  ":4: agency \"a\" ends here without a sender section: nobody could send" },
	{ "sender", TOP SEAL AGENCY_HEAD "sender a {} }\n",
	  ":4: section sender, which ends here: its title \"a\" must be an address "
	  "(clerk@agency.example) or a domain (@agency.example)" },
	{ "kind", TOP SEAL AGENCY_HEAD "sender '@a.example' { kinds = {big} } }\n",
	  ":4: kinds must be important or service" },
	{ "no secret", "trust = /t\n" SEAL AGENCY,
	  ": \"secret\" is missing (a file of 32 random bytes)" },
	{ "no trust", "secret = /s\n" SEAL AGENCY,
	  ": \"trust\" is missing (the providers' root certificates)" },
	{ "no seal key", TOP AGENCY, ": there is no seal-key section: nothing could be sealed" },
	{ "seal key name", "seal-key 'a b' { file = /k }\n",
	  ":1: section seal-key, which ends here: its title \"a b\" may have letters, digits, '.', "
	  "'_' and '-' only, at most 64" },
	{ "number in title",
	  TOP SEAL AGENCY_HEAD "\nnotice-sms = 'Sak 01819090013'\nsender '@a.example' {} }\n",
	  ":5: notice-sms text holds a number of eleven digits or more" },
	{ "link",
	  TOP SEAL AGENCY_HEAD "\nnotice-sms = 'Se www.digipost.no'\nsender '@a.example' {} }\n",
	  ":5: notice-sms text holds a link or an address" },
	{ "SMS length",
	  TOP SEAL AGENCY_HEAD "\nnotice-sms = '" A40 A40 A40 A40 "a'\nsender '@a.example' {} }\n",
	  ":5: notice-sms text has 161 characters, at most 160 are allowed" },
	{ "level", "domain d.example { security-level = 2 }\n",
	  ":1: security-level must be between 3 and 4" },
	{ "domain", "domain d { }\n",
	  ":1: section domain, which ends here: its title \"d\" is not a domain name" },
	{ "domain twice", "domain d.example { }\ndomain D.example {}\n",
	  ":2: there is a section for domain \"D.example\" already" },
	{ "kept domain", "domain digital.brevdue.invalid { }\n",
	  ":1: domain \"digital.brevdue.invalid\": names in .invalid are kept for brevdue itself" },
	{ "no such agency", GOOD "client c {\n logins = x\n agencies = {a, b}\n}\n",
	  ":7: agencies: there is no agency \"b\"" },
	{ "empty client", GOOD "client c {\n agencies = {a}\n}\n",
	  ":7: client \"c\" ends here without logins, networks or listeners: nobody could be it" },
	{ "same login",
	  GOOD "client c { logins = x agencies = {a} }\nclient d { logins = x agencies = {a} }\n",
	  ":6: logins: \"x\" is client \"c\" already" },
	{ "same listener",
	  GOOD "client c { listeners = x agencies = {a} }\nclient d { listeners = {y, x} agencies "
	       "= {a} }\n",
	  ":6: listeners: \"x\" is client \"c\" already" },
	{ "same network",
	  GOOD "client c { networks = 192.0.2.1 agencies = {a} }\n"
	       "client d { networks = {192.0.2.0/24, 192.0.2.1/32} agencies = {a} }\n",
	  ":6: networks: \"192.0.2.1/32\" is client \"c\" already" },
	{ "address", GOOD "client c {\n networks = 192.0.2.x\n agencies = a }\n",
	  ":6: networks \"192.0.2.x\" is not an IP address, a prefix (192.0.2.0/24) or \"unix\"" },
	{ "prefix", GOOD "client c {\n networks = 192.0.2.0/33\n agencies = a }\n",
	  ":6: networks \"192.0.2.0/33\" has a wrong prefix length" },
	{ "host bits", GOOD "client c {\n networks = 192.0.2.1/24\n agencies = a }\n",
	  ":6: networks \"192.0.2.1/24\" has address bits past its prefix length" },
	{ "plain http", "access-point {\n url = http://198.51.100.1/x\n}\n",
	  ":2: url must begin with https:// (http:// on loopback only)" },
	{ "plain loopback", "access-point {\n url = http://127.0.0.1:1/x\n}\n",
	  ":2: url: http needs insecure-loopback = yes" },
	{ "no url", "access-point {\n}\n",
	  ":2: section access-point \"\" ends here without \"url\" (base address)" },
	{ "driver", "transport {\n driver = dpi\n}\n",
	  ":2: driver dpi needs an access-point section" },
	{ "audience", "maskinporten { token-url = https://m/t\n audience = https://m }\n",
	  ":2: audience must end in a slash, as the token service writes it" },
	{ "client id", GOOD "maskinporten { token-url = https://m/t\n audience = https://m/ }\n",
	  ":4: agency \"a\" ends here without client-id, which maskinporten asks for" },
	{ "mixed",
	  TOP SEAL "domain i.example {}\n" AGENCY_HEAD
		   "mixed-domains = i.example sender '@a.example' {} }\n",
	  ":5: mixed-domains: \"i.example\" is a domain of citizens" },
	{ "sizes", "milter {\n message-size = 70M\n mail-work = 60M }\n",
	  ":3: mail-work must not be below message-size" },
	{ "provider", "transport { driver = null\n providers = { 984661185, 12 } }\n",
	  ":2: providers \"12\": is not an organisation number (nine digits, check digit)" },
};

static void
test_mistakes_are_told_with_line_and_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		struct bd_err e = { 0 };
		struct conf *c = load(mistakes[i].text, &e);

		if (c != NULL)
			fail_msg("%s: was taken", mistakes[i].name);
		assert_int_equal(e.kind, BD_E_CONFIG);
		if (strncmp(e.cause, file, strlen(file)) != 0 ||
		    strcmp(e.cause + strlen(file), mistakes[i].words) != 0)
			fail_msg("%s:\n  %s\nexpected\n  %s", mistakes[i].name, e.cause,
				 mistakes[i].words);
	}
}

static void
test_values_are_read_as_written(void **state)
{
	struct bd_err e = { 0 };
	struct conf *c =
	    load(GOOD "national-numbers = synthetic # test\ndebug = true\n"
		      "milter { ordinary = pass memory = 512Mi reader-timeout = 1500ms\n"
		      " reader-timeout /* c */ = 2 }\n",
		 &e);

	(void)state;
	assert_null(c); /* reader-timeout stands twice */
	c = load(GOOD "national-numbers = synthetic # test\ndebug = true\n"
		      "milter { ordinary = pass memory = 512Mi reader-timeout = 1500ms }\n"
		      "client c { networks = {unix} tls = optional shared = yes agencies = a }\n"
		      "transport { driver = null copy-window = 90 }\n",
		 &e);
	assert_non_null(c);
	assert_true(c->synthetic && c->debug);
	assert_int_equal(c->milter.ordinary, CONF_ORDINARY_PASS);
	assert_int_equal(c->milter.memory, 512UL << 20);
	assert_int_equal(c->milter.reader_timeout_ms, 1500);
	assert_int_equal(c->transport.copy_window_sec, 90);
	assert_true(c->clients[0].tls_optional && c->clients[0].shared);
	assert_null(c->clients[0].logins);
	assert_null(c->milter.user);
	conf_free(&c);
	conf_free(&c);
}

static void
test_missing_file_is_named(void **state)
{
	struct bd_err e = { 0 };

	(void)state;
	assert_null(conf_load("/nonexistent/brevdue.conf", &e));
	assert_string_equal(e.cause, "/nonexistent/brevdue.conf: No such file or directory");
}

struct network_case {
	const char *network, *peer;
	bool has;
};

static const struct network_case network_cases[] = {
	{ "192.0.2.0/24", "192.0.2.200", true },
	{ "192.0.2.0/24", "192.0.3.1", false },
	{ "192.0.2.7", "192.0.2.7", true },
	{ "192.0.2.7", "192.0.2.6", false },
	{ "0.0.0.0/0", "203.0.113.9", true },
	{ "0.0.0.0/0", "2001:db8::1", false },
	{ "192.0.2.0/24", "::ffff:192.0.2.9", true },
	{ "2001:db8::/33", "2001:db8:7fff::1", true },
	{ "2001:db8::/33", "2001:db8:8000::1", false },
	{ "unix", "unix", true },
	{ "unix", "127.0.0.1", false },
	{ "127.0.0.1", "unix", false },
};

static void
test_networks_hold_their_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(network_cases) / sizeof(network_cases[0]); i++) {
		const struct network_case *t = &network_cases[i];
		struct sockaddr_in in4 = { .sin_family = AF_INET };
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
		struct sockaddr_un un = { .sun_family = AF_UNIX };
		struct sockaddr *peer = (struct sockaddr *)&un;
		struct network n;
		struct bd_err e = { 0 };

		assert_int_equal(network_parse(t->network, &n, &e), 0);
		if (inet_pton(AF_INET, t->peer, &in4.sin_addr) == 1)
			peer = (struct sockaddr *)&in4;
		else if (inet_pton(AF_INET6, t->peer, &in6.sin6_addr) == 1)
			peer = (struct sockaddr *)&in6;
		if (network_has(&n, peer) != t->has)
			fail_msg("%s in %s", t->peer, t->network);
	}
}

struct text_case {
	const char *name, *text;
	bool good;
};

static const struct text_case text_cases[] = {
	{ "plain", "Du har f\xc3\xa5tt post.", true },
	{ "phone", "Ring 22 33 44 55. Sak 12/345", true },
	{ "two numbers", "Kl. 08.00 - 15.30. Tlf. 22334455", true },
	{ "abbreviation", "f.eks. bl.a. osv.", true },
	{ "empty", "", false },
	{ "national number", "Til 018190 90013", false },
	{ "dotted", "01.81.90.90013", false },
	{ "link", "https://x", false },
	{ "bare link", "Logg inn p\xc3\xa5 digipost.no.", false },
	{ "bare link, capitals", "DIGIPOST.NO/x", false },
	{ "address", "post@x", false },
	{ "line", "a\nb", false },
	{ "C1 control", "a\xc2\x85", false },
	{ "latin1", "f\xe5tt", false },
	{ "overlong", "a\xc0\xaf", false },
	{ "surrogate", "a\xed\xa0\x80", false },
	{ "cut", "a\xe2\x82", false },
};

static void
test_public_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(text_cases) / sizeof(text_cases[0]); i++) {
		struct bd_err e = { 0 };

		if ((publictext_check(text_cases[i].text, 500, &e) == 0) != text_cases[i].good)
			fail_msg("%s: %s", text_cases[i].name, e.cause);
	}
}

static void
test_text_length_counts_characters(void **state)
{
	char text[2 * 160 + 3] = "";
	struct bd_err e = { 0 };

	(void)state;
	for (int i = 0; i < 160; i++)
		strcat(text, "\xc3\xb8");
	assert_int_equal(publictext_check(text, PUBLICTEXT_SMS_CHARS, &e), 0);
	strcat(text, "a");
	assert_int_equal(publictext_check(text, PUBLICTEXT_SMS_CHARS, &e), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample_loads),
		cmocka_unit_test(test_sample_has_every_setting_with_its_default),
		cmocka_unit_test(test_sample_loads_with_every_setting),
		cmocka_unit_test(test_mistakes_are_told_with_line_and_words),
		cmocka_unit_test(test_values_are_read_as_written),
		cmocka_unit_test(test_missing_file_is_named),
		cmocka_unit_test(test_networks_hold_their_addresses),
		cmocka_unit_test(test_public_texts),
		cmocka_unit_test(test_text_length_counts_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
