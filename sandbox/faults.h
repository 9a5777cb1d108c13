/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SANDBOX_FAULTS_H
#define BD_SANDBOX_FAULTS_H

/*
 * The fault switches. They are in memory only: a restarted sandbox has none. Counts go down by one
 * with each call they spoil; -1 means every call until it is set to 0.
 */

#include <jansson.h>

#include "common/err.h"

struct faults {
	/* POST /dpi/messages/out */
	int delay_ms;
	int fail; /* answer fail_status this many times, before any processing */
	int fail_status;
	int cut_before; /* cut the connection, request read, not processed */
	int cut_after;  /* process, then cut instead of answering */
	int duplicate;  /* process, then answer 409 as for a used id */
	int failed;     /* accept, never deliver, status FEILET */
	/* elsewhere */
	int receipts_withheld; /* GET /dpi/messages/in lists nothing */
	int token_down;        /* POST /token answers 503 */
	int token_delay_ms;
	int register_down; /* the register answers 503 */
	int register_delay_ms;
};

struct fault_row { /* what the page and the JSON know of a switch */
	const char *name;
	size_t offset;
	int min, max;
	const char *words;
};

extern const struct fault_row fault_rows[];
extern const size_t fault_row_count;

void faults_clear(struct faults *f);
int faults_get(const struct faults *f, const struct fault_row *row);
/* Sets the members given, leaves the others. Nothing is changed on -1: unknown name, no integer,
 * out of range. */
int faults_set(struct faults *f, const json_t *object, struct bd_err *e);
json_t *faults_json(const struct faults *f);
/* Takes one from a count. 1 when the fault is to happen. */
int faults_take(int *count);

#endif
