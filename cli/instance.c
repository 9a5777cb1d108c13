/* SPDX-License-Identifier: Apache-2.0 */
/* What both Postfix instances have in common, and writing parameters as main.cf. */
#include "config.h"
#include "cli/instance_private.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
instance_text_clear(struct instance_text *text)
{
	buf_free(&text->main_cf);
	buf_free(&text->master_cf);
	buf_free(&text->transport);
	buf_free(&text->refuse);
	buf_free(&text->access);
}

unsigned long
instance_send_limit(const struct conf *c)
{
	size_t largest = c->milter.message_size;

	if (c->milter.package_size > largest)
		largest = c->milter.package_size;
	return largest + largest / 2 + 65536;
}

const char *
instance_in_queue(const char *queue, const char *path)
{
	size_t len = strlen(queue);

	if (strncmp(path, queue, len) != 0 || path[len] != '/')
		return NULL;
	while (path[len] == '/')
		len++;
	return path[len] == '\0' ? NULL : path + len;
}

static void
parameter_put(struct parameters *p, const char *why, const char *name, char *value)
{
	size_t i;

	if (value == NULL) {
		p->failed = true;
		return;
	}
	for (i = 0; i < p->count; i++)
		if (strcmp(p->rows[i].name, name) == 0)
			break;
	if (i < p->count) {
		free(p->rows[i].value);
		p->rows[i].value = value;
		p->rows[i].why = why;
		return;
	}
	if (p->count == PARAMETERS_MAX || (p->rows[i].name = strdup(name)) == NULL) {
		free(value);
		p->failed = true;
		return;
	}
	p->rows[i].value = value;
	p->rows[i].why = why;
	p->count++;
}

void
parameter_set(struct parameters *p, const char *why, const char *name, const char *fmt, ...)
{
	char *value = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&value, fmt, ap) == -1)
		value = NULL;
	va_end(ap);
	parameter_put(p, why, name, value);
}

int
parameters_own(struct parameters *p, char *const *lines, struct bd_err *e)
{
	for (size_t i = 0; lines != NULL && lines[i] != NULL; i++) {
		char name[128];
		const char *value = strchr(lines[i], '=');
		size_t len = value == NULL ? 0 : (size_t)(value - lines[i]);

		while (len > 0 && isspace((unsigned char)lines[i][len - 1]))
			len--;
		if (len == 0 || len >= sizeof(name) || strpbrk(lines[i], "\r\n") != NULL)
			return bd_fail(e, BD_E_CONFIG,
				       "postfix: \"%s\" is not a line \"name = value\"", lines[i]);
		memcpy(name, lines[i], len);
		name[len] = '\0';
		for (value++; isspace((unsigned char)*value); value++)
			;
		parameter_set(p, "the site's own, from brevdue.conf", name, "%s", value);
	}
	return 0;
}

int
parameters_write(struct parameters *p, const char *title, struct buf *main_cf, struct bd_err *e)
{
	bool failed = p->failed;

	failed |= buf_addf(main_cf,
			   "# %s\n# Made by brevdue setup postfix from brevdue.conf: change "
			   "it there and run that again.\n",
			   title) == -1;
	for (size_t i = 0; i < p->count; i++) {
		if (p->rows[i].why != NULL)
			failed |= buf_addf(main_cf, "\n# %s\n", p->rows[i].why) == -1;
		failed |= buf_addf(main_cf, "%s =%s%s\n", p->rows[i].name,
				   p->rows[i].value[0] == '\0' ? "" : " ", p->rows[i].value) == -1;
		free(p->rows[i].name);
		free(p->rows[i].value);
	}
	p->count = 0;
	return failed ? bd_fail(e, BD_E_MEMORY, "out of memory") : 0;
}

