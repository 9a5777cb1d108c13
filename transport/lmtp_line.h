/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_LMTP_LINE_H
#define BD_TRANSPORT_LMTP_LINE_H

/*
 * One LMTP command line to a command: a pure function from bytes to a struct, so that it can be
 * fuzzed (RFC 2033 over RFC 5321, with the parameters of SIZE, 8BITMIME, SMTPUTF8 and DSN). Thread
 * safe.
 */

#include <stdbool.h>
#include <stddef.h>

#define LMTP_LINE_MAX_BYTES 2048 /* RFC 5321 4.5.3.1.4 plus what DSN adds (RFC 3461 5) */
#define LMTP_ADDRESS_CHARS 321   /* 64 + 1 + 255 and NUL */

enum lmtp_verb {
	LMTP_UNKNOWN,
	LMTP_LHLO,
	LMTP_HELO, /* HELO and EHLO: this is not SMTP */
	LMTP_MAIL,
	LMTP_RCPT,
	LMTP_DATA,
	LMTP_RSET,
	LMTP_NOOP,
	LMTP_QUIT,
	LMTP_VRFY
};

enum lmtp_fault {
	LMTP_FINE,
	LMTP_SYNTAX,        /* 501 */
	LMTP_BAD_PARAMETER, /* 555 */
};

struct lmtp_command {
	enum lmtp_verb verb;
	enum lmtp_fault fault;
	char address[LMTP_ADDRESS_CHARS]; /* of MAIL and RCPT; "" for <> */
	unsigned long long size;          /* SIZE=, 0 when absent */
};

/* line without its CRLF. */
void lmtp_line_parse(const char *line, size_t len, struct lmtp_command *out);

#endif
