/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes and loads the sandbox's test certificates and keys, and nothing else. It trusts its folder:
 * whoever can write there can be anybody in this sandbox.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "common/encode.h"
#include "sandbox/pki.h"

#define DAY_SEC 86400L
#define ROOT_DAYS 7300L
#define LEAF_DAYS 1095L
#define CA_KEY_BITS 2048
#define AGENCY_KEY_BITS 3072 /* as SEID 2 certificates have */
#define LEAF_KEY_BITS 2048   /* the rest: a first start should not take long */
#define TOKEN_KEY_BITS 2048

static const struct {
	const char *file, *name, *orgnr;
	bool provider;
} parties[PKI_PARTIES] = {
	[PKI_AGENCY] = { "agency", "BREVDUE TESTKOMMUNE", "123456785", false },
	[PKI_OTHER] = { "other", "EN ANNEN TESTETAT", "212121215", false },
	[PKI_PROCESSOR] = { "processor", "TESTDATABEHANDLER AS", "314159268", false },
	[PKI_DIGIPOST] = { "provider-984661185", "DIGIPOST (SANDBOX)", "984661185", true },
	[PKI_EBOKS] = { "provider-922020175", "E-BOKS (SANDBOX)", "922020175", true },
	[PKI_PRINT] = { "provider-974761076", "UTSKRIFT (SANDBOX)", "974761076", true },
};

struct ca {
	X509 *root, *issuing;
	EVP_PKEY *root_key, *issuing_key;
};

static void
path_in(char out[PATH_MAX], const char *dir, const char *base, const char *suffix)
{
	snprintf(out, PATH_MAX, "%s/%s%s", dir, base, suffix);
}

static FILE *
open_new(const char *path, mode_t mode, struct bd_err *e)
{
	int fd;
	FILE *f;

	if (unlink(path) == -1 && errno != ENOENT) {
		bd_fail_errno(e, BD_E_CONFIG, "replacing %s", path);
		return NULL;
	}
	if ((fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)) == -1 ||
	    (f = fdopen(fd, "w")) == NULL) {
		bd_fail_errno(e, BD_E_CONFIG, "making %s", path);
		if (fd != -1)
			close(fd);
		return NULL;
	}
	return f;
}

static int
save_key(const char *path, EVP_PKEY *key, struct bd_err *e)
{
	FILE *f = open_new(path, 0600, e);
	int ok;

	if (f == NULL)
		return -1;
	ok = PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	if (fclose(f) != 0 || !ok)
		return bd_fail(e, BD_E_CONFIG, "writing %s failed", path);
	return 0;
}

/* The certificates in order, up to the first NULL. */
static int
save_certs(const char *path, X509 *const certs[3], struct bd_err *e)
{
	FILE *f = open_new(path, 0644, e);
	int ok = 1;

	if (f == NULL)
		return -1;
	for (int i = 0; i < 3 && certs[i] != NULL; i++)
		ok &= PEM_write_X509(f, certs[i]);
	if (fclose(f) != 0 || !ok)
		return bd_fail(e, BD_E_CONFIG, "writing %s failed", path);
	return 0;
}

static EVP_PKEY *
load_key(const char *path)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *key;

	if (f == NULL)
		return NULL;
	key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	return key;
}

static X509 *
load_cert(const char *path)
{
	FILE *f = fopen(path, "re");
	X509 *cert;

	if (f == NULL)
		return NULL;
	cert = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	return cert;
}

/* A key from path, or a new one kept there. */
static EVP_PKEY *
key_at(const char *path, unsigned bits, struct bd_err *e)
{
	EVP_PKEY *key = load_key(path);

	if (key != NULL)
		return key;
	if ((key = EVP_RSA_gen(bits)) == NULL) {
		bd_fail(e, BD_E_CONFIG, "making an RSA key failed");
		return NULL;
	}
	if (save_key(path, key, e) == -1) {
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

static int
add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	int ok;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	if ((ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value)) == NULL)
		return 0;
	ok = X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	return ok;
}

static int
add_name(X509_NAME *name, const char *field, const char *value)
{
	return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value,
					  -1, -1, 0);
}

struct cert_request {
	const char *name;
	const char *orgnr; /* NULL for a CA */
	const char *usage;
	const char *constraints;
	EVP_PKEY *key;
	X509 *issuer; /* NULL: self-signed */
	EVP_PKEY *issuer_key;
	long from_days, to_days; /* from now */
};

