/* SPDX-License-Identifier: Apache-2.0 */
/* The driver that takes every letter and sends it nowhere: for tests and trying out. */
#include "config.h"
#include "transport/driver.h"

#include <stdio.h>

static int
null_open(void **self_r, const struct driver_env *env, struct bd_err *e)
{
	(void)env;
	(void)e;
	*self_r = NULL;
	return 0;
}

static enum driver_result
null_send(void *self, const struct driver_letter *l, struct driver_note *note_r, struct bd_err *e)
{
	(void)self;
	(void)l;
	(void)e;
	*note_r = (struct driver_note){ .code = 0 };
	return DRIVER_DONE;
}

/* It remembers nothing, so it cannot have the letter: sending again does no harm. */
static enum driver_found
null_query(void *self, const struct driver_query *q, struct driver_note *note_r, struct bd_err *e)
{
	(void)self;
	(void)q;
	(void)e;
	*note_r = (struct driver_note){ .final = true };
	snprintf(note_r->status, sizeof(note_r->status), "SENDT");
	return DRIVER_ABSENT;
}

static void
null_close(void **self)
{
	*self = NULL;
}

const struct driver_ops driver_null = {
	.name = "null",
	.open = null_open,
	.send = null_send,
	.query = null_query,
	.close = null_close,
};
