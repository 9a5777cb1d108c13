/* SPDX-License-Identifier: Apache-2.0 */
/* One SMTP client connection over a unix socket (RFC 5321), with deadlines on every wait. */
#include "config.h"
#include "milter/smtpc.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/sock.h"

#define REPLY_LINE_CHARS 1024
#define REPLY_LINES_MAX 100
#define OUT_BYTES ((size_t)64 << 10)

static int
remaining(int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_ms();

	if (left <= 0)
		return 0;
	return left > 3600000 ? 3600000 : (int)left;
}

static int
wait_for(struct smtpc *c, short events, int64_t deadline_ms, struct bd_err *e)
{
	struct pollfd p = { .fd = c->fd, .events = events };
	int n;

	do
		n = poll(&p, 1, remaining(deadline_ms));
	while (n == -1 && errno == EINTR);
	if (n > 0)
		return 0;
	c->lost = true;
	c->late = n == 0;
	return n == 0 ? bd_fail(e, BD_E_QUEUE, "submission service did not answer in time")
		      : bd_fail_errno(e, BD_E_QUEUE, "poll");
}

static int
write_all(struct smtpc *c, const void *data, size_t len, int64_t deadline_ms, struct bd_err *e)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
			if (wait_for(c, POLLOUT, deadline_ms, e) == -1)
				return -1;
		} else {
			c->lost = true;
			return bd_fail_errno(e, BD_E_QUEUE, "writing to the submission service");
		}
	}
	return 0;
}

static int
read_line(struct smtpc *c, char *line, size_t size, int64_t deadline_ms, struct bd_err *e)
{
	size_t len = 0;

	for (;;) {
		while (c->in_at < c->in_len) {
			char ch = c->in[c->in_at++];

			if (ch == '\n') {
				if (len > 0 && line[len - 1] == '\r')
					len--;
				line[len] = '\0';
				return 0;
			}
			if (ch == '\0')
				ch = '?';
			if (len + 1 < size)
				line[len++] = ch;
		}
		ssize_t n = recv(c->fd, c->in, sizeof(c->in), MSG_DONTWAIT);

		if (n > 0) {
			c->in_at = 0;
			c->in_len = (size_t)n;
		} else if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
			if (wait_for(c, POLLIN, deadline_ms, e) == -1)
				return -1;
		} else {
			c->lost = true;
			if (n == 0)
				return bd_fail(e, BD_E_QUEUE,
					       "submission service closed the connection");
			return bd_fail_errno(e, BD_E_QUEUE, "reading from the submission service");
		}
	}
}

int
smtpc_parse_line(const char *line, int *code_r, bool *more_r, const char **rest_r)
{
	for (int i = 0; i < 3; i++)
		if (line[i] < '0' || line[i] > '9')
			return -1;
	if (line[0] < '2' || line[0] > '5')
		return -1;
	if (line[3] != '\0' && line[3] != ' ' && line[3] != '-')
		return -1;
	*code_r = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
	*more_r = line[3] == '-';
	*rest_r = line[3] == '\0' ? line + 3 : line + 4;
	return 0;
}

/* "5.7.1 words" -> status and words. */
static void
split_status(const char *rest, struct submit_answer *a)
{
	unsigned class, subject, detail;
	int len = 0;

	a->status[0] = '\0';
	if (sscanf(rest, "%1u.%3u.%3u%n", &class, &subject, &detail, &len) == 3 &&
	    (rest[len] == ' ' || rest[len] == '\0') && (size_t)len < sizeof(a->status)) {
		memcpy(a->status, rest, (size_t)len);
		a->status[len] = '\0';
		rest += len;
		while (*rest == ' ')
			rest++;
	}
	snprintf(a->text, sizeof(a->text), "%s", rest);
}

static void
note_extension(struct smtpc *c, const char *rest)
{
	char word[24];
	size_t n = strcspn(rest, " =");

	if (n >= sizeof(word))
		return;
	memcpy(word, rest, n);
	word[n] = '\0';
	if (strcasecmp(word, "DSN") == 0)
		c->ext |= SMTPC_DSN;
	else if (strcasecmp(word, "SIZE") == 0)
		c->ext |= SMTPC_SIZE;
	else if (strcasecmp(word, "8BITMIME") == 0)
		c->ext |= SMTPC_8BITMIME;
	else if (strcasecmp(word, "SMTPUTF8") == 0)
		c->ext |= SMTPC_SMTPUTF8;
	else if (strcasecmp(word, "XFORWARD") == 0 && strcasestr(rest + n, "IDENT") != NULL)
		c->ext |= SMTPC_XFORWARD_IDENT;
}

static int
read_reply(struct smtpc *c, bool extensions, int64_t deadline_ms, struct submit_answer *a,
	   struct bd_err *e)
{
	char line[REPLY_LINE_CHARS];
	const char *rest;
	int code, first = 0;
	bool more;

	*a = (struct submit_answer){ 0 };
	for (int lines = 0; lines < REPLY_LINES_MAX; lines++) {
		if (read_line(c, line, sizeof(line), deadline_ms, e) == -1)
			return -1;
		if (smtpc_parse_line(line, &code, &more, &rest) == -1 ||
		    (first != 0 && code != first)) {
			c->lost = true;
			return bd_fail(e, BD_E_QUEUE, "submission service does not speak SMTP");
		}
		first = code;
		if (extensions && lines > 0)
			note_extension(c, rest);
		if (!more) {
			a->code = code;
			split_status(rest, a);
			return 0;
		}
	}
	c->lost = true;
	return bd_fail(e, BD_E_QUEUE, "endless reply from the submission service");
}

