/* SPDX-License-Identifier: Apache-2.0 */
/* The account of plain text held by all sessions together. */
#include "config.h"
#include "milter/memory.h"

#include <assert.h>

int
memory_take(struct memory_share *share, size_t bytes, struct bd_err *e)
{
	struct memory *m = share->account;
	size_t used = atomic_load(&m->used);

	do {
		if (used > m->limit || bytes > m->limit - used)
			return bd_fail(e, BD_E_MEMORY,
				       "milter.memory: %zu bytes held, %zu more asked, limit %zu",
				       used, bytes, m->limit);
	} while (!atomic_compare_exchange_weak(&m->used, &used, used + bytes));
	share->held += bytes;
	return 0;
}

void
memory_give(struct memory_share *share, size_t bytes)
{
	assert(bytes <= share->held);
	share->held -= bytes;
	if (bytes > 0)
		atomic_fetch_sub(&share->account->used, bytes);
}

void
memory_drop(struct memory_share *share)
{
	memory_give(share, share->held);
}
