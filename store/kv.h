/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_STORE_KV_H
#define BD_STORE_KV_H

/*
 * Ordered key-value tables with transactions. kv_bdb.c is the only file that knows Berkeley DB
 * (threats.md 6: private environment, one owner with a lock beside it, recovery at every open,
 * checksums, synced commits, deadlock detector, checkpoints every minute or MB, old logs removed).
 * Keys and values are bytes; keys sort by memcmp. Thread safe.
 */

#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

struct kv;     /* an environment */
struct kv_txn; /* one transaction, used by one thread */

enum kv_result {
	KV_OK = 0,
	KV_NOT_FOUND = 1,
	KV_EXISTS = 2, /* kv_add: the key is there */
	KV_ERROR = -1
};

/* Before privileges are dropped: makes the folder dir for user when it is missing and we are root,
 * and its parent, root's own, when that is missing too. Does nothing else, and nothing when user is
 * NULL or we are not root. */
int kv_home_make(const char *dir, const char *user, struct bd_err *e);

/* Opens the environment in the absolute folder dir (0700, created) with the named tables
 * (NULL-ended). */
struct kv *kv_open(const char *dir, const char *const *tables, struct bd_err *e);
void kv_close(struct kv **kv);

/* Runs body in a transaction, again when it was chosen as a deadlock's victim (bounded), commits
 * (synced to disk) when it returns 0, aborts on -1. After -1 nothing of it is visible. body must
 * have no effects besides the transaction. Disk full is kind STORE_FULL. */
int kv_transact(struct kv *kv, int (*body)(struct kv_txn *t, void *arg, struct bd_err *e),
		void *arg, struct bd_err *e);

/* As kv_transact, but does not wait for the disk: what it commits is whole or not there after a
 * crash, and certainly there after the next kv_transact or kv_checkpoint. For bulk work that can be
 * done again, never for letter state. */
int kv_transact_lazy(struct kv *kv, int (*body)(struct kv_txn *t, void *arg, struct bd_err *e),
		     void *arg, struct bd_err *e);

/* txn may be NULL in kv_get: a read of its own. value is cleared first. */
enum kv_result kv_get(struct kv *kv, struct kv_txn *t, const char *table, const void *key,
		      size_t key_len, struct buf *value, struct bd_err *e);
/* Inside kv_transact only. An error, also a deadlock, must be passed on by the body (return -1). */
enum kv_result kv_put(struct kv_txn *t, const char *table, const void *key, size_t key_len,
		      const void *value, size_t value_len, struct bd_err *e);
enum kv_result kv_add(struct kv_txn *t, const char *table, const void *key, size_t key_len,
		      const void *value, size_t value_len,
		      struct bd_err *e); /* KV_EXISTS when the key is there */
enum kv_result kv_del(struct kv_txn *t, const char *table, const void *key, size_t key_len,
		      struct bd_err *e);

/* Calls row for every key >= from with the given prefix, in order, until it returns non-zero (which
 * kv_scan returns) or the end (0). -1 on error. t may be NULL. The row's memory is valid during the
 * call. */
int kv_scan(struct kv *kv, struct kv_txn *t, const char *table, const void *from, size_t from_len,
	    const void *prefix, size_t prefix_len,
	    int (*row)(void *arg, const void *key, size_t key_len, const void *value,
		       size_t value_len),
	    void *arg, struct bd_err *e);

int kv_checkpoint(struct kv *kv, struct bd_err *e);

#endif
