/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_RATE_H
#define BD_MILTER_RATE_H

/*
 * Letters an hour for each line of the sender tables (design promise 7), so that a stolen password
 * or a mad program is stopped before it has written to everybody. A bucket for each line: it holds
 * an hour's letters and fills up again evenly. Counts are this gateway's own. Thread safe.
 */

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"

struct rate {
	pthread_mutex_t lock;
	struct rate_bucket *buckets; /* one for each line that has a limit */
	size_t count;
};

/* 0, or -1 with kind MEMORY. conf must outlive it. */
int rate_init(struct rate *r, const struct conf *c, struct bd_err *e);
void rate_clear(struct rate *r);
/* Takes letters for a line at now_ms (monotonic); -1 with kind RATE, nothing is taken then. A mail
 * of more letters than an hour's goes when the bucket is full. */
int rate_take(struct rate *r, const struct conf_sender *line, size_t letters, int64_t now_ms,
	      struct bd_err *e);
/* Gives back those that were not sent after all. */
void rate_give(struct rate *r, const struct conf_sender *line, size_t letters);

#endif
