/* SPDX-License-Identifier: Apache-2.0 */
/* The table of fault switches and setting them. When they act is up to who owns the call. */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sandbox/faults.h"

#define MAX_DELAY_MS 600000
#define MAX_COUNT 1000000
#define ROW(member, low, high, text)                                      \
	{                                                                 \
#member, offsetof(struct faults, member), low, high, text \
	}

const struct fault_row fault_rows[] = {
	ROW(delay_ms, 0, MAX_DELAY_MS,
	    "Access point: wait this many milliseconds before each letter"),
	ROW(fail, -1, MAX_COUNT, "Access point: answer the next letters with an error status"),
	ROW(fail_status, 400, 599, "The error status for that"),
	ROW(cut_before, -1, MAX_COUNT, "Access point: read the letter, then cut the connection"),
	ROW(cut_after, -1, MAX_COUNT, "Access point: take the letter, then cut the connection"),
	ROW(duplicate, -1, MAX_COUNT,
	    "Access point: take the letter, then answer 409 (id used before)"),
	ROW(failed, -1, MAX_COUNT,
	    "Access point: accept the letter, then give it up (status FEILET)"),
	ROW(receipts_withheld, 0, 1, "Access point: list no receipts"),
	ROW(token_down, 0, 1, "Token endpoint: down (503)"),
	ROW(token_delay_ms, 0, MAX_DELAY_MS, "Token endpoint: wait this many milliseconds"),
	ROW(register_down, 0, 1, "Register: down (503)"),
	ROW(register_delay_ms, 0, MAX_DELAY_MS, "Register: wait this many milliseconds"),
};
const size_t fault_row_count = sizeof(fault_rows) / sizeof(fault_rows[0]);

static int *
slot(struct faults *f, const struct fault_row *row)
{
	return (int *)(void *)((char *)f + row->offset);
}

void
faults_clear(struct faults *f)
{
	*f = (struct faults){ .fail_status = 503 };
}

int
faults_get(const struct faults *f, const struct fault_row *row)
{
	int value;

	memcpy(&value, (const char *)f + row->offset, sizeof(value));
	return value;
}

static const struct fault_row *
row_named(const char *name)
{
	for (size_t i = 0; i < fault_row_count; i++)
		if (strcmp(fault_rows[i].name, name) == 0)
			return &fault_rows[i];
	return NULL;
}

int
faults_set(struct faults *f, const json_t *object, struct bd_err *e)
{
	struct faults next = *f;
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return bd_fail(e, BD_E_CONTENT, "an object of switches is wanted");
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		const struct fault_row *row = row_named(name);
		json_int_t n;

		if (row == NULL)
			return bd_fail(e, BD_E_CONTENT, "there is no switch \"%.40s\"", name);
		if (json_is_boolean(value))
			n = json_is_true(value);
		else if (json_is_integer(value))
			n = json_integer_value(value);
		else
			return bd_fail(e, BD_E_CONTENT, "%s: a number is wanted", name);
		if (n < row->min || n > row->max)
			return bd_fail(e, BD_E_CONTENT, "%s: from %d to %d", name, row->min,
				       row->max);
		*slot(&next, row) = (int)n;
	}
	*f = next;
	return 0;
}

json_t *
faults_json(const struct faults *f)
{
	json_t *object = json_object();

	for (size_t i = 0; i < fault_row_count; i++)
		json_object_set_new(object, fault_rows[i].name,
				    json_integer(faults_get(f, &fault_rows[i])));
	return object;
}

int
faults_take(int *count)
{
	if (*count == 0)
		return 0;
	if (*count > 0)
		--*count;
	return 1;
}