static X509 *
issue(const struct cert_request *r, struct bd_err *e)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_NAME_new();
	BIGNUM *serial = BN_new();
	char number[32];
	int ok = cert != NULL && name != NULL && serial != NULL;

	ok = ok && X509_set_version(cert, X509_VERSION_3) &&
	     BN_rand(serial, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
	     BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) != NULL;
	ok = ok && add_name(name, "C", "NO");
	if (r->orgnr != NULL) {
		snprintf(number, sizeof(number), "NTRNO-%s", r->orgnr);
		ok = ok && add_name(name, "O", r->name) &&
		     add_name(name, "organizationIdentifier", number);
	} else {
		ok = ok && add_name(name, "O", "brevdue sandbox");
	}
	ok =
	    ok && add_name(name, "CN", r->name) && X509_set_subject_name(cert, name) &&
	    X509_set_issuer_name(cert, r->issuer != NULL ? X509_get_subject_name(r->issuer) : name);
	ok = ok &&
	     X509_gmtime_adj(X509_getm_notBefore(cert), r->from_days * DAY_SEC - 3600) != NULL &&
	     X509_gmtime_adj(X509_getm_notAfter(cert), r->to_days * DAY_SEC) != NULL;
	ok = ok && X509_set_pubkey(cert, r->key);
	ok = ok && add_ext(cert, r->issuer != NULL ? r->issuer : cert, NID_subject_key_identifier,
			   "hash");
	if (r->issuer != NULL)
		ok = ok && add_ext(cert, r->issuer, NID_authority_key_identifier, "keyid");
	ok = ok && add_ext(cert, cert, NID_basic_constraints, r->constraints) &&
	     add_ext(cert, cert, NID_key_usage, r->usage);
	ok = ok && X509_sign(cert, r->issuer_key, EVP_sha256()) > 0;
	BN_free(serial);
	X509_NAME_free(name);
	if (!ok) {
		X509_free(cert);
		bd_fail(e, BD_E_CONFIG, "making the certificate of %s failed", r->name);
		return NULL;
	}
	return cert;
}

