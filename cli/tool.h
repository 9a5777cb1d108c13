/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_CLI_TOOL_H
#define BD_CLI_TOOL_H

/* Running other programs of the system (postconf, groupadd, diff) without a shell. Single threaded.
 */

#include <stdio.h>

#include "common/buf.h"
#include "common/err.h"

/* Runs argv and waits. output (may be NULL) gets what it wrote to standard output, 16 MB at most.
 * -1 with its last words of complaint when it could not run or ended other than 0. */
int tool_run(const char *const *argv, struct buf *output, struct bd_err *e);
/* Gives data to its standard input; its output goes to out. The exit status, or -1. */
int tool_feed(const char *const *argv, const void *data, size_t len, FILE *out);

#endif
