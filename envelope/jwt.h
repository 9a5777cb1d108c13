/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_JWT_H
#define BD_ENVELOPE_JWT_H

/*
 * JWS compact serialisation, RS256 only (spec/dpi.md 1.11, RFC 7515, RFC 8725). Signing through the
 * signer; verifying with a key given or with x5c[0] whose chain the caller has checked. Thread
 * safe.
 */

#include <jansson.h>
#include <openssl/x509.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/signer.h"

#define JWT_MAX_BYTES ((size_t)256 << 10)

/* Header exactly {"x5c":[leaf],"alg":"RS256"}, or {"kid":..,"alg":..} when kid is given. Payload is
 * JSON text. */
int jwt_sign(const char *payload, size_t len, X509 *leaf, const char *kid, struct signer *signer,
	     const char *label, struct buf *jwt, struct bd_err *e);
/* Verifies with key; alg must be RS256, no crit, strict base64url, bounded. payload_r is a new
 * reference. */
int jwt_verify(const char *jwt, size_t len, EVP_PKEY *key, json_t **payload_r, struct bd_err *e);
/* The leaf of x5c, not yet trusted: check it, then jwt_verify with its key. */
X509 *jwt_leaf(const char *jwt, size_t len, struct bd_err *e);
json_t *jwt_header(const char *jwt, size_t len, struct bd_err *e);
/* Payload without verification, for a token whose verifier is somebody else. */
json_t *jwt_payload_unverified(const char *jwt, size_t len, struct bd_err *e);

#endif
