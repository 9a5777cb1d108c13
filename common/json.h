/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_JSON_H
#define BD_COMMON_JSON_H

/* Small helpers over jansson: strict, bounded parsing and typed members with a clear error. Thread
 * safe. */

#include <stddef.h>
#include <jansson.h>

#include "common/buf.h"
#include "common/err.h"

/* Parses an object or array; refuses duplicate members, more than max bytes, depth over 32. New
 * reference or NULL. */
json_t *json_parse(const void *data, size_t len, size_t max, struct bd_err *e);
/* The string member, or NULL when absent, null, "" or of another type. Borrowed. */
const char *json_text(const json_t *object, const char *member);
/* Compact, sorted when sorted is set; appended to out. */
int json_write(const json_t *value, int sorted, struct buf *out, struct bd_err *e);

#endif
