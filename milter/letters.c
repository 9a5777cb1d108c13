/* SPDX-License-Identifier: Apache-2.0 */
/* Plans and seals the letters of a mail. Talks to nobody but the signer. */
#include "config.h"
#include "milter/letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "envelope/nationalid.h"
#include "envelope/package.h"
#include "lookup/decide.h"
#include "milter/policy.h"

#define PACKAGE_OVERHEAD_BYTES ((size_t)64 << 10) /* manifest, signature, CMS */
#define ENTRY_OVERHEAD_BYTES ((size_t)1 << 10)

static size_t
documents_bytes(const struct letter *l)
{
	size_t sum = 0;

	for (size_t i = 0; i < l->document_count; i++)
		sum += l->documents[i].len;
	return sum;
}

/* What the package can come to at most: zip and CMS never make it smaller than this bound is. */
static size_t
package_bound(const struct letter *l)
{
	size_t sum = documents_bytes(l);

	return sum + sum / 1024 + PACKAGE_OVERHEAD_BYTES + l->document_count * ENTRY_OVERHEAD_BYTES;
}

size_t
letters_seal_bytes(const struct letter *l)
{
	/* the zip, the CMS, and the message in base64 that both become */
	return 2 * package_bound(l) + package_bound(l) / 2 * 3;
}

/* What holds for all recipients alike. */
static int
check_mail(const struct letters_mail *mail, struct options *o, struct bd_err *e)
{
	const struct letter *l = mail->letter;

	if (options_read(l, clock_wall(), o, e) == -1)
		return -1;
	if (l->is_reply && !mail->agency->replies) {
		bd_fail(e, BD_E_CONTENT, "reply or forward");
		bd_detail(e, "a reply or forward");
		return -1;
	}
	if (l->document_count == 0) {
		bd_fail(e, BD_E_CONTENT, "letter without documents");
		bd_detail(e, "no content");
		return -1;
	}
	if (package_bound(l) > mail->gate->conf->milter.package_size)
		return bd_fail(e, BD_E_TOO_BIG, "package above milter.package-size");
	return 0;
}

static enum conf_kind
kind_of(const struct recipient *r, const struct options *o)
{
	if (o->has_kind)
		return o->kind;
	return r->citizen.service ? CONF_KIND_SERVICE : r->domain->kind;
}

static int
level_of(const struct recipient *r, const struct options *o, const struct letter *l)
{
	if (l->private_mark)
		return 4;
	if (o->level != 0)
		return o->level;
	if (r->citizen.level3)
		return 3;
	return r->domain->security_level != 0 ? r->domain->security_level : 4;
}

static int
decide_one(const struct letters_mail *mail, size_t n, enum conf_kind kind, struct decision *d,
	   struct bd_err *e)
{
	const struct person *p = &mail->persons[n];
	const struct recipient *r = &mail->message->recipients[n];
	struct decide_in in = {
		.person = p->id[0] != '\0' ? p : NULL,
		.kind = kind,
		.force = r->citizen.force,
		.prints = false, /* comes with the print service */
		.now = clock_wall(),
	};

	if (!policy_sender_may(mail->sender, kind))
		return bd_fail(e, BD_E_NOT_AUTHORISED, "sender may not send this kind of letter");
	if (in.person != NULL && strcmp(p->id, r->citizen.id) != 0)
		return bd_fail(e, BD_E_REGISTER, "register answered for somebody else");
	decide(&in, d);
	switch (d->route) {
	case ROUTE_DIGITAL:
		return 0;
	case ROUTE_HOLD:
		return bd_fail(e, BD_E_REGISTER, "register: %s", d->reason);
	case ROUTE_PRINT:
	case ROUTE_REFUSE:
		break;
	}
	return bd_fail(e, BD_E_NO_WAY, "decision: %s", route_name(d->route));
}

/* The certificate must be good, and the provider's own (threats.md A15). */
static X509 *
check_certificate(const struct gate *g, const struct person *p, uint8_t fingerprint[SHA256_BYTES],
		  struct bd_err *e)
{
	char orgnr[ORGNR_CHARS];
	X509 *cert;

