/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SANDBOX_PKI_H
#define BD_SANDBOX_PKI_H

/*
 * The sandbox's own certificate world in its folder: a test root and intermediate, one
 * virksomhetssertifikat for each party (SEID 2, spec/dpi.md 1.19), Maskinporten's signing key.
 * Made when missing or no longer valid, else loaded. Immutable once open, so thread safe.
 */

#include <stdbool.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "common/err.h"
#include "common/signer.h"
#include "envelope/cert.h"

enum pki_who {
	PKI_AGENCY,    /* the agency under test */
	PKI_OTHER,     /* a second agency, for what must be refused */
	PKI_PROCESSOR, /* databehandler: may send for the agency */
	PKI_DIGIPOST,
	PKI_EBOKS,
	PKI_PRINT,
	PKI_PARTIES
};

struct pki_party {
	const char *file;  /* base name of .pem and .key in the folder */
	const char *name;  /* as in the certificate's subject */
	const char *orgnr; /* nine digits */
	bool provider;
	X509 *cert;
	X509 *expired; /* providers only: same key, past validity */
	EVP_PKEY *key;
	struct signer *signer; /* of key */
};

struct pki {
	struct pki_party party[PKI_PARTIES];
	X509_STORE *roots;   /* what trust.pem holds */
	EVP_PKEY *token_key; /* Maskinporten's */
	char token_kid[17];  /* key id in tokens and in /jwk */
	struct signer *token_signer;
	EVP_PKEY *client_key; /* registered for the client that signs with a kid */
};

/* dir exists. Prints a line for each thing it makes when say is set. NULL with the reason in e. */
struct pki *pki_open(const char *dir, bool say, struct bd_err *e);
void pki_free(struct pki **p);
/* NULL when no party has that number. */
const struct pki_party *pki_find(const struct pki *p, const char *orgnr);
/* Base64 DER on one line, as registers hold certificates. Appends; 0 or -1. */
int pki_cert_text(X509 *cert, struct buf *out);

#endif
