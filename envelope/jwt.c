/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JWS compact serialisation, RS256 only. The algorithm is ours, never the token's: a header that
 * names another one is refused (RFC 8725 3.1). It checks signatures, not claims; times, issuers and
 * audiences are the caller's.
 */
#include "config.h"
#include "envelope/jwt.h"

#include <openssl/err.h>
#include <string.h>

#include "common/encode.h"
#include "common/json.h"
#include "envelope/ossl.h"

#define HEADER_MAX_BYTES ((size_t)64 << 10)
#define RSA_MIN_BITS 2048
#define X5C_MAX 10

struct parts {
	const char *header, *payload, *signature;
	size_t header_len, payload_len, signature_len;
};

static int
header_make(X509 *leaf, const char *kid, struct buf *out, struct bd_err *e)
{
	unsigned char *der = NULL;
	struct buf base64 = { 0 };
	json_t *header = NULL;
	int len, rc = -1;

	if (kid != NULL) {
		header = json_pack("{s:s, s:s}", "kid", kid, "alg", "RS256");
	} else {
		if ((len = i2d_X509(leaf, &der)) < 0 ||
		    base64_encode(&base64, der, (size_t)len) == -1) {
			ossl_fail(e, BD_E_SEAL, "x5c");
			goto out;
		}
		header = json_pack("{s:[s], s:s}", "x5c", buf_str(&base64), "alg", "RS256");
	}
	if (header == NULL) {
		bd_fail(e, BD_E_SEAL, "JWT header: %s", kid != NULL ? "kid" : "x5c");
		goto out;
	}
	rc = json_write(header, 0, out, e);
out:
	json_decref(header);
	buf_free(&base64);
	OPENSSL_free(der);
	return rc;
}

int
jwt_sign(const char *payload, size_t len, X509 *leaf, const char *kid, struct signer *signer,
	 const char *label, struct buf *jwt, struct bd_err *e)
{
	struct buf header = { 0 }, token = { .max = JWT_MAX_BYTES }, signature = { 0 };
	uint8_t digest[SHA256_BYTES];
	int rc = -1;

	if (header_make(leaf, kid, &header, e) == -1)
		goto out;
	if (base64url_encode(&token, header.data, header.len) == -1 ||
	    buf_addc(&token, '.') == -1 || base64url_encode(&token, payload, len) == -1)
		goto too_big;
	sha256(digest, token.data, token.len);
	if (signer_sign(signer, label, digest, &signature, e) == -1)
		goto out;
	if (buf_addc(&token, '.') == -1 ||
	    base64url_encode(&token, signature.data, signature.len) == -1)
		goto too_big;
	if (buf_add(jwt, token.data, token.len) == -1) {
		bd_fail(e, BD_E_MEMORY, "no memory for a JWT");
		goto out;
	}
	rc = 0;
	goto out;
too_big:
	bd_fail(e, BD_E_SEAL, "JWT above %zu bytes, or no memory for it", JWT_MAX_BYTES);
out:
	buf_free(&header);
	buf_free(&token);
	buf_free(&signature);
	return rc;
}

static int
split(const char *jwt, size_t len, struct parts *p, struct bd_err *e)
{
	const char *first, *second, *end = jwt + len;

	if (len > JWT_MAX_BYTES)
		return bd_fail(e, BD_E_SEAL, "JWT above %zu bytes", JWT_MAX_BYTES);
	first = memchr(jwt, '.', len);
	second = first == NULL ? NULL : memchr(first + 1, '.', (size_t)(end - first - 1));
	if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL)
		return bd_fail(e, BD_E_SEAL, "JWT is not three parts");
	*p = (struct parts){
		.header = jwt,
		.header_len = (size_t)(first - jwt),
		.payload = first + 1,
		.payload_len = (size_t)(second - first - 1),
		.signature = second + 1,
		.signature_len = (size_t)(end - second - 1),
	};
	if (p->header_len == 0 || p->payload_len == 0 || p->signature_len == 0)
		return bd_fail(e, BD_E_SEAL, "JWT with an empty part");
	return 0;
}

/* One base64url part that must be a JSON object. New reference or NULL. */
static json_t *
part_read(const char *text, size_t len, size_t max, const char *what, struct bd_err *e)
{
	struct buf bytes = { .max = max };
	json_t *value = NULL;

	if (base64url_decode(&bytes, text, len) == -1) {
		bd_fail(e, BD_E_SEAL, "JWT %s is not base64url or too long", what);
		goto out;
	}
	if ((value = json_parse(bytes.data, bytes.len, max, e)) == NULL) {
		e->kind = BD_E_SEAL;
		bd_wrap(e, "JWT %s", what);
	} else if (!json_is_object(value)) {
		bd_fail(e, BD_E_SEAL, "JWT %s is no JSON object", what);
		json_decref(value);
		value = NULL;
	}
out:
	buf_free(&bytes);
	return value;
}