	if (p->provider == NULL || !orgnr_is_valid(p->provider) || p->mailbox == NULL ||
	    p->certificate == NULL) {
		bd_fail(e, BD_E_REGISTER, "register: mailbox without a usable provider");
		return NULL;
	}
	if ((cert = cert_parse(p->certificate, e)) == NULL)
		goto bad;
	if (cert_check(cert, NULL, g->roots, CERT_RECEIVES, e) == -1)
		goto bad;
	if (cert_orgnr(cert, orgnr) == -1 || strcmp(orgnr, p->provider) != 0) {
		bd_fail(e, BD_E_SEAL, "certificate is not of provider %s", p->provider);
		goto bad;
	}
	if (cert_fingerprint(cert, fingerprint) == -1) {
		bd_fail(e, BD_E_SEAL, "no fingerprint");
		goto bad;
	}
	return cert;
bad:
	e->kind = BD_E_SEAL;
	bd_wrap(e, "mailbox certificate");
	X509_free(cert);
	return NULL;
}

/* A copy in *out; an absent text stays NULL. Remembers failure in *failed. */
static void
copy(char **out, const char *text, bool *failed)
{
	if (text != NULL && (*out = strdup(text)) == NULL)
		*failed = true;
}

static void
fill_documents(struct control_record *c, const struct letter *l, bool *failed)
{
	if ((c->documents = calloc(l->document_count, sizeof(*c->documents))) == NULL) {
		*failed = true;
		return;
	}
	c->document_count = l->document_count;
	for (size_t i = 0; i < l->document_count; i++) {
		struct control_document *d = &c->documents[i];

		copy(&d->href, l->documents[i].href, failed);
		copy(&d->mime, l->documents[i].mime, failed);
		d->size = l->documents[i].len;
		sha256(d->sha256, l->documents[i].data, l->documents[i].len);
	}
}

static void
fill_addressee(struct control_record *c, const struct person *p, const struct decision *d,
	       const uint8_t fingerprint[SHA256_BYTES], bool *failed)
{
	struct control_addressee *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		*failed = true;
		return;
	}
	c->addressees = a;
	c->addressee_count = 1;
	copy(&a->national_id, p->id, failed);
	copy(&a->mailbox, p->mailbox, failed);
	copy(&a->provider, p->provider, failed);
	memcpy(a->certificate, fingerprint, SHA256_BYTES);
	if (d->notify_email)
		copy(&a->notice_email, p->email.address, failed);
	if (d->notify_mobile)
		copy(&a->notice_mobile, p->mobile.address, failed);
}

static void
fill_notices(struct control_record *c, const struct letters_mail *mail, const struct options *o,
	     bool *failed)
{
	static const int usual[] = { 0, 7 }; /* eForvaltningsforskriften section 8 */

	copy(&c->notice_email_text,
	     o->email_text != NULL ? o->email_text : mail->agency->notice_email, failed);
	copy(&c->notice_sms_text, o->sms_text != NULL ? o->sms_text : mail->agency->notice_sms,
	     failed);
	if (o->repeat_count > 0) {
		memcpy(c->repeats, o->repeats, sizeof(c->repeats));
		c->repeat_count = o->repeat_count;
	} else {
		memcpy(c->repeats, usual, sizeof(usual));
		c->repeat_count = sizeof(usual) / sizeof(usual[0]);
	}
}

/* A Message-ID that holds our queue id was made by our own Postfix for this attempt only: it
 * counts as none (design promise 3). */
static const char *
message_id(const struct letters_mail *mail)
{
	const char *id = mail->letter->message_id;

	if (id == NULL ||
	    (mail->message->queue_id[0] != '\0' && strstr(id, mail->message->queue_id) != NULL))
		return NULL;
	return id;
}

static const char *
first_set(const char *a, const char *b, const char *c)
{
	return a != NULL ? a : b != NULL ? b : c;
}

