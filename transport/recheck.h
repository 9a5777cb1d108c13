/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_RECHECK_H
#define BD_TRANSPORT_RECHECK_H

/* Does the register still say what it said when the letter was sealed? Asked when an attempt comes
 * long after the sealing (design section 10). Thread safe. */

#include "common/conf.h"
#include "common/err.h"
#include "envelope/sealed.h"
#include "lookup/client.h"

/* Asks the lookup daemon. 1: same route, provider, mailbox and certificate; 0: the letter must not
 * be sent; -1: no usable answer (kind REGISTER). */
int recheck(const struct conf *conf, const struct control_record *c, int timeout_ms,
	    struct bd_err *e);
/* The comparison alone, pure. */
int recheck_compare(const struct control_record *c, const struct lookup_decision *now,
		    struct bd_err *e);

#endif
