/* SPDX-License-Identifier: Apache-2.0 */
/* brevdue lookup: how a letter to a person would go, and why, in words. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "common/control.h"
#include "common/json.h"

#define TIMEOUT_MS 15000

static const struct {
	const char *route, *words;
} routes[] = {
	{ "digital", "goes to the digital mailbox" },
	{ "print", "is printed and posted" },
	{ "refuse", "cannot be sent: the sender gets 550 5.3.3" },
	{ "hold", "must wait: the sender's server gets 451 and tries again" },
};

static const char *
route_words(const char *route)
{
	for (size_t i = 0; route != NULL && i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(routes[i].route, route) == 0)
			return routes[i].words;
	return "gets an answer this program does not know";
}

static void
decision_print(const char *kind, const json_t *d)
{
	json_int_t row = json_integer_value(json_object_get(d, "row"));
	const char *provider = json_text(d, "provider"), *reason = json_text(d, "reason");
	json_t *notice;
	size_t i;

	printf("%s %s", kind, route_words(json_text(d, "route")));
	if (provider != NULL)
		printf(" at %s", provider);
	printf("\n    because %s", reason != NULL ? reason : "no reason was given");
	if (row > 0)
		printf(" (row %lld of the register's decision table)", (long long)row);
	putchar('\n');
	json_array_foreach(json_object_get(d, "notify"), i, notice)
	{
		const char *channel = json_string_value(notice);

		printf("    notice by %s\n",
		       channel != NULL && strcmp(channel, "mobile") == 0 ? "SMS" : "e-mail");
	}
	if (provider != NULL && json_text(d, "certificate") == NULL)
		printf("    but the mailbox's certificate cannot be read: letters would wait\n");
}

static int
print_answer(void *arg, json_t *answer)
{
	(void)arg;
	printf("for agency %s\n", json_text(answer, "agency"));
	decision_print("An important letter", json_object_get(answer, "important"));
	decision_print("A service message  ", json_object_get(answer, "service"));
	return 0;
}

int
cmd_lookup(struct cli *cli, int argc, char **argv)
{
	const char *agency = NULL;
	const struct conf *conf;
	struct bd_err e = { 0 };
	json_t *request;
	int c, rc;

	while ((c = getopt(argc, argv, "a:")) != -1) {
		if (c != 'a')
			return cli_usage("lookup [-a AGENCY] NUMBER");
		agency = optarg;
	}
	if (argc - optind != 1)
		return cli_usage("lookup [-a AGENCY] NUMBER");
	if ((conf = cli_conf(cli)) == NULL)
		return CLI_FAILED;
	request =
	    json_pack("{s:s, s:s, s:s*}", "verb", "decide", "id", argv[optind], "agency", agency);
	rc = control_call(conf->lookup.control, request, print_answer, NULL, TIMEOUT_MS, &e);
	json_decref(request);
	return rc == 0 ? CLI_OK : cli_fail("lookup", &e);
}
