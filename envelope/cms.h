/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_CMS_H
#define BD_ENVELOPE_CMS_H

/*
 * The two CMS shapes brevdue makes: envelopedData for mailboxes (spec/dpi.md 1.7) and
 * authEnvelopedData under a seal key (design.md 6). Thread safe.
 */

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "common/buf.h"
#include "common/err.h"
#include "envelope/sealed.h"

/* One KeyTransRecipientInfo with OAEP-SHA-256, AES-256-CBC, DER; appended to out. Kind SEAL. */
int cms_encrypt(const void *data, size_t len, X509 *recipient, struct buf *out, struct bd_err *e);
/* BER or DER, one or more recipients, OAEP or PKCS#1 v1.5, AES-256-CBC only. Kind DAMAGED. A wrong
 * key may only show as damaged content: OpenSSL answers a bad padding with a random key on purpose
 * (RFC 3218). */
int cms_decrypt(const void *cms, size_t len, X509 *recipient, EVP_PKEY *key, struct buf *out,
		struct bd_err *e);

/* AES-256-GCM, one KEKRecipientInfo with AES-256 key wrap named by key->id; appended to out. */
int cms_seal(const void *data, size_t len, const struct seal_key *key, struct buf *out,
	     struct bd_err *e);
/* The structure is checked before anything is decrypted. Kind NOT_SEALED. */
int cms_open(const void *cms, size_t len, const struct seal_keys *keys, struct buf *out,
	     struct bd_err *e);

#endif
