/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_CLI_CLI_H
#define BD_CLI_CLI_H

/*
 * The frame of the operator's command, `brevdue [-c FILE] COMMAND ...`. A command is a function in
 * a file of its own (cli/<name>.c) and a row in main.c's table. It gets its own arguments with
 * argv[0] = its name, so getopt works (optind is 1 when it starts), writes results to standard
 * output, complaints to standard error through cli_fail, and returns an exit status. Single
 * threaded.
 */

#include <stddef.h>

#include "common/conf.h"
#include "common/err.h"

enum cli_status {
	CLI_OK = 0,
	CLI_FAILED = 1, /* the answer is no, or something did not work: said in words */
	CLI_USAGE = 2   /* the command line is wrong */
};

struct cli {
	const char *conf_file;
	struct conf *conf; /* NULL until cli_conf; main frees it */
};

struct cli_command {
	const char *name;
	const char *help; /* one line for `brevdue help` */
	int (*run)(struct cli *cli, int argc, char **argv);
};

/* The configuration, read at the first call. NULL: already complained; return CLI_FAILED. */
const struct conf *cli_conf(struct cli *cli);
/* Prints "brevdue <what>: <cause>" and returns CLI_FAILED. */
int cli_fail(const char *what, const struct bd_err *e);
/* Prints "usage: brevdue <text>" and returns CLI_USAGE. */
int cli_usage(const char *text);

#endif