/* The header with the checks that hold for every token we look into. */
static json_t *
header_read(const struct parts *p, struct bd_err *e)
{
	json_t *header = part_read(p->header, p->header_len, HEADER_MAX_BYTES, "header", e);
	const char *alg;

	if (header == NULL)
		return NULL;
	alg = json_text(header, "alg");
	if (alg == NULL || strcmp(alg, "RS256") != 0)
		bd_fail(e, BD_E_SEAL, "JWT algorithm is not RS256");
	else if (json_object_get(header, "crit") != NULL || json_object_get(header, "b64") != NULL)
		bd_fail(e, BD_E_SEAL, "JWT with crit or b64 (RFC 7515 4.1.11): unknown extensions");
	else
		return header;
	json_decref(header);
	return NULL;
}

static int
signature_check(const struct parts *p, EVP_PKEY *key, struct bd_err *e)
{
	struct buf signature = { .max = HEADER_MAX_BYTES };
	EVP_MD_CTX *ctx = NULL;
	size_t signed_len = p->header_len + 1 + p->payload_len;
	int rc = -1;

	if (!EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) < RSA_MIN_BITS) {
		bd_fail(e, BD_E_SEAL, "JWT key is not RSA of %d bits", RSA_MIN_BITS);
		goto out;
	}
	if (base64url_decode(&signature, p->signature, p->signature_len) == -1) {
		bd_fail(e, BD_E_SEAL, "JWT signature is not base64url or too long");
		goto out;
	}
	/* RSA's default padding for EVP_DigestVerify is PKCS#1 v1.5, that is RS256. */
	if ((ctx = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) != 1) {
		ossl_fail(e, BD_E_MEMORY, "JWT signature");
		goto out;
	}
	if (EVP_DigestVerify(ctx, signature.data, signature.len, (const unsigned char *)p->header,
			     signed_len) != 1) {
		ERR_clear_error();
		bd_fail(e, BD_E_SEAL, "JWT signature is wrong");
		goto out;
	}
	rc = 0;
out:
	EVP_MD_CTX_free(ctx);
	buf_free(&signature);
	return rc;
}

int
jwt_verify(const char *jwt, size_t len, EVP_PKEY *key, json_t **payload_r, struct bd_err *e)
{
	struct parts p;
	json_t *header, *payload;

	if (split(jwt, len, &p, e) == -1 || (header = header_read(&p, e)) == NULL)
		return -1;
	json_decref(header);
	if (signature_check(&p, key, e) == -1)
		return -1;
	payload = part_read(p.payload, p.payload_len, JWT_MAX_BYTES, "payload", e);
	if (payload == NULL)
		return -1;
	*payload_r = payload;
	return 0;
}

json_t *
jwt_header(const char *jwt, size_t len, struct bd_err *e)
{
	struct parts p;

	return split(jwt, len, &p, e) == -1 ? NULL : header_read(&p, e);
}

json_t *
jwt_payload_unverified(const char *jwt, size_t len, struct bd_err *e)
{
	struct parts p;

	if (split(jwt, len, &p, e) == -1)
		return NULL;
	return part_read(p.payload, p.payload_len, JWT_MAX_BYTES, "payload", e);
}

X509 *
jwt_leaf(const char *jwt, size_t len, struct bd_err *e)
{
	json_t *header = jwt_header(jwt, len, e), *x5c;
	struct buf der = { .max = HEADER_MAX_BYTES };
	const unsigned char *at;
	const char *text;
	X509 *leaf = NULL;

	if (header == NULL)
		return NULL;
	x5c = json_object_get(header, "x5c");
	text = json_string_value(json_array_get(x5c, 0));
	if (text == NULL || json_array_size(x5c) > X5C_MAX) {
		bd_fail(e, BD_E_SEAL, "JWT without x5c, or with more than %d", X5C_MAX);
		goto out;
	}
	if (base64_decode(&der, text, strlen(text), 0) == -1 || der.len == 0) {
		bd_fail(e, BD_E_SEAL, "JWT x5c is not base64");
		goto out;
	}
	at = der.data;
	leaf = d2i_X509(NULL, &at, (long)der.len);
	if (leaf == NULL) {
		ossl_fail(e, BD_E_SEAL, "JWT x5c");
	} else if (at != der.data + der.len) {
		bd_fail(e, BD_E_SEAL, "JWT x5c with bytes after its end");
		X509_free(leaf);
		leaf = NULL;
	}
out:
	buf_free(&der);
	json_decref(header);
	return leaf;
}
