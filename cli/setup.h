/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_CLI_SETUP_H
#define BD_CLI_SETUP_H

/* The parts of `brevdue setup`; they are commands like the others (cli.h). */

#include "cli/cli.h"

int setup_postfix(struct cli *cli, int argc, char **argv);
int setup_keys(struct cli *cli, int argc, char **argv);

#endif
