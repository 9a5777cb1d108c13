/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SANDBOX_REGISTER_H
#define BD_SANDBOX_REGISTER_H

/* The contact register's face (spec/krr.md 1 to 7, spec/dpi.md 1.2). */

#include <stdbool.h>
#include <jansson.h>

#include "common/err.h"
#include "sandbox/sandbox.h"

/*
 * Reads file ({"personer":[...]}, see docs) into sb->persons: dates "now-30d" and "now-19mo" are
 * counted from now, a `sertifikat` that is a provider's number becomes that provider's certificate
 * ("984661185:expired" one past its validity). Writes the result to DIR/persons.json, in the
 * register's own shape. NULL file: the persons of sandbox/persons.json, built in.
 */
int register_open(struct sandbox *sb, const char *file, struct bd_err *e);
/* A person has this mailbox at this provider. */
bool register_has_mailbox(const struct sandbox *sb, const char *provider, const char *address);

#endif
