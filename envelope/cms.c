/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelopedData for a mailbox or print provider, exactly as spec/dpi.md 1.7 has it, and back. The
 * content is not looked at here.
 */
#include "config.h"
#include "envelope/cms.h"

#include <limits.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "envelope/der.h"
#include "envelope/ossl.h"

/* RSAES-OAEP-params (RFC 4055 4.1): SHA-256 and MGF1 with SHA-256, each hash with an explicit NULL,
 * pSource left out. OpenSSL writes the hashes without parameters; whether every mailbox takes that
 * form is not confirmed (spec/dpi.md 1.7), the published packages have the NULL. */
static const unsigned char oaep_params[] = {
	0x30, 0x2f, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
	0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a,
	0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60,
	0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
};

static int
recipient_add(CMS_ContentInfo *cms, X509 *recipient, CMS_RecipientInfo **ri_r)
{
	EVP_PKEY_CTX *ctx;

	*ri_r = CMS_add1_recipient_cert(cms, recipient, CMS_KEY_PARAM);
	return *ri_r != NULL && (ctx = CMS_RecipientInfo_get0_pkey_ctx(*ri_r)) != NULL &&
		       EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
		       EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) > 0 &&
		       EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) > 0
		   ? 0
		   : -1;
}

/* After encryption, because OpenSSL fills the parameters then. */
static int
recipient_params_fix(CMS_RecipientInfo *ri)
{
	ASN1_STRING *params = NULL;
	X509_ALGOR *alg = NULL;

	if (CMS_RecipientInfo_ktri_get0_algs(ri, NULL, NULL, &alg) != 1 || alg == NULL ||
	    (params = ASN1_STRING_new()) == NULL)
		return -1;
	if (!ASN1_STRING_set(params, oaep_params, sizeof(oaep_params)) ||
	    !X509_ALGOR_set0(alg, OBJ_nid2obj(NID_rsaesOaep), V_ASN1_SEQUENCE, params)) {
		ASN1_STRING_free(params);
		return -1;
	}
	return 0;
}

static int
cms_write(CMS_ContentInfo *cms, struct buf *out, struct bd_err *e)
{
	unsigned char *at;
	int len = i2d_CMS_ContentInfo(cms, NULL);

	if (len <= 0)
		return ossl_fail(e, BD_E_SEAL, "encryption");
	if (buf_reserve(out, (size_t)len) == -1)
		return bd_fail(e, BD_E_MEMORY, "no memory for an encrypted package");
	at = out->data + out->len;
	if (i2d_CMS_ContentInfo(cms, &at) != len)
		return ossl_fail(e, BD_E_SEAL, "encryption");
	out->len += (size_t)len;
	out->data[out->len] = '\0';
	return 0;
}

int
cms_encrypt(const void *data, size_t len, X509 *recipient, struct buf *out, struct bd_err *e)
{
	CMS_ContentInfo *cms = NULL;
	CMS_RecipientInfo *ri;
	BIO *in = NULL;
	int rc = -1;

	if (len > INT_MAX / 2)
		return bd_fail(e, BD_E_TOO_BIG, "package of %zu bytes", len);
	if ((in = BIO_new_mem_buf(data, (int)len)) == NULL ||
	    (cms = CMS_encrypt(NULL, NULL, EVP_aes_256_cbc(), CMS_PARTIAL | CMS_BINARY)) == NULL ||
	    recipient_add(cms, recipient, &ri) == -1 || CMS_final(cms, in, NULL, CMS_BINARY) != 1 ||
	    recipient_params_fix(ri) == -1) {
		ossl_fail(e, BD_E_SEAL, "encryption");
		goto out;
	}
	rc = cms_write(cms, out, e);
out:
	CMS_ContentInfo_free(cms);
	BIO_free(in);
	return rc;
}

/* ContentInfo, EnvelopedData, AES-256-CBC, by the outermost headers; OpenSSL reads the rest. */
static int
enveloped_check(const void *cms, size_t len, struct bd_err *e)
{
	struct der in = { cms, len }, info, explicit, enveloped, content, alg;
	struct der_item item;

	if (der_sequence(&in, &info) == -1 || in.len != 0 ||
	    der_oid(&info, NID_pkcs7_enveloped) == -1 ||
	    der_take(&info, V_ASN1_CONTEXT_SPECIFIC, 0, true, &explicit) == -1 ||
	    der_sequence(&explicit, &enveloped) == -1)
		return bd_fail(e, BD_E_DAMAGED, "package is no envelopedData");
	if (der_integer(&enveloped, 0) == -1)
		return bd_fail(e, BD_E_DAMAGED, "package: envelopedData not of version 0");
	if (der_next(&enveloped, &item) == -1 || item.tagclass != V_ASN1_UNIVERSAL ||
	    item.tag != V_ASN1_SET || der_sequence(&enveloped, &content) == -1 ||
	    der_oid(&content, NID_pkcs7_data) == -1 || der_sequence(&content, &alg) == -1)
		return bd_fail(e, BD_E_DAMAGED, "package: envelopedData of a foreign form");
	if (der_oid(&alg, NID_aes_256_cbc) == -1)
		return bd_fail(e, BD_E_DAMAGED, "package is not encrypted with AES-256-CBC");
	return 0;
}

int
cms_decrypt(const void *cms, size_t len, X509 *recipient, EVP_PKEY *key, struct buf *out,
	    struct bd_err *e)
{
	const unsigned char *at = cms;
	CMS_ContentInfo *info = NULL;
	BIO *plain = NULL;
	char *data;
	long size;
	int rc = -1;

	if (len > INT_MAX / 2)
		return bd_fail(e, BD_E_DAMAGED, "package of %zu bytes", len);
	if (enveloped_check(cms, len, e) == -1)
		return -1;
	if ((plain = BIO_new(BIO_s_mem())) == NULL ||
	    (info = d2i_CMS_ContentInfo(NULL, &at, (long)len)) == NULL ||
	    CMS_decrypt(info, key, recipient, NULL, plain, CMS_BINARY) != 1) {
		ossl_fail(e, BD_E_DAMAGED, "package cannot be decrypted");
		goto out;
	}
	size = BIO_get_mem_data(plain, &data);
	if (buf_add(out, data, (size_t)size) == -1) {
		bd_fail(e, BD_E_MEMORY, "no memory for a decrypted package");
		goto out;
	}
	rc = 0;
out:
	CMS_ContentInfo_free(info);
	BIO_free(plain);
	return rc;
}
