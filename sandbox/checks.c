/* SPDX-License-Identifier: Apache-2.0 */
/* What C2 and C4 check of a letter. It stores nothing and answers nothing but refusals. */
#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/encode.h"
#include "common/json.h"
#include "envelope/doctype.h"
#include "envelope/jwt.h"
#include "sandbox/checks.h"
#include "sandbox/register.h"
#include "sandbox/schema.h"
#include "sandbox/token.h"

#define PACKAGE_MAX_BYTES ((size_t)50000000) /* spec/dpi.md 1.4 */
#define ATTACHMENTS_MAX 200

int
check_channel(const char *text, char out[CHANNEL_CHARS])
{
	size_t len = text != NULL ? strlen(text) : 0;

	out[0] = '\0';
	if (text == NULL)
		return 0;
	if (len == 0 || len >= CHANNEL_CHARS)
		return -1;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c > 127 || (!isalnum(c) && c != '_' && c != '-'))
			return -1;
		out[i] = (char)tolower(c);
	}
	out[len] = '\0';
	return 0;
}

static void
organisation(const json_t *identifier, char out[ORGNR_CHARS])
{
	const char *value = json_text(identifier, "value");

	snprintf(out, ORGNR_CHARS, "%s", value != NULL && strlen(value) == 14 ? value + 5 : "");
}

static const json_t *
actor(const json_t *head, const char *role)
{
	return json_object_get(json_array_get(json_object_get(head, role), 0), "identifier");
}

/* The schema has been checked: takes out what the rest needs. */
static void
submission_read(struct submission *s)
{
	const json_t *sbd = json_object_get(s->document, "standardBusinessDocument"),
		     *head = json_object_get(sbd, "standardBusinessDocumentHeader"),
		     *ident = json_object_get(head, "documentIdentification"),
		     *list = json_object_get(json_object_get(head, "businessScope"), "scope"), *one;
	const char *instance = json_text(ident, "instanceIdentifier");
	size_t i;

	s->body = json_object_get(sbd, s->type);
	for (i = 0; i < 36; i++)
		s->instance[i] = (char)tolower((unsigned char)instance[i]);
	s->instance[36] = '\0';
	json_array_foreach(list, i, one)
	{
		if (strcmp(json_string_value(json_object_get(one, "type")), "ConversationId") != 0)
			continue;
		s->conversation = json_text(one, "instanceIdentifier");
		s->process = json_text(one, "identifier");
		break;
	}
	organisation(actor(head, "sender"), s->sender);
	organisation(actor(head, "receiver"), s->receiver);
	one = json_object_get(s->body, "avsender");
	organisation(json_object_get(one, "virksomhetsidentifikator"), s->agency);
	s->unit = json_text(one, "avsenderidentifikator");
	s->mailbox = json_text(json_object_get(s->body, "mottaker"), "postkasseadresse");
}

/* The JWT: x5c, chain, signature, schema. */
static int
check_message(struct web_request *req, struct web_answer *ans, const char *jwt,
	      struct submission *s)
{
	const json_t *head;
	struct bd_err e;

	if ((s->signer = jwt_leaf(jwt, strlen(jwt), &e)) == NULL ||
	    cert_check(s->signer, NULL, req->sb->pki->roots, CERT_SIGNS, &e) == -1 ||
	    jwt_verify(jwt, strlen(jwt), X509_get0_pubkey(s->signer), &s->document, &e) == -1) {
		web_problem(req, ans, 400, "BAD REQUEST", "forretningsmelding: %s", e.cause);
		return -1;
	}
	head = json_object_get(json_object_get(s->document, "standardBusinessDocument"),
			       "standardBusinessDocumentHeader");
	s->type = json_text(json_object_get(head, "documentIdentification"), "type");
	if (s->type == NULL ||
	    (strcmp(s->type, "digital") != 0 && strcmp(s->type, "utskrift") != 0)) {
		web_problem(req, ans, 400, "BAD REQUEST",
			    "documentIdentification/type: a sender sends digital or utskrift");
		return -1;
	}
	if (schema_check(s->document, s->type, &e) == -1) {
		web_problem(req, ans, 400, "BAD REQUEST", "forretningsmelding: %s", e.cause);
		return -1;
	}
	submission_read(s);
	return 0;
}

