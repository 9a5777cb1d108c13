/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_CLOCK_H
#define BD_COMMON_CLOCK_H

/*
 * Monotonic time for waits and deadlines, wall time for what is written into documents, and the
 * date-time forms of the specifications. Tests set the wall clock. Thread safe but for
 * clock_set_wall.
 */

#include <stdint.h>
#include <time.h>

int64_t clock_ms(void);          /* monotonic milliseconds */
int64_t clock_wall_ms(void);     /* milliseconds since 1970 UTC */
time_t clock_wall(void);         /* seconds since 1970 UTC */
void clock_set_wall(time_t now); /* tests only; 0 gives the real clock back */

#define RFC3339_CHARS 32
/* "2030-01-02T10:00:00.123Z" */
void clock_rfc3339(char out[RFC3339_CHARS], int64_t wall_ms);
/* Parses the three date-time shapes of spec/krr.md 3 rule 5. 0, or -1 for anything else. */
int clock_parse(const char *text, time_t *when_r);
/* months calendar months before now, day clamped to the month's end (spec/krr.md 4), in UTC. */
time_t clock_months_before(time_t now, int months);

#endif
