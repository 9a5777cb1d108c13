/* SPDX-License-Identifier: Apache-2.0 */
/* Strict, bounded JSON over jansson. */
#include "config.h"
#include "common/json.h"

#include <string.h>

#define DEPTH_MAX 32

/* jansson bounds depth only at 2048: count brackets outside strings first. */
static int
depth_check(const char *text, size_t len, struct bd_err *e)
{
	int depth = 0, in_string = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = 0;
		} else if (c == '"')
			in_string = 1;
		else if (c == '{' || c == '[') {
			if (++depth > DEPTH_MAX)
				return bd_fail(e, BD_E_CONTENT, "JSON deeper than %d", DEPTH_MAX);
		} else if (c == '}' || c == ']')
			depth--;
	}
	return 0;
}

json_t *
json_parse(const void *data, size_t len, size_t max, struct bd_err *e)
{
	json_error_t error;
	json_t *value;

	if (len > max) {
		bd_fail(e, BD_E_CONTENT, "JSON of %zu bytes, at most %zu are taken", len, max);
		return NULL;
	}
	if (depth_check(data, len, e) == -1)
		return NULL;
	value = json_loadb(data, len, JSON_REJECT_DUPLICATES, &error);
	if (value == NULL) /* error.text may quote the input, which may be personal */
		bd_fail(e, BD_E_CONTENT, "not valid JSON at line %d, byte %d", error.line,
			error.position);
	return value;
}

const char *
json_text(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text != NULL && *text != '\0' ? text : NULL;
}

static int
append(const char *data, size_t len, void *arg)
{
	return buf_add(arg, data, len);
}

int
json_write(const json_t *value, int sorted, struct buf *out, struct bd_err *e)
{
	size_t flags = JSON_COMPACT | (sorted ? JSON_SORT_KEYS : 0);

	if (json_dump_callback(value, append, out, flags) == -1)
		return bd_fail(e, BD_E_MEMORY, "no memory for JSON");
	return 0;
}
