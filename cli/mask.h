/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_CLI_MASK_H
#define BD_CLI_MASK_H

/*
 * Takes persons out of a line of Postfix's log: the whole local part of addresses at citizens'
 * domains, and every run of digits that holds a valid national number, also with a blank, dot or
 * hyphen after the birth date. Rather masks too much than too little. Pure, thread safe.
 */

#include <stddef.h>

#include "common/buf.h"

/* Appends the masked line (len bytes without its line end). domains ends with NULL. 0 or -1. */
int mask_line(const char *line, size_t len, const char *const *domains, struct buf *out);

#endif
