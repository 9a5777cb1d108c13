/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TESTS_UNIT_SMTPSINK_H
#define BD_TESTS_UNIT_SMTPSINK_H

/* A small SMTP server on a unix socket that answers by script and remembers what it was told. */

#include <stddef.h>
#include <stdbool.h>

#define SINK_MAILS 64
#define SINK_LINES 16

enum sink_cut {
	SINK_CUT_NONE,
	SINK_CUT_GREETING, /* the connection ends instead of the answer to this */
	SINK_CUT_MAIL,
	SINK_CUT_RCPT,
	SINK_CUT_DATA,
	SINK_CUT_CONTENT, /* after 354, when content begins to come */
	SINK_CUT_DOT,     /* after the final dot */
};

struct sink_script {
	enum sink_cut cut;
	unsigned cut_connections;             /* the first so many are cut */
	const char *mail, *rcpt, *data, *dot; /* answers other than the good ones */
	const char *rcpt_of;                  /* rcpt answers only lines that hold this */
	const char *ehlo;                     /* lines of the EHLO answer, else all extensions */
	int dot_delay_ms;
	bool close_idle; /* end the connection after each mail */
};

struct sink_mail {
	char *lines[SINK_LINES]; /* commands from XFORWARD or MAIL to DATA */
	size_t line_count;
	char *content; /* as on the wire, dots doubled, without the final dot */
	size_t content_len;
	unsigned connection;
};

struct sink;

struct sink *sink_start(const char *path, const struct sink_script *script);
void sink_script_set(struct sink *k, const struct sink_script *script);
unsigned sink_connections(struct sink *k); /* so far */
unsigned sink_live(struct sink *k);        /* open now */
size_t sink_mail_count(struct sink *k);    /* mails whose final dot came */
const struct sink_mail *sink_mail(struct sink *k, size_t n);
void sink_stop(struct sink *k);

#endif
