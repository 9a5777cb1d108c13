/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SANDBOX_SANDBOX_H
#define BD_SANDBOX_SANDBOX_H

/*
 * What the sandbox's parts share. The certificates, the register and the settings are immutable
 * once the server runs; everything else is under the one lock. Nobody decrypts, verifies or sleeps
 * while holding it. All data is synthetic, so plain files (0600) are fine here; brevdue's daemons
 * share none of this.
 */

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "common/err.h"
#include "sandbox/faults.h"
#include "sandbox/pki.h"

struct sandbox {
	const char *dir;  /* absolute */
	char url[128];    /* http://127.0.0.1:8080, no final slash */
	char issuer[136]; /* url with it */
	unsigned token_life_sec;
	struct pki *pki;
	json_t *persons;    /* array as the register answers it, "now-30d" made dates */
	json_t *by_id;      /* the same persons by number */
	json_t *by_mailbox; /* and by "provider/address" */

	sem_t openers; /* letters being decrypted at a time: each takes several times its size */

	pthread_mutex_t lock;
	json_t *used_jti;    /* jti -> exp of grants, until they expire */
	json_t *messages;    /* instanceIdentifier -> message, oldest first */
	json_t *in_progress; /* ids being checked right now */
	json_t *receipts;    /* the receipt's own id -> receipt, oldest first */
	int64_t sequence;    /* of messages and receipts, so that a restart keeps the order */
	struct faults faults;
	json_t *calls;  /* the last ones, oldest first */
	json_t *counts; /* "POST /token" -> {"calls":n,"200":n} */
};

/* "2030-01-02T10:00:00.123Z" of now as a new JSON string. */
json_t *sandbox_now(void);
void sandbox_sleep_ms(int ms);
/* The value is a UUID in the usual 36 characters. */
bool sandbox_is_uuid(const char *text);

#endif
