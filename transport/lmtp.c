/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LMTP state machine: commands to state, DATA to a message, a reply to each recipient. Knows no
 * sockets, no letters and no records.
 */
#include "config.h"
#include "transport/lmtp.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"
#include "transport/lmtp_line.h"

enum phase { PHASE_START, PHASE_READY, PHASE_MAIL, PHASE_DATA, PHASE_OVER };

/* Where we are in a line of DATA. Only CRLF ends a line: a bare LF or CR is content. */
enum dot { DOT_LINE_START, DOT_TEXT, DOT_CR, DOT_SEEN, DOT_CR_AFTER_DOT };

struct recipient {
	char address[LMTP_ADDRESS_CHARS];
	struct lmtp_reply reply;
};

struct lmtp {
	const struct lmtp_ops *ops;
	void *arg;
	size_t message_max;
	enum phase phase;
	char hostname[256];
	char line[LMTP_LINE_MAX_BYTES];
	size_t line_len;
	bool line_too_long;
	char sender[LMTP_ADDRESS_CHARS];
	struct recipient *recipients;
	size_t recipient_count;
	struct buf message;
	enum dot dot;
	bool too_big, no_memory;
};

void
lmtp_reply_set(struct lmtp_reply *r, int code, const char *fmt, ...)
{
	va_list ap;

	r->code = code;
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
	for (char *p = r->text; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

static int
reply_write(struct lmtp *l, int code, const char *text)
{
	char line[LMTP_REPLY_CHARS + 8];
	int len = snprintf(line, sizeof(line), "%d %s\r\n", code, text);

	if (l->ops->write(l->arg, line, (size_t)len) == 0)
		return 0;
	l->phase = PHASE_OVER;
	return -1;
}

static void
transaction_reset(struct lmtp *l)
{
	l->sender[0] = '\0';
	l->recipient_count = 0;
	buf_free(&l->message);
	l->message.max = l->message_max;
	l->dot = DOT_LINE_START;
	l->too_big = l->no_memory = false;
	if (l->phase != PHASE_START)
		l->phase = PHASE_READY;
}

struct lmtp *
lmtp_new(const struct lmtp_ops *ops, void *arg, const char *hostname, size_t message_max)
{
	struct lmtp *l = calloc(1, sizeof(*l));
	char words[sizeof(l->hostname) + 16];

	if (l == NULL ||
	    (l->recipients = calloc(LMTP_RECIPIENTS_MAX, sizeof(*l->recipients))) == NULL) {
		free(l);
		return NULL;
	}
	l->ops = ops;
	l->arg = arg;
	l->message_max = message_max;
	snprintf(l->hostname, sizeof(l->hostname), "%s", hostname);
	transaction_reset(l);
	snprintf(words, sizeof(words), "%s brevdue", l->hostname);
	reply_write(l, 220, words);
	return l;
}

void
lmtp_free(struct lmtp **l)
{
	if (*l == NULL)
		return;
	buf_free(&(*l)->message);
	free((*l)->recipients);
	free(*l);
	*l = NULL;
}

void
lmtp_farewell(struct lmtp *l, const char *words)
{
	char text[LMTP_REPLY_CHARS];

	if (l->phase == PHASE_DATA || l->phase == PHASE_OVER)
		return;
	snprintf(text, sizeof(text), "4.3.2 %s", words);
	reply_write(l, 421, text);
	l->phase = PHASE_OVER;
}

static int
on_lhlo(struct lmtp *l)
{
	char text[1024];
	int len = snprintf(text, sizeof(text),
			   "250-%s\r\n250-SIZE %zu\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
			   "250-ENHANCEDSTATUSCODES\r\n250 DSN\r\n",
			   l->hostname, l->message_max);

	l->phase = PHASE_READY;
	transaction_reset(l);
	return l->ops->write(l->arg, text, (size_t)len);
}

static int
on_mail(struct lmtp *l, const struct lmtp_command *c)
{
	if (l->phase == PHASE_START)
		return reply_write(l, 503, "5.5.1 LHLO first");
	if (l->phase == PHASE_MAIL)
		return reply_write(l, 503, "5.5.1 MAIL has been given");
	if (c->size > l->message_max)
		return reply_write(l, 552, "5.3.4 Message too big");
	transaction_reset(l);
	snprintf(l->sender, sizeof(l->sender), "%s", c->address);
	l->phase = PHASE_MAIL;
	return reply_write(l, 250, "2.1.0 Ok");
}

static int
on_rcpt(struct lmtp *l, const struct lmtp_command *c)
{
	struct recipient *r;

	if (l->phase != PHASE_MAIL)
		return reply_write(l, 503, "5.5.1 MAIL first");
	if (l->recipient_count == LMTP_RECIPIENTS_MAX)
		return reply_write(l, 452, "4.5.3 Too many recipients");
	r = &l->recipients[l->recipient_count];
	*r = (struct recipient){ 0 };
	snprintf(r->address, sizeof(r->address), "%s", c->address);
	lmtp_reply_set(&r->reply, 451, "4.3.0 Temporary internal problem");
	l->ops->recipient(l->arg, l->sender, r->address, &r->reply);
	if (r->reply.code / 100 == 2)
		l->recipient_count++;
	return reply_write(l, r->reply.code, r->reply.text);
}

static int
on_data(struct lmtp *l)
{
	if (l->phase != PHASE_MAIL)
		return reply_write(l, 503, "5.5.1 MAIL first");
	if (l->recipient_count == 0)
		return reply_write(l, 503, "5.5.1 No valid recipients");
	l->phase = PHASE_DATA;
	return reply_write(l, 354, "End with a line that holds only a dot");
}

static int
on_command(struct lmtp *l, const char *line, size_t len)
{
	struct lmtp_command c;

	lmtp_line_parse(line, len, &c);
	if (c.fault == LMTP_SYNTAX)
		return reply_write(l, c.verb == LMTP_UNKNOWN ? 500 : 501, "5.5.2 Syntax error");
	if (c.fault == LMTP_BAD_PARAMETER)
		return reply_write(l, 555, "5.5.4 Parameter not known");
	switch (c.verb) {
	case LMTP_LHLO:
		return on_lhlo(l);
	case LMTP_HELO:
		return reply_write(l, 500, "5.5.1 This is LMTP, say LHLO");
	case LMTP_MAIL:
		return on_mail(l, &c);
	case LMTP_RCPT:
		return on_rcpt(l, &c);
	case LMTP_DATA:
		return on_data(l);
	case LMTP_RSET:
		transaction_reset(l);
		return reply_write(l, 250, "2.0.0 Ok");
	case LMTP_NOOP:
		return reply_write(l, 250, "2.0.0 Ok");
	case LMTP_VRFY:
		return reply_write(l, 252, "2.5.0 Send a letter and see");
	case LMTP_QUIT:
		reply_write(l, 221, "2.0.0 Bye");
		l->phase = PHASE_OVER;
		return 1;
	case LMTP_UNKNOWN:
		break;
	}
	return reply_write(l, 500, "5.5.1 Command not known");
}

static const struct recipient *
earlier_equal(const struct lmtp *l, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(l->recipients[k].address, l->recipients[i].address) == 0)
			return &l->recipients[k];
	return NULL;
}

/* The message is whole. Each reply is written as soon as it is known: what was answered is done,
 * what was not will come again. */
static int
message_end(struct lmtp *l)
{
	for (size_t i = 0; i < l->recipient_count; i++) {
		struct recipient *r = &l->recipients[i];
		const struct recipient *equal = earlier_equal(l, i);

		if (i > 0)
			failpoint("transport.between-replies");
		lmtp_reply_set(&r->reply, 451, "4.3.0 Temporary internal problem");
		if (equal != NULL)
			r->reply = equal->reply;
		else if (l->no_memory)
			lmtp_reply_set(&r->reply, 451, "4.3.1 Out of memory");
		else if (l->too_big)
			lmtp_reply_set(&r->reply, 552, "5.3.4 Message too big");
		else if (l->ops->deliver(l->arg, l->sender, r->address, &l->message, &r->reply) ==
			 -1)
			return -1;
		if (reply_write(l, r->reply.code, r->reply.text) == -1)
			return -1;
	}
	l->phase = PHASE_READY;
	transaction_reset(l);
	return 0;
}

static void
message_add(struct lmtp *l, const char *data, size_t len)
{
	if (l->too_big || l->no_memory || len == 0)
		return;
	if (len > l->message_max - l->message.len)
		l->too_big = true;
	else if (buf_add(&l->message, data, len) == -1)
		l->no_memory = true;
	if (l->too_big || l->no_memory)
		buf_free(&l->message);
}

/* Unstuffs (RFC 5321 4.5.2), byte for byte. Returns how many bytes it took; *end_r when the final
 * dot was among them. */
static size_t
data_take(struct lmtp *l, const char *data, size_t len, bool *end_r)
{
	size_t from = 0;

	*end_r = false;
	for (size_t i = 0; i < len; i++) {
		char ch = data[i];

		switch (l->dot) {
		case DOT_LINE_START:
			if (ch == '.') { /* stuffed or final: not content */
				message_add(l, data + from, i - from);
				from = i + 1;
				l->dot = DOT_SEEN;
			} else {
				l->dot = ch == '\r' ? DOT_CR : DOT_TEXT;
			}
			break;
		case DOT_TEXT:
			if (ch == '\r')
				l->dot = DOT_CR;
			break;
		case DOT_CR:
			l->dot = ch == '\n' ? DOT_LINE_START : ch == '\r' ? DOT_CR : DOT_TEXT;
			break;
		case DOT_SEEN:
			if (ch == '\r') { /* held back until we know */
				message_add(l, data + from, i - from);
				from = i + 1;
				l->dot = DOT_CR_AFTER_DOT;
			} else {
				l->dot = DOT_TEXT;
			}
			break;
		case DOT_CR_AFTER_DOT:
			if (ch == '\n') {
				*end_r = true;
				return i + 1;
			}
			message_add(l, "\r", 1);
			l->dot = ch == '\r' ? DOT_CR : DOT_TEXT;
			break;
		}
	}
	message_add(l, data + from, len - from);
	return len;
}

/* Takes bytes up to the end of a command line. Returns how many; *line_r when it is complete. */
static size_t
line_take(struct lmtp *l, const char *data, size_t len, bool *line_r)
{
	const char *lf = memchr(data, '\n', len);
	size_t take = lf != NULL ? (size_t)(lf - data) + 1 : len;
	size_t room = sizeof(l->line) - l->line_len;

	if (take > room)
		l->line_too_long = true;
	memcpy(l->line + l->line_len, data, take > room ? room : take);
	l->line_len += take > room ? room : take;
	*line_r = lf != NULL;
	return take;
}

static int
line_end(struct lmtp *l)
{
	size_t len = l->line_len;
	bool too_long = l->line_too_long;

	l->line_len = 0;
	l->line_too_long = false;
	if (too_long)
		return reply_write(l, 500, "5.5.2 Line too long");
	if (len < 2 || l->line[len - 2] != '\r')
		return reply_write(l, 500, "5.5.2 Lines end with CR LF");
	return on_command(l, l->line, len - 2);
}

int
lmtp_input(struct lmtp *l, const char *data, size_t len)
{
	while (len > 0) {
		bool whole;
		size_t took;
		int rc;

		if (l->phase == PHASE_OVER)
			return -1;
		if (l->phase == PHASE_DATA) {
			took = data_take(l, data, len, &whole);
			rc = whole ? message_end(l) : 0;
		} else {
			took = line_take(l, data, len, &whole);
			rc = whole ? line_end(l) : 0;
		}
		if (rc != 0) {
			l->phase = PHASE_OVER;
			return rc;
		}
		data += took;
		len -= took;
	}
	return l->phase == PHASE_OVER ? -1 : 0;
}
