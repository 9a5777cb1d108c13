/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verifies signatures.xml with xmlsec1, once xades_shape.c has found it to be of the one form. Its
 * references lead to the container's files in memory and nowhere else: xmlsec1's own ways to files
 * and networks are removed. Process-wide state of libxml2 and xmlsec1 is set here, once.
 */
#include "config.h"
#include "envelope/xades.h"

#include <libxml/parser.h>
#include <libxml/xmlIO.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xmlsec/xmlsec.h>
#include <xmlsec/errors.h>
#include <xmlsec/io.h>
#include <xmlsec/transforms.h>
#include <xmlsec/xmldsig.h>
#include <xmlsec/openssl/crypto.h>
#include <xmlsec/openssl/evp.h>

#include "common/encode.h"
#include "envelope/xml.h"

#define CERTIFICATES_MAX 10
#define CERTIFICATE_MAX_BYTES ((size_t)64 << 10)

/* xmlsec1's callbacks have no argument of ours; a verification stays on its thread. */
static _Thread_local const struct asice *readable;

struct reading {
	const struct asice_file *file;
	size_t at;
};

static int
file_match(const char *uri)
{
	return readable != NULL && asice_find(readable, uri) != NULL;
}

static void *
file_open(const char *uri)
{
	struct reading *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->file = asice_find(readable, uri);
	return r;
}

static int
file_read(void *arg, char *to, int len)
{
	struct reading *r = arg;
	size_t left = r->file->data.len - r->at;
	size_t n = (size_t)len < left ? (size_t)len : left;

	if (n > 0)
		memcpy(to, r->file->data.data + r->at, n);
	r->at += n;
	return (int)n;
}

static int
file_close(void *arg)
{
	free(arg);
	return 0;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_ready;

static void
libraries_init(void)
{
	xmlInitParser();
	if (xmlSecInit() < 0 || xmlSecOpenSSLInit() < 0)
		return;
	xmlSecErrorsDefaultCallbackEnableOutput(0); /* it would write to stderr past our log */
	xmlSecIOCleanupCallbacks();
	xmlCleanupInputCallbacks();
	is_ready = xmlSecIORegisterCallbacks(file_match, file_open, file_read, file_close) == 0;
}

static X509 *
certificate_read(const xmlNode *node, struct bd_err *e)
{
	struct buf der = { .max = CERTIFICATE_MAX_BYTES };
	const char *text = xml_value(node);
	const unsigned char *at;
	X509 *cert = NULL;

	/* white space: Java leaves carriage returns in it */
	if (base64_decode(&der, text, strlen(text), 1) == 0 && der.len > 0) {
		at = der.data;
		cert = d2i_X509(NULL, &at, (long)der.len);
		if (cert != NULL && at != der.data + der.len) {
			X509_free(cert);
			cert = NULL;
		}
	}
	if (cert == NULL)
		bd_fail(e, BD_E_DAMAGED, "signature: a certificate cannot be read");
	ERR_clear_error();
	buf_free(&der);
	return cert;
}

static int
chain_read(const struct xades_shape *s, struct cert_chain *chain, struct bd_err *e)
{
	const xmlNode *node = s->certificate;

	if ((chain->leaf = certificate_read(node, e)) == NULL)
		return -1;
	if ((chain->rest = sk_X509_new_null()) == NULL)
		return bd_fail(e, BD_E_MEMORY, "no memory for certificates");
	while ((node = xml_next(node)) != NULL) {
		X509 *cert = certificate_read(node, e);

		if (cert == NULL)
			return -1;
		if (sk_X509_num(chain->rest) == CERTIFICATES_MAX ||
		    !sk_X509_push(chain->rest, cert)) {
			X509_free(cert);
			return bd_fail(e, BD_E_DAMAGED, "signature: too many certificates");
		}
	}
	return 0;
}

/* SigningCertificate must name the leaf, or the signature could be moved to another certificate of
 * the same key (ETSI TS 101 903 7.2.2). */
static int
leaf_check(const struct xades_shape *s, X509 *leaf, struct bd_err *e)
{
	const EVP_MD *md =
	    strcmp(s->cert_digest_method, XADES_SHA1) == 0 ? EVP_sha1() : EVP_sha256();
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct buf claimed = { .max = 1024 };
	BIGNUM *number = NULL;
	char *serial = NULL;
	unsigned len = 0;
	int rc = -1;

	if (X509_digest(leaf, md, digest, &len) != 1 ||
	    base64_decode(&claimed, s->cert_digest, strlen(s->cert_digest), 1) == -1 ||
	    claimed.len != len || memcmp(claimed.data, digest, len) != 0) {
		bd_fail(e, BD_E_DAMAGED, "signature: SigningCertificate is not the certificate");
		goto out;
	}
	if ((number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL)) == NULL ||
	    (serial = BN_bn2dec(number)) == NULL || strcmp(serial, s->serial) != 0) {
		bd_fail(e, BD_E_DAMAGED, "signature: the serial number is not the certificate's");
		goto out;
	}
	rc = 0;
out:
	OPENSSL_free(serial);
	BN_free(number);
	buf_free(&claimed);
	return rc;
}