static int
still_valid(X509 *cert)
{
	return cert != NULL && X509_cmp_current_time(X509_get0_notBefore(cert)) < 0 &&
	       X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

static void
ca_clear(struct ca *ca)
{
	X509_free(ca->root);
	X509_free(ca->issuing);
	EVP_PKEY_free(ca->root_key);
	EVP_PKEY_free(ca->issuing_key);
}

/* Root and intermediate, loaded or made, and trust.pem of both. */
static int
ca_open(const char *dir, bool say, struct ca *ca, struct bd_err *e)
{
	char root[PATH_MAX], issuing[PATH_MAX], path[PATH_MAX];
	struct cert_request r = { .name = "brevdue sandbox root CA",
				  .usage = "critical,keyCertSign,cRLSign",
				  .constraints = "critical,CA:TRUE",
				  .to_days = ROOT_DAYS };

	path_in(root, dir, "root", ".pem");
	path_in(issuing, dir, "intermediate", ".pem");
	path_in(path, dir, "root", ".key");
	if ((ca->root_key = key_at(path, CA_KEY_BITS, e)) == NULL)
		return -1;
	path_in(path, dir, "intermediate", ".key");
	if ((ca->issuing_key = key_at(path, CA_KEY_BITS, e)) == NULL)
		return -1;
	ca->root = load_cert(root);
	ca->issuing = load_cert(issuing);
	path_in(path, dir, "trust", ".pem");
	if (still_valid(ca->root) && still_valid(ca->issuing) &&
	    X509_check_private_key(ca->root, ca->root_key) == 1 &&
	    X509_check_private_key(ca->issuing, ca->issuing_key) == 1 &&
	    X509_verify(ca->issuing, ca->root_key) == 1 && access(path, R_OK) == 0)
		return 0;
	X509_free(ca->root);
	X509_free(ca->issuing);
	ca->issuing = NULL;
	r.key = r.issuer_key = ca->root_key;
	if ((ca->root = issue(&r, e)) == NULL)
		return -1;
	r.name = "brevdue sandbox CA 1 ST business";
	r.constraints = "critical,CA:TRUE,pathlen:0";
	r.key = ca->issuing_key;
	r.issuer = ca->root;
	if ((ca->issuing = issue(&r, e)) == NULL ||
	    save_certs(root, (X509 *[3]){ ca->root, NULL, NULL }, e) == -1 ||
	    save_certs(issuing, (X509 *[3]){ ca->issuing, NULL, NULL }, e) == -1 ||
	    save_certs(path, (X509 *[3]){ ca->root, ca->issuing, NULL }, e) == -1)
		return -1;
	if (say)
		printf("made  %s  (root and intermediate to trust)\n", path);
	return 0;
}

static X509 *
party_cert(const struct pki_party *p, const struct ca *ca, long from, long to, struct bd_err *e)
{
	struct cert_request r = { .name = p->name,
				  .orgnr = p->orgnr,
				  /* one certificate signs receipts and receives letters, as in
				   * SEID 1; agencies only sign */
				  .usage = p->provider ? "critical,digitalSignature,keyEncipherment"
						       : "critical,digitalSignature,nonRepudiation",
				  .constraints = "critical,CA:FALSE",
				  .key = p->key,
				  .issuer = ca->issuing,
				  .issuer_key = ca->issuing_key,
				  .from_days = from,
				  .to_days = to };

	return issue(&r, e);
}

static int
party_open(const char *dir, bool say, const struct ca *ca, struct pki_party *p, struct bd_err *e)
{
	char pem[PATH_MAX], key[PATH_MAX], old[PATH_MAX];

	path_in(pem, dir, p->file, ".pem");
	path_in(key, dir, p->file, ".key");
	if ((p->key = key_at(
		 key, p->orgnr == parties[PKI_AGENCY].orgnr ? AGENCY_KEY_BITS : LEAF_KEY_BITS,
		 e)) == NULL ||
	    (p->signer = signer_direct(p->key)) == NULL)
		return -1;
	p->cert = load_cert(pem);
	if (!still_valid(p->cert) || X509_check_private_key(p->cert, p->key) != 1 ||
	    X509_verify(p->cert, ca->issuing_key) != 1) {
		X509_free(p->cert);
		if ((p->cert = party_cert(p, ca, 0, LEAF_DAYS, e)) == NULL ||
		    save_certs(pem, (X509 *[3]){ p->cert, ca->issuing, ca->root }, e) == -1)
			return -1;
		if (say)
			printf("made  %s and .key  (%s, %s)\n", pem, p->orgnr, p->name);
	}
	if (!p->provider)
		return 0;
	path_in(old, dir, p->file, "-expired.pem");
	p->expired = load_cert(old);
	if (p->expired != NULL && X509_check_private_key(p->expired, p->key) == 1 &&
	    X509_verify(p->expired, ca->issuing_key) == 1)
		return 0;
	X509_free(p->expired);
	if ((p->expired = party_cert(p, ca, -400, -30, e)) == NULL)
		return -1;
	return save_certs(old, (X509 *[3]){ p->expired, ca->issuing, ca->root }, e);
}

static int
token_open(const char *dir, struct pki *p, struct bd_err *e)
{
	char path[PATH_MAX];
	unsigned char *der = NULL;
	uint8_t digest[SHA256_BYTES];
	int len;

	path_in(path, dir, "maskinporten", ".key");
	if ((p->token_key = key_at(path, TOKEN_KEY_BITS, e)) == NULL ||
	    (p->token_signer = signer_direct(p->token_key)) == NULL)
		return -1;
	path_in(path, dir, "client-kid", ".key");
	if ((p->client_key = key_at(path, TOKEN_KEY_BITS, e)) == NULL)
		return -1;
	if ((len = i2d_PUBKEY(p->token_key, &der)) <= 0)
		return bd_fail(e, BD_E_CONFIG, "encoding the token key failed");
	sha256(digest, der, (size_t)len);
	OPENSSL_free(der);
	hex_encode(p->token_kid, digest, 8);
	return 0;
}

struct pki *
pki_open(const char *dir, bool say, struct bd_err *e)
{
	struct pki *p = calloc(1, sizeof(*p));
	struct ca ca = { 0 };
	char path[PATH_MAX];
	int rc = -1;

	if (p == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return NULL;
	}
	if (ca_open(dir, say, &ca, e) == -1)
		goto out;
	for (int i = 0; i < PKI_PARTIES; i++) {
		p->party[i].file = parties[i].file;
		p->party[i].name = parties[i].name;
		p->party[i].orgnr = parties[i].orgnr;
		p->party[i].provider = parties[i].provider;
		if (party_open(dir, say, &ca, &p->party[i], e) == -1)
			goto out;
	}
	path_in(path, dir, "trust", ".pem");
	if ((p->roots = cert_roots_load(path, e)) == NULL || token_open(dir, p, e) == -1)
		goto out;
	rc = 0;
out:
	ca_clear(&ca);
	if (rc == -1)
		pki_free(&p);
	return p;
}

void
pki_free(struct pki **pp)
{
	struct pki *p = *pp;

	if (p == NULL)
		return;
	for (int i = 0; i < PKI_PARTIES; i++) {
		X509_free(p->party[i].cert);
		X509_free(p->party[i].expired);
		EVP_PKEY_free(p->party[i].key);
		signer_free(&p->party[i].signer);
	}
	X509_STORE_free(p->roots);
	EVP_PKEY_free(p->token_key);
	signer_free(&p->token_signer);
	EVP_PKEY_free(p->client_key);
	free(p);
	*pp = NULL;
}

const struct pki_party *
pki_find(const struct pki *p, const char *orgnr)
{
	for (int i = 0; i < PKI_PARTIES; i++)
		if (strcmp(p->party[i].orgnr, orgnr) == 0)
			return &p->party[i];
	return NULL;
}

int
pki_cert_text(X509 *cert, struct buf *out)
{
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);
	int rc = len > 0 ? base64_encode(out, der, (size_t)len) : -1;

	OPENSSL_free(der);
	return rc;
}
