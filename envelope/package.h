/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_PACKAGE_H
#define BD_ENVELOPE_PACKAGE_H

/*
 * The document package, whole: letter -> manifest.xml -> ASiC-E with XAdES -> CMS for the mailbox,
 * and back. The parts are in manifest.h, xades.h, asice.h and cms.h (spec/dpi.md 1.5 to 1.7).
 * Thread safe.
 */

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/signer.h"
#include "envelope/cert.h"
#include "envelope/letter.h"

struct package_sender {
	const char *orgnr;              /* avsender: the data controller */
	const char *unit;               /* avsenderidentifikator, NULL */
	const char *invoice_reference;  /* fakturaReferanse, NULL */
	const char *label;              /* key label for the signer */
	const struct cert_chain *chain; /* of that key */
};

/* All for which package_make would refuse a letter for good: names, types, titles, counts, size.
 * Cheap, so that it can be asked for every letter of a mail before the first is sealed. */
int package_check(const struct letter *l, const char *mailbox, const char *language,
		  const struct package_sender *s, struct bd_err *e);

/* Signs and zips the letter: once for all recipients of the same mailbox address (the manifest
 * names it; NULL for print). */
int package_make(const struct letter *l, const char *mailbox, const char *language,
		 const struct package_sender *s, struct signer *signer, struct buf *asice,
		 struct bd_err *e);
/* Encrypts to the recipient certificate (spec/dpi.md 1.7). */
int package_encrypt(const struct buf *asice, X509 *recipient, struct buf *cms, struct bd_err *e);

/* The reverse, for the sandbox, brevdue open and tests. */
int package_decrypt(const void *cms, size_t len, X509 *recipient, EVP_PKEY *key, struct buf *asice,
		    struct bd_err *e);

struct package_entry {
	char *href, *mime, *title;
	struct buf data;
};
struct package_open {
	char *mailbox;      /* postkasseadresse, NULL for print */
	char *sender_orgnr; /* without the 0192: */
	char *unit;
	X509 *signer;                    /* who signed; verified against the roots when given */
	struct package_entry *documents; /* [0] main */
	size_t document_count;
};
/* Unzips, verifies digests, RSA signature, coverage of every file, the signer's chain (roots may be
 * NULL: chain not checked) and parses the manifest. Bounded: 300 entries, 128 MB. Kind DAMAGED on
 * any breach. */
int package_verify(const void *asice, size_t len, X509_STORE *roots, struct package_open *open_r,
		   struct bd_err *e);
void package_open_clear(struct package_open *o);

#endif
