/* SPDX-License-Identifier: Apache-2.0 */
/* The scripted SMTP server of the submission and session tests. */
#include "config.h"
#include "tests/unit/smtpsink.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256

struct sink {
	int fd;
	pthread_t thread;
	pthread_mutex_t lock;
	struct sink_script script;
	unsigned connections, live;
	struct sink_mail mails[SINK_MAILS];
	size_t mail_count;
	int fds[CONNECTIONS_MAX];
	pthread_t threads[CONNECTIONS_MAX];
	char *path;
};

struct client {
	struct sink *k;
	unsigned number;
	FILE *in, *out;
};

static void
say(struct client *c, const char *text)
{
	fprintf(c->out, "%s\r\n", text);
	fflush(c->out);
}

static bool
is_cut(struct client *c, const struct sink_script *s, enum sink_cut at)
{
	return s->cut == at && c->number <= s->cut_connections;
}

static void
script_get(struct client *c, struct sink_script *s)
{
	pthread_mutex_lock(&c->k->lock);
	*s = c->k->script;
	pthread_mutex_unlock(&c->k->lock);
}

static void
note(struct sink_mail *m, const char *line)
{
	if (m->line_count < SINK_LINES) {
		m->lines[m->line_count] = strdup(line);
		m->lines[m->line_count][strcspn(line, "\r\n")] = '\0';
		m->line_count++;
	}
}

static void
mail_clear(struct sink_mail *m)
{
	for (size_t i = 0; i < m->line_count; i++)
		free(m->lines[i]);
	free(m->content);
	*m = (struct sink_mail){ 0 };
}

/* false: the connection is to end */
static bool
content(struct client *c, struct sink_mail *m)
{
	struct sink_script s;
	char *line = NULL;
	size_t size = 0, len = 0;
	FILE *all = open_memstream(&m->content, &len);
	ssize_t n;
	bool ended = false;

	script_get(c, &s);
	while ((n = getline(&line, &size, c->in)) > 0) {
		if (is_cut(c, &s, SINK_CUT_CONTENT))
			break;
		if (strcmp(line, ".\r\n") == 0) {
			ended = true;
			break;
		}
		fwrite(line, 1, (size_t)n, all);
	}
	free(line);
	fclose(all);
	m->content_len = len;
	if (!ended)
		return false;
	m->connection = c->number;
	pthread_mutex_lock(&c->k->lock);
	if (c->k->mail_count < SINK_MAILS) {
		c->k->mails[c->k->mail_count++] = *m;
		*m = (struct sink_mail){ 0 };
	}
	pthread_mutex_unlock(&c->k->lock);
	if (s.dot_delay_ms > 0)
		usleep((useconds_t)s.dot_delay_ms * 1000);
	if (is_cut(c, &s, SINK_CUT_DOT))
		return false;
	say(c, s.dot != NULL ? s.dot : "250 2.0.0 Ok: queued as 4SINK1");
	return !s.close_idle;
}

static bool
command(struct client *c, const char *line, struct sink_mail *m)
{
	struct sink_script s;

	script_get(c, &s);
	if (strncasecmp(line, "EHLO", 4) == 0) {
		say(c, s.ehlo != NULL ? s.ehlo
				      : "250-sink\r\n250-SIZE 100000000\r\n250-8BITMIME\r\n250-DSN"
					"\r\n250-XFORWARD NAME ADDR IDENT\r\n250 SMTPUTF8");
		return true;
	}
	if (strncasecmp(line, "QUIT", 4) == 0)
		return false;
	note(m, line);
	if (strncasecmp(line, "XFORWARD", 8) == 0) {
		say(c, "250 2.0.0 Ok");
	} else if (strncasecmp(line, "MAIL", 4) == 0) {
		if (is_cut(c, &s, SINK_CUT_MAIL))
			return false;
		say(c, s.mail != NULL ? s.mail : "250 2.1.0 Ok");
	} else if (strncasecmp(line, "RCPT", 4) == 0) {
		if (is_cut(c, &s, SINK_CUT_RCPT))
			return false;
		say(c, s.rcpt != NULL && (s.rcpt_of == NULL || strstr(line, s.rcpt_of) != NULL)
			   ? s.rcpt
			   : "250 2.1.5 Ok");
	} else if (strncasecmp(line, "DATA", 4) == 0) {
		if (is_cut(c, &s, SINK_CUT_DATA))
			return false;
		say(c, s.data != NULL ? s.data : "354 go on");
		if (s.data == NULL)
			return content(c, m);
	} else {
		say(c, "500 5.5.1 what?");
	}
	return true;
}