/* Every file outside META-INF but mimetype exactly once, and nothing else; in META-INF only what
 * belongs there (spec/dpi.md 1.6.1). */
static int
coverage_check(const struct asice *a, const struct xades_shape *s, struct bd_err *e)
{
	size_t covered = 0;

	for (size_t i = 0; i < s->uri_count; i++) {
		if (asice_find(a, s->uris[i]) == NULL)
			return bd_fail(e, BD_E_DAMAGED, "signature: a signed file is missing");
		for (size_t k = 0; k < i; k++)
			if (strcmp(s->uris[i], s->uris[k]) == 0)
				return bd_fail(e, BD_E_DAMAGED,
					       "signature: a file is signed twice");
	}
	for (size_t i = 0; i < a->count; i++) {
		const char *name = a->files[i].name;
		bool is_meta = strncasecmp(name, ASICE_META, strlen(ASICE_META)) == 0;
		size_t k = 0;

		if (is_meta && strcmp(name, ASICE_SIGNATURES) != 0 &&
		    strcmp(name, ASICE_ODF_MANIFEST) != 0)
			return bd_fail(e, BD_E_DAMAGED, "container: foreign file in META-INF");
		while (k < s->uri_count && strcmp(s->uris[k], name) != 0)
			k++;
		if (k < s->uri_count)
			covered++;
		else if (!is_meta && strcmp(name, ASICE_MIMETYPE) != 0)
			return bd_fail(e, BD_E_DAMAGED, "container: a file is not signed");
	}
	return covered == s->uri_count ? 0 : bd_fail(e, BD_E_DAMAGED, "signature: odd references");
}

/* Only what the shape allows, should xmlsec1 ever read something else out of the same elements. */
static int
algorithms_limit(xmlSecDSigCtx *ctx)
{
	ctx->enabledReferenceUris =
	    xmlSecTransformUriTypeSameDocument | xmlSecTransformUriTypeLocal |
	    xmlSecTransformUriTypeRemote; /* a bare file name counts as remote */
	return xmlSecDSigCtxEnableSignatureTransform(ctx, xmlSecTransformInclC14NId) == 0 &&
		       xmlSecDSigCtxEnableSignatureTransform(ctx, xmlSecTransformInclC14N11Id) ==
			   0 &&
		       xmlSecDSigCtxEnableSignatureTransform(
			   ctx, xmlSecOpenSSLTransformRsaSha256Id) == 0 &&
		       xmlSecDSigCtxEnableReferenceTransform(ctx, xmlSecTransformInclC14NId) == 0 &&
		       xmlSecDSigCtxEnableReferenceTransform(ctx, xmlSecTransformInclC14N11Id) ==
			   0 &&
		       xmlSecDSigCtxEnableReferenceTransform(ctx, xmlSecOpenSSLTransformSha256Id) ==
			   0
		   ? 0
		   : -1;
}

