/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authEnvelopedData under a seal key: it hides the control record and proves that a holder of the
 * key made it. Opening looks at every byte of structure first, so that nothing but the one form
 * sealing writes is ever decrypted; in particular no short tag (RFC 5084 3.2 allows 12 bytes) and
 * no second recipient.
 */
#include "config.h"
#include "envelope/cms.h"

#include <limits.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <string.h>

#include "envelope/der.h"
#include "envelope/ossl.h"

#define NONCE_BYTES 12
#define TAG_BYTES 16
#define WRAPPED_BYTES (SEAL_KEY_BYTES + 8) /* RFC 3394 */

/* CMS_add0_recipient_key takes its memory over and frees it. */
static int
kek_add(CMS_ContentInfo *cms, const struct seal_key *key)
{
	unsigned char *key_copy = OPENSSL_memdup(key->key, SEAL_KEY_BYTES);
	unsigned char *id_copy = OPENSSL_memdup(key->id, strlen(key->id));

	if (key_copy != NULL && id_copy != NULL &&
	    CMS_add0_recipient_key(cms, NID_id_aes256_wrap, key_copy, SEAL_KEY_BYTES, id_copy,
				   strlen(key->id), NULL, NULL, NULL) != NULL)
		return 0;
	OPENSSL_clear_free(key_copy, SEAL_KEY_BYTES);
	OPENSSL_free(id_copy);
	return -1;
}

int
cms_seal(const void *data, size_t len, const struct seal_key *key, struct buf *out,
	 struct bd_err *e)
{
	CMS_ContentInfo *cms = NULL;
	unsigned char *der = NULL;
	BIO *in = NULL;
	int der_len, rc = -1;

	if (len > INT_MAX / 2)
		return bd_fail(e, BD_E_SEAL, "control record of %zu bytes", len);
	if ((in = BIO_new_mem_buf(data, (int)len)) == NULL ||
	    (cms = CMS_AuthEnvelopedData_create(EVP_aes_256_gcm())) == NULL ||
	    CMS_set_detached(cms, 0) != 1 || kek_add(cms, key) == -1 ||
	    CMS_final(cms, in, NULL, CMS_BINARY) != 1 ||
	    (der_len = i2d_CMS_ContentInfo(cms, &der)) <= 0) {
		ossl_fail(e, BD_E_SEAL, "sealing");
		goto out;
	}
	if (buf_add(out, der, (size_t)der_len) == -1) {
		bd_fail(e, BD_E_MEMORY, "no memory for a sealed record");
		goto out;
	}
	rc = 0;
out:
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
	BIO_free(in);
	return rc;
}

static const struct seal_key *
key_named(const struct seal_keys *keys, const struct der *id)
{
	for (size_t i = 0; i < keys->count; i++)
		if (strlen(keys->keys[i].id) == id->len &&
		    memcmp(keys->keys[i].id, id->at, id->len) == 0)
			return &keys->keys[i];
	return NULL;
}

/* True when nowhere in the element a length is indefinite: then what we saw is what OpenSSL sees.
 */
static bool
is_definite(struct der in, int depth)
{
	struct der_item item;

	while (in.len > 0) {
		if (depth > 12 || der_next(&in, &item) == -1 || item.indefinite ||
		    (item.constructed && !is_definite(item.content, depth + 1)))
			return false;
	}
	return true;
}

/* The one KEKRecipientInfo (RFC 5652 6.2.3) and the id in it. */
static int
recipient_check(struct der *set, struct der *id_r)
{
	struct der kek, identifier, alg, wrapped;

	return der_take(set, V_ASN1_CONTEXT_SPECIFIC, 2, true, &kek) == 0 && set->len == 0 &&
		       der_integer(&kek, 4) == 0 && der_sequence(&kek, &identifier) == 0 &&
		       der_take(&identifier, V_ASN1_UNIVERSAL, V_ASN1_OCTET_STRING, false, id_r) ==
			   0 &&
		       identifier.len == 0 && der_sequence(&kek, &alg) == 0 &&
		       der_oid(&alg, NID_id_aes256_wrap) == 0 && alg.len == 0 &&
		       der_octets(&kek, WRAPPED_BYTES, &wrapped) == 0 && kek.len == 0
		   ? 0
		   : -1;
}

