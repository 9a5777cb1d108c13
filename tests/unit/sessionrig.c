/* SPDX-License-Identifier: Apache-2.0 */
/* The rig of the session tests. */
#include "config.h"
#include "tests/unit/test.h"
#include "tests/unit/sessionrig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "envelope/nationalid.h"
#include "envelope/package.h"

struct lookup_question {
	size_t count;
	char ids[RIG_PEOPLE][12];
};

/* ---- certificates ---- */

static void
extend(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(ext);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
}

static X509 *
make_cert(EVP_PKEY *key, const char *name, const char *orgnr, X509 *issuer, EVP_PKEY *issuer_key,
	  const char *usage)
{
	static long serial;
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
				   0);
	if (orgnr != NULL)
		X509_NAME_add_entry_by_txt(subject, "serialNumber", MBSTRING_ASC,
					   (const unsigned char *)orgnr, -1, -1, 0);
	X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer) : subject);
	X509_set_pubkey(cert, key);
	extend(cert, NID_basic_constraints, issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
	extend(cert, NID_key_usage, usage);
	X509_sign(cert, issuer_key != NULL ? issuer_key : key, EVP_sha256());
	return cert;
}

static char *
to_pem(X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long len;

	PEM_write_bio_X509(bio, cert);
	len = BIO_get_mem_data(bio, &data);
	text = strndup(data, (size_t)len);
	BIO_free(bio);
	return text;
}

/* What a changed answer of the register could bring: certificates that are good in all but one
 * thing (threats.md A15). */
static void
make_foreign_certs(struct rig *r, X509 *root, EVP_PKEY *root_key)
{
	EVP_PKEY *key = EVP_RSA_gen(2048), *foreign_key = EVP_RSA_gen(2048);
	X509 *foreign_root =
	    make_cert(foreign_key, "Test Root", NULL, NULL, NULL, "critical,keyCertSign");
	X509 *others =
	    make_cert(key, "Postkasse", "922020175", root, root_key, "critical,keyEncipherment");
	X509 *untrusted = make_cert(key, "Postkasse", RIG_PROVIDER, foreign_root, foreign_key,
				    "critical,keyEncipherment");

	r->others_pem = to_pem(others);
	r->untrusted_pem = to_pem(untrusted);
	X509_free(untrusted);
	X509_free(others);
	X509_free(foreign_root);
	EVP_PKEY_free(foreign_key);
	EVP_PKEY_free(key);
}

static void
make_pki(struct rig *r)
{
	EVP_PKEY *root_key = EVP_RSA_gen(2048), *agency_key = EVP_RSA_gen(2048);
	X509 *root = make_cert(root_key, "Test Root", NULL, NULL, NULL, "critical,keyCertSign");
	struct gate_agency *a = r->gate.agencies;
	uint8_t fingerprint[SHA256_BYTES];

	r->mailbox_key = EVP_RSA_gen(2048);
	r->mailbox_cert = make_cert(r->mailbox_key, "Postkasse", RIG_PROVIDER, root, root_key,
				    "critical,keyEncipherment");
	r->mailbox_pem = to_pem(r->mailbox_cert);
	make_foreign_certs(r, root, root_key);
	a->chain.leaf =
	    make_cert(agency_key, "Etat", "123456785", root, root_key, "critical,digitalSignature");
	a->chain.rest = sk_X509_new_null();
	X509_up_ref(root);
	sk_X509_push(a->chain.rest, root);
	cert_fingerprint(a->chain.leaf, fingerprint);
	hex_encode(a->fingerprint, fingerprint, sizeof(fingerprint));
	r->gate.roots = X509_STORE_new();
	X509_STORE_add_cert(r->gate.roots, root);
	r->gate.signer = signer_direct(agency_key);
	EVP_PKEY_free(agency_key);
	EVP_PKEY_free(root_key);
	X509_free(root);
}

/* ---- the MTA ---- */

static const char *
rig_macro(void *mta, const char *name)
{
	struct rig *r = mta;

	if (strcmp(name, "i") == 0)
		return r->queue_id;
	if (strcmp(name, "{auth_authen}") == 0)
		return r->login;
	if (strcmp(name, "{tls_version}") == 0)
		return r->tls;
	if (strcmp(name, "{daemon_name}") == 0)
		return r->listener;
	return NULL;
}