void
parameters_common(struct parameters *p, const struct conf *c, const char *queue, const char *data)
{
	parameter_set(p, NULL, "compatibility_level", "3.6");
	parameter_set(p, NULL, "queue_directory", "%s", queue);
	parameter_set(p, NULL, "data_directory", "%s", data);
	parameter_set(p, NULL, "enable_long_queue_ids", "yes");
	parameter_set(p, "nothing is delivered on this machine, nothing is rewritten",
		      "mydestination", "%s", "");
	parameter_set(p, NULL, "local_transport", "error:5.3.5 no local delivery here");
	parameter_set(p, NULL, "alias_maps", "%s", "");
	parameter_set(p, NULL, "alias_database", "%s", "");
	parameter_set(p, NULL, "local_recipient_maps", "%s", "");
	parameter_set(p, NULL, "append_dot_mydomain", "no");
	parameter_set(p, NULL, "biff", "no");
	parameter_set(p, "Postfix must not add Message-Id, Date or From: each retry would look new",
		      "local_header_rewrite_clients", "%s", "");
	parameter_set(p, "sendmail -C and postdrop are closed: what they take passes no milter",
		      "authorized_submit_users", "%s", "");
	parameter_set(p, "citizens' domains and our own have no way but ours", "transport_maps",
		      "texthash:$config_directory/transport");
	parameter_set(p,
		      "a discarded message never gives its token back: with a delay each mail "
		      "would wait that long",
		      "in_flow_delay", "0");
	parameter_set(p, "mailboxes have no limit below that of messages", "mailbox_size_limit",
		      "0");
	parameter_set(p, NULL, "bounce_size_limit", "50000");
	if (c->postfix.relayhost != NULL)
		parameter_set(p, "ordinary mail leaves through the agency's own relay", "relayhost",
			      "%s", c->postfix.relayhost);
}

/*
 * Debian's master.cf, chroot column as it ships it, without the services we leave out: local,
 * virtual and the pipes. pickup is there because postqueue -f calls the mail system down without
 * it and postsuper -r hands requeued messages to it; sendmail may hand in nothing
 * (authorized_submit_users).
 */
int
services_common(struct buf *m)
{
	return buf_adds(m, "pickup     unix  n  -  y  60     1    pickup\n"
			   "cleanup    unix  n  -  y  -      0    cleanup\n"
			   "qmgr       unix  n  -  n  300    1    qmgr\n"
			   "tlsmgr     unix  -  -  y  1000?  1    tlsmgr\n"
			   "rewrite    unix  -  -  y  -      -    trivial-rewrite\n"
			   "bounce     unix  -  -  y  -      0    bounce\n"
			   "defer      unix  -  -  y  -      0    bounce\n"
			   "trace      unix  -  -  y  -      0    bounce\n"
			   "verify     unix  -  -  y  -      1    verify\n"
			   "flush      unix  n  -  y  1000?  0    flush\n"
			   "proxymap   unix  -  -  n  -      -    proxymap\n"
			   "showq      unix  n  -  y  -      -    showq\n"
			   "error      unix  -  -  y  -      -    error\n"
			   "retry      unix  -  -  y  -      -    error\n"
			   "discard    unix  -  -  y  -      -    discard\n"
			   "smtp       unix  -  -  y  -      -    smtp\n"
			   "relay      unix  -  -  y  -      -    smtp\n"
			   "anvil      unix  -  -  y  -      1    anvil\n"
			   "scache     unix  -  -  y  -      1    scache\n"
			   "postlog    unix-dgram n - n  -   1    postlogd\n");
}

int
transport_citizens(const struct conf *c, struct buf *t)
{
	int rc =
	    buf_adds(t, "# Citizens' domains: only the milter's listener takes them, and it lets "
			"none pass.\n");

	for (size_t i = 0; i < c->domain_count; i++) {
		const char *name = c->domains[i].name;

		rc |= buf_addf(t,
			       "%s\terror:5.7.1 letters to citizens only through brevdue\n"
			       ".%s\terror:5.7.1 letters to citizens only through brevdue\n",
			       name, name);
	}
	return rc;
}

int
access_refuse(struct buf *refuse)
{
	return buf_adds(refuse, "# Recipients that nobody may name here: sealed messages.\n"
				"/[@.]brevdue\\.invalid$/\t550 5.3.5 not for the outside\n");
}
