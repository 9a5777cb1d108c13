/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_WORK_H
#define BD_MILTER_WORK_H

/*
 * Runs a long job on a helper thread while the caller's own thread tells the MTA that we still
 * work: libmilter's calls belong to the callback's thread (threats.md 2, time limits), and the
 * job's waits (register, reader, signer, queue) know nothing of an MTA.
 */

#include <stdatomic.h>
#include <stdbool.h>

#include "common/err.h"

#define WORK_TICK_MS 1000

/* Runs job(arg) to its end. Calls tick(tick_arg) about every WORK_TICK_MS from this thread; when it
 * returns -1 the MTA is gone and *gone becomes true, which the job looks at between its steps.
 * 0, or -1 with kind MEMORY when no thread could be had (the job has then not run). */
int work_run(void (*job)(void *arg), void *arg, int (*tick)(void *tick_arg), void *tick_arg,
	     atomic_bool *gone, struct bd_err *e);

#endif
