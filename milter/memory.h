/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_MEMORY_H
#define BD_MILTER_MEMORY_H

/*
 * Counts the plain text that all sessions hold together (milter.memory), so that many big mails at
 * once end in 451 4.3.1 and not in the kernel's killer. It counts, it allocates nothing. Thread
 * safe.
 */

#include <stdatomic.h>
#include <stddef.h>

#include "common/err.h"

struct memory {
	_Atomic size_t used;
	size_t limit; /* bytes */
};

/* What one message holds; { 0 } holds nothing. */
struct memory_share {
	struct memory *account;
	size_t held;
};

/* Takes bytes more for share; -1 with kind MEMORY above the limit, nothing is taken then. */
int memory_take(struct memory_share *share, size_t bytes, struct bd_err *e);
/* Gives back bytes, or all with memory_drop. Giving more than is held is a programming error. */
void memory_give(struct memory_share *share, size_t bytes);
void memory_drop(struct memory_share *share);

#endif
