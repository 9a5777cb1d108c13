/* SPDX-License-Identifier: Apache-2.0 */
/* The business message `digital` from a control record, and the header of a received one. No
 * register, no clock, no keys: what comes in decides what goes out. */
#include "config.h"
#include "envelope/sbd.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "envelope/xml.h"

#define AUTHORITY "iso6523-actorid-upis"
#define STANDARD                                                    \
	"urn:fdc:digdir.no:2020:innbyggerpost:xsd::innbyggerpost##" \
	"urn:fdc:digdir.no:2020:innbyggerpost:schema:digital::1.0"
#define PROCESS "urn:fdc:digdir.no:2020:profile:egovernment:innbyggerpost:digital:ver1.0"
#define DIGEST_METHOD "http://www.w3.org/2001/04/xmlenc#sha256"
#define ANSWER_WITHIN_MS ((int64_t)24 * 3600 * 1000)

/* {"authority":..,"value":"0192:<orgnr>"} */
static json_t *
organisation(const char *orgnr)
{
	return json_pack("{s:s, s:s+}", "authority", AUTHORITY, "value", "0192:", orgnr);
}

static json_t *
party(const char *orgnr)
{
	return json_pack("[{s:o}]", "identifier", organisation(orgnr));
}

static json_t *
header(const struct control_record *c, const struct sbd_ids *ids)
{
	char created[RFC3339_CHARS], answer[RFC3339_CHARS];

	clock_rfc3339(created, ids->created_ms);
	clock_rfc3339(answer, ids->created_ms + ANSWER_WITHIN_MS);
	return json_pack(
	    "{s:s, s:o, s:o, s:{s:s, s:s, s:s, s:s, s:s}, s:{s:[{s:s, s:s, s:s, s:[{s:s}]}]}}",
	    "headerVersion", "1.0", "sender", party(ids->signer_orgnr), "receiver",
	    party(c->addressees[0].provider), "documentIdentification", "standard", STANDARD,
	    "typeVersion", "1.0", "instanceIdentifier", ids->instance, "type", "digital",
	    "creationDateAndTime", created, "businessScope", "scope", "type", "ConversationId",
	    "instanceIdentifier", ids->conversation, "identifier", PROCESS, "scopeInformation",
	    "expectedResponseDateTime", answer);
}

static json_t *
notice(const char *member, const char *address, const char *text, const struct control_record *c)
{
	json_t *repeats = json_array();

	for (size_t i = 0; i < c->repeat_count; i++)
		json_array_append_new(repeats, json_integer(c->repeats[i]));
	return json_pack("{s:s, s:s, s:o}", member, address, "varslingstekst", text, "repetisjoner",
			 repeats);
}

static json_t *
notices(const struct control_record *c)
{
	const struct control_addressee *a = &c->addressees[0];
	json_t *email = NULL, *sms = NULL;

	if (a->notice_email != NULL)
		email = notice("epostadresse", a->notice_email, c->notice_email_text, c);
	if (a->notice_mobile != NULL)
		sms = notice("mobiltelefonnummer", a->notice_mobile, c->notice_sms_text, c);
	return json_pack("{s:o*, s:o*}", "epostvarsel", email, "smsvarsel", sms);
}

/* The digest is base64 of the CMS bytes' SHA-256 (spec/dpi.md 1.7). */
static json_t *
body(const struct control_record *c, const struct sbd_ids *ids, const char *digest)
{
	const struct control_addressee *a = &c->addressees[0];
	json_t *varsler = a->notice_email != NULL || a->notice_mobile != NULL ? notices(c) : NULL;

	return json_pack(
	    "{s:{s:o, s:s*, s:s*}, s:{s:s}, s:{s:s, s:s}, s:s, s:i, s:s*, s:b, s:s, s:s, s:o*}",
	    "avsender", "virksomhetsidentifikator", organisation(c->orgnr), "avsenderidentifikator",
	    c->unit, "fakturaReferanse", c->invoice_reference, "mottaker", "postkasseadresse",
	    a->mailbox, "dokumentpakkefingeravtrykk", "digestMethod", DIGEST_METHOD, "digestValue",
	    digest, "maskinportentoken", ids->token, "sikkerhetsnivaa", c->security_level,
	    "virkningstidspunkt", c->effective, "aapningskvittering", (int)c->open_receipt,
	    "ikkesensitivtittel", c->public_title, "spraak", c->language, "varsler", varsler);
}

static bool
is_length(const char *text, long min, long max)
{
	long chars = text != NULL ? xml_chars(text) : -1;

	return chars >= min && chars <= max;
}

/* As the schema's pattern has it. */
static bool
is_mobile(const char *number)
{
	const char *digits = *number == '+' ? number + 1 : number;
	size_t len = strlen(number);

	return len >= 8 && len <= 20 && *digits != '\0' &&
	       strspn(digits, "- _0123456789") == strlen(digits);
}

static const char *
notices_fault(const struct control_record *c)
{
	const struct control_addressee *a = &c->addressees[0];

	if (a->notice_email == NULL && a->notice_mobile == NULL)
		return NULL;
	if (a->notice_email != NULL && strchr(a->notice_email, '@') == NULL)
		return "notice e-mail address";
	if (a->notice_mobile != NULL && !is_mobile(a->notice_mobile))
		return "notice mobile number";
	if (a->notice_email != NULL && !is_length(c->notice_email_text, 1, 500))
		return "notice text for e-mail of 1 to 500 characters";
	if (a->notice_mobile != NULL && !is_length(c->notice_sms_text, 1, 160))
		return "notice text for SMS of 1 to 160 characters";
	if (c->repeat_count == 0)
		return "days of notice";
	for (size_t i = 0; i < c->repeat_count; i++) {
		if (c->repeats[i] < 0 || c->repeats[i] > 25)
			return "days of notice from 0 to 25";
		for (size_t k = 0; k < i; k++)
			if (c->repeats[i] == c->repeats[k])
				return "days of notice, each once";
	}
	return NULL;
}

