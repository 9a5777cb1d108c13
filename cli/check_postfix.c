/* SPDX-License-Identifier: Apache-2.0 */
/* What `brevdue check` asks of the two Postfix instances (design section 2, threats.md 2 and 2a).
 */
#include "config.h"
#include "cli/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/instance.h"
#include "cli/plan_private.h"
#include "cli/tool.h"

const struct check_param_row check_params[] = {
	{ CHECK_FRONT, "milter_default_action", PARAM_IS, "tempfail shutdown",
	  "a milter that dies would let plain mail pass or keep it" },
	{ CHECK_FRONT, "smtpd_forbid_bare_newline", PARAM_IS, "reject normalize yes",
	  "a second message can be smuggled in" },
	{ CHECK_FRONT, "smtpd_forbid_bare_newline_exclusions", PARAM_EMPTY, NULL,
	  "a second message can be smuggled in from the clients listed" },
	{ CHECK_FRONT, "local_header_rewrite_clients", PARAM_EMPTY, NULL,
	  "Postfix adds a Message-Id of its own, and a client's retry becomes a second letter" },
	{ CHECK_FRONT, "notify_classes", PARAM_LACKS, "protocol policy bounce 2bounce delay",
	  "notices to the postmaster would hold recipients or content" },
	{ CHECK_SEND, "notify_classes", PARAM_LACKS, "protocol policy",
	  "notices to the postmaster would hold recipients" },
	{ CHECK_FRONT, "smtpd_authorized_xclient_hosts", PARAM_EMPTY, NULL,
	  "these hosts can say that they are any other client" },
	{ CHECK_SEND, "smtpd_authorized_xclient_hosts", PARAM_EMPTY, NULL,
	  "these hosts can say that they are any other client" },
	{ CHECK_FRONT, "smtpd_authorized_xforward_hosts", PARAM_EMPTY, NULL,
	  "these hosts can put what they like into the log" },
	{ CHECK_FRONT, "authorized_submit_users", PARAM_EMPTY, NULL,
	  "mail by sendmail -C passes no milter" },
	{ CHECK_SEND, "authorized_submit_users", PARAM_EMPTY, NULL,
	  "mail by sendmail -C passes no milter" },
	{ CHECK_SEND, "smtpd_milters", PARAM_EMPTY, NULL, "sealed messages would be changed" },
	{ CHECK_SEND, "header_checks", PARAM_EMPTY, NULL, "sealed messages would be changed" },
	{ CHECK_SEND, "body_checks", PARAM_EMPTY, NULL, "sealed messages would be changed" },
	{ CHECK_SEND, "content_filter", PARAM_EMPTY, NULL, "sealed messages would be changed" },
	{ CHECK_FRONT, "content_filter", PARAM_EMPTY, NULL,
	  "plain letters would leave the milter" },
	{ CHECK_FRONT, "always_bcc", PARAM_EMPTY, NULL, "copies of plain letters would be kept" },
	{ CHECK_FRONT, "debug_peer_list", PARAM_EMPTY, NULL, "content would be logged" },
	{ CHECK_SEND, "debug_peer_list", PARAM_EMPTY, NULL, "addresses would be logged" },
	{ CHECK_FRONT, NULL, PARAM_EMPTY, NULL, NULL },
};

bool
check_value(const struct check_instance *i, const char *name, char *out, size_t size)
{
	size_t len = strlen(name);
	const char *at = i->params;

	while (at != NULL && *at != '\0') {
		const char *end = strchrnul(at, '\n');

		if (strncmp(at, name, len) == 0 && strncmp(at + len, " =", 2) == 0) {
			at += len + 2;
			while (*at == ' ')
				at++;
			snprintf(out, size, "%.*s", at < end ? (int)(end - at) : 0, at);
			return true;
		}
		at = *end == '\0' ? end : end + 1;
	}
	return false;
}

/* Is one of the words of list (blanks and commas between) also in value? */
static bool
words_meet(const char *value, const char *list)
{
	char copy[1024], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", value);
	for (char *w = strtok_r(copy, " ,\t", &save); w != NULL;
	     w = strtok_r(NULL, " ,\t", &save)) {
		size_t len = strlen(w);

		for (const char *at = list; (at = strstr(at, w)) != NULL; at += len)
			if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
				return true;
	}
	return false;
}

