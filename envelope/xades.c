/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes signatures.xml. The text is put together three times with more of it known each time:
 * without digest and signature, to digest SignedProperties where it stands in the document (with
 * inclusive C14N every namespace in scope counts, spec/dpi.md 1.6.2); with the digest, to sign
 * SignedInfo; and whole. It never sees a private key.
 */
#include "config.h"
#include "envelope/xades.h"

#include <libxml/parser.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <string.h>

#include "common/clock.h"
#include "common/encode.h"
#include "envelope/ossl.h"
#include "envelope/xml.h"

struct making {
	struct buf references;    /* the files' Reference elements */
	struct buf certificates;  /* X509Certificate elements, leaf first */
	struct buf properties;    /* SignedProperties */
	struct buf digest, value; /* base64: of SignedProperties; SignatureValue */
};

static int
memory(struct bd_err *e)
{
	return bd_fail(e, BD_E_MEMORY, "no memory for a signature");
}

static int
references_make(struct making *m, const struct asice_entry *entries, size_t count, struct bd_err *e)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t digest[SHA256_BYTES];

		sha256(digest, entries[i].data, entries[i].len);
		if (buf_addf(&m->references, "<Reference Id=\"ID_%zu\" URI=\"", i) == -1 ||
		    xml_add(&m->references, entries[i].name, e) == -1 ||
		    buf_adds(&m->references, "\"><DigestMethod Algorithm=\"" XADES_SHA256
					     "\"/><DigestValue>") == -1 ||
		    base64_encode(&m->references, digest, sizeof(digest)) == -1 ||
		    buf_adds(&m->references, "</DigestValue></Reference>\n") == -1)
			return memory(e);
	}
	return 0;
}

static int
certificate_add(struct making *m, X509 *cert, struct bd_err *e)
{
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der), rc = 0;

	if (len <= 0)
		return ossl_fail(e, BD_E_SEAL, "certificate");
	if (buf_adds(&m->certificates, "<X509Certificate>") == -1 ||
	    base64_encode(&m->certificates, der, (size_t)len) == -1 ||
	    buf_adds(&m->certificates, "</X509Certificate>") == -1)
		rc = memory(e);
	OPENSSL_free(der);
	return rc;
}

/* Keywords that Java's and BouncyCastle's readers know; others by "OID.", as eFormidling writes. */
static int
attribute_name(const ASN1_OBJECT *object, char *out, size_t size)
{
	static const struct {
		int nid;
		const char *keyword;
	} known[] = {
		{ NID_commonName, "CN" },
		{ NID_organizationName, "O" },
		{ NID_organizationalUnitName, "OU" },
		{ NID_countryName, "C" },
		{ NID_localityName, "L" },
		{ NID_stateOrProvinceName, "ST" },
		{ NID_domainComponent, "DC" },
		{ NID_serialNumber, "SERIALNUMBER" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (OBJ_obj2nid(object) == known[i].nid) {
			memcpy(out, known[i].keyword, strlen(known[i].keyword) + 1);
			return 0;
		}
	}
	memcpy(out, "OID.", 4);
	return OBJ_obj2txt(out + 4, (int)size - 4, object, 1) > 0 ? 0 : -1;
}

/* "CN=Test CA, O=Test, C=NO": last relative name first (RFC 4514 2.1). */
static int
name_add(struct buf *out, const X509_NAME *name, struct bd_err *e)
{
	int last_set = -1;
	BIO *text = BIO_new(BIO_s_mem());
	char *data, keyword[80];
	struct buf copy = { 0 };
	int rc = -1;
	long len;

	for (int i = X509_NAME_entry_count(name) - 1; text != NULL && i >= 0; i--) {
		X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
		int set = X509_NAME_ENTRY_set(entry);

		if (attribute_name(X509_NAME_ENTRY_get_object(entry), keyword, sizeof(keyword)) ==
			-1 ||
		    BIO_printf(text, "%s%s=",
			       last_set == -1    ? ""
			       : set == last_set ? " + "
						 : ", ",
			       keyword) < 0 ||
		    ASN1_STRING_print_ex(text, X509_NAME_ENTRY_get_data(entry),
					 ASN1_STRFLGS_RFC2253 &
					     ~(unsigned long)ASN1_STRFLGS_ESC_MSB) < 0)
			goto bad;
		last_set = set;
	}
	if (text == NULL || (len = BIO_get_mem_data(text, &data)) <= 0 ||
	    buf_add(&copy, data, (size_t)len) == -1)
		goto bad;
	rc = xml_add(out, buf_str(&copy), e);
	goto out;
bad:
	ossl_fail(e, BD_E_SEAL, "issuer name");
out:
	buf_free(&copy);
	BIO_free(text);
	return rc;
}

static int
serial_add(struct buf *out, X509 *cert)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *text = number != NULL ? BN_bn2dec(number) : NULL;
	int rc = text != NULL ? buf_adds(out, text) : -1;

	OPENSSL_free(text);
	BN_free(number);
	return rc;
}

