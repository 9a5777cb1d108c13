/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates: loading chains and roots, the checks of spec/dpi.md 1.19, organisation numbers. It
 * decides whether a certificate may be used, never for whom: comparing the organisation with the
 * one expected is the caller's.
 */
#include "config.h"
#include "envelope/cert.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "common/clock.h"
#include "envelope/ossl.h"

#define CERT_TEXT_MAX_BYTES ((size_t)64 << 10)
#define CHAIN_MAX 10
#define RSA_MIN_BITS 2048
#define AUTH_LEVEL 2 /* 112 bits along the whole path: RSA 2048, SHA-256 */

/* The next certificate of a PEM file: 1, 0 at its end, -1. */
static int
pem_next(BIO *in, X509 **cert_r)
{
	*cert_r = PEM_read_bio_X509(in, NULL, NULL, NULL);
	if (*cert_r != NULL)
		return 1;
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return -1;
	ERR_clear_error();
	return 0;
}

static int
chain_read(BIO *in, const char *pem_file, struct cert_chain *chain, struct bd_err *e)
{
	X509 *cert;
	int found;

	if ((found = pem_next(in, &chain->leaf)) == -1)
		return ossl_fail(e, BD_E_CONFIG, pem_file);
	if (found == 0)
		return bd_fail(e, BD_E_CONFIG, "%s: no certificate in it", pem_file);
	if ((chain->rest = sk_X509_new_null()) == NULL)
		return ossl_fail(e, BD_E_MEMORY, pem_file);
	while ((found = pem_next(in, &cert)) == 1) {
		if (sk_X509_num(chain->rest) == CHAIN_MAX || !sk_X509_push(chain->rest, cert)) {
			X509_free(cert);
			return bd_fail(e, BD_E_CONFIG, "%s: more than %d certificates", pem_file,
				       CHAIN_MAX);
		}
	}
	return found == 0 ? 0 : ossl_fail(e, BD_E_CONFIG, pem_file);
}

int
cert_chain_load(const char *pem_file, struct cert_chain *chain_r, struct bd_err *e)
{
	struct cert_chain chain = { NULL, NULL };
	BIO *in;
	int rc;

	if ((in = BIO_new_file(pem_file, "r")) == NULL) {
		ERR_clear_error();
		return bd_fail_errno(e, BD_E_CONFIG, "%s", pem_file);
	}
	if ((rc = chain_read(in, pem_file, &chain, e)) == 0)
		*chain_r = chain;
	else
		cert_chain_clear(&chain);
	BIO_free(in);
	return rc;
}

void
cert_chain_clear(struct cert_chain *chain)
{
	X509_free(chain->leaf);
	sk_X509_pop_free(chain->rest, X509_free);
	chain->leaf = NULL;
	chain->rest = NULL;
}

X509_STORE *
cert_roots_load(const char *pem_file, struct bd_err *e)
{
	X509_STORE *roots = NULL;
	BIO *in = NULL;
	X509 *cert = NULL;
	int found, count = 0, rc = -1;

	if ((in = BIO_new_file(pem_file, "r")) == NULL) {
		ERR_clear_error();
		bd_fail_errno(e, BD_E_CONFIG, "%s", pem_file);
		goto out;
	}
	if ((roots = X509_STORE_new()) == NULL) {
		ossl_fail(e, BD_E_MEMORY, pem_file);
		goto out;
	}
	while ((found = pem_next(in, &cert)) == 1) {
		int added = X509_STORE_add_cert(roots, cert);

		X509_free(cert);
		if (!added) {
			ossl_fail(e, BD_E_MEMORY, pem_file);
			goto out;
		}
		count++;
	}
	if (found == -1)
		ossl_fail(e, BD_E_CONFIG, pem_file);
	else if (count == 0)
		bd_fail(e, BD_E_CONFIG, "%s: no certificate in it", pem_file);
	else
		rc = 0;
out:
	BIO_free(in);
	if (rc == -1) {
		X509_STORE_free(roots);
		roots = NULL;
	}
	return roots;
}

X509 *
cert_parse(const char *text, struct bd_err *e)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	static const char end[] = "-----END CERTIFICATE-----";
	struct buf der = { .max = CERT_TEXT_MAX_BYTES };
	size_t len = strnlen(text, CERT_TEXT_MAX_BYTES);
	const char *start = strstr(text, begin);
	const unsigned char *at;
	X509 *cert = NULL;

	if (len == CERT_TEXT_MAX_BYTES) {
		bd_fail(e, BD_E_SEAL, "certificate longer than %zu bytes", CERT_TEXT_MAX_BYTES);
		return NULL;
	}
	if (start != NULL) {
		const char *stop = strstr(start, end);

		text = start + sizeof(begin) - 1;
		len = stop != NULL ? (size_t)(stop - text) : 0;
	}
	if (len == 0 || base64_decode(&der, text, len, 1) == -1) {
		bd_fail(e, BD_E_SEAL, "certificate is neither PEM nor base64");
		goto out;
	}
	at = der.data;
	cert = d2i_X509(NULL, &at, (long)der.len);
	if (cert == NULL) {
		ossl_fail(e, BD_E_SEAL, "certificate");
	} else if (at != der.data + der.len) {
		bd_fail(e, BD_E_SEAL, "certificate with bytes after its end");
		X509_free(cert);
		cert = NULL;
	}