bool
check_value_holds(struct check *k, const struct check_param_row *row, const char *value)
{
	switch (row->rule) {
	case PARAM_EMPTY:
		if (value[0] == '\0')
			return true;
		return check_says(k, "is \"%.100s\" and must be empty: %s", value, row->why);
	case PARAM_LACKS:
		if (!words_meet(value, row->words))
			return true;
		return check_says(k, "is \"%.100s\" and must have none of \"%s\": %s", value,
				  row->words, row->why);
	default:
		if (words_meet(value, row->words))
			return true;
		return check_says(k, "is \"%.100s\" and must be one of \"%s\": %s", value,
				  row->words, row->why);
	}
}

bool
check_param_holds(struct check *k, const struct check_param_row *row)
{
	char value[1024] = "";

	check_value(&k->side[row->side], row->name, value, sizeof(value));
	return check_value_holds(k, row, value);
}

static unsigned long
number(const struct check_instance *i, const char *name)
{
	char value[64] = "";

	check_value(i, name, value, sizeof(value));
	return strtoul(value, NULL, 10);
}

static unsigned long
seconds(const struct check_instance *i, const char *name)
{
	char value[64] = "", *unit;
	unsigned long n;

	check_value(i, name, value, sizeof(value));
	n = strtoul(value, &unit, 10);
	switch (*unit) {
	case 'm':
		return n * 60;
	case 'h':
		return n * 3600;
	case 'd':
		return n * 86400;
	case 'w':
		return n * 7 * 86400;
	default:
		return n;
	}
}

static bool
front_on_tmpfs(struct check *k)
{
	return plan_is_tmpfs(k->side[CHECK_FRONT].queue) ||
	       check_says(k,
			  "%s is not on a RAM disk: blocks of plain letters may reach the disk "
			  "(brevdue setup postfix --mount)",
			  k->side[CHECK_FRONT].queue);
}

static bool
ordinary_not_volatile(struct check *k)
{
	if (k->conf->milter.ordinary != CONF_ORDINARY_PASS ||
	    !plan_is_tmpfs(k->side[CHECK_FRONT].queue))
		return true;
	return check_says(k,
			  "ordinary = pass, but the front queue is on a RAM disk: mail that waits "
			  "there is lost when the machine stops (use resubmit)");
}

static bool
log_is_masked(struct check *k)
{
	char value[1024] = "", fifo[1024];
	struct stat st;

	check_value(&k->side[CHECK_FRONT], "maillog_file", value, sizeof(value));
	snprintf(fifo, sizeof(fifo), "%s/" INSTANCE_FIFO, k->side[CHECK_FRONT].config);
	if (strcmp(value, fifo) != 0)
		return check_says(k,
				  "maillog_file is \"%.100s\", not the FIFO of brevdue logmask: "
				  "recipients' national numbers are stored in the log",
				  value);
	if (stat(fifo, &st) == -1 || !S_ISFIFO(st.st_mode))
		return check_says(k, "%.200s is no FIFO", fifo);
	if ((st.st_mode & 07777) != 0600)
		return check_says(k, "%.200s has mode %04o, must have 0600", fifo,
				  (unsigned)st.st_mode & 07777);
	return true;
}

static bool
logmask_runs(struct check *k)
{
	char fifo[1024];
	int fd;

	snprintf(fifo, sizeof(fifo), "%s/" INSTANCE_FIFO, k->side[CHECK_FRONT].config);
	if ((fd = open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) != -1) {
		close(fd);
		return true;
	}
	return errno != ENXIO ||
	       check_says(k, "nobody reads the front instance's log: start brevdue logmask; until "
			     "then each postfix command for it waits");
}

static bool
no_verbose(struct check *k)
{
	for (int i = 0; i < 2; i++)
		for (const char *at = k->side[i].services; (at = strstr(at, " -v")) != NULL; at++)
			if (strspn(at + 2, "v") == strcspn(at + 2, " \n"))
				return check_says(k,
						  "a service in master.cf of the %s instance "
						  "has -v: it logs content",
						  k->side[i].name);
	return true;
}

static bool
sending_has_no_port(struct check *k)
{
	return strstr(k->side[CHECK_SEND].services, " inet ") == NULL ||
	       check_says(k, "master.cf has an inet service: only the three unix services may take "
			     "mail");
}

static bool
sending_has_doors(struct check *k)
{
	static const char *const doors[] = { "seal", "mail", "report" };

	for (size_t i = 0; i < 3; i++) {
		size_t len = strlen(doors[i]);
		const char *at = k->side[CHECK_SEND].services;

		while (at != NULL && (strncmp(at, doors[i], len) != 0 || at[len] != ' '))
			at = (at = strchr(at, '\n')) == NULL ? NULL : at + 1;
		if (at == NULL)
			return check_says(k, "master.cf has no service %s", doors[i]);
	}
	return true;
}