/* AES-256-GCM with GCMParameters (RFC 5084 3.2) and the tag. */
static int
content_check(struct der *enveloped)
{
	struct der content, alg, params, part;

	return der_sequence(enveloped, &content) == 0 && der_oid(&content, NID_pkcs7_data) == 0 &&
		       der_sequence(&content, &alg) == 0 && der_oid(&alg, NID_aes_256_gcm) == 0 &&
		       der_sequence(&alg, &params) == 0 && alg.len == 0 &&
		       der_octets(&params, NONCE_BYTES, &part) == 0 &&
		       der_integer(&params, TAG_BYTES) == 0 && params.len == 0 &&
		       der_take(&content, V_ASN1_CONTEXT_SPECIFIC, 0, false, &part) == 0 &&
		       content.len == 0 && der_octets(enveloped, TAG_BYTES, &part) == 0 &&
		       enveloped->len == 0
		   ? 0
		   : -1;
}

static int
structure_check(const void *cms, size_t len, struct der *id_r, struct bd_err *e)
{
	struct der in = { cms, len }, info, explicit, enveloped, set;

	if (!is_definite(in, 0))
		return bd_fail(e, BD_E_NOT_SEALED, "control record is not DER");
	if (der_sequence(&in, &info) == -1 || in.len != 0 ||
	    der_oid(&info, NID_id_smime_ct_authEnvelopedData) == -1 ||
	    der_take(&info, V_ASN1_CONTEXT_SPECIFIC, 0, true, &explicit) == -1 || info.len != 0 ||
	    der_sequence(&explicit, &enveloped) == -1 || explicit.len != 0 ||
	    der_integer(&enveloped, 0) == -1)
		return bd_fail(e, BD_E_NOT_SEALED, "control record is no authEnvelopedData");
	if (der_take(&enveloped, V_ASN1_UNIVERSAL, V_ASN1_SET, true, &set) == -1 ||
	    recipient_check(&set, id_r) == -1)
		return bd_fail(e, BD_E_NOT_SEALED,
			       "control record: not exactly one recipient with AES-256 key wrap");
	if (content_check(&enveloped) == -1)
		return bd_fail(e, BD_E_NOT_SEALED,
			       "control record: not AES-256-GCM with a nonce of %d and a tag of %d "
			       "bytes",
			       NONCE_BYTES, TAG_BYTES);
	return 0;
}

int
cms_open(const void *cms, size_t len, const struct seal_keys *keys, struct buf *out,
	 struct bd_err *e)
{
	unsigned char key_copy[SEAL_KEY_BYTES];
	const struct seal_key *key;
	const unsigned char *at = cms;
	CMS_ContentInfo *info = NULL;
	BIO *plain = NULL;
	struct der id;
	char *data;
	long size;
	int rc = -1;

	if (structure_check(cms, len, &id, e) == -1)
		return -1;
	if ((key = key_named(keys, &id)) == NULL)
		return bd_fail(e, BD_E_NOT_SEALED, "control record: sealed with a key not known");
	memcpy(key_copy, key->key, sizeof(key_copy)); /* OpenSSL's parameter is not const */
	if ((plain = BIO_new(BIO_s_mem())) == NULL ||
	    (info = d2i_CMS_ContentInfo(NULL, &at, (long)len)) == NULL ||
	    CMS_decrypt_set1_key(info, key_copy, sizeof(key_copy), id.at, id.len) != 1 ||
	    CMS_decrypt(info, NULL, NULL, NULL, plain, CMS_BINARY) != 1) {
		ossl_fail(e, BD_E_NOT_SEALED, "control record: the seal is wrong");
		goto out;
	}
	size = BIO_get_mem_data(plain, &data);
	if (buf_add(out, data, (size_t)size) == -1) {
		bd_fail(e, BD_E_MEMORY, "no memory for a control record");
		goto out;
	}
	rc = 0;
out:
	OPENSSL_cleanse(key_copy, sizeof(key_copy));
	CMS_ContentInfo_free(info);
	BIO_free(plain);
	return rc;
}
