/* SPDX-License-Identifier: Apache-2.0 */
/* `brevdue setup WHAT`: finds what is to be set up. */
#include "config.h"
#include "cli/setup.h"

#include <string.h>

#include "cli/commands.h"

static const struct cli_command parts[] = {
	{ "postfix", "", setup_postfix },
	{ "keys", "", setup_keys },
};

int
cmd_setup(struct cli *cli, int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strcmp(parts[i].name, argv[1]) == 0)
			return parts[i].run(cli, argc - 1, argv + 1);
	return cli_usage("setup postfix [--dry-run] [--yes] [--mount] [--undo]\n"
			 "       brevdue setup keys DIR");
}
