/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings: name, type, range, default and help of each, in the order of the sample file. The
 * reader, the freeing, brevdue check --settings and the test of the sample work from this table.
 * Judges no values.
 */
#include "config.h"
#include "common/conf_private.h"

#include <string.h>

#include "common/publictext.h"

#define HOUR (3600UL)
#define DAY (24 * HOUR)
#define MB (1000000UL)
#define GB (1000 * MB)

const struct conf_section_row conf_sections[CONF_SECTION_COUNT] = {
	[CONF_TOP] = { "", "", NULL, 0, 0, 0 },
	[CONF_SEAL_KEY] = { "seal-key", "seal-key", "key id", offsetof(struct conf, seal_keys),
			    offsetof(struct conf, seal_key_count), sizeof(struct conf_seal_key) },
	[CONF_AGENCY] = { "agency", "agency", "name", offsetof(struct conf, agencies),
			  offsetof(struct conf, agency_count), sizeof(struct conf_agency) },
	[CONF_SENDER] = { "sender", "agency.sender", "address",
			  offsetof(struct conf_agency, senders),
			  offsetof(struct conf_agency, sender_count), sizeof(struct conf_sender) },
	[CONF_DOMAIN] = { "domain", "domain", "domain", offsetof(struct conf, domains),
			  offsetof(struct conf, domain_count), sizeof(struct conf_domain) },
	[CONF_CLIENT] = { "client", "client", "name", offsetof(struct conf, clients),
			  offsetof(struct conf, client_count), sizeof(struct conf_client) },
	[CONF_MILTER] = { "milter", "milter", NULL, 0, 0, 0 },
	[CONF_LOOKUP] = { "lookup", "lookup", NULL, 0, 0, 0 },
	[CONF_TRANSPORT] = { "transport", "transport", NULL, 0, 0, 0 },
	[CONF_ACCESS_POINT] = { "access-point", "access-point", NULL, 0, 0, 0 },
	[CONF_MASKINPORTEN] = { "maskinporten", "maskinporten", NULL, 0, 0, 0 },
	[CONF_POSTFIX] = { "postfix", "postfix", NULL, 0, 0, 0 },
};

/* Rows without a range; with a range; with words; required ones. */
#define ROW(section, name, type, at, fallback, help)                       \
	{                                                                  \
		section, name, type, at, fallback, NULL, 0, 0, false, help \
	}
#define RANGE(section, name, type, at, fallback, min, max, help)               \
	{                                                                      \
		section, name, type, at, fallback, NULL, min, max, false, help \
	}
#define WORDS(section, name, type, at, fallback, words, help)               \
	{                                                                   \
		section, name, type, at, fallback, words, 0, 0, false, help \
	}
#define MUST(section, name, type, at, max, help)                        \
	{                                                               \
		section, name, type, at, NULL, NULL, 0, max, true, help \
	}
#define T(field) offsetof(struct conf, field)
#define A(field) offsetof(struct conf_agency, field)
#define D(field) offsetof(struct conf_domain, field)
#define C(field) offsetof(struct conf_client, field)

