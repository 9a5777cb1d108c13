/* SPDX-License-Identifier: Apache-2.0 */
/* `brevdue check`: goes through the tables and prints what does not hold; and --settings. */
#include "config.h"
#include "cli/check.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/tool.h"

bool
check_says(struct check *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->words, sizeof(k->words), fmt, ap);
	va_end(ap);
	return false;
}

static char *
postconf(const char *config, const char *flag)
{
	const char *argv[] = { "postconf", "-c", config, flag, NULL };
	struct buf out = { 0 };
	struct bd_err e = { 0 };
	char *text = NULL;

	if (tool_run(argv, &out, &e) == 0)
		text = strdup(buf_str(&out));
	buf_free(&out);
	return text;
}

static void
instance_read(struct check_instance *i)
{
	i->params = postconf(i->config, "-x");
	i->services = postconf(i->config, "-M");
	i->there = i->params != NULL && i->services != NULL && i->params[0] != '\0';
}

static void
setting_print(void *arg, const char *name, const char *type, const char *fallback, const char *help)
{
	(void)arg;
	printf("%-34s %-9s %-28s %s\n", name, type, fallback == NULL ? "-" : fallback, help);
}

struct tally {
	unsigned looked, wrong, notes;
	bool verbose;
};

static void
result(struct tally *t, struct check *k, const char *name, enum check_weight weight, bool holds)
{
	t->looked++;
	if (holds) {
		if (t->verbose)
			printf("ok     %s\n", name);
		return;
	}
	if (weight == CHECK_NOTE)
		t->notes++;
	else
		t->wrong++;
	printf("%s  %s: %s\n", weight == CHECK_NOTE ? "note " : "WRONG", name, k->words);
}

static void
rows_go(struct tally *t, struct check *k, const struct check_row *rows, bool postfix)
{
	for (; rows->name != NULL; rows++)
		if (!rows->needs_postfix || postfix)
			result(t, k, rows->name, rows->weight, rows->holds(k));
}

static void
all_go(struct tally *t, struct check *k)
{
	bool postfix = k->side[0].there && k->side[1].there;

	rows_go(t, k, check_key_rows, postfix);
	rows_go(t, k, check_system_rows, postfix);
	rows_go(t, k, check_way_rows, postfix);
	for (int i = 0; i < 2; i++) {
		char name[80];

		snprintf(name, sizeof(name), "%s instance", k->side[i].name);
		if (!k->side[i].there)
			check_says(k, "%s is not there: brevdue setup postfix makes it",
				   k->side[i].config);
		result(t, k, name, CHECK_WRONG, k->side[i].there);
	}
	if (!postfix)
		return;
	for (const struct check_param_row *p = check_params; p->name != NULL; p++) {
		char name[128];

		snprintf(name, sizeof(name), "%s %s", k->side[p->side].name, p->name);
		result(t, k, name, CHECK_WRONG, check_param_holds(k, p));
	}
	rows_go(t, k, check_postfix_rows, postfix);
	rows_go(t, k, check_listener_rows, postfix);
}

int
cmd_check(struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "settings", no_argument, NULL, 's' },
		{ "verbose", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	struct tally t = { 0 };
	struct check k = { 0 };
	int opt;

	while ((opt = getopt_long(argc, argv, "v", longs, NULL)) != -1) {
		if (opt == 's') {
			conf_settings(setting_print, NULL);
			return CLI_OK;
		}
		if (opt != 'v')
			return CLI_USAGE;
		t.verbose = true;
	}
	if (optind != argc)
		return cli_usage("check [--verbose] [--settings]");
	if ((k.conf = cli_conf(cli)) == NULL)
		return CLI_FAILED;
	k.side[CHECK_FRONT] = (struct check_instance){ .name = "front",
						       .config = k.conf->postfix.front_config,
						       .queue = k.conf->postfix.front_queue,
						       .data = k.conf->postfix.front_data };
	k.side[CHECK_SEND] = (struct check_instance){ .name = "sending",
						      .config = k.conf->postfix.send_config,
						      .queue = k.conf->postfix.send_queue,
						      .data = k.conf->postfix.send_data };
	for (int i = 0; i < 2; i++)
		instance_read(&k.side[i]);
	all_go(&t, &k);
	printf("%u checks, %u wrong, %u notes\n", t.looked, t.wrong, t.notes);
	for (int i = 0; i < 2; i++) {
		free(k.side[i].params);
		free(k.side[i].services);
	}
	return t.wrong == 0 ? CLI_OK : CLI_FAILED;
}