static struct control_record *
make_record(const struct letters_mail *mail, size_t n, const struct options *o, enum conf_kind kind,
	    const struct decision *d, const uint8_t fingerprint[SHA256_BYTES], struct bd_err *e)
{
	const struct message *m = mail->message;
	const struct recipient *r = &m->recipients[n];
	const struct letter *l = mail->letter;
	const struct conf_agency *agency = mail->agency;
	struct control_record *c = calloc(1, sizeof(*c));
	const char *id = message_id(mail);
	bool failed = false;

	if (c == NULL) {
		bd_fail(e, BD_E_MEMORY, "control record");
		return NULL;
	}
	c->version = CONTROL_VERSION;
	letter_id_make(c->letter_id, mail->gate->secret, agency->name, r->citizen.id,
		       id != NULL ? id : "", l->digest, l->title != NULL ? l->title : "");
	c->index = (unsigned)n + 1;
	c->count = (unsigned)m->recipient_count;
	copy(&c->route, route_name(d->route), &failed);
	copy(&c->agency, agency->name, &failed);
	copy(&c->orgnr, agency->orgnr, &failed);
	copy(&c->unit, first_set(o->unit, r->domain->unit, agency->unit), &failed);
	copy(&c->invoice_reference, o->invoice_reference, &failed);
	copy(&c->kind, kind == CONF_KIND_SERVICE ? "service" : "important", &failed);
	copy(&c->title, l->title != NULL ? l->title : "", &failed);
	copy(&c->public_title, first_set(o->public_title, agency->public_title, NULL), &failed);
	copy(&c->language, first_set(o->language, agency->language, "nb"), &failed);
	c->security_level = level_of(r, o, l);
	c->open_receipt = l->wants_open_receipt && agency->open_receipts;
	copy(&c->effective, o->effective[0] != '\0' ? o->effective : NULL, &failed);
	fill_notices(c, mail, o, &failed);
	snprintf(c->signer, sizeof(c->signer), "%s", gate_agency(mail->gate, agency)->fingerprint);
	fill_addressee(c, &mail->persons[n], d, fingerprint, &failed);
	fill_documents(c, l, &failed);
	copy(&c->mail_from, m->from, &failed);
	copy(&c->reports_to, first_set(mail->client->reports_to, agency->reports_to, NULL),
	     &failed);
	copy(&c->envid, m->envid, &failed);
	copy(&c->ret, m->ret, &failed);
	copy(&c->notify, r->notify, &failed);
	copy(&c->recipient, r->address, &failed);
	copy(&c->orcpt, r->orcpt, &failed);
	copy(&c->message_id, id, &failed);
	c->wants_delivery = l->wants_delivery;
	copy(&c->front_queue_id, m->queue_id[0] != '\0' ? m->queue_id : NULL, &failed);
	c->sealed_at = clock_wall();
	if (failed) {
		control_free(&c);
		bd_fail(e, BD_E_MEMORY, "control record");
	}
	return c;
}

/* A deferred delivery of the mail client counts when it lies in the future (Outlook's usually
 * does not). */
static void
take_deferred(const struct letter *l, struct options *o)
{
	time_t now = clock_wall(), when;

	if (o->effective[0] != '\0' || letter_option(l, "effective") != NULL ||
	    l->deferred == NULL || clock_parse(l->deferred, &when) == -1 || when <= now)
		return;
	clock_rfc3339(o->effective, (int64_t)when * 1000);
}

static int
plan_one(const struct letters_mail *mail, size_t n, const struct options *o, struct planned *p,
	 struct bd_err *e)
{
	const struct recipient *r = &mail->message->recipients[n];
	enum conf_kind kind = kind_of(r, o);
	uint8_t fingerprint[SHA256_BYTES];
	struct decision d;

	pseudonym_make(p->pseudonym, mail->gate->secret, r->citizen.id);
	if (decide_one(mail, n, kind, &d, e) == -1)
		return -1;
	p->certificate = check_certificate(mail->gate, &mail->persons[n], fingerprint, e);
	if (p->certificate == NULL)
		return -1;
	if ((p->record = make_record(mail, n, o, kind, &d, fingerprint, e)) == NULL)
		return -1;
	snprintf(p->to, sizeof(p->to), "%s@%s.digital.brevdue.invalid", p->record->letter_id,
		 mail->persons[n].provider);
	return 0;
}

