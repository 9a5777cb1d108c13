/* SPDX-License-Identifier: Apache-2.0 */
/* `brevdue letters` and `brevdue letter`: what the transport has recorded, asked over its control
 * socket. Opens no database. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "common/control.h"
#include "common/json.h"

#define TIMEOUT_MS 60000

static const char *
text_or_dash(json_t *o, const char *member)
{
	const char *text = json_text(o, member);

	return text != NULL && text[0] != '\0' ? text : "-";
}

static int
letter_print(void *arg, json_t *o)
{
	(void)arg;
	if (json_object_get(o, "mail") != NULL) {
		printf("mail %s  %lld of %lld letters  %s\n", text_or_dash(o, "mail"),
		       (long long)json_integer_value(json_object_get(o, "arrived")),
		       (long long)json_integer_value(json_object_get(o, "count")),
		       text_or_dash(o, "first"));
		return 0;
	}
	printf("%s  %-7s %-9s generation %d  %s  %s %s\n", text_or_dash(o, "letter"),
	       text_or_dash(o, "state"), text_or_dash(o, "status"),
	       (int)json_integer_value(json_object_get(o, "generation")), text_or_dash(o, "first"),
	       text_or_dash(o, "agency"), text_or_dash(o, "provider"));
	return 0;
}

/* An event: time, kind, then its other members as they are. */
static int
event_print(void *arg, json_t *o)
{
	const char *member;
	json_t *value;

	(void)arg;
	if (json_object_get(o, "letter") != NULL)
		return letter_print(NULL, o);
	printf("%s  %-8s", text_or_dash(o, "time"), text_or_dash(o, "kind"));
	json_object_foreach(o, member, value)
	{
		if (strcmp(member, "time") == 0 || strcmp(member, "kind") == 0)
			continue;
		if (json_is_integer(value))
			printf(" %s=%lld", member, (long long)json_integer_value(value));
		else if (json_is_string(value))
			printf(" %s=%s", member, json_string_value(value));
		else if (json_is_true(value))
			printf(" %s", member);
	}
	putchar('\n');
	return 0;
}

static int
ask(struct cli *cli, json_t *request, int (*line)(void *arg, json_t *answer))
{
	const struct conf *conf = cli_conf(cli);
	struct bd_err e = { 0 };
	int rc = CLI_FAILED;

	if (conf == NULL || request == NULL)
		rc = CLI_FAILED;
	else if (control_call(conf->transport.control, request, line, NULL, TIMEOUT_MS, &e) == -1)
		rc = cli_fail(text_or_dash(request, "verb"), &e);
	else
		rc = CLI_OK;
	json_decref(request);
	return rc;
}

int
cmd_letters(struct cli *cli, int argc, char **argv)
{
	if (argc > 2)
		return cli_usage("letters [open|unsure|sent|failed|parked|incomplete]");
	return ask(cli,
		   json_pack("{s:s, s:s*}", "verb", "letters", "state", argc == 2 ? argv[1] : NULL),
		   letter_print);
}

int
cmd_letter(struct cli *cli, int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "release") == 0)
		return ask(cli, json_pack("{s:s, s:s}", "verb", "release", "id", argv[2]),
			   event_print);
	if (argc != 2)
		return cli_usage("letter [release] ID");
	return ask(cli, json_pack("{s:s, s:s}", "verb", "letter", "id", argv[1]), event_print);
}
