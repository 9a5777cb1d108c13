/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_POISON_H
#define BD_MILTER_POISON_H

/*
 * Remembers mails on which a reader died or ran out of time: the third time within an hour the
 * same bytes are refused for good, or a client's retries would kill readers for days. A small table
 * of digests; the oldest entry makes room. Thread safe.
 */

#include <pthread.h>
#include <stdint.h>

#include "common/encode.h"

#define POISON_ENTRIES 64
#define POISON_DEATHS 3
#define POISON_TIME_MS (3600 * 1000)

struct poison {
	pthread_mutex_t lock;
	struct {
		uint8_t digest[SHA256_BYTES];
		int64_t first_ms;
		unsigned deaths;
	} entries[POISON_ENTRIES];
};

void poison_init(struct poison *p);
/* Notes one more death at now_ms (monotonic); returns how many there were within the hour. */
unsigned poison_note(struct poison *p, const uint8_t digest[SHA256_BYTES], int64_t now_ms);

#endif
