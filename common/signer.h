/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_SIGNER_H
#define BD_COMMON_SIGNER_H

/*
 * Signs SHA-256 digests by key label (RSASSA-PKCS1-v1_5, RFC 8017 8.2) in the signer child, which
 * alone holds the private keys, counts what it signs and logs the counts. signer_direct is the same
 * interface without a child, for tools and tests. Thread safe.
 */

#include <openssl/types.h>

#include "common/buf.h"
#include "common/encode.h"
#include "common/err.h"
#include "common/procs.h"

struct signer;

struct signer *signer_new(struct procs *p);  /* p must outlive it */
struct signer *signer_direct(EVP_PKEY *key); /* takes a reference; any label signs with it */
/* Appends the signature to sig. Kind SEAL on failure; a dead signer is restarted and asked once
 * more. */
int signer_sign(struct signer *s, const char *label, const uint8_t digest[SHA256_BYTES],
		struct buf *sig, struct bd_err *e);
void signer_free(struct signer **s);

/*
 * The child's life; only procs_child.c calls it. fd is a SOCK_SEQPACKET end over which connections
 * arrive (signer_private.h). Reads the keys as who it is, becomes user (privs_drop), says that it
 * is ready, and serves until the other end of fd is closed: 0. -1: a key could not be read or
 * privileges not given up.
 */
int signer_main(int fd, const char *user, const struct signer_key *keys, size_t count,
		struct bd_err *e);

#endif
