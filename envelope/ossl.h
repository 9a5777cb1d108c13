/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_OSSL_H
#define BD_ENVELOPE_OSSL_H

/* OpenSSL's error queue as a bd_err. Thread safe (the queue is per thread). */

#include "common/err.h"

/* Fails with "what: reason of the last OpenSSL error" and empties the queue. Always -1. Reasons are
 * OpenSSL's constant texts: no data of ours gets into the log this way. */
int ossl_fail(struct bd_err *e, enum bd_kind kind, const char *what);

#endif
