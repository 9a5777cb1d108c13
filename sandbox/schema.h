/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SANDBOX_SCHEMA_H
#define BD_SANDBOX_SCHEMA_H

/* Is a business message what its schema says? Types `digital` and `utskrift`, which senders may
 * send (spec/dpi.md 1.8 to 1.10, the published JSON schemas). Pure, thread safe. */

#include <jansson.h>

#include "common/err.h"

/* 0; -1 with "place: what is wrong" in e->cause (no values are quoted). type is "digital" or
 * "utskrift". */
int schema_check(const json_t *message, const char *type, struct bd_err *e);

#endif
