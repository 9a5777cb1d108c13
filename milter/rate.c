/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets of the sender tables' lines. */
#include "config.h"
#include "milter/rate.h"

#include <stdlib.h>

#define HOUR_MS 3600000.0

struct rate_bucket {
	const struct conf_sender *line;
	double tokens;
	int64_t filled_ms; /* 0: never used, full */
};

int
rate_init(struct rate *r, const struct conf *c, struct bd_err *e)
{
	size_t lines = 0;

	*r = (struct rate){ 0 };
	pthread_mutex_init(&r->lock, NULL);
	for (size_t i = 0; i < c->agency_count; i++)
		lines += c->agencies[i].sender_count;
	if ((r->buckets = calloc(lines + 1, sizeof(*r->buckets))) == NULL)
		return bd_fail(e, BD_E_MEMORY, "sender tables");
	for (size_t i = 0; i < c->agency_count; i++) {
		for (size_t n = 0; n < c->agencies[i].sender_count; n++) {
			const struct conf_sender *line = &c->agencies[i].senders[n];

			if (line->per_hour > 0)
				r->buckets[r->count++] =
				    (struct rate_bucket){ .line = line, .tokens = line->per_hour };
		}
	}
	return 0;
}

void
rate_clear(struct rate *r)
{
	free(r->buckets);
	r->buckets = NULL;
	r->count = 0;
}

static struct rate_bucket *
bucket_of(struct rate *r, const struct conf_sender *line)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->buckets[i].line == line)
			return &r->buckets[i];
	return NULL;
}

int
rate_take(struct rate *r, const struct conf_sender *line, size_t letters, int64_t now_ms,
	  struct bd_err *e)
{
	struct rate_bucket *b;
	double needed;
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	if ((b = bucket_of(r, line)) != NULL) {
		if (b->filled_ms != 0)
			b->tokens += (double)(now_ms - b->filled_ms) * line->per_hour / HOUR_MS;
		if (b->tokens > line->per_hour)
			b->tokens = line->per_hour;
		b->filled_ms = now_ms;
		needed = letters < line->per_hour ? (double)letters : line->per_hour;
		if (b->tokens < needed)
			rc = bd_fail(e, BD_E_RATE, "more than %u letters an hour for a sender",
				     line->per_hour);
		else
			b->tokens -= (double)letters; /* below zero after a very big mail */
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

void
rate_give(struct rate *r, const struct conf_sender *line, size_t letters)
{
	struct rate_bucket *b;

	pthread_mutex_lock(&r->lock);
	if ((b = bucket_of(r, line)) != NULL)
		b->tokens += (double)letters;
	pthread_mutex_unlock(&r->lock);
}