/* The key is the leaf's, given: KeyInfo is not asked. The context frees it. */
static xmlSecKey *
key_make(X509 *leaf)
{
	EVP_PKEY *pkey = X509_get_pubkey(leaf);
	xmlSecKeyData *data = pkey != NULL ? xmlSecOpenSSLEvpKeyAdopt(pkey) : NULL;
	xmlSecKey *key = data != NULL ? xmlSecKeyCreate() : NULL;

	if (key != NULL && xmlSecKeySetValue(key, data) == 0)
		return key;
	if (data != NULL)
		xmlSecKeyDataDestroy(data);
	else
		EVP_PKEY_free(pkey);
	if (key != NULL)
		xmlSecKeyDestroy(key);
	return NULL;
}

static int
signature_verify(const struct asice *a, const struct xades_shape *s, X509 *leaf, struct bd_err *e)
{
	xmlSecDSigCtx *ctx = xmlSecDSigCtxCreate(NULL);
	int rc = -1;

	if (ctx == NULL || algorithms_limit(ctx) == -1 || (ctx->signKey = key_make(leaf)) == NULL) {
		bd_fail(e, BD_E_DAMAGED, "signature: the certificate's key cannot be used");
		goto out;
	}
	readable = a;
	if (xmlSecDSigCtxVerify(ctx, s->signature) < 0 ||
	    ctx->status != xmlSecDSigStatusSucceeded ||
	    xmlSecPtrListGetSize(&ctx->signedInfoReferences) != s->uri_count + 1)
		bd_fail(e, BD_E_DAMAGED, "signature is wrong");
	else
		rc = 0;
	readable = NULL;
out:
	if (ctx != NULL)
		xmlSecDSigCtxDestroy(ctx);
	ERR_clear_error();
	return rc;
}

static int
document_verify(const struct asice *a, xmlDoc *doc, X509_STORE *roots, X509 **signer_r,
		struct bd_err *e)
{
	struct cert_chain chain = { NULL, NULL };
	struct xades_shape s;
	int rc = -1;

	if (xades_shape_read(doc, &s, e) == -1 || coverage_check(a, &s, e) == -1 ||
	    chain_read(&s, &chain, e) == -1 || leaf_check(&s, chain.leaf, e) == -1)
		goto out;
	if (roots != NULL && cert_check(chain.leaf, chain.rest, roots, CERT_SIGNS, e) == -1) {
		e->kind = BD_E_DAMAGED;
		bd_wrap(e, "signature");
		goto out;
	}
	if (xmlAddID(NULL, doc, (const xmlChar *)xml_attribute(s.properties, "Id"),
		     s.properties_id) == NULL) {
		bd_fail(e, BD_E_DAMAGED, "signature: SignedProperties cannot be found by its id");
		goto out;
	}
	if (signature_verify(a, &s, chain.leaf, e) == -1)
		goto out;
	*signer_r = chain.leaf;
	chain.leaf = NULL;
	rc = 0;
out:
	cert_chain_clear(&chain);
	return rc;
}

int
xades_verify(const struct asice *a, X509_STORE *roots, X509 **signer_r, struct bd_err *e)
{
	const struct asice_file *file = asice_find(a, ASICE_SIGNATURES);
	xmlDoc *doc;
	int rc;

	if (pthread_once(&once, libraries_init) != 0 || !is_ready)
		return bd_fail(e, BD_E_INTERNAL, "xmlsec1 cannot be initialised");
	if (file == NULL)
		return bd_fail(e, BD_E_DAMAGED, "container without " ASICE_SIGNATURES);
	if ((doc = xml_parse(file->data.data, file->data.len, ASICE_SIGNATURES, e)) == NULL)
		return -1;
	rc = document_verify(a, doc, roots, signer_r, e);
	xmlFreeDoc(doc);
	return rc;
}
