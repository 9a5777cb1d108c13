/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SPOOL_RECORDS_H
#define BD_SPOOL_RECORDS_H

/*
 * Letter records: append-only events through store/kv.h, every one synced before the call returns
 * (threats.md 1 rule 3). An event is JSON with "v", "t" (wall ms), "kind" and what the kind needs;
 * it never holds a number, name, address, title or other content. What reports need later stays
 * inside the sealed control record, kept as it came. Whoever writes about a letter holds its claim
 * (claims.h), so events of one letter are written by one thread at a time. Thread safe otherwise.
 *
 * Tables: events (letter id, sequence), sealed (letter id, generation), index ("driver/instance/
 * ID", "driver/conversation/ID", "mail/ID/LETTER", "queue/ID/LETTER" to the letter), open (letters
 * that wait for a final status), sets (sets.h).
 */

#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "common/buf.h"
#include "common/err.h"
#include "envelope/sealed.h"
#include "spool/view.h"

struct records;

struct records_letter { /* a sealed message at hand; all borrowed */
	const struct control_record *control;
	const char *queue;  /* Postfix's queue id or "" */
	const char *driver; /* name of the driver that will send */
	const void *sealed; /* the sealed control record as it came */
	size_t sealed_len;
};

struct records_attempt {
	enum view_verdict verdict;
	unsigned generation;
	bool first; /* nothing was known of the letter before */
	char instance[UUID_CHARS];
	char conversation[UUID_CHARS];
	struct view view; /* before the attempt */
};

/* secret is the agency's 32 bytes from which outward ids are derived. NULL on failure. */
struct records *records_open(const char *dir, const uint8_t secret[32], int64_t copy_window_ms,
			     struct bd_err *e);
void records_close(struct records **r);
/* For sets.h. Borrowed. */
struct kv *records_store(struct records *r);

/* Folds what is known, decides, and stores the outcome of the decision before it returns: queued
 * and intent for SEND and ASK; copy, again or parked otherwise. */
int records_begin(struct records *r, const struct records_letter *l,
		  struct records_attempt *attempt_r, struct bd_err *e);

/* Appends one event. data (may be NULL) gives the members besides v, t and kind; the reference
 * passes to the call. "sent" also opens the wait for a final status, a final "status" or "failed"
 * ends it. */
int records_add(struct records *r, const char *letter_id, const char *kind, json_t *data,
		struct bd_err *e);

/* 1 and the view, 0 when the letter is unknown, -1. package may be NULL. */
int records_view(struct records *r, const char *letter_id, const char *package, struct view *view_r,
		 struct bd_err *e);
/* Calls event for each of the letter's events in order until it returns non-zero. 1, 0 unknown, -1.
 */
int records_events(struct records *r, const char *letter_id,
		   int (*event)(void *arg, const json_t *ev), void *arg, struct bd_err *e);
/* Calls letter for every letter, in id order, until it returns non-zero. */
int records_each(struct records *r,
		 int (*letter)(void *arg, const char *letter_id, const struct view *v), void *arg,
		 struct bd_err *e);
/* The letters that wait for a final status, as letter calls. */
int records_waiting(struct records *r,
		    int (*letter)(void *arg, const char *letter_id, unsigned generation), void *arg,
		    struct bd_err *e);
/* Ends the wait without a final status. */
int records_wait_over(struct records *r, const char *letter_id, unsigned generation,
		      struct bd_err *e);
/* The letter an external id belongs to, what is "instance" or "conversation". 1, 0, -1. */
int records_find(struct records *r, const char *driver, const char *what, const char *id,
		 char letter_id_r[LETTER_ID_CHARS], struct bd_err *e);
/* The sealed control record as it came, for reports. 1, 0, -1. */
int records_sealed(struct records *r, const char *letter_id, unsigned generation, struct buf *out,
		   struct bd_err *e);

#endif
