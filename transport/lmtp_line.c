/* SPDX-License-Identifier: Apache-2.0 */
/* Parses LMTP command lines. Knows no state and answers nothing. */
#include "config.h"
#include "transport/lmtp_line.h"

#include <string.h>
#include <strings.h>

static const struct {
	const char *word;
	enum lmtp_verb verb;
	bool argument; /* must have one */
} verbs[] = {
	{ "LHLO", LMTP_LHLO, true },  { "HELO", LMTP_HELO, false }, { "EHLO", LMTP_HELO, false },
	{ "MAIL", LMTP_MAIL, true },  { "RCPT", LMTP_RCPT, true },  { "DATA", LMTP_DATA, false },
	{ "RSET", LMTP_RSET, false }, { "NOOP", LMTP_NOOP, false }, { "QUIT", LMTP_QUIT, false },
	{ "VRFY", LMTP_VRFY, true },
};

/* Parameters we announce; what they say to a relay does not matter to a final delivery agent. */
static const struct {
	const char *word;
	enum lmtp_verb verb;
	bool value;
} parameters[] = {
	{ "SIZE", LMTP_MAIL, true },      { "BODY", LMTP_MAIL, true },
	{ "SMTPUTF8", LMTP_MAIL, false }, { "RET", LMTP_MAIL, true },
	{ "ENVID", LMTP_MAIL, true },     { "NOTIFY", LMTP_RCPT, true },
	{ "ORCPT", LMTP_RCPT, true },
};

static bool
size_parse(const char *text, size_t len, unsigned long long *size_r)
{
	unsigned long long n = 0;

	if (len == 0 || len > 18) /* RFC 1870 allows 20 digits; 18 do not overflow */
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (unsigned long long)(text[i] - '0');
	}
	*size_r = n;
	return true;
}

static enum lmtp_fault
parameter_parse(const char *word, size_t len, struct lmtp_command *out)
{
	const char *equals = memchr(word, '=', len);
	size_t name_len = equals != NULL ? (size_t)(equals - word) : len;

	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
		if (parameters[i].verb != out->verb || strlen(parameters[i].word) != name_len ||
		    strncasecmp(parameters[i].word, word, name_len) != 0)
			continue;
		if (parameters[i].value != (equals != NULL))
			return LMTP_SYNTAX;
		if (strcmp(parameters[i].word, "SIZE") == 0 &&
		    !size_parse(equals + 1, len - name_len - 1, &out->size))
			return LMTP_SYNTAX;
		return LMTP_FINE;
	}
	return LMTP_BAD_PARAMETER;
}

/* "FROM:<path>" or "TO:<path>", then parameters after single spaces. */
static enum lmtp_fault
path_parse(const char *at, const char *end, const char *prefix, struct lmtp_command *out)
{
	size_t prefix_len = strlen(prefix);
	const char *close;
	bool quoted = false;

	if ((size_t)(end - at) < prefix_len || strncasecmp(at, prefix, prefix_len) != 0)
		return LMTP_SYNTAX;
	at += prefix_len;
	while (at < end && *at == ' ') /* many clients put one, RFC 5321 3.3 tolerates it */
		at++;
	if (at == end || *at++ != '<')
		return LMTP_SYNTAX;
	for (close = at; close < end && (quoted || *close != '>'); close++) {
		if (*close == '"')
			quoted = !quoted;
		else if (*close == '\\' && quoted && close + 1 < end)
			close++;
		else if (*close == '<' && !quoted)
			return LMTP_SYNTAX;
	}
	if (close >= end || (size_t)(close - at) >= sizeof(out->address))
		return LMTP_SYNTAX;
	memcpy(out->address, at, (size_t)(close - at));
	out->address[close - at] = '\0';
	for (at = close + 1; at < end;) {
		const char *word = at + 1;
		enum lmtp_fault fault;

		if (*at != ' ')
			return LMTP_SYNTAX;
		for (at = word; at < end && *at != ' ';)
			at++;
		if (at == word) /* a trailing or double space */
			continue;
		if ((fault = parameter_parse(word, (size_t)(at - word), out)) != LMTP_FINE)
			return fault;
	}
	return LMTP_FINE;
}

static enum lmtp_fault
argument_parse(const char *at, const char *end, bool needed, struct lmtp_command *out)
{
	enum lmtp_fault fault;

	switch (out->verb) {
	case LMTP_MAIL:
		return path_parse(at, end, "FROM:", out);
	case LMTP_RCPT:
		fault = path_parse(at, end, "TO:", out);
		return fault == LMTP_FINE && out->address[0] == '\0' ? LMTP_SYNTAX : fault;
	case LMTP_DATA:
	case LMTP_RSET:
	case LMTP_QUIT:
		return at < end ? LMTP_SYNTAX : LMTP_FINE;
	case LMTP_UNKNOWN:
	case LMTP_LHLO:
	case LMTP_HELO:
	case LMTP_NOOP:
	case LMTP_VRFY:
		break;
	}
	return needed && at == end ? LMTP_SYNTAX : LMTP_FINE;
}

void
lmtp_line_parse(const char *line, size_t len, struct lmtp_command *out)
{
	const char *end = line + len, *at = line;
	size_t word_len;

	*out = (struct lmtp_command){ .verb = LMTP_UNKNOWN };
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) {
			out->fault = LMTP_SYNTAX;
			return;
		}
	while (at < end && *at != ' ')
		at++;
	word_len = (size_t)(at - line);
	while (end > at && end[-1] == ' ')
		end--;
	if (at < end)
		at++;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (word_len != 4 || strncasecmp(verbs[i].word, line, 4) != 0)
			continue;
		out->verb = verbs[i].verb;
		out->fault = argument_parse(at, end, verbs[i].argument, out);
		return;
	}
}
