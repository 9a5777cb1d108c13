/* SPDX-License-Identifier: Apache-2.0 */
/* What `brevdue check` asks of keys, certificates, users and sockets. */
#include "config.h"
#include "cli/check.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <openssl/pem.h>

#include "common/clock.h"
#include "common/sock.h"
#include "envelope/cert.h"

#define KEY_BYTES 32
#define EXPIRY_DAYS 30
#define CONNECT_MS 2000

static bool
secret_file(struct check *k, const char *path, off_t size)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return check_says(k, "%s cannot be read: %m", path);
	if (!S_ISREG(st.st_mode) || (size > 0 && st.st_size != size))
		return check_says(k, "%s must be a file of %d bytes", path, (int)size);
	if ((st.st_mode & 077) != 0)
		return check_says(k, "%s has mode %04o: others than its owner may use it", path,
				  (unsigned)st.st_mode & 07777);
	return true;
}

static bool
secrets(struct check *k)
{
	if (k->conf->secret != NULL && !secret_file(k, k->conf->secret, KEY_BYTES))
		return false;
	for (size_t i = 0; i < k->conf->seal_key_count; i++)
		if (!secret_file(k, k->conf->seal_keys[i].file, KEY_BYTES))
			return false;
	return true;
}

static bool
agency_keys(struct check *k)
{
	for (size_t i = 0; i < k->conf->agency_count; i++)
		if (!secret_file(k, k->conf->agencies[i].key, 0))
			return false;
	return true;
}

static bool
certificate_holds(struct check *k, const struct conf_agency *a, X509_STORE *roots)
{
	struct cert_chain chain = { 0 };
	struct bd_err e = { 0 };
	char orgnr[ORGNR_CHARS] = "";
	EVP_PKEY *key = NULL;
	FILE *f = NULL;
	bool holds = false;
	time_t soon = clock_wall() + EXPIRY_DAYS * 86400;

	if (cert_chain_load(a->certificate, &chain, &e) == -1)
		check_says(k, "agency %s: %s", a->name, e.cause);
	else if ((f = fopen(a->key, "re")) == NULL ||
		 (key = PEM_read_PrivateKey(f, NULL, NULL, NULL)) == NULL)
		check_says(k, "agency %s: %s holds no private key that can be read", a->name,
			   a->key);
	else if (X509_check_private_key(chain.leaf, key) != 1)
		check_says(k, "agency %s: %s is not the key of %s", a->name, a->key,
			   a->certificate);
	else if (cert_check(chain.leaf, chain.rest, roots, CERT_SIGNS, &e) == -1)
		check_says(k, "agency %s: %s: %s", a->name, a->certificate, e.cause);
	else if (X509_cmp_time(X509_get0_notAfter(chain.leaf), &soon) < 0)
		check_says(k, "agency %s: %s expires within %d days", a->name, a->certificate,
			   EXPIRY_DAYS);
	else if (cert_orgnr(chain.leaf, orgnr) == -1)
		check_says(k, "agency %s: %s names no organisation number", a->name,
			   a->certificate);
	else
		holds = true;
	if (f != NULL)
		fclose(f);
	EVP_PKEY_free(key);
	cert_chain_clear(&chain);
	return holds;
}

static bool
certificates(struct check *k)
{
	struct bd_err e = { 0 };
	X509_STORE *roots;
	bool holds = true;

	if (k->conf->trust == NULL)
		return true;
	if ((roots = cert_roots_load(k->conf->trust, &e)) == NULL)
		return check_says(k, "trust: %s", e.cause);
	for (size_t i = 0; i < k->conf->agency_count && holds; i++)
		holds = certificate_holds(k, &k->conf->agencies[i], roots);
	X509_STORE_free(roots);
	return holds;
}

static bool
user_is(struct check *k, const char *daemon, const char *user)
{
	const struct passwd *entry;

	if (user == NULL)
		return check_says(k, "%s has no user: started by root it would stay root", daemon);
	if ((entry = getpwnam(user)) == NULL)
		return check_says(k, "there is no user %s (of %s)", user, daemon);
	return entry->pw_uid != 0 || check_says(k, "%s runs as root", daemon);
}

