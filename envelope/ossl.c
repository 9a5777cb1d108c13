/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's error queue as a bd_err. */
#include "config.h"
#include "envelope/ossl.h"

#include <openssl/err.h>

int
ossl_fail(struct bd_err *e, enum bd_kind kind, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return bd_fail(e, kind, "%s: %s", what, reason != NULL ? reason : "no reason given");
}
