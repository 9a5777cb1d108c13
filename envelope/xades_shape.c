/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict look at a signatures.xml before any of it is verified: one signature, every element in
 * the one place it belongs, fixed algorithms and transforms, ids used once. What is verified
 * afterwards is therefore what was looked at (threats.md A10). It trusts and computes nothing.
 */
#include "config.h"
#include "envelope/xades.h"

#include <string.h>
#include <strings.h>

#include "envelope/xml.h"

#define IDS_MAX (2 * ASICE_FILES_MAX + 20)

static int
refuse(struct bd_err *e, const char *what)
{
	return bd_fail(e, BD_E_DAMAGED, "signature: %s", what);
}

static bool
is_dsig(const xmlNode *node, const char *name)
{
	return xml_is(node, XADES_NS_DSIG, name);
}

static bool
is_xades(const xmlNode *node, const char *name)
{
	return xml_is(node, XADES_NS_XADES, name);
}

static bool
is_equal(const char *a, const char *b)
{
	return a != NULL && strcmp(a, b) == 0;
}

/* An empty element that names one of two algorithms. */
static bool
has_algorithm(const xmlNode *node, const char *algorithm, const char *or_this)
{
	const char *value = xml_attribute(node, "Algorithm");

	return (is_equal(value, algorithm) || is_equal(value, or_this)) && xml_child(node) == NULL;
}

struct ids {
	const char *values[IDS_MAX];
	size_t count;
};

/* Every attribute that any reader could take for an id; each value once in the document. */
static int
ids_check(const xmlNode *node, struct ids *ids, struct bd_err *e)
{
	for (; node != NULL; node = xml_next(node)) {
		for (const xmlAttr *attr = node->properties; attr != NULL; attr = attr->next) {
			const char *value;

			if (strcasecmp((const char *)attr->name, "id") != 0)
				continue;
			value =
			    attr->ns == NULL ? xml_attribute(node, (const char *)attr->name) : NULL;
			if (value == NULL || ids->count == IDS_MAX)
				return refuse(e, "an id of a foreign form, or too many");
			for (size_t i = 0; i < ids->count; i++)
				if (strcmp(ids->values[i], value) == 0)
					return refuse(e, "an id is used twice");
			ids->values[ids->count++] = value;
		}
		if (xml_child(node) != NULL && ids_check(xml_child(node), ids, e) == -1)
			return -1;
	}
	return 0;
}

/* One transform, C14N; exclusive, XPath, XSLT and the rest would move what is signed. */
static bool
is_c14n_transforms(const xmlNode *node)
{
	const xmlNode *transform = xml_child(node);

	return is_dsig(node, "Transforms") && is_dsig(transform, "Transform") &&
	       xml_next(transform) == NULL && has_algorithm(transform, XADES_C14N, XADES_C14N11);
}

static bool
is_sha256_digest(const xmlNode *method)
{
	const xmlNode *value = method != NULL ? xml_next(method) : NULL;

	return is_dsig(method, "DigestMethod") &&
	       has_algorithm(method, XADES_SHA256, XADES_SHA256) && is_dsig(value, "DigestValue") &&
	       xml_value(value) != NULL && xml_next(value) == NULL;
}

static int
file_reference_read(const xmlNode *node, struct xades_shape *s, struct bd_err *e)
{
	const char *uri = xml_attribute(node, "URI");

	if (uri == NULL || *uri == '\0' || *uri == '#' || strchr(uri, '%') != NULL ||
	    strchr(uri, ':') != NULL)
		return refuse(e, "a reference that is no plain file name");
	if (!is_sha256_digest(xml_child(node)))
		return refuse(e, "a file reference with transforms or another digest than SHA-256");
	if (s->uri_count == ASICE_FILES_MAX)
		return refuse(e, "too many references");
	s->uris[s->uri_count++] = uri;
	return 0;
}

static int
signed_info_read(const xmlNode *info, const char **properties_uri_r, struct xades_shape *s,
		 struct bd_err *e)
{
	const xmlNode *node = xml_child(info);

	if (!is_dsig(node, "CanonicalizationMethod") ||
	    !has_algorithm(node, XADES_C14N, XADES_C14N11))
		return refuse(e, "canonicalisation is not C14N 1.0 or 1.1");
	node = xml_next(node);
	if (!is_dsig(node, "SignatureMethod") ||
	    !has_algorithm(node, XADES_RSA_SHA256, XADES_RSA_SHA256))
		return refuse(e, "signature method is not RSA-SHA-256");
	while ((node = xml_next(node)) != NULL) {
		const xmlNode *child = xml_child(node);

		if (!is_dsig(node, "Reference"))
			return refuse(e, "foreign element in SignedInfo");
		if (xml_attribute(node, "Type") == NULL) {
			if (file_reference_read(node, s, e) == -1)
				return -1;
			continue;
		}
		if (!is_equal(xml_attribute(node, "Type"), XADES_PROPERTIES_TYPE) ||
		    *properties_uri_r != NULL)
			return refuse(e, "not exactly one reference to SignedProperties");
		*properties_uri_r = xml_attribute(node, "URI");
		if (is_dsig(child, "Transforms")) {
			if (!is_c14n_transforms(child))
				return refuse(e, "SignedProperties under a transform");
			child = xml_next(child);
		}
		if (*properties_uri_r == NULL || !is_sha256_digest(child))
			return refuse(e, "SignedProperties without URI or SHA-256");
	}
	if (*properties_uri_r == NULL || s->uri_count == 0)
		return refuse(e, "no reference to SignedProperties, or none to a file");
	return 0;
}

