/* SPDX-License-Identifier: Apache-2.0 */
/* The table of mails that killed readers. */
#include "config.h"
#include "milter/poison.h"

#include <string.h>

void
poison_init(struct poison *p)
{
	memset(p, 0, sizeof(*p));
	pthread_mutex_init(&p->lock, NULL);
}

unsigned
poison_note(struct poison *p, const uint8_t digest[SHA256_BYTES], int64_t now_ms)
{
	size_t at = POISON_ENTRIES, oldest = 0;
	unsigned deaths;

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < POISON_ENTRIES; i++) {
		if (p->entries[i].deaths > 0 && now_ms - p->entries[i].first_ms > POISON_TIME_MS)
			p->entries[i].deaths = 0;
		if (p->entries[i].deaths == 0)
			p->entries[i].first_ms = INT64_MIN;
		if (p->entries[i].deaths > 0 &&
		    memcmp(p->entries[i].digest, digest, SHA256_BYTES) == 0)
			at = i;
		if (p->entries[i].first_ms < p->entries[oldest].first_ms)
			oldest = i;
	}
	if (at == POISON_ENTRIES) {
		at = oldest;
		memcpy(p->entries[at].digest, digest, SHA256_BYTES);
		p->entries[at].first_ms = now_ms;
		p->entries[at].deaths = 0;
	}
	deaths = ++p->entries[at].deaths;
	pthread_mutex_unlock(&p->lock);
	return deaths;
}
