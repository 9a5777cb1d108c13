/* SPDX-License-Identifier: Apache-2.0 */
/* What all commands share: reading the configuration once, and complaining in one form. */
#include "config.h"
#include "cli/cli.h"

#include <stdio.h>

const struct conf *
cli_conf(struct cli *cli)
{
	struct bd_err e = { 0 };

	if (cli->conf == NULL && (cli->conf = conf_load(cli->conf_file, &e)) == NULL)
		fprintf(stderr, "brevdue: %s\n", e.cause);
	return cli->conf;
}

int
cli_fail(const char *what, const struct bd_err *e)
{
	fprintf(stderr, "brevdue %s: %s\n", what, e->cause);
	return CLI_FAILED;
}

int
cli_usage(const char *text)
{
	fprintf(stderr, "usage: brevdue %s\n", text);
	return CLI_USAGE;
}
