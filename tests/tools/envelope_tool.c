/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets the Python tests reach the envelope library, so that programs which are not ours can judge
 * what it makes. Each command reads files and writes files or standard output; an error is
 * "KIND cause" on standard error and status 1. Not installed.
 */
#include "config.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/signer.h"
#include "envelope/cert.h"
#include "envelope/jwt.h"
#include "envelope/package.h"
#include "envelope/sbd.h"
#include "envelope/sealed.h"

static struct bd_err err;

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "%s %s: %s\n", bd_kind_name(err.kind), what, err.cause);
	exit(1);
}

static void
file_read(const char *name, struct buf *out)
{
	FILE *f = fopen(name, "rb");
	char chunk[65536];
	size_t n;

	if (f == NULL) {
		perror(name);
		exit(2);
	}
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		if (buf_add(out, chunk, n) == -1)
			exit(2);
	fclose(f);
}

static void
file_write(const char *name, const struct buf *data)
{
	FILE *f = strcmp(name, "-") == 0 ? stdout : fopen(name, "wb");

	if (f == NULL || fwrite(data->data, 1, data->len, f) != data->len || fflush(f) != 0) {
		perror(name);
		exit(2);
	}
	if (f != stdout)
		fclose(f);
}

static EVP_PKEY *
key_read(const char *name)
{
	FILE *f = fopen(name, "r");
	EVP_PKEY *key = f != NULL ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;

	if (key == NULL) {
		fprintf(stderr, "%s: no key\n", name);
		exit(2);
	}
	fclose(f);
	return key;
}

static X509 *
cert_read(const char *name)
{
	struct buf text = { 0 };
	X509 *cert;

	file_read(name, &text);
	if ((cert = cert_parse(buf_str(&text), &err)) == NULL)
		die(name);
	buf_free(&text);
	return cert;
}

static void
print_json(json_t *value)
{
	char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;

	if (text == NULL)
		exit(2);
	puts(text);
	free(text);
	json_decref(value);
}

/* package KEY CHAIN MAILBOX LANGUAGE ORGNR UNIT INVOICE OUT {HREF MIME TITLE FILE}...; "-" is NULL
 */
static void
do_package(char **arg, int count)
{
	struct cert_chain chain;
	struct package_sender sender = { .label = "test", .chain = &chain };
	struct buf out = { 0 }, *files;
	struct signer *signer;
	struct letter letter = { 0 };
	EVP_PKEY *key = key_read(arg[0]);

	if (cert_chain_load(arg[1], &chain, &err) == -1)
		die(arg[1]);
	sender.orgnr = arg[4];
	sender.unit = strcmp(arg[5], "-") == 0 ? NULL : arg[5];
	sender.invoice_reference = strcmp(arg[6], "-") == 0 ? NULL : arg[6];
	letter.document_count = (size_t)(count - 8) / 4;
	letter.documents = calloc(letter.document_count, sizeof(*letter.documents));
	files = calloc(letter.document_count, sizeof(*files));
	for (size_t i = 0; i < letter.document_count; i++) {
		struct document *d = &letter.documents[i];
		char **at = arg + 8 + 4 * i;

		file_read(at[3], &files[i]);
		*d = (struct document){ at[0], at[1], at[2], files[i].data, files[i].len };
	}
	signer = signer_direct(key);
	if (package_make(&letter, strcmp(arg[2], "-") == 0 ? NULL : arg[2], arg[3], &sender, signer,
			 &out, &err) == -1)
		die("package");
	file_write(arg[7], &out);
	for (size_t i = 0; i < letter.document_count; i++)
		buf_free(&files[i]);
	free(files);
	free(letter.documents);
	buf_free(&out);
	cert_chain_clear(&chain);
	signer_free(&signer);
	EVP_PKEY_free(key);
}

