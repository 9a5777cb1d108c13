/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `brevdue check` asks of the front instance's listeners: the milter is on each, none undoes
 * by an option of its own what main.cf says, and a listener that stands for a client (design
 * promise 7) lets in listed certificates only. Looks at master.cf as postconf shows it, connects
 * nowhere.
 */
#include "config.h"
#include "cli/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_CHARS 1024

/* The value that a line of master.cf gives a parameter; false when it says nothing. */
static bool
option_value(const char *line, const char *name, char *out, size_t size)
{
	size_t len = strlen(name);
	bool found = false;

	for (const char *at = line; (at = strstr(at, " -o ")) != NULL;) {
		const char *end;
		bool braced;

		at += strlen(" -o ");
		braced = *at == '{';
		at += braced ? 1 : 0;
		if (strncmp(at, name, len) != 0 || at[len] != '=')
			continue;
		at += len + 1;
		if ((end = strstr(at, " -o ")) == NULL)
			end = at + strlen(at);
		if (braced && end > at && end[-1] == '}')
			end--;
		snprintf(out, size, "%.*s", (int)(end - at), at);
		found = true; /* the last one counts */
	}
	return found;
}

/* What holds on that listener: its own option, else main.cf. */
static void
effective(const struct check *k, const char *line, const char *name, char out[VALUE_CHARS])
{
	out[0] = '\0';
	if (!option_value(line, name, out, VALUE_CHARS))
		check_value(&k->side[CHECK_FRONT], name, out, VALUE_CHARS);
}

/* Calls row for each smtpd service of type inet with its line of master.cf. */
static bool
each_listener(struct check *k, bool (*row)(struct check *k, const char *line))
{
	char *copy = strdup(k->side[CHECK_FRONT].services), *save = NULL;
	bool holds = copy != NULL;

	for (char *line = holds ? strtok_r(copy, "\n", &save) : NULL; line != NULL && holds;
	     line = strtok_r(NULL, "\n", &save))
		if (strstr(line, " inet ") != NULL && strstr(line, " smtpd") != NULL)
			holds = row(k, line);
	free(copy);
	return holds;
}

static bool
listener_not_25(struct check *k, const char *line)
{
	size_t len = strcspn(line, " \t");
	bool public_port = (len == 2 && strncmp(line, "25", 2) == 0) ||
			   (len == 4 && strncmp(line, "smtp", 4) == 0) ||
			   (len > 3 && strncmp(line + len - 3, ":25", 3) == 0) ||
			   (len > 5 && strncmp(line + len - 5, ":smtp", 5) == 0);

	if (!public_port || strstr(line, "smtpd_milters") == NULL)
		return true;
	return check_says(k,
			  "the milter is on port 25 (%.*s): a milter that is down would stop all "
			  "mail from the Internet",
			  (int)len, line);
}

static bool
milter_only_on_hand_in(struct check *k)
{
	return each_listener(k, listener_not_25);
}

static bool
listener_has_milter(struct check *k, const char *line)
{
	return strstr(line, "smtpd_milters") != NULL ||
	       check_says(k, "the listener %.*s has no smtpd_milters", (int)strcspn(line, " \t"),
			  line);
}

static bool
milter_on_all_listeners(struct check *k)
{
	char value[1024] = "";

	check_value(&k->side[CHECK_FRONT], "smtpd_milters", value, sizeof(value));
	return value[0] != '\0' || each_listener(k, listener_has_milter);
}

static bool
listener_no_xclient(struct check *k, const char *line)
{
	return strstr(line, "xclient_hosts=") == NULL ||
	       check_says(k,
			  "the listener %.*s lets clients say that they are others "
			  "(smtpd_authorized_xclient_hosts): for tests only",
			  (int)strcspn(line, " \t"), line);
}

static bool
no_xclient(struct check *k)
{
	return each_listener(k, listener_no_xclient);
}

