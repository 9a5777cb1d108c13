/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads delivery status notices. Foreign bytes in a process with a key: so no MIME library and no
 * decoding, only the one shape Postfix writes (multipart/report, a message/delivery-status part in
 * 7bit or 8bit), scanned once and line by line.
 */
#include "config.h"
#include "transport/dsn_read.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FIELD_MAX_BYTES 1024
#define BOUNDARY_MAX_BYTES 70 /* RFC 2046 5.1.1 */
#define LINES_MAX 4000

struct cursor {
	const char *at, *end;
	unsigned lines;
};

/* The next line without its end. false at the end of the text or past the limit. */
static bool
line_next(struct cursor *c, const char **line_r, size_t *len_r)
{
	const char *lf;

	if (c->at >= c->end || c->lines++ >= LINES_MAX)
		return false;
	lf = memchr(c->at, '\n', (size_t)(c->end - c->at));
	*line_r = c->at;
	*len_r = (size_t)((lf != NULL ? lf : c->end) - c->at);
	if (*len_r > 0 && (*line_r)[*len_r - 1] == '\r')
		(*len_r)--;
	c->at = lf != NULL ? lf + 1 : c->end;
	return true;
}

/* The next header field, unfolded. false at the empty line that ends the block, or at the end. */
static bool
field_next(struct cursor *c, char field[FIELD_MAX_BYTES])
{
	const char *line;
	size_t len, used;

	if (!line_next(c, &line, &len) || len == 0)
		return false;
	used = len < FIELD_MAX_BYTES ? len : FIELD_MAX_BYTES - 1;
	memcpy(field, line, used);
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t') && line_next(c, &line, &len)) {
		size_t room = FIELD_MAX_BYTES - 1 - used;

		memcpy(field + used, line, len < room ? len : room);
		used += len < room ? len : room;
	}
	field[used] = '\0';
	if (memchr(field, '\0', used) != NULL)
		field[0] = '\0'; /* NUL in a header: not ours */
	return true;
}

/* The value of the field named, without leading blanks, or NULL. */
static const char *
field_value(const char *field, const char *name)
{
	size_t len = strlen(name);

	if (strncasecmp(field, name, len) != 0 || field[len] != ':')
		return NULL;
	return field + len + 1 + strspn(field + len + 1, " \t");
}

static bool
boundary_take(const char *value, char out[BOUNDARY_MAX_BYTES + 1])
{
	const char *at = strcasestr(value, "boundary=");
	size_t n;

	if (strncasecmp(value, "multipart/report", 16) != 0 || at == NULL)
		return false;
	at += 9;
	if (*at == '"') {
		at++;
		n = strcspn(at, "\"");
		if (at[n] != '"')
			return false;
	} else {
		n = strcspn(at, "; \t");
	}
	if (n == 0 || n > BOUNDARY_MAX_BYTES)
		return false;
	memcpy(out, at, n);
	out[n] = '\0';
	return true;
}

static bool
is_delimiter(const char *line, size_t len, const char *boundary)
{
	size_t n = strlen(boundary);

	return len >= n + 2 && line[0] == '-' && line[1] == '-' &&
	       memcmp(line + 2, boundary, n) == 0;
}

/* Moves past the header of the delivery-status part. */
static bool
part_find(struct cursor *c, const char *boundary)
{
	char field[FIELD_MAX_BYTES];
	const char *line, *value;
	size_t len;

	while (line_next(c, &line, &len)) {
		bool status = false, plain = true;

		if (!is_delimiter(line, len, boundary))
			continue;
		while (field_next(c, field)) {
			if ((value = field_value(field, "Content-Type")) != NULL)
				status =
				    strncasecmp(value, "message/delivery-status", 23) == 0 ||
				    strncasecmp(value, "message/global-delivery-status", 30) == 0;
			else if ((value = field_value(field, "Content-Transfer-Encoding")) != NULL)
				plain = strcasecmp(value, "7bit") == 0 ||
					strcasecmp(value, "8bit") == 0;
		}
		if (status)
			return plain;
	}
	return false;
}

static bool
status_is_valid(const char *s)
{
	int a, b, d, n = 0;

	return strspn(s, "0123456789.") == strlen(s) &&
	       sscanf(s, "%1d.%3d.%3d%n", &a, &b, &d, &n) == 3 && s[n] == '\0' &&
	       (a == 2 || a == 4 || a == 5);
}

/* "rfc822; <letter id>@..." is about the recipient. */
static bool
is_about(const char *value, const char *recipient)
{
	const char *address = strchr(value, ';');
	size_t len = strlen(recipient);

	if (address == NULL)
		return false;
	address += 1 + strspn(address + 1, " \t");
	return strncmp(address, recipient, len) == 0 && address[len] == '@';
}

/* One group of fields; the first is the message's, the others are recipients'. */
static bool
group_read(struct cursor *c, const char *boundary, const char *recipient, struct dsn_notice *n)
{
	static const char *const actions[] = { "failed", "delayed", "delivered", "relayed",
					       "expanded" };
	char field[FIELD_MAX_BYTES];
	const char *value;
	bool about = false;

	*n = (struct dsn_notice){ 0 };
	while (c->at < c->end && !is_delimiter(c->at, (size_t)(c->end - c->at), boundary) &&
	       field_next(c, field)) {
		if ((value = field_value(field, "Final-Recipient")) != NULL) {
			about = is_about(value, recipient);
		} else if ((value = field_value(field, "Action")) != NULL) {
			for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
				if (strcasecmp(actions[i], value) == 0)
					snprintf(n->action, sizeof(n->action), "%s", actions[i]);
		} else if ((value = field_value(field, "Status")) != NULL) {
			if (strlen(value) < sizeof(n->status) && status_is_valid(value))
				snprintf(n->status, sizeof(n->status), "%s", value);
		}
	}
	return about && n->action[0] != '\0' && n->status[0] != '\0';
}

int
dsn_read(const char *message, size_t len, const char *recipient, struct dsn_notice *notice_r)
{
	struct cursor c = { .at = message, .end = message + len };
	char field[FIELD_MAX_BYTES], boundary[BOUNDARY_MAX_BYTES + 1] = "";
	const char *value;

	while (field_next(&c, field))
		if ((value = field_value(field, "Content-Type")) != NULL &&
		    (boundary[0] != '\0' || !boundary_take(value, boundary)))
			return -1; /* another type, or two */
	if (boundary[0] == '\0' || !part_find(&c, boundary))
		return -1;
	while (c.at < c.end && !is_delimiter(c.at, (size_t)(c.end - c.at), boundary) &&
	       c.lines < LINES_MAX)
		if (group_read(&c, boundary, recipient, notice_r))
			return 0;
	return -1;
}
