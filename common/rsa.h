/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_RSA_H
#define BD_COMMON_RSA_H

/* The one private-key operation brevdue needs. Thread safe. */

#include <openssl/types.h>

#include "common/buf.h"
#include "common/encode.h"
#include "common/err.h"

/* Appends the RSASSA-PKCS1-v1_5 signature (RFC 8017 8.2) over a SHA-256 digest. Kind SEAL. */
int rsa_sign(EVP_PKEY *key, const uint8_t digest[SHA256_BYTES], struct buf *sig, struct bd_err *e);

/* Reads an unencrypted PEM private key from a file that only its owner and group may read. RSA of
 * 2048 to 8192 bits. The caller frees. NULL: kind CONFIG and words. */
EVP_PKEY *rsa_key_load(const char *path, struct bd_err *e);

#endif
