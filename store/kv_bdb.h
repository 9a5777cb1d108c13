/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_STORE_KV_BDB_H
#define BD_STORE_KV_BDB_H

/* What the two halves of the Berkeley DB backend share: kv_bdb.c (environment, transactions) and
 * kv_bdb_table.c (reading and writing). Nobody else includes this. */

#include <db.h>
#include <pthread.h>
#include <stdbool.h>

#include "common/err.h"
#include "store/kv.h"

#define KV_TABLES_MAX 16
#define KV_ATTEMPTS 20 /* of one transaction or read that others keep in a deadlock */

struct kv {
	DB_ENV *env;
	char *dir;
	const char *names[KV_TABLES_MAX]; /* the caller's */
	DB *tables[KV_TABLES_MAX];
	size_t table_count;
	int lock_fd;
	bool opened; /* from here on a panic ends the process */
	pthread_t keeper;
	bool has_keeper;
	bool stopping;
	pthread_mutex_t lock; /* of stopping */
	pthread_cond_t wake;
};

struct kv_txn {
	struct kv *kv;
	DB_TXN *txn;
	bool deadlocked; /* chosen as victim: abort, try again */
};

/* Fills e from Berkeley DB's number and returns -1. Does not return when the environment is broken
 * (DB_RUNRECOVERY): ends the process, whose next start recovers. */
int kv_bdb_fail(const struct kv *kv, int error, struct bd_err *e, const char *doing);
bool kv_bdb_is_deadlock(int error);
/* Waits a moment, longer and less predictable with each attempt. */
void kv_bdb_pause(int attempt);

#endif
