/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_MASKINPORTEN_H
#define BD_ENVELOPE_MASKINPORTEN_H

/*
 * Maskinporten tokens (RFC 7523 grant; spec/krr.md 13, spec/dpi.md 1.3). One fetch at a time per
 * key however many wait; kept until expires_in less a margin on the monotonic clock. New jti for
 * every grant. Never logs grant or token. Thread safe.
 */

#include <openssl/x509.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/signer.h"

struct maskinporten;

struct maskinporten *maskinporten_new(const struct conf *c, struct signer *signer);
/* The token for an agency and scope, appended to token. leaf signs (x5c). consumer is the
 * delegating organisation or NULL. fresh asks for a new one (after a 401). Kind AWAY when
 * temporary, CONFIG when the answer says we are set up wrongly. */
int maskinporten_token(struct maskinporten *m, const struct conf_agency *agency, X509 *leaf,
		       const char *scope, const char *consumer, bool fresh, struct buf *token,
		       struct bd_err *e);
void maskinporten_free(struct maskinporten **m);

#endif
