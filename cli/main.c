/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's command: finds the subcommand in the table and calls it. Holds no work of its own;
 * a new command is a file cli/<name>.c, a declaration in cli/commands.h and a row here.
 */
#include "config.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"

static int cmd_help(struct cli *cli, int argc, char **argv);

static const struct cli_command commands[] = {
	{ "setup", "makes the Postfix instances, makes keys", cmd_setup },
	{ "check", "says what is wrong with configuration, keys and Postfix", cmd_check },
	{ "registry", "the embedded register: import, list, show, remove", cmd_registry },
	{ "lookup", "how a letter to a person would go, and why", cmd_lookup },
	{ "letter", "the events of a letter; release lets a parked one go", cmd_letter },
	{ "letters", "the letters the transport knows, and their states", cmd_letters },
	{ "open", "opens a sealed message", cmd_open },
	{ "logmask", "keeps persons out of the front instance's log", cmd_logmask },
	{ "help", "this list", cmd_help },
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void
usage(FILE *out)
{
	fprintf(out, "usage: brevdue [-c FILE] COMMAND ...\n\n"
		     "  -c FILE     configuration (" CONF_DEFAULT_FILE ")\n"
		     "  -V          version\n\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(out, "  %-11s %s\n", commands[i].name, commands[i].help);
}

static int
cmd_help(struct cli *cli, int argc, char **argv)
{
	(void)cli;
	(void)argc;
	(void)argv;
	usage(stdout);
	return CLI_OK;
}

static const struct cli_command *
command_find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

int
main(int argc, char **argv)
{
	struct cli cli = { .conf_file = CONF_DEFAULT_FILE };
	const struct cli_command *command;
	int c, rc;

	setlocale(LC_CTYPE, "C.UTF-8");
	while ((c = getopt(argc, argv, "+c:hV")) != -1) {
		switch (c) {
		case 'c':
			cli.conf_file = optarg;
			break;
		case 'h':
			usage(stdout);
			return CLI_OK;
		case 'V':
			printf("%s %s\n", PACKAGE_NAME, PACKAGE_VERSION);
			return CLI_OK;
		default:
			usage(stderr);
			return CLI_USAGE;
		}
	}
	if (optind == argc) {
		usage(stderr);
		return CLI_USAGE;
	}
	if ((command = command_find(argv[optind])) == NULL) {
		fprintf(stderr, "brevdue: unknown command %s\n", argv[optind]);
		usage(stderr);
		return CLI_USAGE;
	}
	argc -= optind;
	argv += optind;
	optind = 1;
	rc = command->run(&cli, argc, argv);
	conf_free(&cli.conf);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("brevdue: standard output");
		rc = rc == CLI_OK ? CLI_FAILED : rc;
	}
	return rc;
}
