/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_CLIENT_H
#define BD_LOOKUP_CLIENT_H

/*
 * Asking brevdue-lookup. Socketmap (netstrings, socketmap_table(5)): request "<map> <key>", answer
 * "OK <data>", "NOTFOUND ", "TEMP <reason>", "TIMEOUT <reason>" or "PERM <reason>". The batch
 * question is map "persons" with the JSON key
 * {"ids":["..."],"agency":"...","purpose":"letter"}, answered by the register's own shape
 * {"personer":[...]}. A question is sent and collected apart, so that the mail's body can arrive
 * meanwhile. One struct per asker; not thread safe.
 */

#include <stddef.h>

#include "common/conf.h"
#include "common/err.h"
#include "lookup/person.h"

#define LOOKUP_BATCH_MAX 1000

struct lookup_question;

/* Sends the question; ids need not be unique. timeout_ms is for sending, and again for collecting.
 * NULL with kind REGISTER when the daemon cannot be reached. */
struct lookup_question *lookup_ask(const char *socket, const char *agency, const char *const *ids,
				   size_t count, int timeout_ms, struct bd_err *e);
/* Waits for the answer, timeout_ms from now: hours may have passed since the question. When the
 * connection is lost, asks once anew. persons_r[i] belongs to ids[i] (each its own copy); a person
 * that failed has status UNKNOWN and id "". The identity answered must be the identity asked. -1
 * with kind REGISTER when the whole question failed. */
int lookup_collect(struct lookup_question *q, struct person *persons_r, size_t count,
		   struct bd_err *e);
void lookup_question_free(struct lookup_question **q);
/* One map question, as postmap -q does: 1 found (value appended), 0 not found, -1 error. */
struct buf;
int lookup_map(const char *socket, const char *map, const char *key, int timeout_ms,
	       struct buf *value, struct bd_err *e);

/*
 * Map "decision", key "AGENCY/important:NUMBER" or "AGENCY/service:NUMBER"; without "AGENCY/" no
 * agency's paper is taken into account. Value: {"route":"digital","row":6,"reason":"words",
 * "notify":["email"],"provider":"...","mailbox":"...","certificate":"hex SHA-256 of the DER"}; the
 * last three only with route digital.
 */
struct lookup_decision {
	char route[16]; /* route_name() */
	char provider[32];
	char mailbox[256];
	char certificate[65]; /* "" when it cannot be read */
};
/* The decision of now, to compare with that of a sealed letter. -1 with kind REGISTER. */
int lookup_decision(const char *socket, const char *agency, enum conf_kind kind, const char *id,
		    int timeout_ms, struct lookup_decision *out, struct bd_err *e);

#endif