/* The mail's id follows from its letters, so that a retry is the same set. */
static int
name_set(const struct letters_mail *mail, struct letters *ls, struct bd_err *e)
{
	struct hmac_part *parts = calloc(ls->count + 1, sizeof(*parts));
	uint8_t mac[SHA256_BYTES];
	char id[LETTER_ID_CHARS];

	if (parts == NULL)
		return bd_fail(e, BD_E_MEMORY, "mail id");
	parts[0] = (struct hmac_part){ "mail", 4 };
	for (size_t i = 0; i < ls->count; i++)
		parts[i + 1] =
		    (struct hmac_part){ ls->planned[i].record->letter_id, LETTER_ID_CHARS - 1 };
	hmac_parts(mac, mail->gate->secret, GATE_SECRET_BYTES, parts, ls->count + 1);
	free(parts);
	hex_encode(id, mac, (LETTER_ID_CHARS - 1) / 2);
	for (size_t i = 0; i < ls->count; i++)
		if ((ls->planned[i].record->mail_id = strdup(id)) == NULL)
			return bd_fail(e, BD_E_MEMORY, "mail id");
	return 0;
}

int
letters_plan(const struct letters_mail *mail, struct letters *out, unsigned *position_r,
	     struct bd_err *e)
{
	const struct message *m = mail->message;
	struct letters ls = { .count = m->recipient_count };
	struct bd_err first = { 0 };
	struct options o;
	bool failed = false;

	*position_r = 0;
	if (check_mail(mail, &o, e) == -1)
		return -1;
	take_deferred(mail->letter, &o);
	if ((ls.planned = calloc(ls.count + 1, sizeof(*ls.planned))) == NULL)
		return bd_fail(e, BD_E_MEMORY, "letters");
	for (size_t i = 0; i < ls.count; i++) {
		struct bd_err one = { 0 };

		if (plan_one(mail, i, &o, &ls.planned[i], &one) == 0)
			continue;
		/* A permanent refusal of one goes before a temporary one of another: a retry
		 * would only end in it. */
		if (failed &&
		    (bd_kind_code(first.kind) / 100 == 5 || bd_kind_code(one.kind) / 100 != 5))
			continue;
		failed = true;
		first = one;
		*position_r = m->recipients[i].position;
	}
	if (failed)
		*e = first;
	if (failed || name_set(mail, &ls, e) == -1) {
		letters_clear(&ls);
		return -1;
	}
	*out = ls;
	return 0;
}

int
letters_seal(const struct letters_mail *mail, const struct letters *letters, size_t n,
	     struct buf *message, struct bd_err *e)
{
	const struct planned *p = &letters->planned[n];
	const struct gate_agency *agency = gate_agency(mail->gate, mail->agency);
	struct package_sender sender = {
		.orgnr = p->record->orgnr,
		.unit = p->record->unit,
		.invoice_reference = p->record->invoice_reference,
		.label = mail->agency->name,
		.chain = &agency->chain,
	};
	struct buf asice = { 0 }, cms = { 0 };
	int rc = -1;

	if (package_make(mail->letter, p->record->addressees[0].mailbox, p->record->language,
			 &sender, mail->gate->signer, &asice, e) == -1 ||
	    package_encrypt(&asice, p->certificate, &cms, e) == -1)
		goto out;
	buf_free(&asice);
	rc = sealed_make(p->record, &cms, &mail->gate->seal_keys, message, e);
out:
	/* Whatever went wrong now, the mail itself was found to be good: try again later. */
	if (rc == -1 && bd_kind_code(e->kind) / 100 != 4)
		e->kind = BD_E_SEAL;
	buf_free(&asice);
	buf_free(&cms);
	return rc;
}

void
letters_clear(struct letters *ls)
{
	for (size_t i = 0; ls->planned != NULL && i < ls->count; i++) {
		control_free(&ls->planned[i].record);
		X509_free(ls->planned[i].certificate);
	}
	free(ls->planned);
	*ls = (struct letters){ 0 };
}