static void
rig_reply(void *mta, const struct reply *reply)
{
	struct rig *r = mta;

	r->reply = *reply;
	r->replies++;
	/* No answer of ours may name anybody. */
	for (size_t i = 0; i < RIG_PEOPLE; i++)
		assert_null(strstr(reply->text, r->people[i]));
}

static int
rig_still_working(void *mta)
{
	struct rig *r = mta;

	r->ticks++;
	return r->is_gone ? -1 : 0;
}

static const struct mta_ops rig_mta = {
	.macro = rig_macro,
	.reply = rig_reply,
	.still_working = rig_still_working,
};

/* ---- the gate ---- */

static int
rig_reach(struct gate *g, struct bd_err *e)
{
	struct rig *r = g->ops_arg;

	r->reached++;
	return r->register_down ? bd_fail(e, BD_E_REGISTER, "down") : 0;
}

static struct lookup_question *
rig_ask(struct gate *g, const char *agency, const char *const *ids, size_t count, struct bd_err *e)
{
	struct rig *r = g->ops_arg;
	struct lookup_question *q = calloc(1, sizeof(*q));

	assert_string_equal(agency, "etat");
	r->asked++;
	if (r->ask_fails) {
		free(q);
		bd_fail(e, BD_E_REGISTER, "gone");
		return NULL;
	}
	q->count = count;
	for (size_t i = 0; i < count; i++)
		snprintf(q->ids[i], sizeof(q->ids[i]), "%s", ids[i]);
	r->open_questions++;
	return q;
}

static const char *
certificate_of(const struct rig *r, enum rig_fate fate)
{
	switch (fate) {
	case FATE_BAD_CERTIFICATE:
		return "bm90IGEgY2VydA==";
	case FATE_OTHERS_CERTIFICATE:
		return r->others_pem;
	case FATE_UNTRUSTED_ROOT:
		return r->untrusted_pem;
	case FATE_DIGITAL:
	case FATE_OPTED_OUT:
	case FATE_UNKNOWN:
	case FATE_OTHER_PERSON:
		break;
	}
	return r->mailbox_pem;
}

static void
make_person(struct rig *r, const char *id, struct person *p)
{
	size_t n = 0;

	*p = (struct person){ .status = PERSON_ACTIVE,
			      .reserved = PERSON_NOT_RESERVED,
			      .notifiable = PERSON_NOTIFIABLE };
	while (n < RIG_PEOPLE && strcmp(r->people[n], id) != 0)
		n++;
	assert_true(n < RIG_PEOPLE);
	if (r->fate[n] == FATE_UNKNOWN) {
		p->status = PERSON_STATUS_UNKNOWN;
		return;
	}
	snprintf(p->id, sizeof(p->id), "%s",
		 r->fate[n] == FATE_OTHER_PERSON ? r->people[(n + 1) % RIG_PEOPLE] : id);
	if (r->fate[n] == FATE_OPTED_OUT)
		p->reserved = PERSON_RESERVED;
	p->email.address = strdup("a@privat.example");
	p->email.updated = p->email.verified = clock_wall();
	p->mailbox = strdup("ola.test#1ABC");
	p->provider = strdup(RIG_PROVIDER);
	p->certificate = strdup(certificate_of(r, r->fate[n]));
}

static int
rig_collect(struct gate *g, struct lookup_question *q, struct person *persons, size_t count,
	    struct bd_err *e)
{
	struct rig *r = g->ops_arg;

	assert_non_null(q);
	assert_int_equal(q->count, count);
	usleep((useconds_t)r->collect_ms * 1000);
	if (r->collect_fails)
		return bd_fail(e, BD_E_REGISTER, "no answer");
	for (size_t i = 0; i < count; i++)
		make_person(r, q->ids[i], &persons[i]);
	return 0;
}

static struct rig *the_rig; /* forget gets no gate */

static void
rig_forget(struct lookup_question **q)
{
	if (*q != NULL)
		the_rig->open_questions--;
	free(*q);
	*q = NULL;
}