struct smtpc *
smtpc_open(const char *socket, int64_t deadline_ms, struct bd_err *e)
{
	struct submit_answer a;
	struct smtpc *c;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		bd_fail(e, BD_E_MEMORY, "submission connection");
		return NULL;
	}
	c->out.max = 4 * OUT_BYTES;
	if ((c->fd = sock_connect(socket, remaining(deadline_ms), e)) == -1) {
		e->kind = BD_E_QUEUE;
		bd_wrap(e, "submission service");
		goto fail;
	}
	if (read_reply(c, false, deadline_ms, &a, e) == -1)
		goto fail;
	if (a.code != 220) {
		bd_fail(e, BD_E_QUEUE, "submission service greets with %d", a.code);
		goto fail;
	}
	if (write_all(c, "EHLO localhost\r\n", 16, deadline_ms, e) == -1 ||
	    read_reply(c, true, deadline_ms, &a, e) == -1)
		goto fail;
	if (a.code != 250) {
		bd_fail(e, BD_E_QUEUE, "submission service answers EHLO with %d", a.code);
		goto fail;
	}
	return c;
fail:
	smtpc_close(&c, false);
	return NULL;
}

int
smtpc_command(struct smtpc *c, const char *line, int64_t deadline_ms, struct submit_answer *a,
	      struct bd_err *e)
{
	struct buf b = { 0 };
	int rc;

	a->code = 0;
	if (buf_adds(&b, line) == -1 || buf_adds(&b, "\r\n") == -1) {
		c->lost = true;
		buf_free(&b);
		return bd_fail(e, BD_E_MEMORY, "SMTP command");
	}
	rc = write_all(c, b.data, b.len, deadline_ms, e);
	buf_free(&b);
	return rc == -1 ? -1 : read_reply(c, false, deadline_ms, a, e);
}

void
smtpc_content_start(struct smtpc *c)
{
	buf_clear(&c->out);
	c->last = '\n';
}

static int
flush(struct smtpc *c, int64_t deadline_ms, struct bd_err *e)
{
	int rc = write_all(c, c->out.data, c->out.len, deadline_ms, e);

	buf_clear(&c->out);
	return rc;
}

/* Adds at most one line. A dot at the start of a line is doubled; a line ends with LF, whatever
 * came before, since servers differ in what they take for a line end. Returns the bytes used, 0 out
 * of memory. */
static size_t
add_line(struct smtpc *c, const char *p, size_t len)
{
	const char *lf = memchr(p, '\n', len);
	size_t used = lf != NULL ? (size_t)(lf - p) + 1 : len;
	size_t text = lf != NULL ? used - 1 : used;
	char before_lf = text > 0 ? p[text - 1] : c->last;

	if (p[0] == '.' && c->last == '\n' && buf_addc(&c->out, '.') == -1)
		return 0;
	if (buf_add(&c->out, p, text) == -1)
		return 0;
	if (lf != NULL && buf_adds(&c->out, before_lf == '\r' ? "\n" : "\r\n") == -1)
		return 0;
	c->last = p[used - 1];
	return used;
}

int
smtpc_content(struct smtpc *c, const void *data, size_t len, int64_t deadline_ms, struct bd_err *e)
{
	const char *p = data;

	while (len > 0) {
		size_t used = add_line(c, p, len < OUT_BYTES ? len : OUT_BYTES);

		if (used == 0) {
			c->lost = true;
			return bd_fail(e, BD_E_MEMORY, "SMTP content");
		}
		p += used;
		len -= used;
		if (c->out.len >= OUT_BYTES && flush(c, deadline_ms, e) == -1)
			return -1;
	}
	return 0;
}

int
smtpc_content_flush(struct smtpc *c, int64_t deadline_ms, struct bd_err *e)
{
	if (c->last != '\n' && buf_adds(&c->out, "\r\n") == -1) {
		c->lost = true;
		return bd_fail(e, BD_E_MEMORY, "SMTP content");
	}
	c->last = '\n';
	return flush(c, deadline_ms, e);
}

int
smtpc_dot(struct smtpc *c, int64_t deadline_ms, struct submit_answer *a, struct bd_err *e)
{
	return smtpc_command(c, ".", deadline_ms, a, e);
}

bool
smtpc_is_stale(const struct smtpc *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	return c->in_at < c->in_len || poll(&p, 1, 0) != 0;
}

void
smtpc_close(struct smtpc **cp, bool quit)
{
	struct smtpc *c = *cp;

	if (c == NULL)
		return;
	if (quit && c->fd >= 0 && !c->lost &&
	    send(c->fd, "QUIT\r\n", 6, MSG_NOSIGNAL | MSG_DONTWAIT) == -1)
		c->lost = true; /* it is closed next anyway */
	if (c->fd >= 0)
		close(c->fd);
	buf_free(&c->out);
	explicit_bzero(c->in, sizeof(c->in));
	free(c);
	*cp = NULL;
}
