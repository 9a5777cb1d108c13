/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_ASKER_H
#define BD_LOOKUP_ASKER_H

/*
 * The database thread: takes questions from the loop, asks the register, makes the answers and
 * gives them back. The loop never waits for it: a descriptor says when answers are there.
 */

#include <stdint.h>

#include "common/buf.h"
#include "common/conf.h"
#include "lookup/question.h"
#include "lookup/registry.h"

struct asker;

struct asker_job {
	struct asker_job *next;
	uint64_t conn; /* the loop's name for who waits */
	char user[64];
	struct question question;
	const char *status; /* "OK" or "TEMP" */
	struct buf answer;
};

/* conf and register must outlive it; secret is copied. */
struct asker *asker_start(const struct conf *c, struct registry r, const uint8_t secret[32],
			  struct bd_err *e);
int asker_fd(const struct asker *a); /* readable when asker_take has something */
/* Hands a job over; it comes back through asker_take. */
void asker_give(struct asker *a, struct asker_job *job);
struct asker_job *asker_take(struct asker *a); /* NULL: none */
void asker_job_free(struct asker_job **job);
/* Waits for the question under way; jobs not begun are dropped. */
void asker_stop(struct asker **a);

#endif
