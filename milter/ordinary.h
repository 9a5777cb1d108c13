/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_ORDINARY_H
#define BD_MILTER_ORDINARY_H

/*
 * Ordinary mail on a volatile front instance (ordinary = resubmit, design promise 10): streamed to
 * the durable instance's "mail" service while it comes in, so that nothing is held here, and the
 * durable instance's answers become the client's. The content stays as it is, below one Received
 * line of the front instance, which the milter protocol hides from us. One thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "milter/submit.h"

struct ordinary;

/* env is used during the call only. Opens the transaction; *a is the answer to MAIL. As submit_open
 * for the rest. */
int ordinary_open(struct submit_pool *pool, const struct submit_envelope *env,
		  struct ordinary **o_r, struct submit_answer *a, struct bd_err *e);
int ordinary_rcpt(struct ordinary *o, const char *to, const char *args, struct submit_answer *a,
		  struct bd_err *e);
/* DATA and the Received line given (whole, with its CRLF). */
int ordinary_data(struct ordinary *o, const char *received, struct submit_answer *a,
		  struct bd_err *e);
/* value as the milter protocol gives it: lead is true when it holds its leading space. */
int ordinary_header(struct ordinary *o, const char *name, const char *value, bool lead,
		    struct bd_err *e);
int ordinary_eoh(struct ordinary *o, struct bd_err *e);
int ordinary_body(struct ordinary *o, const void *data, size_t len, struct bd_err *e);
int ordinary_end(struct ordinary *o, int64_t deadline_ms, struct submit_answer *a,
		 struct bd_err *e);
void ordinary_free(struct ordinary **o); /* an open transaction is cut; NULL is fine */

#endif
