/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_WORKERS_H
#define BD_COMMON_WORKERS_H

/*
 * A pool of reader workers. One call = one message: a descriptor (memfd, sealed against writes)
 * goes in with a short JSON of options, a descriptor (memfd) with the serialized letter or a
 * refusal comes back. A worker is replaced after uses_max messages, and when it dies or exceeds its
 * time. It costs that message kind READER. Thread safe; callers above the pool's size wait, at most
 * the call's own time.
 */

#include <stddef.h>

#include "common/err.h"
#include "common/procs.h"

struct workers;

struct workers *workers_new(struct procs *p, size_t size, unsigned uses_max);
/* *out_fd is the caller's to close. Kind READER when the worker died or ran out of time. */
int workers_call(struct workers *w, int in_fd, const char *options, int *out_fd, int timeout_ms,
		 struct bd_err *e);
void workers_free(struct workers **w);

/* For the worker executable: serves on fd (by convention 3) until end of file. handle gets the
 * message and options and returns a descriptor to send back (then closed), or -1 to end the
 * process. */
int workers_serve(int fd, int (*handle)(int in_fd, const char *options));

#endif
