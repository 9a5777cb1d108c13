/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SPOOL_SETS_H
#define BD_SPOOL_SETS_H

/*
 * Which letters of a mail with several have come (design promise 2). Keeps no letter state and
 * sends nothing. A mail is known by its id, which follows from its letters, so a retry is the same
 * set; a letter counts by its number in the mail. Nothing in it names a person. Thread safe.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "store/kv.h"

struct set {
	const char *mail;
	unsigned arrived, count;
	int64_t first_ms; /* wall time at which the first letter came */
};

/* In the transaction that stores what became of a sealed message: number index of mail's count has
 * come. Again is nothing new. */
int sets_arrived(struct kv_txn *t, const char *mail, unsigned index, unsigned count,
		 const char *letter_id, int64_t now_ms, struct bd_err *e);

/* Judges the sets whose first letter came at before_ms or earlier; a bounded number at a time.
 * Calls changed, after it is stored, once for each that is incomplete, and once more for one of
 * those that has become complete since. */
int sets_check(struct kv *kv, int64_t before_ms, void (*changed)(void *arg, const struct set *s),
	       void *arg, struct bd_err *e);

/* The sets that were found incomplete and still are, in no order, until set returns non-zero. */
int sets_incomplete(struct kv *kv, int (*set)(void *arg, const struct set *s), void *arg,
		    struct bd_err *e);

#endif