/* Token, message and organisations belong together (spec 1.3 binding rule, 1.15). */
static int
check_binding(struct web_request *req, struct web_answer *ans, const char *token,
	      struct submission *s)
{
	bool is_print = strcmp(s->type, "utskrift") == 0;

	if (strcmp(json_text(s->body, "maskinportentoken"), token) != 0) {
		web_problem(req, ans, 400, "BAD REQUEST",
			    "maskinportentoken is not the token of the Authorization header");
		return -1;
	}
	if (strcmp(s->consumer, s->agency) != 0) {
		web_problem(req, ans, 403, "FORBIDDEN", "avsender is not the token's consumer");
		return -1;
	}
	s->provider = pki_find(req->sb->pki, s->receiver);
	if (s->provider == NULL || !s->provider->provider ||
	    is_print != (s->provider == &req->sb->pki->party[PKI_PRINT])) {
		web_problem(req, ans, 400, "BAD REQUEST",
			    "receiver: no provider of %s has this number", s->type);
		return -1;
	}
	return 0;
}

static int
check_digest(struct web_request *req, struct web_answer *ans, const struct submission *s)
{
	const json_t *given = json_object_get(s->body, "dokumentpakkefingeravtrykk");
	uint8_t digest[SHA256_BYTES];
	struct buf text = { 0 };
	int rc = -1;

	sha256(digest, s->package->data, s->package->len);
	if (base64_encode(&text, digest, sizeof(digest)) == -1)
		web_problem(req, ans, 500, "INTERNAL SERVER ERROR", "Out of memory");
	else if (strcmp(json_text(given, "digestValue"), buf_str(&text)) != 0)
		web_problem(req, ans, 400, "BAD REQUEST",
			    "Upload was not accepted, SHA-256 digest of dokumentpakke was %s",
			    buf_str(&text));
	else
		rc = 0;
	buf_free(&text);
	return rc;
}

static int
check_audience(const struct sandbox *sb, const json_t *claims)
{
	const json_t *aud = json_object_get(claims, "aud"), *one;
	char own[160];
	size_t i;

	snprintf(own, sizeof(own), "%s/dpi", sb->url);
	if (aud == NULL)
		return 1;
	if (json_is_string(aud))
		return strcmp(json_string_value(aud), "unspecified") == 0 ||
		       strcmp(json_string_value(aud), own) == 0;
	json_array_foreach(aud, i, one) if (json_is_string(one) &&
					    strcmp(json_string_value(one), own) == 0) return 1;
	return 0;
}

int
check_c2(struct web_request *req, struct web_answer *ans, struct submission *s)
{
	const char *token, *jwt;
	struct web_part *part;
	json_t *claims;
	char why[300];
	int ok;

	if ((claims = token_bearer(req, &token, why, sizeof(why))) == NULL) {
		web_problem(req, ans, 401, "UNAUTHORIZED", "%s", why);
		return -1;
	}
	token_party(claims, "consumer", s->consumer);
	token_party(claims, "supplier", s->supplier);
	ok = check_audience(req->sb, claims);
	if (!ok)
		web_problem(req, ans, 401, "UNAUTHORIZED",
			    "The token is meant for another service");
	else if (!(ok = token_has_scope(claims, SCOPE_SEND)))
		web_problem(req, ans, 403, "FORBIDDEN", "The token lacks the scope %s", SCOPE_SEND);
	json_decref(claims);
	if (!ok)
		return -1;
	if (check_channel(web_query(req, "kanal"), s->channel) == -1) {
		web_problem(req, ans, 400, "BAD REQUEST",
			    "kanal: 1 to 28 characters of a-z, A-Z, 0-9, _ and - are wanted");
		return -1;
	}
	jwt = web_text(req, "forretningsmelding");
	part = web_part(req, "dokumentpakke");
	if (jwt == NULL || *jwt == '\0' || part == NULL || part->data.len == 0) {
		web_problem(req, ans, 400, "BAD REQUEST", "The part %s is missing or given twice",
			    jwt == NULL || *jwt == '\0' ? "forretningsmelding" : "dokumentpakke");
		return -1;
	}
	s->package = &part->data;
	if (s->package->len > PACKAGE_MAX_BYTES) {
		web_problem(req, ans, 413, "PAYLOAD TOO LARGE", "dokumentpakke: at most %zu bytes",
			    PACKAGE_MAX_BYTES);
		return -1;
	}
	if (check_message(req, ans, jwt, s) == -1 || check_binding(req, ans, token, s) == -1)
		return -1;
	return check_digest(req, ans, s);
}