const struct conf_row conf_rows[] = {
	WORDS(CONF_TOP, "log", CONF_WORD, T(log), "stderr", "stderr|syslog", "where log lines go"),
	ROW(CONF_TOP, "debug", CONF_BOOL, T(debug), "no", "log debug lines too"),
	WORDS(CONF_TOP, "reply-language", CONF_WORD, T(reply_language), "en", "en|nb",
	      "language of answers to senders"),
	ROW(CONF_TOP, "secret", CONF_PATH, T(secret), NULL,
	    "file of 32 random bytes for letter ids and pseudonyms, the same on all gateways"),
	WORDS(CONF_TOP, "national-numbers", CONF_SWITCH, T(synthetic), "real", "real|synthetic",
	      "synthetic allows the numbers of test populations"),
	ROW(CONF_TOP, "trust", CONF_PATH, T(trust), NULL,
	    "PEM file of the roots that mailbox and print providers' certificates must lead to"),
	ROW(CONF_TOP, "operators", CONF_USERS, T(operators), NULL,
	    "users who, besides root, may use the control sockets"),

	MUST(CONF_SEAL_KEY, "file", CONF_PATH, offsetof(struct conf_seal_key, file), 0,
	     "file of 32 random bytes; the first seal-key seals, all of them open"),

	MUST(CONF_AGENCY, "orgnr", CONF_ORGNR, A(orgnr), 0, "organisation number"),
	MUST(CONF_AGENCY, "display-name", CONF_STRING, A(display_name), 100,
	     "name in manifest and reports"),
	MUST(CONF_AGENCY, "certificate", CONF_PATH, A(certificate), 0,
	     "PEM file: the agency's certificate, then its chain up to the root"),
	MUST(CONF_AGENCY, "key", CONF_PATH, A(key), 0,
	     "PEM file of its private key, readable by root only; signers alone read it"),
	MUST(CONF_AGENCY, "public-title", CONF_PUBLIC, A(public_title), PUBLICTEXT_TITLE_CHARS,
	     "title that is shown before login"),
	WORDS(CONF_AGENCY, "language", CONF_WORD, A(language), "nb", "nb|nn|en|se",
	      "language of letters that do not say theirs"),
	ROW(CONF_AGENCY, "unit", CONF_NAME, A(unit), NULL,
	    "avsenderidentifikator: the part of the agency that pays"),
	RANGE(CONF_AGENCY, "notice-email", CONF_PUBLIC, A(notice_email),
	      "Du har f\xc3\xa5tt et nytt brev i den digitale postkassen din.", 0,
	      PUBLICTEXT_EMAIL_CHARS, "text of notices by e-mail"),
	RANGE(CONF_AGENCY, "notice-sms", CONF_PUBLIC, A(notice_sms),
	      "Du har f\xc3\xa5tt et nytt brev i den digitale postkassen din.", 0,
	      PUBLICTEXT_SMS_CHARS, "text of notices by SMS"),
	ROW(CONF_AGENCY, "prints", CONF_BOOL, A(prints), "no",
	    "send important letters on paper to those who cannot get them digitally"),
	ROW(CONF_AGENCY, "prints-service", CONF_BOOL, A(prints_service), "no",
	    "service messages too"),
	ROW(CONF_AGENCY, "replies", CONF_BOOL, A(replies), "no",
	    "replies and forwards may be sent as letters"),
	ROW(CONF_AGENCY, "open-receipts", CONF_BOOL, A(open_receipts), "yes",
	    "a read receipt asked for by the sender is ordered from the mailbox"),
	WORDS(CONF_AGENCY, "formats", CONF_CHOICE, A(formats), "printable", "printable|mailbox",
	      "printable refuses for all what could not be printed"),
	{ CONF_AGENCY, "archive", CONF_SWITCH, A(archive), NULL, "none", 0, 0, true,
	  "archive copies; none must be said, as letters are then kept by nobody" },
	ROW(CONF_AGENCY, "mixed-domains", CONF_DOMAINS, A(mixed_domains), NULL,
	    "other domains that may be recipients of the same mail"),
	ROW(CONF_AGENCY, "reports-to", CONF_EMAIL, A(reports_to), NULL,
	    "reports go there instead of to the sender"),
	ROW(CONF_AGENCY, "failures-to", CONF_EMAIL, A(failures_to), NULL,
	    "mailbox that gets a copy of every failure"),
	ROW(CONF_AGENCY, "client-id", CONF_STRING, A(client_id), NULL, "Maskinporten client id"),

	ROW(CONF_SENDER, "kinds", CONF_KINDS, 0, "important, service",
	    "kinds of letters the sender may send"),
	RANGE(CONF_SENDER, "per-hour", CONF_NUMBER, offsetof(struct conf_sender, per_hour), "0", 0,
	      10000000, "letters an hour that it may send; 0 is any number"),

	WORDS(CONF_DOMAIN, "kind", CONF_CHOICE, D(kind), "important", "important|service",
	      "what its letters are when nothing else is said"),
	RANGE(CONF_DOMAIN, "security-level", CONF_NUMBER, D(security_level), "4", 3, 4,
	      "login level its letters need"),
	WORDS(CONF_DOMAIN, "main", CONF_CHOICE, D(main), "auto", "auto|body|attachment",
	      "main document: the mail's text, its PDF, or the better of them"),
	ROW(CONF_DOMAIN, "unit", CONF_NAME, D(unit), NULL, "avsenderidentifikator of its letters"),

	ROW(CONF_CLIENT, "logins", CONF_STRINGS, C(logins), NULL, "SASL logins"),
	ROW(CONF_CLIENT, "networks", CONF_NETWORKS, C(networks), NULL,
	    "addresses and prefixes, \"unix\" for local submission"),
	ROW(CONF_CLIENT, "listeners", CONF_STRINGS, C(listeners), NULL,
	    "milter_macro_daemon_name of listeners where Postfix checks client certificates"),
	MUST(CONF_CLIENT, "agencies", CONF_STRINGS, C(agencies), 0, "agencies it may speak for"),
	ROW(CONF_CLIENT, "shared", CONF_BOOL, C(shared), "no",
	    "strangers share the network: a DKIM signature must pick the agency"),
	WORDS(CONF_CLIENT, "tls", CONF_SWITCH, C(tls_optional), "required", "required|optional",
	      "optional allows plain text from here"),
	ROW(CONF_CLIENT, "reports-to", CONF_EMAIL, C(reports_to), NULL,
	    "reader of reports for mail from senders that nobody reads"),

	ROW(CONF_MILTER, "user", CONF_USER, T(milter.user), NULL,
	    "user it runs as when root starts it"),
	ROW(CONF_MILTER, "socket", CONF_SOCKET, T(milter.socket),
	    "/var/spool/postfix-front/brevdue/milter",
	    "socket for Postfix, inside the front queue folder"),
	ROW(CONF_MILTER, "socket-group", CONF_USER, T(milter.socket_group), "postfix",
	    "group that may connect"),
	ROW(CONF_MILTER, "reader", CONF_PATH, T(milter.reader), BD_LIBEXECDIR "/brevdue-reader",
	    "the program that reads foreign mail"),
	RANGE(CONF_MILTER, "readers", CONF_NUMBER, T(milter.readers), "4", 1, 256,
	      "readers at a time"),
	RANGE(CONF_MILTER, "reader-uses", CONF_NUMBER, T(milter.reader_uses), "100", 1, 1000000,
	      "mails after which a reader is replaced"),
	RANGE(CONF_MILTER, "reader-memory", CONF_SIZE, T(milter.reader_memory), "1G", 64 * MB,
	      64 * GB, "memory of one reader"),
	RANGE(CONF_MILTER, "reader-timeout", CONF_MSEC, T(milter.reader_timeout_ms), "20s", 100,
	      300000, "time for one mail"),
	ROW(CONF_MILTER, "submit-seal", CONF_SOCKET, T(milter.submit_seal),
	    "/var/spool/postfix-send/public/seal", "smtpd service that takes sealed messages"),
	ROW(CONF_MILTER, "submit-mail", CONF_SOCKET, T(milter.submit_mail),
	    "/var/spool/postfix-send/public/mail", "smtpd service that takes ordinary mail"),
	RANGE(CONF_MILTER, "submit-connections", CONF_NUMBER, T(milter.submit_connections), "10", 1,
	      1000, "connections to them at a time"),
	RANGE(CONF_MILTER, "submit-timeout", CONF_MSEC, T(milter.submit_timeout_ms), "30s", 100,
	      300000, "time for one submission; below Postfix's 300 s"),
	RANGE(CONF_MILTER, "mail-work", CONF_SIZE, T(milter.mail_work), "200M", MB, 100 * GB,
	      "recipients times size of one mail"),
	RANGE(CONF_MILTER, "mail-recipients", CONF_NUMBER, T(milter.mail_recipients), "100", 1,
	      10000, "recipients of one mail"),
	RANGE(CONF_MILTER, "memory", CONF_SIZE, T(milter.memory), "500M", MB, 1000 * GB,
	      "plain text held at a time"),
	RANGE(CONF_MILTER, "message-size", CONF_SIZE, T(milter.message_size), "70M", 100000,
	      200 * MB, "largest mail"),
	RANGE(CONF_MILTER, "package-size", CONF_SIZE, T(milter.package_size), "50M", 100000,
	      100 * MB, "largest package; the access point takes 50 MB"),
	WORDS(CONF_MILTER, "ordinary", CONF_CHOICE, T(milter.ordinary), "resubmit",
	      "resubmit|refuse|pass", "what happens to mail that is not for citizens"),

	ROW(CONF_LOOKUP, "user", CONF_USER, T(lookup.user), NULL,
	    "user it runs as when root starts it"),
	ROW(CONF_LOOKUP, "socket", CONF_SOCKET, T(lookup.socket), "/run/brevdue-lookup/lookup",
	    "socketmap socket"),
	ROW(CONF_LOOKUP, "socket-group", CONF_USER, T(lookup.socket_group), NULL,
	    "group that may connect"),
	ROW(CONF_LOOKUP, "users", CONF_USERS, T(lookup.users), NULL,
	    "users who, besides root, may ask"),
	ROW(CONF_LOOKUP, "control", CONF_SOCKET, T(lookup.control), "/run/brevdue-lookup/control",
	    "the operator's socket"),
	ROW(CONF_LOOKUP, "database", CONF_PATH, T(lookup.database),
	    "/var/lib/brevdue-lookup/register", "folder of the embedded register"),
	RANGE(CONF_LOOKUP, "timeout", CONF_MSEC, T(lookup.timeout_ms), "10s", 100, 60000,
	      "time for one question"),

	ROW(CONF_TRANSPORT, "user", CONF_USER, T(transport.user), NULL,
	    "user it runs as when root starts it"),
	ROW(CONF_TRANSPORT, "socket", CONF_SOCKET, T(transport.socket),
	    "/var/spool/postfix-send/brevdue/lmtp", "LMTP socket, inside the sending queue folder"),
	ROW(CONF_TRANSPORT, "socket-group", CONF_USER, T(transport.socket_group), "postfix",
	    "group that may connect"),
	ROW(CONF_TRANSPORT, "control", CONF_SOCKET, T(transport.control),
	    "/run/brevdue-transport/control", "the operator's socket"),
	ROW(CONF_TRANSPORT, "database", CONF_PATH, T(transport.database),
	    "/var/lib/brevdue-transport/records", "folder of the letter records"),
	ROW(CONF_TRANSPORT, "report-service", CONF_SOCKET, T(transport.report_service),
	    "/var/spool/postfix-send/public/report", "smtpd service that takes reports"),
	RANGE(CONF_TRANSPORT, "connections", CONF_NUMBER, T(transport.connections), "50", 1, 1000,
	      "LMTP connections at a time; at least the sum of Postfix's limits"),
	RANGE(CONF_TRANSPORT, "provider-timeout", CONF_MSEC, T(transport.provider_timeout_ms),
	      "100s", 100, 600000,
	      "time for one delivery; the answer to Postfix comes within 120 s"),
	RANGE(CONF_TRANSPORT, "copy-window", CONF_SEC, T(transport.copy_window_sec), "5d", 60,
	      90 * DAY, "as long as an equal letter counts as a copy"),
	RANGE(CONF_TRANSPORT, "recheck", CONF_SEC, T(transport.recheck_sec), "10m", 1, DAY,
	      "age from which the decision is asked again before sending"),
	RANGE(CONF_TRANSPORT, "set-timeout", CONF_SEC, T(transport.set_timeout_sec), "1h", 1,
	      5 * DAY, "time after which a mail with letters missing is told in the log"),
	WORDS(CONF_TRANSPORT, "driver", CONF_WORD, T(transport.driver), "dpi", "dpi|null",
	      "how digital letters leave; null keeps them, for tests"),
	ROW(CONF_TRANSPORT, "providers", CONF_ORGNRS, T(transport.providers), NULL,
	    "providers with a Postfix transport of their own"),

	MUST(CONF_ACCESS_POINT, "url", CONF_URL, T(access_point.url), 0, "base address"),
	RANGE(CONF_ACCESS_POINT, "channel", CONF_NAME, T(access_point.channel), "brevdue", 0, 28,
	      "kanal: keeps our receipts apart from other systems'"),
	ROW(CONF_ACCESS_POINT, "ca-file", CONF_PATH, T(access_point.ca_file), NULL,
	    "PEM file of its roots, else the system's"),
	RANGE(CONF_ACCESS_POINT, "connect-timeout", CONF_MSEC, T(access_point.connect_timeout_ms),
	      "5s", 10, 60000, "time to connect"),
	RANGE(CONF_ACCESS_POINT, "total-timeout", CONF_MSEC, T(access_point.total_timeout_ms),
	      "90s", 100, 600000, "time for one request"),
	ROW(CONF_ACCESS_POINT, "insecure-loopback", CONF_BOOL, T(access_point.insecure_loopback),
	    "no", "http on loopback, for the sandbox"),

	MUST(CONF_MASKINPORTEN, "token-url", CONF_URL, T(maskinporten.token_url), 0,
	     "token endpoint"),
	MUST(CONF_MASKINPORTEN, "audience", CONF_STRING, T(maskinporten.audience), 0,
	     "the token service's issuer, with its final slash"),
	ROW(CONF_MASKINPORTEN, "resource", CONF_STRING, T(maskinporten.resource), NULL,
	    "audience restriction of the token"),
	ROW(CONF_MASKINPORTEN, "scope", CONF_STRING, T(maskinporten.scope),
	    "digitalpostinnbygger:send", "scope of the sending token"),
	ROW(CONF_MASKINPORTEN, "ca-file", CONF_PATH, T(maskinporten.ca_file), NULL,
	    "PEM file of its roots, else the system's"),
	ROW(CONF_MASKINPORTEN, "kid", CONF_STRING, T(maskinporten.kid), NULL,
	    "id of a key registered there, else the certificate is sent (x5c)"),
	ROW(CONF_MASKINPORTEN, "insecure-loopback", CONF_BOOL, T(maskinporten.insecure_loopback),
	    "no", "http on loopback, for the sandbox"),

	ROW(CONF_POSTFIX, "front-config", CONF_PATH, T(postfix.front_config), "/etc/postfix-front",
	    "config_directory of the front instance"),
	ROW(CONF_POSTFIX, "front-queue", CONF_PATH, T(postfix.front_queue),
	    "/var/spool/postfix-front", "its queue_directory, on a RAM disk"),
	ROW(CONF_POSTFIX, "front-data", CONF_PATH, T(postfix.front_data), "/var/lib/postfix-front",
	    "its data_directory"),
	ROW(CONF_POSTFIX, "front-listen", CONF_STRING, T(postfix.front_listen), "submission",
	    "service or address:port where agencies hand in mail"),
	ROW(CONF_POSTFIX, "front-log", CONF_PATH, T(postfix.front_log),
	    "/var/log/postfix-front.log", "its log, masked before it is written"),
	ROW(CONF_POSTFIX, "front-certificate", CONF_PATH, T(postfix.front_certificate), NULL,
	    "certificate of its listener"),
	ROW(CONF_POSTFIX, "front-key", CONF_PATH, T(postfix.front_key), NULL,
	    "key of its listener"),
	RANGE(CONF_POSTFIX, "front-tmpfs", CONF_SIZE, T(postfix.front_tmpfs), "1G", MB, 1000 * GB,
	      "size of the RAM disk for its queue"),
	ROW(CONF_POSTFIX, "front-parameters", CONF_STRINGS, T(postfix.front_parameters), NULL,
	    "the site's own lines for its main.cf"),
	ROW(CONF_POSTFIX, "front-services", CONF_STRINGS, T(postfix.front_services), NULL,
	    "the site's own lines for its master.cf"),
	ROW(CONF_POSTFIX, "send-config", CONF_PATH, T(postfix.send_config), "/etc/postfix-send",
	    "config_directory of the sending instance"),
	ROW(CONF_POSTFIX, "send-queue", CONF_PATH, T(postfix.send_queue), "/var/spool/postfix-send",
	    "its queue_directory"),
	ROW(CONF_POSTFIX, "send-data", CONF_PATH, T(postfix.send_data), "/var/lib/postfix-send",
	    "its data_directory"),
	ROW(CONF_POSTFIX, "send-log", CONF_PATH, T(postfix.send_log), "/var/log/postfix-send.log",
	    "its log"),
	ROW(CONF_POSTFIX, "send-parameters", CONF_STRINGS, T(postfix.send_parameters), NULL,
	    "the site's own lines for its main.cf"),
	ROW(CONF_POSTFIX, "submit-group", CONF_USER, T(postfix.submit_group), "brevdue-submit",
	    "group of those who may submit to it"),
	ROW(CONF_POSTFIX, "relayhost", CONF_STRING, T(postfix.relayhost), NULL,
	    "where ordinary mail and reports leave"),
};
const size_t conf_row_count = sizeof(conf_rows) / sizeof(conf_rows[0]);

