/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_OPTIONS_H
#define BD_MILTER_OPTIONS_H

/*
 * The Brevdue-* headers of a mail (design section 4), checked: an unknown one or a bad value is
 * refused with the header's name, never ignored. Pure, thread safe.
 */

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "envelope/letter.h"

#define OPTIONS_REPEATS 10 /* spec/dpi.md 1.9 */

struct options { /* strings are borrowed from the letter; NULL, 0 or "" when not given */
	const char *public_title;
	int level;
	bool has_kind;
	enum conf_kind kind;
	const char *language;
	char effective[RFC3339_CHARS]; /* in the future, else "" */
	const char *sms_text, *email_text;
	int repeats[OPTIONS_REPEATS];
	size_t repeat_count;
	const char *invoice_reference, *unit;
};

/* -1 with kind CONTENT and the header's name in e->detail. now is wall time. */
int options_read(const struct letter *l, time_t now, struct options *o, struct bd_err *e);
/* Midnight in Norway at the start of the day "2030-01-02" as RFC 3339 in UTC. 0 or -1. */
int options_norwegian_midnight(const char *date, time_t *when_r);

#endif
