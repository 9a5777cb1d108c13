/* SPDX-License-Identifier: Apache-2.0 */
/* Makes, signs and keeps receipts. Who may fetch them is the access point's business. */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/encode.h"
#include "common/json.h"
#include "envelope/jwt.h"
#include "sandbox/keep.h"
#include "sandbox/receipts.h"

#define STANDARD                                                                           \
	"urn:fdc:digdir.no:2020:innbyggerpost:xsd::innbyggerpost##urn:fdc:digdir.no:2020:" \
	"innbyggerpost:schema:"
#define AUTHORITY "iso6523-actorid-upis"

const char *const receipt_types[] = { "leveringskvittering",
				      "aapningskvittering",
				      "varslingfeiletkvittering",
				      "feil",
				      "mottakskvittering",
				      "returpostkvittering",
				      NULL };

bool
receipts_fits(const json_t *message, const char *type)
{
	static const char *const digital[] = { "feil", "leveringskvittering", "aapningskvittering",
					       "varslingfeiletkvittering", NULL };
	static const char *const print[] = { "feil", "mottakskvittering", "leveringskvittering",
					     "returpostkvittering", NULL };
	const char *of = json_text(message, "type");
	const char *const *list = of != NULL && strcmp(of, "utskrift") == 0 ? print : digital;

	for (; *list != NULL; list++)
		if (strcmp(*list, type) == 0)
			return true;
	return false;
}

int
receipts_open(struct sandbox *sb, struct bd_err *e)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s/receipts", sb->dir);
	return keep_load(sb, folder, ".json", sb->receipts, e);
}

static json_t *
identifier(const char *orgnr)
{
	return json_pack("{s:s, s:s+}", "authority", AUTHORITY, "value", "0192:", orgnr);
}

static json_t *
receipt_body(const json_t *message, const char *type, const char *words)
{
	json_t *body = json_pack(
	    "{s:{s:o}, s:{s:o}, s:o}", "avsender", "virksomhetsidentifikator",
	    identifier(json_text(message, "provider")), "mottaker", "virksomhetsidentifikator",
	    identifier(json_text(message, "sender")), "tidspunkt", sandbox_now());

	if (strcmp(type, "feil") == 0) {
		json_object_set_new(body, "feiltype", json_string("KLIENT"));
		if (words != NULL)
			json_object_set_new(body, "detaljer", json_string(words));
	}
	if (strcmp(type, "varslingfeiletkvittering") == 0) {
		bool sms = words != NULL && strncmp(words, "sms", 3) == 0;

		json_object_set_new(body, "varslingskanal", json_string(sms ? "sms" : "epost"));
		json_object_set_new(
		    body, "beskrivelse",
		    json_string(words != NULL ? words : "Varselet kunne ikke sendes"));
	}
	return body;
}

static json_t *
receipt_document(const json_t *message, const char *id, const char *type, const char *words)
{
	return json_pack(
	    "{s:{s:{s:s, s:[{s:o}], s:[{s:o}], s:{s:s++, s:s, s:s, s:s, s:o}, s:{s:[{s:s, s:s, "
	    "s:s}]}}, "
	    "s:o}}",
	    "standardBusinessDocument", "standardBusinessDocumentHeader", "headerVersion", "1.0",
	    "sender", "identifier", identifier(json_text(message, "provider")), "receiver",
	    "identifier", identifier(json_text(message, "owner")), "documentIdentification",
	    "standard", STANDARD, type, "::1.0", "typeVersion", "1.0", "instanceIdentifier", id,
	    "type", type, "creationDateAndTime", sandbox_now(), "businessScope", "scope", "type",
	    "ConversationId", "instanceIdentifier", json_text(message, "conversation"),
	    "identifier", json_text(message, "process"), type, receipt_body(message, type, words));
}

/* Signed by the provider with its own certificate. */
static int
sign(const struct sandbox *sb, const json_t *message, const json_t *document, struct buf *jwt,
     struct bd_err *e)
{
	const struct pki_party *p = pki_find(sb->pki, json_text(message, "provider"));
	struct buf text = { 0 };
	int rc = -1;

	if (p == NULL)
		bd_fail(e, BD_E_INTERNAL, "no such provider");
	else if (json_write(document, 0, &text, e) == 0)
		rc = jwt_sign(buf_str(&text), text.len, p->cert, NULL, p->signer, p->orgnr, jwt, e);
	buf_free(&text);
	return rc;
}

int
receipts_add(struct sandbox *sb, const json_t *message, const char *type, const char *words,
	     struct bd_err *e)
{
	char id[UUID_CHARS], folder[PATH_MAX], name[64];
	json_t *document, *receipt = NULL;
	struct buf jwt = { 0 };
	int rc = -1;

	if (uuid_random(id) == -1)
		return bd_fail(e, BD_E_INTERNAL, "no random numbers");
	if ((document = receipt_document(message, id, type, words)) == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		goto out;
	}
	if (sign(sb, message, document, &jwt, e) == -1)
		goto out;
	receipt = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:b, s:s}", "id", id, "type",
			    type, "message", json_text(message, "id"), "conversation",
			    json_text(message, "conversation"), "provider",
			    json_text(message, "provider"), "owner", json_text(message, "owner"),
			    "channel", json_string_value(json_object_get(message, "channel")),
			    "made", sandbox_now(), "read", 0, "jwt", buf_str(&jwt));
	if (receipt == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		goto out;
	}
	if (json_text(message, "unit") != NULL)
		json_object_set_new(receipt, "unit", json_string(json_text(message, "unit")));
	if (words != NULL)
		json_object_set_new(receipt, "words", json_string(words));
	snprintf(folder, sizeof(folder), "%s/receipts", sb->dir);
	snprintf(name, sizeof(name), "%s.json", id);
	pthread_mutex_lock(&sb->lock);
	json_object_set_new(receipt, "sequence", json_integer(++sb->sequence));
	rc = keep_json(folder, name, receipt, e);
	if (rc == 0)
		json_object_set(sb->receipts, id, receipt);
	pthread_mutex_unlock(&sb->lock);
out:
	json_decref(document);
	json_decref(receipt);
	buf_free(&jwt);
	return rc;
}

int
receipts_arrival(struct sandbox *sb, const json_t *message, struct bd_err *e)
{
	const char *failure = json_text(message, "failure");

	if (failure != NULL)
		return receipts_add(sb, message, "feil", failure, e);
	if (receipts_fits(message, "mottakskvittering") &&
	    receipts_add(sb, message, "mottakskvittering", NULL, e) == -1)
		return -1;
	return receipts_add(sb, message, "leveringskvittering", NULL, e);
}

int
receipts_repair(struct sandbox *sb, struct bd_err *e)
{
	json_t *have = json_object(), *value;
	const char *id;
	int rc = 0;

	json_object_foreach(sb->receipts, id, value)
	    json_object_set_new(have, json_text(value, "message"), json_true());
	json_object_foreach(sb->messages, id, value)
	{
		const json_t *statuses = json_object_get(value, "statuses"),
			     *last = json_array_get(statuses, json_array_size(statuses) - 1);
		const char *status = json_text(last, "status");

		if (rc == 0 && json_object_get(have, id) == NULL && status != NULL &&
		    strcmp(status, "SENDT") == 0)
			rc = receipts_arrival(sb, value, e);
	}
	json_decref(have);
	return rc;
}