out:
	buf_free(&der);
	return cert;
}

static int
use_check(X509 *cert, enum cert_use use, struct bd_err *e)
{
	uint32_t usage = X509_get_key_usage(cert); /* all bits when the extension is absent */
	EVP_PKEY *key = X509_get0_pubkey(cert);

	if (key == NULL || !EVP_PKEY_is_a(key, "RSA")) {
		ERR_clear_error();
		return bd_fail(e, BD_E_SEAL, "certificate: not an RSA key");
	}
	if (EVP_PKEY_get_bits(key) < RSA_MIN_BITS)
		return bd_fail(e, BD_E_SEAL, "certificate: RSA key of %d bits, less than %d",
			       EVP_PKEY_get_bits(key), RSA_MIN_BITS);
	if (use == CERT_SIGNS && (usage & KU_DIGITAL_SIGNATURE) == 0)
		return bd_fail(e, BD_E_SEAL, "certificate: key usage lacks digitalSignature");
	if (use == CERT_RECEIVES && (usage & KU_KEY_ENCIPHERMENT) == 0)
		return bd_fail(e, BD_E_SEAL, "certificate: key usage lacks keyEncipherment");
	return 0;
}

int
cert_check(X509 *cert, STACK_OF(X509) * extra, X509_STORE *roots, enum cert_use use,
	   struct bd_err *e)
{
	X509_STORE_CTX *ctx = NULL;
	X509_VERIFY_PARAM *param;
	int rc = -1;

	if (use_check(cert, use, e) == -1)
		return -1;
	if ((ctx = X509_STORE_CTX_new()) == NULL || !X509_STORE_CTX_init(ctx, roots, cert, extra)) {
		ossl_fail(e, BD_E_MEMORY, "certificate check");
		goto out;
	}
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, clock_wall());
	X509_VERIFY_PARAM_set_depth(param, CHAIN_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
	if (X509_verify_cert(ctx) != 1) {
		bd_fail(e, BD_E_SEAL, "certificate: %s (depth %d)",
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)),
			X509_STORE_CTX_get_error_depth(ctx));
		ERR_clear_error();
		goto out;
	}
	rc = 0;
out:
	X509_STORE_CTX_free(ctx);
	return rc;
}

/* The one value of a name attribute as UTF-8, for the caller to OPENSSL_free; NULL when absent or
 * given twice: two numbers would let two readers see two organisations. */
static unsigned char *
name_value(const X509_NAME *name, int nid, size_t *len_r)
{
	unsigned char *value = NULL;
	int at = X509_NAME_get_index_by_NID(name, nid, -1);
	int len;

	if (at < 0 || X509_NAME_get_index_by_NID(name, nid, at) >= 0)
		return NULL;
	len = ASN1_STRING_to_UTF8(&value, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (len < 0) {
		ERR_clear_error();
		return NULL;
	}
	*len_r = (size_t)len;
	return value;
}

static int
nine_digits(const unsigned char *text, size_t len, char out[ORGNR_CHARS])
{
	if (len < 9)
		return -1;
	for (size_t i = 0; i < 9; i++)
		if (text[i] < '0' || text[i] > '9')
			return -1;
	memcpy(out, text, 9);
	out[9] = '\0';
	return 0;
}

int
cert_orgnr(X509 *cert, char out[ORGNR_CHARS])
{
	static const struct {
		int nid;
		const char *prefix; /* may be there */
		int open;           /* more may follow the nine digits */
	} places[] = {
		{ NID_organizationIdentifier, "NTRNO-", 0 }, /* SEID 2 */
		{ NID_serialNumber, "", 0 },                 /* SEID 1 */
		{ NID_commonName, "", 1 },
	};
	const X509_NAME *subject = X509_get_subject_name(cert);

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		size_t len = 0, skip = strlen(places[i].prefix);
		unsigned char *value = name_value(subject, places[i].nid, &len);
		int found = 0;

		if (value != NULL) {
			if (len < skip || memcmp(value, places[i].prefix, skip) != 0)
				skip = 0;
			found = (places[i].open ? len - skip >= 9 : len - skip == 9) &&
				nine_digits(value + skip, len - skip, out) == 0;
			/* a tenth digit makes it another number */
			if (found && len - skip > 9 && value[skip + 9] >= '0' &&
			    value[skip + 9] <= '9')
				found = 0;
		}
		OPENSSL_free(value);
		if (found)
			return 0;
	}
	return -1;
}

int
cert_fingerprint(X509 *cert, uint8_t out[SHA256_BYTES])
{
	return X509_digest(cert, EVP_sha256(), out, NULL) ? 0 : -1;
}
