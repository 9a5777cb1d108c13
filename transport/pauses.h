/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_PAUSES_H
#define BD_TRANSPORT_PAUSES_H

/*
 * Short pauses in memory, by name (an access point, a provider behind it): after a Retry-After, and
 * a circuit breaker after failures in a row. While a pause lasts letters are answered 451 without a
 * call; Postfix keeps the clock (design promise 5). After it one caller tries while the others
 * wait. Time is given by the caller, so tests need no clock. Thread safe.
 */

#include <stdint.h>

#define PAUSE_FAILURES 5
#define PAUSE_FIRST_MS 5000
#define PAUSE_MAX_MS 120000 /* well below Postfix's first retry */
#define PAUSE_TRIAL_MS 20000

struct pauses;

struct pauses *pauses_new(void);
void pauses_free(struct pauses **p);
/* 0: go ahead; else how many ms the pause still lasts. */
int64_t pauses_left(struct pauses *p, const char *name, int64_t now_ms);
void pauses_success(struct pauses *p, const char *name);
void pauses_failure(struct pauses *p, const char *name, int64_t now_ms);
/* The service asked for it; at most PAUSE_MAX_MS are granted. */
void pauses_hold(struct pauses *p, const char *name, int64_t now_ms, int64_t ms);

#endif