static int
rig_read(struct gate *g, int fd, const char *options, int timeout_ms, struct letter **l_r,
	 struct bd_err *e)
{
	struct rig *r = g->ops_arg;
	struct letter *l;
	off_t len = lseek(fd, 0, SEEK_END);
	uint8_t *text;

	assert_in_range(timeout_ms, 1, 45000);
	snprintf(r->reader_options, sizeof(r->reader_options), "%s", options);
	free(r->read);
	r->read = calloc(1, (size_t)len + 1);
	r->read_len = (size_t)len;
	assert_int_equal(pread(fd, r->read, (size_t)len, 0), len);
	if (r->read_fails != 0)
		return bd_fail(e, r->read_fails, "reader says no");
	l = calloc(1, sizeof(*l));
	l->title = strdup("Vedtak");
	l->message_id = r->message_id != NULL ? strdup(r->message_id) : NULL;
	l->is_reply = r->is_reply;
	l->private_mark = r->private_mark;
	l->wants_open_receipt = true;
	l->option_count = r->option_count;
	l->options = calloc(r->option_count + 1, sizeof(*l->options));
	for (size_t i = 0; i < r->option_count; i++) {
		l->options[i].name = strdup(r->options[i].name);
		l->options[i].value = strdup(r->options[i].value);
	}
	l->document_count = 1;
	l->documents = calloc(1, sizeof(*l->documents));
	l->documents[0].href = strdup("brev.txt");
	l->documents[0].mime = strdup("text/plain");
	l->documents[0].title = strdup("Vedtak");
	l->backing_len = r->document_bytes;
	text = mmap(NULL, r->document_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	memset(text, 'k', r->document_bytes);
	l->backing = text;
	l->documents[0].data = text;
	l->documents[0].len = r->document_bytes;
	sha256(l->digest, text, r->document_bytes);
	*l_r = l;
	return 0;
}

static int
rig_submit(struct gate *g, const struct submit_envelope *env, const char *to, const char *to_args,
	   const void *data, size_t len, int64_t deadline_ms, char queue_id[SUBMIT_QUEUE_ID_CHARS],
	   struct bd_err *e)
{
	struct rig *r = g->ops_arg;
	struct rig_submitted *m = &r->submitted[r->submitted_count];

