/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `brevdue open FILE`: opens a sealed message as postcat -bh shows it and prints its control
 * record; with the mailbox's key also the documents of the package. For tests and for operators
 * with the seal key; persons are masked unless asked for. Writes no plain text anywhere but to
 * standard output, and never a document's content.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/pem.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/mask.h"
#include "common/encode.h"
#include "common/json.h"
#include "envelope/cert.h"
#include "envelope/package.h"
#include "envelope/sealed.h"

#define RECORD_MAX_BYTES ((size_t)1 << 20)
#define USAGE "open [--show-person] [--cert FILE --package-key FILE] FILE|-"

struct options {
	bool show_person;
	const char *cert, *key, *file;
};

static int
message_read(const char *name, struct buf *message, struct bd_err *e)
{
	bool standard = strcmp(name, "-") == 0;
	char chunk[65536];
	FILE *f = standard ? stdin : fopen(name, "re");
	size_t n;
	int rc = 0;

	if (f == NULL)
		return bd_fail_errno(e, BD_E_CONFIG, "%s", name);
	while (rc == 0 && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		rc = buf_add(message, chunk, n);
	if (rc == -1)
		bd_fail(e, BD_E_TOO_BIG, "%s is too big", name);
	else if (ferror(f))
		rc = bd_fail_errno(e, BD_E_CONFIG, "%s", name);
	if (!standard)
		fclose(f);
	return rc;
}

/* Masks the members that name a person, and numbers and addresses of persons in all the others, so
 * that a member that comes later is not shown by oversight. */
static void
mask(json_t *value, const char *const *domains)
{
	static const char *const personal[] = { "national_id",   "mailbox",   "notice_email",
						"notice_mobile", "recipient", "title" };
	const char *name;
	json_t *member;
	size_t i;

	json_object_foreach(value, name, member)
	{
		struct buf masked = { 0 };
		const char *text = json_string_value(member);
		bool whole = false;

		for (i = 0; i < sizeof(personal) / sizeof(personal[0]); i++)
			whole |= strcmp(name, personal[i]) == 0;
		if (text == NULL)
			mask(member, domains);
		else if (!whole && mask_line(text, strlen(text), domains, &masked) == 0)
			json_object_set_new(value, name, json_string(buf_str(&masked)));
		else
			json_object_set_new(value, name, json_string("***"));
		buf_free(&masked);
	}
	json_array_foreach(value, i, member) mask(member, domains);
}

static int
record_print(const struct conf *conf, const struct control_record *c, bool show_person,
	     struct bd_err *e)
{
	const char **domains = calloc(conf->domain_count + 1, sizeof(*domains));
	struct buf text = { 0 };
	json_t *root = NULL;
	int rc = -1;

	if (domains == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		goto out;
	}
	for (size_t i = 0; i < conf->domain_count; i++)
		domains[i] = conf->domains[i].name;
	if (control_to_json(c, &text, e) == -1 ||
	    (root = json_parse(text.data, text.len, RECORD_MAX_BYTES, e)) == NULL)
		goto out;
	if (!show_person)
		mask(root, domains);
	rc = json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
out:
	json_decref(root);
	buf_free(&text);
	free(domains);
	return rc;
}

static EVP_PKEY *
key_load(const char *file, struct bd_err *e)
{
	FILE *f = fopen(file, "re");
	EVP_PKEY *key;

	if (f == NULL) {
		bd_fail_errno(e, BD_E_CONFIG, "%s", file);
		return NULL;
	}
	if ((key = PEM_read_PrivateKey(f, NULL, NULL, NULL)) == NULL)
		bd_fail(e, BD_E_CONFIG, "%s holds no private key", file);
	fclose(f);
	return key;
}

static int
package_print(const struct options *o, const struct buf *package, bool show_title, struct bd_err *e)
{
	struct package_open open = { 0 };
	struct cert_chain chain = { 0 };
	struct buf asice = { 0 };
	EVP_PKEY *key = NULL;
	int rc = -1;

	if (cert_chain_load(o->cert, &chain, e) == -1 || (key = key_load(o->key, e)) == NULL ||
	    package_decrypt(package->data, package->len, chain.leaf, key, &asice, e) == -1 ||
	    package_verify(asice.data, asice.len, NULL, &open, e) == -1)
		goto out;
	for (size_t i = 0; i < open.document_count; i++) {
		const struct package_entry *d = &open.documents[i];
		uint8_t digest[SHA256_BYTES];
		char hex[2 * SHA256_BYTES + 1];

		sha256(digest, d->data.data, d->data.len);
		hex_encode(hex, digest, sizeof(digest));
		printf("%s %9zu %s %s%s%s\n", hex, d->data.len, d->href, d->mime,
		       show_title ? " " : "", show_title ? d->title : "");
	}
	rc = 0;
out:
	package_open_clear(&open);
	cert_chain_clear(&chain);
	EVP_PKEY_free(key);
	buf_free(&asice);
	return rc;
}

static int
open_message(const struct conf *c, const struct options *o, struct bd_err *e)
{
	struct control_record *record = NULL;
	struct buf message = { 0 }, package = { 0 };
	struct seal_keys keys = { 0 };
	int rc = -1;

	if (seal_keys_load(c->seal_keys, c->seal_key_count, &keys, e) == -1 ||
	    message_read(o->file, &message, e) == -1 ||
	    sealed_open(message.data, message.len, &keys, NULL, &record, &package, e) == -1 ||
	    record_print(c, record, o->show_person, e) == -1)
		goto out;
	rc = o->key == NULL ? 0 : package_print(o, &package, o->show_person, e);
out:
	control_free(&record);
	seal_keys_clear(&keys);
	buf_free(&package);
	buf_free(&message);
	return rc;
}

int
cmd_open(struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "show-person", no_argument, NULL, 's' },
		{ "cert", required_argument, NULL, 'c' },
		{ "package-key", required_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = { 0 };
	const struct conf *c;
	struct bd_err e = { 0 };
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 's':
			o.show_person = true;
			break;
		case 'c':
			o.cert = optarg;
			break;
		case 'k':
			o.key = optarg;
			break;
		default:
			return CLI_USAGE;
		}
	}
	if (optind + 1 != argc || (o.cert == NULL) != (o.key == NULL))
		return cli_usage(USAGE);
	o.file = argv[optind];
	if ((c = cli_conf(cli)) == NULL)
		return CLI_FAILED;
	return open_message(c, &o, &e) == -1 ? cli_fail("open", &e) : CLI_OK;
}