static int
key_info_read(const xmlNode *info, struct xades_shape *s, struct bd_err *e)
{
	const xmlNode *data = xml_child(info), *node;

	if (!is_dsig(data, "X509Data") || xml_next(data) != NULL)
		return refuse(e, "KeyInfo is not one X509Data");
	s->certificate = xml_child(data);
	for (node = s->certificate; node != NULL; node = xml_next(node))
		if (!is_dsig(node, "X509Certificate") || xml_value(node) == NULL)
			return refuse(e, "X509Data has more than certificates");
	return s->certificate != NULL ? 0 : refuse(e, "no certificate");
}

/* SigningCertificate/Cert: CertDigest, IssuerSerial. */
static int
signing_certificate_read(const xmlNode *signing, struct xades_shape *s, struct bd_err *e)
{
	const xmlNode *cert = xml_child(signing), *digest, *method, *value, *issuer, *serial;

	if (!is_xades(cert, "Cert") || xml_next(cert) != NULL)
		return refuse(e, "SigningCertificate is not one Cert");
	digest = xml_child(cert);
	if (!is_xades(digest, "CertDigest"))
		return refuse(e, "no CertDigest");
	method = xml_child(digest);
	value = method != NULL ? xml_next(method) : NULL;
	if (!is_dsig(method, "DigestMethod") || !has_algorithm(method, XADES_SHA1, XADES_SHA256) ||
	    !is_dsig(value, "DigestValue") || xml_value(value) == NULL)
		return refuse(e, "CertDigest is not SHA-1 or SHA-256");
	s->cert_digest_method = xml_attribute(method, "Algorithm");
	s->cert_digest = xml_value(value);
	issuer = xml_next(digest);
	serial = is_xades(issuer, "IssuerSerial") ? xml_child(issuer) : NULL;
	/* the name's text differs between programs: serial and digest tell (spec/dpi.md 1.6.2) */
	if (!is_dsig(serial, "X509IssuerName") || (serial = xml_next(serial)) == NULL ||
	    !is_dsig(serial, "X509SerialNumber") || xml_value(serial) == NULL)
		return refuse(e, "no IssuerSerial");
	s->serial = xml_value(serial);
	return 0;
}

static int
properties_read(xmlNode *object, const char *signature_id, const char *properties_uri,
		struct xades_shape *s, struct bd_err *e)
{
	xmlNode *qualifying = xml_child(object);
	const char *target, *id;
	const xmlNode *node;

	if (!is_xades(qualifying, "QualifyingProperties") || xml_next(qualifying) != NULL)
		return refuse(e, "Object is not one QualifyingProperties");
	target = xml_attribute(qualifying, "Target");
	if (target == NULL || *target != '#' || strcmp(target + 1, signature_id) != 0)
		return refuse(e, "QualifyingProperties of another signature");
	s->properties = xml_child(qualifying);
	if (!is_xades(s->properties, "SignedProperties") || xml_next(s->properties) != NULL)
		return refuse(e, "not exactly one SignedProperties");
	id = xml_attribute(s->properties, "Id");
	if (id == NULL || *properties_uri != '#' || strcmp(properties_uri + 1, id) != 0)
		return refuse(e, "the reference does not lead to SignedProperties");
	for (s->properties_id = s->properties->properties;
	     strcmp((const char *)s->properties_id->name, "Id") != 0;)
		s->properties_id = s->properties_id->next;
	node = xml_child(s->properties);
	if (!is_xades(node, "SignedSignatureProperties"))
		return refuse(e, "no SignedSignatureProperties");
	node = xml_child(node);
	if (!is_xades(node, "SigningTime") || xml_value(node) == NULL ||
	    !is_xades(node = xml_next(node), "SigningCertificate"))
		return refuse(e, "no SigningTime and SigningCertificate");
	return signing_certificate_read(node, s, e);
}

int
xades_shape_read(xmlDoc *doc, struct xades_shape *s, struct bd_err *e)
{
	xmlNode *root = xmlDocGetRootElement(doc), *node;
	const char *properties_uri = NULL, *signature_id;
	struct ids ids = { .count = 0 };

	*s = (struct xades_shape){ 0 };
	if (ids_check(root, &ids, e) == -1)
		return -1;
	if (!xml_is(root, XADES_NS_ASIC, "XAdESSignatures") &&
	    !xml_is(root, XADES_NS_ASIC_OLD, "XAdESSignatures"))
		return refuse(e, "another root element");
	s->signature = xml_child(root);
	if (!is_dsig(s->signature, "Signature") || xml_next(s->signature) != NULL)
		return refuse(e, "not exactly one");
	if ((signature_id = xml_attribute(s->signature, "Id")) == NULL)
		return refuse(e, "without Id");
	node = xml_child(s->signature);
	if (!is_dsig(node, "SignedInfo"))
		return refuse(e, "no SignedInfo");
	if (signed_info_read(node, &properties_uri, s, e) == -1)
		return -1;
	node = xml_next(node);
	if (!is_dsig(node, "SignatureValue") || xml_value(node) == NULL)
		return refuse(e, "no SignatureValue");
	node = xml_next(node);
	if (!is_dsig(node, "KeyInfo"))
		return refuse(e, "no KeyInfo");
	if (key_info_read(node, s, e) == -1)
		return -1;
	node = xml_next(node);
	if (!is_dsig(node, "Object") || xml_next(node) != NULL)
		return refuse(e, "not exactly one Object");
	return properties_read(node, signature_id, properties_uri, s, e);
}