	assert_true(deadline_ms > clock_ms());
	if (r->submit_fails_at != 0 && r->submitted_count + 1 == r->submit_fails_at)
		return bd_fail(e, r->submit_fails != 0 ? r->submit_fails : BD_E_QUEUE,
			       "queue says no");
	assert_true(r->submitted_count < RIG_SUBMITTED);
	r->submitted_count++;
	snprintf(m->from, sizeof(m->from), "%s", env->from);
	snprintf(m->args, sizeof(m->args), "%s %s", env->from_args, to_args);
	snprintf(m->ident, sizeof(m->ident), "%s", env->ident);
	snprintf(m->to, sizeof(m->to), "%s", to);
	m->data = malloc(len + 1);
	memcpy(m->data, data, len);
	m->data[len] = '\0';
	m->len = len;
	snprintf(queue_id, SUBMIT_QUEUE_ID_CHARS, "4SEND%zu", r->submitted_count);
	return 0;
}

static const struct gate_ops rig_ops = {
	.reach = rig_reach,
	.ask = rig_ask,
	.collect = rig_collect,
	.forget = rig_forget,
	.read = rig_read,
	.submit = rig_submit,
};

/* ---- configuration and people ---- */

static char login_name[] = "kari", network_text[] = "192.0.2.0/24", agency_name[] = "etat";
static char *logins[] = { login_name, NULL };
static char *networks[] = { network_text, NULL };
static char *etat[] = { agency_name, NULL };

/* A configuration's strings are not const; nobody writes to these. */
static char *
text(const char *words)
{
	return (char *)(uintptr_t)words;
}

static void
make_conf(struct rig *r)
{
	static char all[] = "@etat.example", watch[] = "vakt@etat.example";
	static struct conf_sender senders[] = {
		{ .pattern = all, .important = true, .service = true },
		{ .pattern = watch, .service = true },
	};
	static struct conf_agency agencies[1];
	static struct conf_client clients[2];
	static struct conf_domain domains[2];
	struct conf *c = &r->conf;

	agencies[0] = (struct conf_agency){
		.name = agency_name,
		.orgnr = text("123456785"),
		.public_title = text("Brev fra etaten"),
		.language = text("nb"),
		.notice_email = text("Du har brev"),
		.notice_sms = text("Du har brev"),
		.open_receipts = true,
		.senders = senders,
		.sender_count = 2,
	};
	clients[0] = (struct conf_client){ .name = login_name, .logins = logins, .agencies = etat };
	clients[1] =
	    (struct conf_client){ .name = network_text, .networks = networks, .agencies = etat };
	domains[0] = (struct conf_domain){ .name = text(RIG_DOMAIN), .security_level = 4 };
	domains[1] = (struct conf_domain){ .name = text("faktura.example.no"),
					   .security_level = 3,
					   .main = CONF_MAIN_ATTACHMENT };
	*c = (struct conf){
		.reply_language = text("en"),
		.synthetic = true,
		.agencies = agencies,
		.agency_count = 1,
		.clients = clients,
		.client_count = 2,
		.domains = domains,
		.domain_count = 2,
	};
	c->milter.mail_recipients = 100;
	c->milter.mail_work = 200000000;
	c->milter.message_size = 70000000;
	c->milter.package_size = 50000000;
	c->milter.memory = 500000000;
	c->milter.reader_timeout_ms = 20000;
	c->milter.ordinary = CONF_ORDINARY_PASS;
}

/* Synthetic numbers (month + 80) with the check digits that the validator accepts. */
static void
make_people(struct rig *r)
{
	size_t n = 0;

	for (unsigned serial = 0; n < RIG_PEOPLE && serial < 20000; serial++) {
		char digits[32];

		snprintf(digits, sizeof(digits), "%02u8190%03u00", serial / 1000 + 1,
			 serial % 1000);
		for (unsigned check = 0; check < 100; check++) {
			snprintf(digits + 9, 3, "%02u", check);
			if (nationalid_is_valid(digits, true)) {
				memcpy(r->people[n++], digits, 12);
				break;
			}
		}
	}
	assert_int_equal(n, RIG_PEOPLE);
}

struct rig *
rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));
	static const struct seal_key key = { .key = { 7 } };
	struct bd_err e = { 0 };

	assert_non_null(r);
	the_rig = r;
	make_conf(r);
	make_people(r);
	r->document_bytes = 1000;
	r->queue_id = NULL;
	r->login = "kari";
	r->tls = "TLSv1.3";
	r->gate.conf = &r->conf;
	r->gate.ops = &rig_ops;
	r->gate.ops_arg = r;
	r->gate.memory.limit = r->conf.milter.memory;
	poison_init(&r->gate.poison);
	assert_int_equal(rate_init(&r->gate.rate, &r->conf, &e), 0);
	memset(r->gate.secret, 5, sizeof(r->gate.secret));
	r->gate.agencies = calloc(1, sizeof(*r->gate.agencies));
	r->gate.agencies[0].conf = &r->conf.agencies[0];
	r->gate.seal_keys.keys = calloc(1, sizeof(key));
	r->gate.seal_keys.keys[0] = key;
	r->gate.seal_keys.keys[0].id = strdup("test");
	r->gate.seal_keys.count = 1;
	make_pki(r);
	rig_connect(r);
	return r;
}

void
rig_free(struct rig **rp)
{
	struct rig *r = *rp;

	session_free(&r->s);
	assert_int_equal(r->open_questions, 0);
	assert_int_equal(r->gate.memory.used, 0);
	assert_int_equal(atomic_load(&r->gate.mails), 0);
	for (size_t i = 0; i < r->submitted_count; i++)
		free(r->submitted[i].data);
	free(r->read);
	free(r->mailbox_pem);
	free(r->others_pem);
	free(r->untrusted_pem);
	X509_free(r->mailbox_cert);
	EVP_PKEY_free(r->mailbox_key);
	submit_pool_free(&r->gate.mail_pool);
	signer_free(&r->gate.signer);
	seal_keys_clear(&r->gate.seal_keys);
	X509_STORE_free(r->gate.roots);
	cert_chain_clear(&r->gate.agencies[0].chain);
	free(r->gate.agencies);
	rate_clear(&r->gate.rate);
	free(r);
	*rp = NULL;
}

