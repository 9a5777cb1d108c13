/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_XADES_H
#define BD_ENVELOPE_XADES_H

/*
 * META-INF/signatures.xml: one XAdES-BES signature over the files of a container (spec/dpi.md
 * 1.6.2). Made without the private key, which is in the signer; verified with xmlsec1 after our own
 * strict look at the structure. Thread safe.
 */

#include <libxml/tree.h>
#include <openssl/x509.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/signer.h"
#include "envelope/asice.h"
#include "envelope/cert.h"

/* Appends signatures.xml over the entries in their order. Kind SEAL. */
int xades_make(const struct asice_entry *entries, size_t count, const struct cert_chain *chain,
	       struct signer *signer, const char *label, struct buf *out, struct bd_err *e);

/* Verifies the container's signatures.xml: one RSA-SHA-256 signature that covers every file outside
 * META-INF but mimetype exactly once, by the certificate it names. roots NULL: the path is not
 * checked. *signer_r is the caller's. Kind DAMAGED. */
int xades_verify(const struct asice *a, X509_STORE *roots, X509 **signer_r, struct bd_err *e);

/* The parts of a signature of the one form we take; all borrowed from the document. */
struct xades_shape {
	xmlNode *signature;
	xmlNode *properties; /* SignedProperties */
	xmlAttr *properties_id;
	xmlNode *certificate; /* first X509Certificate, more may follow */
	const char *cert_digest_method;
	const char *cert_digest;
	const char *serial; /* of the certificate, decimal */
	const char *uris[ASICE_FILES_MAX];
	size_t uri_count;
};
/* For xades_verify: checks every element and algorithm. Kind DAMAGED. */
int xades_shape_read(xmlDoc *doc, struct xades_shape *s, struct bd_err *e);

#define XADES_C14N "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
#define XADES_C14N11 "http://www.w3.org/2006/12/xml-c14n11"
#define XADES_RSA_SHA256 "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
#define XADES_SHA256 "http://www.w3.org/2001/04/xmlenc#sha256"
#define XADES_SHA1 "http://www.w3.org/2000/09/xmldsig#sha1"
#define XADES_NS_ASIC "http://uri.etsi.org/02918/v1.2.1#"
#define XADES_NS_ASIC_OLD "http://uri.etsi.org/2918/v1.2.1#" /* as the schema has it */
#define XADES_NS_DSIG "http://www.w3.org/2000/09/xmldsig#"
#define XADES_NS_XADES "http://uri.etsi.org/01903/v1.3.2#"
#define XADES_PROPERTIES_TYPE "http://uri.etsi.org/01903#SignedProperties"

#endif
