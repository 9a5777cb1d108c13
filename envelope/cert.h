/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_CERT_H
#define BD_ENVELOPE_CERT_H

/* Certificates: loading chains and roots, the checks of spec/dpi.md 1.19, organisation numbers
 * (SEID 1 and 2). Thread safe. */

#include <openssl/x509.h>

#include "common/encode.h"
#include "common/err.h"

#define ORGNR_CHARS 10 /* with NUL */

enum cert_use { CERT_SIGNS, CERT_RECEIVES }; /* digitalSignature; keyEncipherment */

struct cert_chain {
	X509 *leaf;
	STACK_OF(X509) * rest; /* issuing CA ... root, may be empty */
};

int cert_chain_load(const char *pem_file, struct cert_chain *chain_r,
		    struct bd_err *e); /* leaf first */
void cert_chain_clear(struct cert_chain *chain);
X509_STORE *cert_roots_load(const char *pem_file,
			    struct bd_err *e); /* roots and intermediates; caller frees */
/* base64 DER or PEM text, as registers hold it. */
X509 *cert_parse(const char *text, struct bd_err *e);
/* Validity now (clock_wall), path to roots (extra may hold intermediates, may be NULL), key usage,
 * RSA of 2048 bits at least. */
int cert_check(X509 *cert, STACK_OF(X509) * extra, X509_STORE *roots, enum cert_use use,
	       struct bd_err *e);
/* Nine digits by the order of 1.19 (2.5.4.97, 2.5.4.5, CN). 0 or -1. */
int cert_orgnr(X509 *cert, char out[ORGNR_CHARS]);
int cert_fingerprint(X509 *cert, uint8_t out[SHA256_BYTES]); /* SHA-256 of the DER */

#endif
