/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_CONF_H
#define BD_COMMON_CONF_H

/*
 * brevdue.conf, one file for all programs (libconfuse). conf_load checks names, types, ranges and
 * cross references and reports file and line. The result is immutable. etc/brevdue.conf.sample
 * documents every setting; a test compares. Lists are NULL-ended arrays of strings; strings that
 * are not set are NULL. Sizes in bytes, times as the name says.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

/* Where every program looks without -c, whatever the prefix: its paths stand in the sample. */
#define CONF_DEFAULT_FILE "/etc/brevdue/brevdue.conf"

enum conf_kind { CONF_KIND_IMPORTANT, CONF_KIND_SERVICE };
enum conf_ordinary { CONF_ORDINARY_RESUBMIT, CONF_ORDINARY_REFUSE, CONF_ORDINARY_PASS };
enum conf_main { CONF_MAIN_AUTO, CONF_MAIN_BODY, CONF_MAIN_ATTACHMENT };
enum conf_formats { CONF_FORMATS_PRINTABLE, CONF_FORMATS_MAILBOX };

struct conf_sender { /* sender "clerk@agency.example" or "@agency.example": who may send, inside an
			agency */
	char *pattern;
	bool important; /* kinds = {"important", "service"} */
	bool service;
	unsigned per_hour; /* per-hour: letters, all of the line's senders together; 0: any */
};

struct conf_agency { /* agency "name" { ... }; the name is the signer's key label */
	char *name;
	char *orgnr;         /* nine digits */
	char *display_name;  /* display-name */
	char *certificate;   /* PEM, leaf first, then its chain up to the root */
	char *key;           /* PEM private key, read by signers only */
	char *public_title;  /* public-title: shown before login */
	char *language;      /* nb, nn, en, se */
	char *unit;          /* avsenderidentifikator, may be NULL */
	char *notice_email;  /* notice-email: text, at most 500 characters */
	char *notice_sms;    /* notice-sms: at most 160 */
	bool prints;         /* paper for important letters */
	bool prints_service; /* and for service messages */
	bool replies;        /* replies and forwards may be sent as letters */
	bool open_receipts;  /* honour Disposition-Notification-To */
	enum conf_formats formats;
	bool archive; /* archive = none is the only value until the archive driver exists; false */
	char **mixed_domains;
	char *reports_to;
	char *failures_to;
	char *client_id; /* Maskinporten client id */
	struct conf_sender *senders;
	size_t sender_count;
};

struct conf_domain { /* domain "innbygger.example.no" { ... } a profile */
	char *name;
	enum conf_kind kind;
	int security_level; /* 3 or 4 */
	enum conf_main main;
	char *unit;
};

struct conf_client { /* client "name" { ... } who hands in mail */
	char *name;
	char **logins; /* SASL logins */
	char **
	    networks; /* addresses or prefixes: "192.0.2.0/24", "2001:db8::/32", "unix" for local */
	char **listeners; /* values of milter_macro_daemon_name: certificate listeners */
	char **agencies;
	bool shared;       /* network shared by strangers: a DKIM signature must pick the agency */
	bool tls_optional; /* tls = "optional": plain text allowed from here, listed by name */
	char *reports_to;  /* for senders that nobody reads */
};

struct conf_seal_key { /* seal-key "2026-11" { file = ... }; the first one seals, all open */
	char *id;
	char *file; /* 32 bytes */
};

struct conf {
	char *file;
	/* top level */
	char *log; /* "stderr" or "syslog" */
	bool debug;
	char *reply_language; /* en or nb */
	char *secret;     /* file, 32 bytes: letter ids and pseudonyms, the same on all gateways */
	bool synthetic;   /* national-numbers = "synthetic" (test populations allowed) or "real" */
	char *trust;      /* PEM file of roots for mailbox and print providers */
	char **operators; /* users who may use the control sockets */
	struct conf_seal_key *seal_keys;
	size_t seal_key_count;
	struct conf_agency *agencies;
	size_t agency_count;
	struct conf_domain *domains;
	size_t domain_count;
	struct conf_client *clients;
	size_t client_count;

	struct {
		char *user;
		char *socket; /* inside the front instance's queue folder, for its chrooted smtpd */
		char *socket_group; /* socket-group, default postfix */
		char *reader;       /* executable */
		unsigned readers;   /* pool size */
		unsigned reader_uses;
		size_t reader_memory;
		int reader_timeout_ms;
		char *submit_seal; /* public/seal of the sending instance */
		char *submit_mail;
		unsigned submit_connections;
		int submit_timeout_ms;
		size_t mail_work; /* recipients x size */
		unsigned mail_recipients;
		size_t memory;       /* total plain text held at a time */
		size_t message_size; /* largest mail */
		size_t package_size; /* largest package, 50 000 000 */
		enum conf_ordinary ordinary;
	} milter;
	struct {
		char *user;
		char *socket;
		char *socket_group;
		char **users; /* who may ask besides root: names */
		char *control;
		char *database; /* absolute folder of the embedded register */
		int timeout_ms;
	} lookup;
	struct {
		char *user;
		char *socket; /* LMTP, inside the sending instance's queue folder */
		char *socket_group;
		char *control;
		char *database;
		char *report_service; /* public/report of the sending instance */
		unsigned connections;
		int provider_timeout_ms;
		unsigned copy_window_sec;
		unsigned recheck_sec; /* ask the decision again when older than this at an attempt:
					 600 */
		unsigned set_timeout_sec;
		char *driver;     /* for digital: "dpi" or "null" */
		char **providers; /* organisation numbers that have a master.cf transport of their
				     own */
	} transport;
	struct { /* access-point { } */
		char *url;
		char *channel; /* kanal */
		char *ca_file;
		int connect_timeout_ms;
		int total_timeout_ms;
		bool insecure_loopback; /* http:// on loopback, for the sandbox */
	} access_point;
	struct { /* maskinporten { } */
		char *token_url;
		char *audience; /* with its final slash */
		char *resource;
		char *scope; /* default digitalpostinnbygger:send */
		char *ca_file;
		char *kid; /* else x5c */
		bool insecure_loopback;
	} maskinporten;
	struct { /* postfix { } what brevdue setup postfix makes and brevdue check reads */
		char *front_config; /* config_directory of the front instance */
		char *front_queue;
		char *front_data;
		char *front_listen; /* "127.0.0.1:2525" or "25" style service of the front smtpd */
		char *front_log;    /* masked log file */
		char *front_certificate; /* PEM, of its listener; NULL: no TLS */
		char *front_key;
		size_t front_tmpfs;      /* size of the RAM disk for its queue */
		char **front_parameters; /* "name = value": the site's own main.cf lines */
		char **front_services;   /* the site's own master.cf lines */
		char *send_config;
		char *send_queue;
		char *send_data;
		char *send_log;
		char **send_parameters;
		char *submit_group; /* may connect to public/ of the sending instance */
		char *relayhost;    /* of ordinary mail */
	} postfix;
};

/* NULL with kind CONFIG and "file:line: words" in e->cause. The caller frees. */
struct conf *conf_load(const char *file, struct bd_err *e);
void conf_free(struct conf **c);

const struct conf_agency *conf_agency(const struct conf *c, const char *name);
const struct conf_domain *conf_domain(const struct conf *c,
				      const char *domain); /* case-insensitive */

/* Calls row for every setting ("milter.socket", type, default as text, help) in the file's order:
 * brevdue check --settings and the documentation test. */
void conf_settings(void (*row)(void *arg, const char *name, const char *type, const char *fallback,
			       const char *help),
		   void *arg);

#endif
