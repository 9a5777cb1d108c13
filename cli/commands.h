/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_CLI_COMMANDS_H
#define BD_CLI_COMMANDS_H

/* The subcommands; cli.h says what they get and return. */

struct cli;

int cmd_check(struct cli *cli, int argc, char **argv);
int cmd_letter(struct cli *cli, int argc, char **argv);
int cmd_letters(struct cli *cli, int argc, char **argv);
int cmd_lookup(struct cli *cli, int argc, char **argv);
int cmd_registry(struct cli *cli, int argc, char **argv);
int cmd_logmask(struct cli *cli, int argc, char **argv);
int cmd_open(struct cli *cli, int argc, char **argv);
int cmd_setup(struct cli *cli, int argc, char **argv);

#endif