/* Rows that main.cf keeps are kept nowhere when a listener sets them otherwise. */
static bool
listener_keeps_rules(struct check *k, const char *line)
{
	for (const struct check_param_row *p = check_params; p->name != NULL; p++) {
		char value[VALUE_CHARS], words[sizeof(k->words)];

		if (p->side != CHECK_FRONT ||
		    strcmp(p->name, "smtpd_authorized_xclient_hosts") == 0)
			continue; /* that has a row of its own */
		if (!option_value(line, p->name, value, sizeof(value)) ||
		    check_value_holds(k, p, value))
			continue;
		snprintf(words, sizeof(words), "%s", k->words);
		return check_says(k, "the listener %.*s has an option of its own: %s %.300s",
				  (int)strcspn(line, " \t"), line, p->name, words);
	}
	return true;
}

static bool
listeners_keep_rules(struct check *k)
{
	return each_listener(k, listener_keeps_rules);
}

static bool
is_yes(const struct check *k, const char *line, const char *name)
{
	char value[VALUE_CHARS];

	effective(k, line, name, value);
	return strcmp(value, "yes") == 0;
}

/* "check_ccert_access ..., reject" and nothing that lets others in. */
static bool
certificates_only(const struct check *k, const char *line)
{
	char value[VALUE_CHARS], *save = NULL;
	const char *first = NULL, *last = NULL;

	effective(k, line, "smtpd_tls_security_level", value);
	if (strcmp(value, "encrypt") != 0 && !is_yes(k, line, "smtpd_tls_wrappermode"))
		return false;
	if (!is_yes(k, line, "smtpd_tls_req_ccert") && !is_yes(k, line, "smtpd_tls_ask_ccert"))
		return false;
	effective(k, line, "smtpd_client_restrictions", value);
	for (char *w = strtok_r(value, " ,\t", &save); w != NULL;
	     w = strtok_r(NULL, " ,\t", &save)) {
		if (strncmp(w, "permit", strlen("permit")) == 0)
			return false;
		first = first == NULL ? w : first;
		last = w;
	}
	return first != NULL && strcmp(first, "check_ccert_access") == 0 &&
	       strcmp(last, "reject") == 0;
}

/* How many listeners go by the name; -1 when one of them lets in sessions without a certificate. */
static int
listeners_named(struct check *k, const char *client, const char *name)
{
	char *copy = strdup(k->side[CHECK_FRONT].services), *save = NULL;
	int count = copy == NULL ? -1 : 0;

	for (char *line = count == 0 ? strtok_r(copy, "\n", &save) : NULL;
	     line != NULL && count >= 0; line = strtok_r(NULL, "\n", &save)) {
		char value[VALUE_CHARS];

		if (strstr(line, " inet ") == NULL || strstr(line, " smtpd") == NULL)
			continue;
		effective(k, line, "milter_macro_daemon_name", value);
		if (strcmp(value, name) != 0)
			continue;
		count = certificates_only(k, line) ? count + 1 : -1;
		if (count == -1)
			check_says(k,
				   "the listener %.*s stands for client %s, and lets in more than "
				   "listed certificates (docs/senders.md shows how it must be)",
				   (int)strcspn(line, " \t"), line, client);
	}
	free(copy);
	return count;
}

static bool
certificate_listeners(struct check *k)
{
	for (size_t i = 0; i < k->conf->client_count; i++) {
		const struct conf_client *client = &k->conf->clients[i];

		for (char **name = client->listeners; name != NULL && *name != NULL; name++) {
			int count = listeners_named(k, client->name, *name);

			if (count == 0)
				check_says(
				    k,
				    "no listener has milter_macro_daemon_name=%s, the name in "
				    "client %s",
				    *name, client->name);
			if (count <= 0)
				return false;
		}
	}
	return true;
}

const struct check_row check_listener_rows[] = {
	{ "milter not on port 25", CHECK_WRONG, milter_only_on_hand_in, true },
	{ "milter on each listener", CHECK_WRONG, milter_on_all_listeners, true },
	{ "no XCLIENT", CHECK_WRONG, no_xclient, true },
	{ "listeners keep the rules", CHECK_WRONG, listeners_keep_rules, true },
	{ "certificate listeners", CHECK_WRONG, certificate_listeners, true },
	{ NULL, CHECK_WRONG, NULL, false },
};
