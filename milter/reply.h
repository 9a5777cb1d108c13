/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_REPLY_H
#define BD_MILTER_REPLY_H

/*
 * From an error to what the MTA is told: SMTP code, enhanced code, text in the configured language
 * and the verdict, all from the one table of common/err.h, so that code and verdict cannot
 * disagree (a 451 text returned with a rejection reaches the sender as a bare 550, observed).
 * Pure, thread safe.
 */

#include <stddef.h>

#include "common/err.h"

enum verdict {
	VERDICT_CONTINUE,
	VERDICT_ACCEPT,
	VERDICT_DISCARD,
	VERDICT_REJECT,
	VERDICT_TEMPFAIL
};

#define REPLY_TEXT_CHARS 400

struct reply {
	int code;
	char status[12];
	char text[REPLY_TEXT_CHARS]; /* one line of printable ASCII, no doubling of % yet */
	enum verdict verdict;        /* REJECT or TEMPFAIL */
};

/* position is the recipient's number in the mail when it is one of several, else 0. */
void reply_from_error(struct reply *r, const struct bd_err *e, const char *language,
		      unsigned position);
/* An answer of another MTA handed on; anything but 4xx and 5xx becomes 451. 421 would end the
 * session by milter rules of its own: it becomes 451. */
void reply_from_answer(struct reply *r, int code, const char *status, const char *text);
/* Doubles every % for smfi_setreply, which eats single ones (observed). out holds 2 * in. */
void reply_double_percent(char *out, size_t size, const char *text);

#endif