static bool
users(struct check *k)
{
	const struct conf *c = k->conf;

	if (!user_is(k, "milter", c->milter.user) || !user_is(k, "lookup", c->lookup.user) ||
	    !user_is(k, "transport", c->transport.user))
		return false;
	if (strcmp(c->milter.user, c->lookup.user) == 0 ||
	    strcmp(c->milter.user, c->transport.user) == 0 ||
	    strcmp(c->lookup.user, c->transport.user) == 0)
		return check_says(k, "milter, lookup and transport share a user: each must have "
				     "its own");
	return true;
}

static bool
submitters(struct check *k)
{
	const char *members[] = { k->conf->milter.user, k->conf->transport.user };
	const struct group *g = getgrnam(k->conf->postfix.submit_group);

	if (g == NULL)
		return check_says(k, "there is no group %s", k->conf->postfix.submit_group);
	for (size_t i = 0; i < 2; i++) {
		bool found = members[i] == NULL;

		for (char **m = g->gr_mem; *m != NULL && !found; m++)
			found = strcmp(*m, members[i]) == 0;
		if (!found)
			return check_says(k,
					  "user %s is not in group %s: it cannot reach the "
					  "sending instance",
					  members[i], g->gr_name);
	}
	return true;
}

static bool
answers(struct check *k, const char *daemon, const char *path)
{
	struct bd_err e = { 0 };
	int fd = sock_connect(path, CONNECT_MS, &e);

	if (fd == -1)
		return check_says(k, "%s does not answer: %s", daemon, e.cause);
	close(fd);
	return true;
}

static bool
milter_answers(struct check *k)
{
	return answers(k, "brevdue-milter", k->conf->milter.socket);
}

static bool
lookup_answers(struct check *k)
{
	return answers(k, "brevdue-lookup", k->conf->lookup.socket);
}

static bool
transport_answers(struct check *k)
{
	return answers(k, "brevdue-transport", k->conf->transport.socket);
}

static bool
doors_answer(struct check *k)
{
	return answers(k, "service seal", k->conf->milter.submit_seal) &&
	       answers(k, "service mail", k->conf->milter.submit_mail) &&
	       answers(k, "service report", k->conf->transport.report_service);
}

static bool
no_swap(struct check *k)
{
	char line[256];
	int lines = 0;
	FILE *f = fopen("/proc/swaps", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		lines++;
	if (f != NULL)
		fclose(f);
	return lines < 2 ||
	       check_says(k, "this machine swaps: give Postfix's front instance and brevdue-milter "
			     "MemorySwapMax=0, or plain text may reach the disk");
}

static bool
front_tls(struct check *k)
{
	return (k->conf->postfix.front_certificate != NULL && k->conf->postfix.front_key != NULL) ||
	       check_says(k, "front-certificate and front-key are not set: letters come by "
			     "loopback only");
}

const struct check_row check_key_rows[] = {
	{ "secret and seal keys", CHECK_WRONG, secrets, false },
	{ "keys of the agencies", CHECK_WRONG, agency_keys, false },
	{ "certificates of the agencies", CHECK_WRONG, certificates, false },
	{ NULL, CHECK_WRONG, NULL, false },
};

/* Their networks do not tell agencies or strangers apart; a DKIM signature will, once it is
 * verified. */
static bool
clients_can_send(struct check *k)
{
	for (size_t i = 0; i < k->conf->client_count; i++) {
		const struct conf_client *client = &k->conf->clients[i];
		bool several = client->agencies != NULL && client->agencies[0] != NULL &&
			       client->agencies[1] != NULL;

		if (client->logins == NULL && client->listeners == NULL &&
		    (client->shared || several))
			return check_says(k,
					  "client %s is known by its network only and %s: all its "
					  "letters are refused (docs/senders.md)",
					  client->name,
					  client->shared ? "shares it with strangers"
							 : "speaks for several agencies");
	}
	return true;
}

const struct check_row check_system_rows[] = {
	{ "users", CHECK_WRONG, users, false },
	{ "group of submitters", CHECK_WRONG, submitters, false },
	{ "brevdue-milter", CHECK_WRONG, milter_answers, false },
	{ "brevdue-lookup", CHECK_WRONG, lookup_answers, false },
	{ "brevdue-transport", CHECK_WRONG, transport_answers, false },
	{ "sending instance answers", CHECK_WRONG, doors_answer, true },
	{ "swap", CHECK_NOTE, no_swap, false },
	{ "TLS", CHECK_NOTE, front_tls, false },
	{ "clients can send", CHECK_NOTE, clients_can_send, false },
	{ NULL, CHECK_WRONG, NULL, false },
};