/* Asks the instance's own transport table where a domain goes. */
static bool
goes_to_error(struct check *k, const struct check_instance *i, const char *domain)
{
	char maps[1024] = "";
	const char *argv[] = { "postmap", "-c", i->config, "-q", domain, maps, NULL };
	struct buf out = { 0 };
	struct bd_err e = { 0 };
	bool error;

	check_value(i, "transport_maps", maps, sizeof(maps));
	error = maps[0] != '\0' && tool_run(argv, &out, &e) == 0 &&
		strncmp(buf_str(&out), "error:", 6) == 0;
	buf_free(&out);
	return error || check_says(k,
				   "in the %s instance %s does not go to error: (transport_maps "
				   "is \"%.100s\"): plain text could pass the milter",
				   i->name, domain, maps);
}

static bool
citizens_go_nowhere(struct check *k)
{
	for (int i = 0; i < 2; i++) {
		for (size_t d = 0; d < k->conf->domain_count; d++)
			if (!goes_to_error(k, &k->side[i], k->conf->domains[d].name))
				return false;
		if (!goes_to_error(k, &k->side[i], ".brevdue.invalid"))
			return false;
	}
	return true;
}

static bool
sizes_fit(struct check *k)
{
	unsigned long front = number(&k->side[CHECK_FRONT], "message_size_limit");
	unsigned long send = number(&k->side[CHECK_SEND], "message_size_limit");

	if (front == 0 || front > k->conf->milter.message_size)
		return check_says(k, "message_size_limit of the front is %lu, the milter takes %zu",
				  front, k->conf->milter.message_size);
	if (send != 0 && send < instance_send_limit(k->conf))
		return check_says(k,
				  "message_size_limit of the sending instance is %lu, a sealed "
				  "letter may need %lu",
				  send, instance_send_limit(k->conf));
	return true;
}

static bool
mailboxes_fit(struct check *k)
{
	for (int i = 0; i < 2; i++) {
		unsigned long box = number(&k->side[i], "mailbox_size_limit");

		if (box != 0 && box < number(&k->side[i], "message_size_limit"))
			return check_says(k,
					  "mailbox_size_limit of the %s instance is below its "
					  "message_size_limit: it will not start",
					  k->side[i].name);
	}
	return true;
}

static bool
lifetimes_sane(struct check *k)
{
	const struct check_instance *i = &k->side[CHECK_SEND];
	unsigned long life = seconds(i, "maximal_queue_lifetime");

	if (life < 3600 || life > 5 * 86400)
		return check_says(k, "maximal_queue_lifetime is %lu s: an hour to five days", life);
	if (seconds(i, "minimal_backoff_time") > 900 || seconds(i, "queue_run_delay") > 900)
		return check_says(k, "minimal_backoff_time or queue_run_delay is above 15 minutes: "
				     "letters wait long after a provider is back");
	if (seconds(i, "lmtp_data_done_timeout") <= 120)
		return check_says(k, "lmtp_data_done_timeout must be above the transport's 120 s");
	return true;
}

static bool
timeouts_nest(struct check *k)
{
	return seconds(&k->side[CHECK_FRONT], "milter_content_timeout") >= 60 ||
	       check_says(k,
			  "milter_content_timeout is below 60 s: large letters would be cut off");
}

const struct check_row check_postfix_rows[] = {
	{ "front queue on a RAM disk", CHECK_WRONG, front_on_tmpfs, true },
	{ "ordinary mail kept", CHECK_WRONG, ordinary_not_volatile, true },
	{ "front log masked", CHECK_WRONG, log_is_masked, true },
	{ "logmask", CHECK_WRONG, logmask_runs, true },
	{ "no -v", CHECK_WRONG, no_verbose, true },
	{ "sending instance has no port", CHECK_WRONG, sending_has_no_port, true },
	{ "sending instance's services", CHECK_WRONG, sending_has_doors, true },
	{ "citizens' domains", CHECK_WRONG, citizens_go_nowhere, true },
	{ "size limits", CHECK_WRONG, sizes_fit, true },
	{ "mailbox size limits", CHECK_WRONG, mailboxes_fit, true },
	{ "lifetimes", CHECK_WRONG, lifetimes_sane, true },
	{ "milter time limits", CHECK_WRONG, timeouts_nest, true },
	{ NULL, CHECK_WRONG, NULL, false },
};