/* encrypt CERT IN OUT */
static void
do_encrypt(char **arg, int count)
{
	struct buf in = { 0 }, out = { 0 };
	X509 *cert = cert_read(arg[0]);

	(void)count;
	file_read(arg[1], &in);
	if (package_encrypt(&in, cert, &out, &err) == -1)
		die("encrypt");
	file_write(arg[2], &out);
	buf_free(&in);
	buf_free(&out);
	X509_free(cert);
}

/* decrypt KEY CERT IN OUT */
static void
do_decrypt(char **arg, int count)
{
	struct buf in = { 0 }, out = { 0 };
	EVP_PKEY *key = key_read(arg[0]);
	X509 *cert = cert_read(arg[1]);

	(void)count;
	file_read(arg[2], &in);
	if (package_decrypt(in.data, in.len, cert, key, &out, &err) == -1)
		die("decrypt");
	file_write(arg[3], &out);
	buf_free(&in);
	buf_free(&out);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* verify IN [ROOTS] */
static void
do_verify(char **arg, int count)
{
	X509_STORE *roots = count > 1 ? cert_roots_load(arg[1], &err) : NULL;
	json_t *documents = json_array(), *root;
	struct package_open o;
	struct buf in = { 0 };
	char orgnr[ORGNR_CHARS] = "";

	if (count > 1 && roots == NULL)
		die(arg[1]);
	file_read(arg[0], &in);
	if (package_verify(in.data, in.len, roots, &o, &err) == -1)
		die("verify");
	cert_orgnr(o.signer, orgnr);
	for (size_t i = 0; i < o.document_count; i++) {
		uint8_t digest[SHA256_BYTES];
		char hex[2 * SHA256_BYTES + 1];

		sha256(digest, o.documents[i].data.data, o.documents[i].data.len);
		hex_encode(hex, digest, sizeof(digest));
		json_array_append_new(documents,
				      json_pack("{s:s, s:s, s:s?, s:s}", "href",
						o.documents[i].href, "mime", o.documents[i].mime,
						"title", o.documents[i].title, "sha256", hex));
	}
	root = json_pack("{s:s?, s:s, s:s?, s:s, s:o}", "mailbox", o.mailbox, "sender",
			 o.sender_orgnr, "unit", o.unit, "signer", orgnr, "documents", documents);
	print_json(root);
	package_open_clear(&o);
	buf_free(&in);
	X509_STORE_free(roots);
}

static void
keys_read(char *id, char *file, struct seal_keys *keys)
{
	if (seal_keys_load(&(struct conf_seal_key){ id, file }, 1, keys, &err) == -1)
		die(file);
}

static struct control_record *
control_read(const char *file)
{
	struct control_record *c;
	struct buf json = { 0 };

	file_read(file, &json);
	if (control_from_json(json.data, json.len, &c, &err) == -1)
		die(file);
	buf_free(&json);
	return c;
}

/* seal KEYID KEYFILE CONTROL PACKAGE OUT */
static void
do_seal(char **arg, int count)
{
	struct control_record *c = control_read(arg[2]);
	struct buf package = { 0 }, out = { 0 };
	struct seal_keys keys;

	(void)count;
	keys_read(arg[0], arg[1], &keys);
	file_read(arg[3], &package);
	if (sealed_make(c, &package, &keys, &out, &err) == -1)
		die("seal");
	file_write(arg[4], &out);
	buf_free(&package);
	buf_free(&out);
	control_free(&c);
	seal_keys_clear(&keys);
}

/* unseal KEYID KEYFILE MESSAGE PACKAGE-OUT: the record on standard output */
static void
do_unseal(char **arg, int count)
{
	struct buf message = { 0 }, package = { 0 }, json = { 0 };
	struct control_record *c;
	struct seal_keys keys;

	(void)count;
	keys_read(arg[0], arg[1], &keys);
	file_read(arg[2], &message);
	if (sealed_open(message.data, message.len, &keys, NULL, &c, &package, &err) == -1 ||
	    control_to_json(c, &json, &err) == -1)
		die("unseal");
	file_write(arg[3], &package);
	file_write("-", &json);
	buf_free(&message);
	buf_free(&package);
	buf_free(&json);
	control_free(&c);
	seal_keys_clear(&keys);
}

/* cert CHAIN ROOTS signs|receives: what follows the leaf in CHAIN helps to build the path */
static void
do_cert(char **arg, int count)
{
	enum cert_use use = strcmp(arg[2], "signs") == 0 ? CERT_SIGNS : CERT_RECEIVES;
	X509_STORE *roots = cert_roots_load(arg[1], &err);
	struct cert_chain chain;
	char orgnr[ORGNR_CHARS];

	(void)count;
	if (roots == NULL || cert_chain_load(arg[0], &chain, &err) == -1 ||
	    cert_check(chain.leaf, chain.rest, roots, use, &err) == -1)
		die("cert");
	puts(cert_orgnr(chain.leaf, orgnr) == 0 ? orgnr : "none");
	cert_chain_clear(&chain);
	X509_STORE_free(roots);
}

/* jwt-sign KEY CERT PAYLOAD [KID] */
static void
do_jwt_sign(char **arg, int count)
{
	EVP_PKEY *key = key_read(arg[0]);
	struct signer *signer = signer_direct(key);
	struct buf payload = { 0 }, out = { 0 };
	X509 *cert = cert_read(arg[1]);

	file_read(arg[2], &payload);
	if (jwt_sign(buf_str(&payload), payload.len, cert, count > 3 ? arg[3] : NULL, signer,
		     "test", &out, &err) == -1)
		die("jwt-sign");
	file_write("-", &out);
	buf_free(&payload);
	buf_free(&out);
	X509_free(cert);
	signer_free(&signer);
	EVP_PKEY_free(key);
}

/* jwt-verify TOKEN [CERT]: with x5c[0] where no certificate is given */
static void
do_jwt_verify(char **arg, int count)
{
	struct buf token = { 0 };
	json_t *payload;
	X509 *cert;

	file_read(arg[0], &token);
	cert = count > 1 ? cert_read(arg[1]) : jwt_leaf(buf_str(&token), token.len, &err);
	if (cert == NULL ||
	    jwt_verify(buf_str(&token), token.len, X509_get0_pubkey(cert), &payload, &err) == -1)
		die("jwt-verify");
	print_json(payload);
	X509_free(cert);
	buf_free(&token);
}

/* sbd CONTROL INSTANCE CONVERSATION SIGNER-ORGNR TOKEN CREATED-MS */
static void
do_sbd(char **arg, int count)
{
	struct control_record *c = control_read(arg[0]);
	const struct sbd_ids ids = { arg[1], arg[2], arg[3], arg[4], atoll(arg[5]) };
	struct buf json = { 0 };

	(void)count;
	if (sbd_digital(c, &ids, &json, &err) == -1)
		die("sbd");
	file_write("-", &json);
	buf_free(&json);
	control_free(&c);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int min, max;
		void (*run)(char **, int);
	} commands[] = {
		{ "package", 12, 2000, do_package },
		{ "encrypt", 3, 3, do_encrypt },
		{ "decrypt", 4, 4, do_decrypt },
		{ "verify", 1, 2, do_verify },
		{ "seal", 5, 5, do_seal },
		{ "unseal", 4, 4, do_unseal },
		{ "jwt-sign", 3, 4, do_jwt_sign },
		{ "jwt-verify", 1, 2, do_jwt_verify },
		{ "sbd", 6, 6, do_sbd },
		{ "cert", 3, 3, do_cert },
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (argc < 2 || strcmp(argv[1], commands[i].name) != 0)
			continue;
		if (argc - 2 < commands[i].min || argc - 2 > commands[i].max)
			break;
		commands[i].run(argv + 2, argc - 2);
		return 0;
	}
	fprintf(stderr, "usage: envelope_tool command arguments, see the source\n");
	return 2;
}