static int
properties_make(struct making *m, const struct asice_entry *entries, size_t count, X509 *leaf,
		struct bd_err *e)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_len;
	char now[RFC3339_CHARS];
	struct buf *out = &m->properties;

	clock_rfc3339(now, clock_wall_ms());
	/* SHA-1 because mailboxes are known to take it (spec/dpi.md part 4, 6); the whole leaf is
	 * in KeyInfo and its key made the signature, so nothing hangs on it */
	if (X509_digest(leaf, EVP_sha1(), digest, &digest_len) != 1)
		return ossl_fail(e, BD_E_SEAL, "certificate digest");
	if (buf_addf(out,
		     "<SignedProperties Id=\"SignedProperties\"><SignedSignatureProperties>"
		     "<SigningTime>%s</SigningTime><SigningCertificate><Cert><CertDigest>"
		     "<ns2:DigestMethod Algorithm=\"" XADES_SHA1 "\"/><ns2:DigestValue>",
		     now) == -1 ||
	    base64_encode(out, digest, digest_len) == -1 ||
	    buf_adds(out, "</ns2:DigestValue></CertDigest><IssuerSerial><ns2:X509IssuerName>") ==
		-1)
		return memory(e);
	if (name_add(out, X509_get_issuer_name(leaf), e) == -1)
		return -1;
	if (buf_adds(out, "</ns2:X509IssuerName><ns2:X509SerialNumber>") == -1 ||
	    serial_add(out, leaf) == -1 ||
	    buf_adds(out, "</ns2:X509SerialNumber></IssuerSerial></Cert></SigningCertificate>"
			  "</SignedSignatureProperties><SignedDataObjectProperties>") == -1)
		return memory(e);
	for (size_t i = 0; i < count; i++) {
		if (buf_addf(out, "<DataObjectFormat ObjectReference=\"#ID_%zu\"><MimeType>", i) ==
			-1 ||
		    xml_add(out, entries[i].mime, e) == -1 ||
		    buf_adds(out, "</MimeType></DataObjectFormat>") == -1)
			return memory(e);
	}
	if (buf_adds(out, "</SignedDataObjectProperties></SignedProperties>") == -1)
		return memory(e);
	return 0;
}

/* The document with what is known so far. */
static int
document_make(const struct making *m, struct buf *out, struct bd_err *e)
{
	if (buf_addf(
		out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<XAdESSignatures xmlns=\"" XADES_NS_ASIC "\"><Signature xmlns=\"" XADES_NS_DSIG
		"\" Id=\"Signature\"><SignedInfo><CanonicalizationMethod Algorithm=\"" XADES_C14N
		"\"/><SignatureMethod Algorithm=\"" XADES_RSA_SHA256 "\"/>\n%s"
		"<Reference Type=\"" XADES_PROPERTIES_TYPE "\" URI=\"#SignedProperties\">"
		"<Transforms><Transform Algorithm=\"" XADES_C14N "\"/></Transforms>"
		"<DigestMethod Algorithm=\"" XADES_SHA256 "\"/><DigestValue>%s</DigestValue>"
		"</Reference>\n</SignedInfo><SignatureValue>%s</SignatureValue>"
		"<KeyInfo><X509Data>%s</X509Data></KeyInfo>\n"
		"<Object><QualifyingProperties xmlns=\"" XADES_NS_XADES
		"\" xmlns:ns2=\"" XADES_NS_DSIG "\" Target=\"#Signature\">%s"
		"</QualifyingProperties></Object></Signature></XAdESSignatures>",
		buf_str(&m->references), buf_str(&m->digest), buf_str(&m->value),
		buf_str(&m->certificates), buf_str(&m->properties)) == -1)
		return memory(e);
	return 0;
}

/* SHA-256 of one element of the document as it is now; pick finds it in the signature's shape. */
static int
element_digest(const struct making *m, int properties, uint8_t digest[SHA256_BYTES],
	       struct bd_err *e)
{
	struct buf text = { 0 }, canonical = { 0 };
	struct xades_shape shape;
	xmlDoc *doc = NULL;
	int rc = -1;

	if (document_make(m, &text, e) == -1 ||
	    (doc = xml_parse(text.data, text.len, "signatures.xml", e)) == NULL ||
	    xades_shape_read(doc, &shape, e) == -1) {
		e->kind = BD_E_SEAL; /* our own text: nothing of the sender's is damaged */
		goto out;
	}
	if (xml_c14n(properties ? shape.properties : xml_child(shape.signature), &canonical, e) ==
	    -1)
		goto out;
	sha256(digest, canonical.data, canonical.len);
	rc = 0;
out:
	if (doc != NULL)
		xmlFreeDoc(doc);
	buf_free(&text);
	buf_free(&canonical);
	return rc;
}

static int
sign(struct making *m, struct signer *signer, const char *label, struct bd_err *e)
{
	uint8_t digest[SHA256_BYTES];
	struct buf signature = { 0 };
	int rc = -1;

	if (element_digest(m, 1, digest, e) == -1)
		return -1;
	if (base64_encode(&m->digest, digest, sizeof(digest)) == -1)
		return memory(e);
	if (element_digest(m, 0, digest, e) == -1 ||
	    signer_sign(signer, label, digest, &signature, e) == -1)
		goto out;
	if (base64_encode(&m->value, signature.data, signature.len) == -1)
		memory(e);
	else
		rc = 0;
out:
	buf_free(&signature);
	return rc;
}

int
xades_make(const struct asice_entry *entries, size_t count, const struct cert_chain *chain,
	   struct signer *signer, const char *label, struct buf *out, struct bd_err *e)
{
	struct making m = { 0 };
	int rc = -1;

	if (references_make(&m, entries, count, e) == -1 ||
	    certificate_add(&m, chain->leaf, e) == -1 ||
	    properties_make(&m, entries, count, chain->leaf, e) == -1)
		goto out;
	for (int i = 0; i < sk_X509_num(chain->rest); i++)
		if (certificate_add(&m, sk_X509_value(chain->rest, i), e) == -1)
			goto out;
	if (sign(&m, signer, label, e) == -1)
		goto out;
	rc = document_make(&m, out, e);
out:
	buf_free(&m.references);
	buf_free(&m.certificates);
	buf_free(&m.properties);
	buf_free(&m.digest);
	buf_free(&m.value);
	return rc;
}
