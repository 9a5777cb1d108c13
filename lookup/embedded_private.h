/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_EMBEDDED_PRIVATE_H
#define BD_LOOKUP_EMBEDDED_PRIVATE_H

/*
 * What the two halves of the embedded register share. Tables: person_a and _b (five bytes of
 * number, codec.h's bytes), certificate_a and _b (four bytes of index, text), meta ("current":
 * version, generation, persons, time of import). Even generations lie in _a, odd ones in _b.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "lookup/embedded.h"
#include "store/kv.h"

#define EMBEDDED_PERSON_KEY_BYTES 5
#define EMBEDDED_CERT_KEY_BYTES 4

struct embedded {
	struct kv *kv;
	bool allow_synthetic;
	_Atomic uint32_t generation; /* that answers; raised right after the switch is committed */
	pthread_mutex_t importing;
};

const char *embedded_person_table(uint32_t generation);
const char *embedded_cert_table(uint32_t generation);
void embedded_person_key(unsigned char key[EMBEDDED_PERSON_KEY_BYTES], const char *id);
void embedded_cert_key(unsigned char key[EMBEDDED_CERT_KEY_BYTES], int64_t index);
int embedded_meta_read(struct kv *kv, struct kv_txn *t, struct embedded_info *info_r,
		       struct bd_err *e);
int embedded_meta_write(struct kv_txn *t, const struct embedded_info *info, struct bd_err *e);
/* Empties the tables that generation would use, in small transactions. */
int embedded_empty(struct kv *kv, uint32_t generation, struct bd_err *e);

#endif
