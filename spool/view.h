/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SPOOL_VIEW_H
#define BD_SPOOL_VIEW_H

/*
 * What a letter's events say together: its state, and what an attempt may do now (design promise 3,
 * threats.md 1 and 5). Pure; the events are the truth, a view is never stored. Thread safe.
 */

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "common/encode.h"

#define VIEW_DEATHS_MAX 3 /* process deaths on one letter before it is parked */

enum view_state {
	VIEW_NONE,   /* never seen */
	VIEW_OPEN,   /* seen, certainly not sent */
	VIEW_UNSURE, /* an attempt has no known outcome: ask before sending */
	VIEW_SENT,   /* the service has taken it */
	VIEW_FAILED, /* ended, did not and will not reach the recipient */
	VIEW_PARKED  /* waits for the operator */
};

struct view {
	enum view_state state;
	unsigned generation;
	uint32_t events;     /* how many; the next one's sequence number */
	unsigned deaths;     /* attempts in a row that no outcome followed */
	int64_t first_ms;    /* wall time of the first event */
	int64_t ended_ms;    /* wall time at which the generation ended, 0 when it has not */
	bool confirmed;      /* the service gave its final status */
	bool has_package;    /* the package asked about was in an attempt ... */
	unsigned of_package; /* ... of this generation */
	char package[2 * SHA256_BYTES + 1];
	char instance[UUID_CHARS], conversation[UUID_CHARS];
	char agency[64], provider[16], driver[16], status[16];
};

enum view_verdict {
	VIEW_SEND,       /* send with the ids of the generation */
	VIEW_ASK,        /* ask the service first, then perhaps send with the same ids */
	VIEW_COPY,       /* the letter has been sent: say 250 */
	VIEW_AGAIN,      /* this very message has been dealt with: say 250 */
	VIEW_PARK,       /* a death too many: park it now */
	VIEW_STAY_PARKED /* parked already */
};

/* Adds the next event. package is the hex digest of the package at hand, or NULL. An event of an
 * unknown kind counts but changes nothing. */
void view_apply(struct view *v, const json_t *event, const char *package);

/*
 * What may be done with the package v was made for. *generation_r is the one to use: raised only
 * for another package (a message sealed anew) when the letter has ended failed, or has ended at all
 * longer ago than window_ms.
 */
enum view_verdict view_decide(const struct view *v, int64_t now_ms, int64_t window_ms,
			      unsigned *generation_r);

const char *view_state_name(enum view_state s); /* "open" */

#endif