const struct conf_row *
conf_row(enum conf_section_id section, const char *name)
{
	for (size_t i = 0; i < conf_row_count; i++)
		if (conf_rows[i].section == section && strcmp(conf_rows[i].name, name) == 0)
			return &conf_rows[i];
	return NULL;
}

bool
conf_type_is_list(enum conf_type type)
{
	return type == CONF_KINDS || type >= CONF_STRINGS;
}

bool
conf_type_is_text(enum conf_type type)
{
	switch (type) {
	case CONF_BOOL:
	case CONF_NUMBER:
	case CONF_SIZE:
	case CONF_MSEC:
	case CONF_SEC:
	case CONF_CHOICE:
	case CONF_SWITCH:
		return false;
	default:
		return !conf_type_is_list(type);
	}
}

const char *
conf_type_name(const struct conf_row *row)
{
	static const char *const names[] = {
		[CONF_STRING] = "string",
		[CONF_NAME] = "name",
		[CONF_PATH] = "path",
		[CONF_SOCKET] = "socket",
		[CONF_USER] = "user",
		[CONF_BOOL] = "yes|no",
		[CONF_NUMBER] = "number",
		[CONF_SIZE] = "size",
		[CONF_MSEC] = "time",
		[CONF_SEC] = "time",
		[CONF_ORGNR] = "orgnr",
		[CONF_URL] = "url",
		[CONF_EMAIL] = "address",
		[CONF_PUBLIC] = "text",
		[CONF_KINDS] = "list of kinds",
		[CONF_STRINGS] = "list of strings",
		[CONF_USERS] = "list of users",
		[CONF_NETWORKS] = "list of networks",
		[CONF_DOMAINS] = "list of domains",
		[CONF_ORGNRS] = "list of orgnrs",
	};

	return row->words != NULL ? row->words : names[row->type];
}

void
conf_settings(void (*row)(void *arg, const char *name, const char *type, const char *fallback,
			  const char *help),
	      void *arg)
{
	for (size_t i = 0; i < conf_row_count; i++) {
		const struct conf_row *r = &conf_rows[i];
		const char *path = conf_sections[r->section].path;
		char name[80] = "";

		if (*path != '\0')
			strcat(strcpy(name, path), ".");
		row(arg, strcat(name, r->name), conf_type_name(r), r->fallback, r->help);
	}
}