/* Who signed the message is who the token says sends it (spec 1.11). */
static int
check_signer(const struct submission *s, char *why, size_t size)
{
	const char *wanted = s->supplier[0] != '\0' ? s->supplier : s->consumer;
	char orgnr[ORGNR_CHARS];

	if (cert_orgnr(s->signer, orgnr) == -1 || strcmp(orgnr, wanted) != 0) {
		snprintf(why, size,
			 "Feil signatur: forretningsmelding is signed by another organisation "
			 "than the token's supplier or consumer");
		return -1;
	}
	if (strcmp(s->sender, orgnr) != 0) {
		snprintf(why, size, "Feil signatur: sender of the header is not who signed");
		return -1;
	}
	return 0;
}

static int
check_documents(const struct package_open *open, char *why, size_t size)
{
	if (open->document_count == 0 || open->document_count > ATTACHMENTS_MAX + 1) {
		snprintf(why, size, "Feil i manifest: one main document and at most %d attachments",
			 ATTACHMENTS_MAX);
		return -1;
	}
	for (size_t i = 0; i < open->document_count; i++) {
		const struct doctype *type = doctype_by_mime(open->documents[i].mime);

		if (type == NULL || type->use == DOCTYPE_DATA ||
		    (type->use == DOCTYPE_MAIN_ONLY && i > 0)) {
			snprintf(
			    why, size,
			    "Ugyldig verdi: document %zu is of a type that is not allowed there",
			    i + 1);
			return -1;
		}
		for (size_t j = 0; j < i; j++) {
			const struct package_entry *a = &open->documents[i],
						   *b = &open->documents[j];

			if (strcmp(a->href, b->href) == 0 ||
			    (a->title != NULL && b->title != NULL &&
			     strcmp(a->title, b->title) == 0)) {
				snprintf(why, size,
					 "Reason code: SBD:5023. Vedhæftning må kun optræde 1 "
					 "gang");
				return -1;
			}
		}
	}
	return 0;
}

static int
check_mailbox(const struct sandbox *sb, const struct submission *s, const struct package_open *open,
	      char *why, size_t size)
{
	if (s->mailbox == NULL) { /* print: the manifest names nobody (spec 1.10) */
		if (open->mailbox == NULL)
			return 0;
		snprintf(why, size, "Feil i manifest: mottaker in a letter for print");
		return -1;
	}
	if (open->mailbox == NULL || strcmp(open->mailbox, s->mailbox) != 0)
		snprintf(why, size,
			 "Feil i manifest: postkasseadresse differs from forretningsmelding");
	else if (!register_has_mailbox(sb, s->provider->orgnr, s->mailbox))
		snprintf(why, size, "Ugyldig verdi: there is no such postkasseadresse here");
	else
		return 0;
	return -1;
}

int
check_c4(const struct sandbox *sb, const struct submission *s, struct package_open *open, char *why,
	 size_t size)
{
	struct buf asice = { 0 };
	struct bd_err e;
	int rc = -1;

	if (check_signer(s, why, size) == -1)
		return -1;
	if (package_decrypt(s->package->data, s->package->len, s->provider->cert, s->provider->key,
			    &asice, &e) == -1) {
		snprintf(why, size, "Kan ikke dekryptere: %s", e.cause);
		goto out;
	}
	if (package_verify(asice.data, asice.len, sb->pki->roots, open, &e) == -1) {
		snprintf(why, size, "Reason code: SBD:4069. Bad format in document package - %s",
			 e.cause);
		goto out;
	}
	if (X509_cmp(open->signer, s->signer) != 0)
		snprintf(why, size,
			 "Feil signatur: package and forretningsmelding have different signers");
	else if (open->sender_orgnr == NULL || strcmp(open->sender_orgnr, s->agency) != 0)
		snprintf(why, size, "Feil i manifest: avsender differs from forretningsmelding");
	else if (check_documents(open, why, size) == 0 &&
		 check_mailbox(sb, s, open, why, size) == 0)
		rc = 0;
out:
	buf_free(&asice);
	return rc;
}

void
submission_clear(struct submission *s)
{
	json_decref(s->document);
	X509_free(s->signer);
	*s = (struct submission){ 0 };
}