const char *
sbd_digital_fault(const struct control_record *c)
{
	time_t effective;

	if (c->addressee_count != 1)
		return "single addressee";
	if (c->addressees[0].mailbox == NULL || c->addressees[0].provider == NULL)
		return "mailbox and provider";
	if (!is_length(c->public_title, 1, 255))
		return "public title of 1 to 255 characters";
	if (c->language == NULL || strlen(c->language) != 2)
		return "language of two letters";
	if (c->security_level != 3 && c->security_level != 4)
		return "security level 3 or 4";
	if (c->unit != NULL && !is_length(c->unit, 1, 100))
		return "unit of 1 to 100 characters";
	if (c->invoice_reference != NULL && !is_length(c->invoice_reference, 1, 40))
		return "invoice reference of 1 to 40 characters";
	if (c->effective != NULL && clock_parse(c->effective, &effective) == -1)
		return "effective time";
	return notices_fault(c);
}

int
sbd_digital(const struct control_record *c, const struct sbd_ids *ids, struct buf *json,
	    struct bd_err *e)
{
	const char *fault = sbd_digital_fault(c);
	struct buf digest = { 0 };
	json_t *sbd = NULL;
	int rc = -1;

	if (fault != NULL)
		return bd_fail(e, BD_E_DAMAGED, "digital letter without usable %s", fault);
	if (base64_encode(&digest, c->package_sha256, SHA256_BYTES) == -1 ||
	    (sbd = json_pack("{s:{s:o, s:o}}", "standardBusinessDocument",
			     "standardBusinessDocumentHeader", header(c, ids), "digital",
			     body(c, ids, buf_str(&digest)))) == NULL) {
		bd_fail(e, BD_E_MEMORY, "no memory for a business message, or text not UTF-8");
		goto out;
	}
	rc = json_write(sbd, 0, json, e);
out:
	json_decref(sbd);
	buf_free(&digest);
	return rc;
}

/* A copy of a string member; a missing one fails. */
static int
text_copy(const json_t *object, const char *member, char **text_r, struct bd_err *e)
{
	const char *text = json_text(object, member);

	if (text == NULL)
		return bd_fail(e, BD_E_CONTENT, "business message without %s", member);
	if ((*text_r = strdup(text)) == NULL)
		return bd_fail(e, BD_E_MEMORY, "no memory for a business message");
	return 0;
}

/* sender or receiver: nine digits behind "0192:", or "9908:" of old data. */
static int
party_copy(const json_t *head, const char *member, char **orgnr_r, struct bd_err *e)
{
	const json_t *list = json_object_get(head, member);
	const json_t *identifier = json_object_get(json_array_get(list, 0), "identifier");
	const char *value = json_text(identifier, "value");

	if (json_array_size(list) != 1 || value == NULL || strlen(value) != 14 ||
	    (strncmp(value, "0192:", 5) != 0 && strncmp(value, "9908:", 5) != 0) ||
	    strspn(value + 5, "0123456789") != 9)
		return bd_fail(e, BD_E_CONTENT, "business message without one usable %s", member);
	if ((*orgnr_r = strdup(value + 5)) == NULL)
		return bd_fail(e, BD_E_MEMORY, "no memory for a business message");
	return 0;
}

/* The scope of type ConversationId. */
static const json_t *
conversation_scope(const json_t *head)
{
	const json_t *list = json_object_get(json_object_get(head, "businessScope"), "scope");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *type = json_text(json_array_get(list, i), "type");

		if (type != NULL && strcmp(type, "ConversationId") == 0)
			return json_array_get(list, i);
	}
	return NULL;
}

int
sbd_head_read(const json_t *sbd, struct sbd_head *head_r, struct bd_err *e)
{
	const json_t *document = json_object_get(sbd, "standardBusinessDocument");
	const json_t *head = json_object_get(document, "standardBusinessDocumentHeader");
	const json_t *identification = json_object_get(head, "documentIdentification");
	const json_t *scope = conversation_scope(head);
	struct sbd_head h = { 0 };

	if (text_copy(identification, "type", &h.type, e) == -1 ||
	    text_copy(identification, "instanceIdentifier", &h.instance, e) == -1 ||
	    text_copy(identification, "creationDateAndTime", &h.created, e) == -1 ||
	    text_copy(scope, "instanceIdentifier", &h.conversation, e) == -1 ||
	    text_copy(scope, "identifier", &h.process, e) == -1 ||
	    party_copy(head, "sender", &h.sender_orgnr, e) == -1 ||
	    party_copy(head, "receiver", &h.receiver_orgnr, e) == -1)
		goto bad;
	if (!json_is_object(json_object_get(document, h.type))) {
		bd_fail(e, BD_E_CONTENT, "business message without the member of its type");
		goto bad;
	}
	*head_r = h;
	return 0;
bad:
	sbd_head_clear(&h);
	return -1;
}

void
sbd_head_clear(struct sbd_head *head)
{
	free(head->type);
	free(head->instance);
	free(head->conversation);
	free(head->process);
	free(head->sender_orgnr);
	free(head->receiver_orgnr);
	free(head->created);
	*head = (struct sbd_head){ 0 };
}