void
rig_connect(struct rig *r)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	session_free(&r->s);
	r->s = session_new(&r->gate, &rig_mta, r, true);
	assert_non_null(r->s);
	inet_pton(AF_INET, "10.0.0.1", &in.sin_addr);
	assert_int_equal(session_connect(r->s, "pc.etat.example", (struct sockaddr *)&in),
			 VERDICT_CONTINUE);
	assert_int_equal(session_helo(r->s, "pc"), VERDICT_CONTINUE);
}

enum verdict
rig_mail(struct rig *r, const char *from)
{
	char address[256], ret[] = "RET=HDRS", envid[] = "ENVID=e1";
	char *argv[] = { address, ret, envid, NULL };

	snprintf(address, sizeof(address), "%s", from);
	return session_mail(r->s, argv);
}

enum verdict
rig_rcpt(struct rig *r, const char *to)
{
	char address[256], notify[] = "NOTIFY=SUCCESS,FAILURE";
	char orcpt[] = "ORCPT=rfc822;x@y.example";
	char *argv[] = { address, notify, orcpt, NULL };

	snprintf(address, sizeof(address), "%s", to);
	return session_rcpt(r->s, argv);
}

enum verdict
rig_rcpt_person(struct rig *r, size_t person)
{
	char to[128];

	snprintf(to, sizeof(to), "<%s@" RIG_DOMAIN ">", r->people[person]);
	return rig_rcpt(r, to);
}

enum verdict
rig_content(struct rig *r)
{
	enum verdict v;

	r->queue_id = r->queue_id != NULL ? r->queue_id : "4FRONT1";
	if ((v = session_data(r->s)) != VERDICT_CONTINUE ||
	    (v = session_header(r->s, "Subject", " Vedtak")) != VERDICT_CONTINUE ||
	    (v = session_header(r->s, "From", " kari@etat.example")) != VERDICT_CONTINUE ||
	    (v = session_eoh(r->s)) != VERDICT_CONTINUE)
		return v;
	return session_body(r->s, "Hei.\r\n.punktum\r\n", 16);
}

enum verdict
rig_eom(struct rig *r)
{
	enum verdict v = session_eom(r->s);

	r->queue_id = NULL;
	return v;
}

enum verdict
rig_letter(struct rig *r, size_t person)
{
	enum verdict v;

	r->queue_id = NULL;
	if ((v = rig_mail(r, RIG_CLERK)) != VERDICT_CONTINUE ||
	    (v = rig_rcpt_person(r, person)) != VERDICT_CONTINUE ||
	    (v = rig_content(r)) != VERDICT_CONTINUE)
		return v;
	return rig_eom(r);
}

struct control_record *
rig_open(struct rig *r, size_t n, char *text, size_t size)
{
	struct control_record *c = NULL;
	struct buf package = { 0 }, asice = { 0 };
	struct package_open open = { 0 };
	struct bd_err e = { 0 };
	char id[LETTER_ID_CHARS];

	assert_true(n < r->submitted_count);
	snprintf(id, sizeof(id), "%.32s", r->submitted[n].to);
	if (sealed_open(r->submitted[n].data, r->submitted[n].len, &r->gate.seal_keys, id, &c,
			&package, &e) == -1 ||
	    package_decrypt(package.data, package.len, r->mailbox_cert, r->mailbox_key, &asice,
			    &e) == -1 ||
	    package_verify(asice.data, asice.len, r->gate.roots, &open, &e) == -1)
		fail_msg("%s", e.cause);
	assert_int_equal(open.document_count, 1);
	snprintf(text, size, "%.*s", (int)open.documents[0].data.len, open.documents[0].data.data);
	package_open_clear(&open);
	buf_free(&asice);
	buf_free(&package);
	return c;
}