static void *
serve(void *arg)
{
	struct client *c = arg;
	struct sink_script s;
	struct sink_mail m = { 0 };
	char *line = NULL;
	size_t size = 0;

	script_get(c, &s);
	if (!is_cut(c, &s, SINK_CUT_GREETING)) {
		say(c, "220 sink ESMTP");
		while (getline(&line, &size, c->in) > 0 && command(c, line, &m))
			;
	}
	free(line);
	mail_clear(&m);
	pthread_mutex_lock(&c->k->lock);
	c->k->live--;
	c->k->fds[c->number - 1] = -1;
	pthread_mutex_unlock(&c->k->lock);
	fclose(c->out);
	fclose(c->in);
	free(c);
	return NULL;
}

static void *
accept_all(void *arg)
{
	struct sink *k = arg;

	for (;;) {
		int fd = accept(k->fd, NULL, NULL);
		struct client *c;

		if (fd == -1)
			return NULL;
		c = calloc(1, sizeof(*c));
		c->k = k;
		c->in = fdopen(fd, "r");
		c->out = fdopen(dup(fd), "w");
		pthread_mutex_lock(&k->lock);
		c->number = ++k->connections;
		k->live++;
		if (c->number > CONNECTIONS_MAX)
			abort();
		k->fds[c->number - 1] = fd;
		pthread_create(&k->threads[c->number - 1], NULL, serve, c);
		pthread_mutex_unlock(&k->lock);
	}
}

struct sink *
sink_start(const char *path, const struct sink_script *script)
{
	struct sink *k = calloc(1, sizeof(*k));
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	signal(SIGPIPE, SIG_IGN); /* clients leave in the middle of an answer */
	k->script = *script;
	k->path = strdup(path);
	pthread_mutex_init(&k->lock, NULL);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	unlink(path);
	k->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (k->fd == -1 || bind(k->fd, (struct sockaddr *)&un, sizeof(un)) == -1 ||
	    listen(k->fd, 50) == -1)
		abort();
	pthread_create(&k->thread, NULL, accept_all, k);
	return k;
}

void
sink_script_set(struct sink *k, const struct sink_script *script)
{
	pthread_mutex_lock(&k->lock);
	k->script = *script;
	pthread_mutex_unlock(&k->lock);
}

unsigned
sink_connections(struct sink *k)
{
	unsigned n;

	pthread_mutex_lock(&k->lock);
	n = k->connections;
	pthread_mutex_unlock(&k->lock);
	return n;
}

unsigned
sink_live(struct sink *k)
{
	unsigned n;

	pthread_mutex_lock(&k->lock);
	n = k->live;
	pthread_mutex_unlock(&k->lock);
	return n;
}

size_t
sink_mail_count(struct sink *k)
{
	size_t n;

	pthread_mutex_lock(&k->lock);
	n = k->mail_count;
	pthread_mutex_unlock(&k->lock);
	return n;
}

const struct sink_mail *
sink_mail(struct sink *k, size_t n)
{
	return n < sink_mail_count(k) ? &k->mails[n] : NULL;
}

void
sink_stop(struct sink *k)
{
	shutdown(k->fd, SHUT_RDWR);
	pthread_join(k->thread, NULL);
	close(k->fd);
	pthread_mutex_lock(&k->lock);
	for (unsigned i = 0; i < k->connections; i++)
		if (k->fds[i] != -1)
			shutdown(k->fds[i], SHUT_RDWR);
	pthread_mutex_unlock(&k->lock);
	for (unsigned i = 0; i < k->connections; i++)
		pthread_join(k->threads[i], NULL);
	for (size_t i = 0; i < k->mail_count; i++)
		mail_clear(&k->mails[i]);
	unlink(k->path);
	free(k->path);
	free(k);
}
