/* SPDX-License-Identifier: Apache-2.0 */
/* Loads RSA private keys and signs digests with them. Key bytes are wiped as soon as OpenSSL has
 * its own copy; nothing of them reaches an error or a log. */
#include "config.h"
#include "common/rsa.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "common/privs.h"

#define KEY_FILE_MAX_BYTES 65536
#define KEY_MIN_BITS 2048
#define KEY_MAX_BITS 8192

int
rsa_sign(EVP_PKEY *key, const uint8_t digest[SHA256_BYTES], struct buf *sig, struct bd_err *e)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	unsigned char out[KEY_MAX_BITS / 8];
	size_t len = sizeof(out);
	int rc = -1;

	if (ctx == NULL || EVP_PKEY_sign_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) != 1 ||
	    EVP_PKEY_sign(ctx, out, &len, digest, SHA256_BYTES) != 1) {
		bd_fail(e, BD_E_SEAL, "signing: %s",
			ERR_reason_error_string(ERR_peek_last_error()));
		ERR_clear_error();
		goto out;
	}
	if (buf_add(sig, out, len) == -1) {
		bd_fail(e, BD_E_MEMORY, "no memory for a signature");
		goto out;
	}
	rc = 0;
out:
	EVP_PKEY_CTX_free(ctx);
	return rc;
}

/* Instead of OpenSSL's own callback, which would ask on the terminal. */
static int
no_password(char *out, int size, int writing, void *arg)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

EVP_PKEY *
rsa_key_load(const char *path, struct bd_err *e)
{
	unsigned char *text = OPENSSL_malloc(KEY_FILE_MAX_BYTES);
	EVP_PKEY *key = NULL;
	BIO *bio = NULL;
	long len;

	if (text == NULL) {
		bd_fail(e, BD_E_MEMORY, "no memory for a key");
		return NULL;
	}
	if ((len = privs_read_secret(path, text, KEY_FILE_MAX_BYTES, e)) == -1)
		goto out;
	if ((bio = BIO_new_mem_buf(text, (int)len)) != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	if (key == NULL) {
		bd_fail(e, BD_E_CONFIG, "%s: holds no unencrypted PEM private key", path);
		ERR_clear_error();
		goto out;
	}
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) < KEY_MIN_BITS ||
	    EVP_PKEY_get_bits(key) > KEY_MAX_BITS) {
		bd_fail(e, BD_E_CONFIG, "%s: must be an RSA key of %d to %d bits", path,
			KEY_MIN_BITS, KEY_MAX_BITS);
		EVP_PKEY_free(key);
		key = NULL;
	}
out:
	BIO_free(bio);
	OPENSSL_clear_free(text, KEY_FILE_MAX_BYTES);
	return key;
}
