/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_ORDINARY_H
#define BD_MILTER_ORDINARY_H

/*
 * Ordinary mail on a volatile front instance (ordinary = resubmit, design promise 10): its
 * recipients are kept until the end of the mail and then it goes as a whole to the durable
 * instance's "mail" service, whose answer becomes the client's. No connection is held before that,
 * or a few idle clients would hold them all. Knows no content. One thread at a time.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "milter/submit.h"

struct ordinary_recipient {
	char *to;   /* without <> */
	char *args; /* all of RCPT's parameters, joined by spaces */
};

/* { 0 } has no recipients; cleared with ordinary_clear. */
struct ordinary {
	struct ordinary_recipient *recipients;
	size_t count;
};

/* argv as libmilter gives it: "<address>", then ESMTP parameters. 0, or -1 with kind MEMORY. */
int ordinary_add(struct ordinary *o, char **argv, struct bd_err *e);
/*
 * Submits size bytes of fd, from its beginning. 0 with the answer in *a: to the final dot, or the
 * first refusal, before DATA if it is of the sender or of any recipient: all get the mail, or none.
 * -1 with kind QUEUE or BUSY when the connection is lost or late, the pool stays full, or *gone
 * became true before the final dot; deadline_ms is monotonic.
 */
int ordinary_send(const struct ordinary *o, struct submit_pool *pool,
		  const struct submit_envelope *env, int fd, size_t size, int64_t deadline_ms,
		  const atomic_bool *gone, struct submit_answer *a, struct bd_err *e);
void ordinary_clear(struct ordinary *o);

#endif
