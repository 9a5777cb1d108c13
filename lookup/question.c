/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to questions, the register's persons to answers. Asks nobody itself. */
#include "config.h"
#include "lookup/question.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/encode.h"
#include "common/json.h"
#include "envelope/cert.h"
#include "lookup/address.h"
#include "lookup/client.h"
#include "lookup/decide.h"

#define KEY_MAX_BYTES 65536
#define ADDRESS_MAX_BYTES 1024

static const char *const map_names[] = {
	[QUESTION_PERSON] = "person",
	[QUESTION_RECIPIENT] = "recipient",
	[QUESTION_DECISION] = "decision",
	[QUESTION_PERSONS] = "persons",
};

const char *
question_map_name(enum question_map map)
{
	return map_names[map];
}

static enum question_result
refuse(struct bd_err *e, const char *words)
{
	bd_fail(e, BD_E_CONTENT, "%s", words);
	return QUESTION_REFUSED;
}

static enum question_result
refuse_memory(struct bd_err *e)
{
	bd_fail(e, BD_E_MEMORY, "out of memory");
	return QUESTION_REFUSED;
}

/* One number as the whole question. A key that is no number is simply not in the map. */
static enum question_result
one_number(const struct conf *c, struct question *q, const char *text, size_t len, struct bd_err *e)
{
	char id[NATIONALID_CHARS] = "";

	if (len != NATIONALID_CHARS - 1)
		return QUESTION_NOT_FOUND;
	memcpy(id, text, len);
	if (!nationalid_is_valid(id, c->synthetic))
		return QUESTION_NOT_FOUND;
	if ((q->ids = calloc(1, sizeof(q->ids[0]))) == NULL)
		return refuse_memory(e);
	memcpy(q->ids[0], id, sizeof(id));
	q->count = 1;
	return QUESTION_ASK;
}

/* Only the form of an address: says nothing about a person, so the register is not asked and the
 * audit log not written. */
static enum question_result
parse_recipient(const struct conf *c, const struct socketmap_request *r)
{
	char address[ADDRESS_MAX_BYTES], local[ADDRESS_MAX_BYTES];
	struct citizen citizen;
	struct bd_err ignored = { 0 };

	if (r->key_len >= sizeof(address))
		return QUESTION_NOT_FOUND;
	memcpy(address, r->key, r->key_len);
	address[r->key_len] = '\0';
	if (citizen_domain(c, address, local, sizeof(local)) == NULL ||
	    citizen_parse(local, c->synthetic, &citizen, &ignored) == -1)
		return QUESTION_NOT_FOUND;
	return QUESTION_OK;
}

static bool
agency_set(const struct conf *c, struct question *q, const char *name, size_t len)
{
	if (len >= sizeof(q->agency))
		return false;
	memcpy(q->agency, name, len);
	q->agency[len] = '\0';
	return conf_agency(c, q->agency) != NULL;
}

/* "AGENCY/important:NUMBER" */
static enum question_result
parse_decision(const struct conf *c, const struct socketmap_request *r, struct question *q,
	       struct bd_err *e)
{
	const char *key = r->key, *end = key + r->key_len;
	const char *slash = memrchr(key, '/', r->key_len), *colon;

	if (slash != NULL) {
		if (!agency_set(c, q, key, (size_t)(slash - key)))
			return refuse(e, "no such agency");
		key = slash + 1;
	}
	if ((colon = memchr(key, ':', (size_t)(end - key))) == NULL)
		return refuse(e, "the key is [AGENCY/]important:NUMBER or service:NUMBER");
	if (colon - key == 9 && memcmp(key, "important", 9) == 0)
		q->kind = CONF_KIND_IMPORTANT;
	else if (colon - key == 7 && memcmp(key, "service", 7) == 0)
		q->kind = CONF_KIND_SERVICE;
	else
		return refuse(e, "the kind is important or service");
	return one_number(c, q, colon + 1, (size_t)(end - colon - 1), e);
}

static bool
is_word(const char *text)
{
	return strlen(text) < QUESTION_WORD_CHARS &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(text);
}

static enum question_result
parse_ids(const struct conf *c, const json_t *list, struct question *q, struct bd_err *e)
{
	json_t *value;
	size_t i;

	if (json_array_size(list) == 0 || json_array_size(list) > LOOKUP_BATCH_MAX)
		return refuse(e, "ids must be an array of 1 to 1000 numbers");
	if ((q->ids = calloc(json_array_size(list), sizeof(q->ids[0]))) == NULL)
		return refuse_memory(e);
	json_array_foreach(list, i, value)
	{
		const char *id = json_string_value(value);

		if (id == NULL || !nationalid_is_valid(id, c->synthetic))
			return refuse(e, "one of ids is not a valid number");
		memcpy(q->ids[i], id, NATIONALID_CHARS);
	}
	q->count = json_array_size(list);
	return QUESTION_ASK;
}

static enum question_result
parse_persons(const struct conf *c, const struct socketmap_request *r, struct question *q,
	      struct bd_err *e)
{
	enum question_result result;
	struct bd_err inner = { 0 };
	json_t *json = json_parse(r->key, r->key_len, KEY_MAX_BYTES, &inner);
	const char *agency = json_text(json, "agency"), *purpose = json_text(json, "purpose");

	if (json == NULL)
		return refuse(e, "the key is not JSON");
	if (agency != NULL && !agency_set(c, q, agency, strlen(agency)))
		result = refuse(e, "no such agency");
	else if (purpose == NULL || !is_word(purpose))
		result = refuse(e, "purpose must say in a word what the question is for");
	else {
		memcpy(q->purpose, purpose, strlen(purpose) + 1);
		result = parse_ids(c, json_object_get(json, "ids"), q, e);
	}
	json_decref(json);
	return result;
}

enum question_result
question_parse(const struct conf *c, const struct socketmap_request *r, struct question *q,
	       struct bd_err *e)
{
	*q = (struct question){ .purpose = "map" };
	for (size_t i = 0; i < sizeof(map_names) / sizeof(map_names[0]); i++) {
		if (strcmp(r->map, map_names[i]) != 0)
			continue;
		q->map = (enum question_map)i;
		switch (q->map) {
		case QUESTION_PERSON:
			return one_number(c, q, r->key, r->key_len, e);
		case QUESTION_RECIPIENT:
			return parse_recipient(c, r);
		case QUESTION_DECISION:
			return parse_decision(c, r, q, e);
		case QUESTION_PERSONS:
			return parse_persons(c, r, q, e);
		}
	}
	return refuse(e, "no such map; there are person, recipient, decision and persons");
}

/* The fingerprint of the certificate that a letter would be sealed to. */
static void
fingerprint_add(json_t *json, const char *certificate)
{
	struct bd_err ignored = { 0 };
	X509 *x = cert_parse(certificate, &ignored);
	uint8_t digest[SHA256_BYTES];
	char hex[2 * SHA256_BYTES + 1];

	if (x != NULL && cert_fingerprint(x, digest) == 0) {
		hex_encode(hex, digest, sizeof(digest));
		json_object_set_new(json, "certificate", json_string(hex));
	}
	X509_free(x);
}

json_t *
question_decision(const struct conf *c, const char *agency_name, enum conf_kind kind,
		  const json_t *element, struct bd_err *e)
{
	const struct conf_agency *agency =
	    agency_name[0] != '\0' ? conf_agency(c, agency_name) : NULL;
	struct person person;
	struct decision d;
	json_t *json, *notify;

	if (person_parse(element, &person, e) == -1)
		return NULL;
	decide(&(struct decide_in){ .person = &person,
				    .kind = kind,
				    .prints = agency != NULL && (kind == CONF_KIND_IMPORTANT
								     ? agency->prints
								     : agency->prints_service),
				    .now = clock_wall() },
	       &d);
	json = json_pack("{s:s, s:i, s:s, s:[]}", "route", route_name(d.route), "row", d.row,
			 "reason", d.reason, "notify");
	notify = json_object_get(json, "notify");
	if (d.notify_email)
		json_array_append_new(notify, json_string("email"));
	if (d.notify_mobile)
		json_array_append_new(notify, json_string("mobile"));
	if (json != NULL && d.route == ROUTE_DIGITAL) {
		json_object_set_new(json, "provider", json_string(person.provider));
		json_object_set_new(json, "mailbox", json_string(person.mailbox));
		fingerprint_add(json, person.certificate);
	}
	person_clear(&person);
	if (json == NULL)
		bd_fail(e, BD_E_MEMORY, "out of memory");
	return json;
}

/* The register must have answered exactly what was asked (threats.md A15). */
static int
identity_check(const struct question *q, const json_t *persons, struct bd_err *e)
{
	if (json_array_size(persons) != q->count)
		return bd_fail(e, BD_E_REGISTER, "the register answered %zu persons of %zu",
			       json_array_size(persons), q->count);
	for (size_t i = 0; i < q->count; i++) {
		const char *id = json_text(json_array_get(persons, i), "personidentifikator");

		if (id == NULL || strcmp(id, q->ids[i]) != 0)
			return bd_fail(e, BD_E_REGISTER,
				       "the register answered another person than the one asked; "
				       "alarm");
	}
	return 0;
}

int
question_answer(const struct conf *c, const struct question *q, const json_t *persons,
		struct buf *out, struct bd_err *e)
{
	json_t *json = NULL;
	int rc;

	if (identity_check(q, persons, e) == -1)
		return -1;
	switch (q->map) {
	case QUESTION_PERSON:
		return json_write(json_array_get(persons, 0), 0, out, e);
	case QUESTION_DECISION:
		json = question_decision(c, q->agency, q->kind, json_array_get(persons, 0), e);
		break;
	case QUESTION_PERSONS:
		json = json_pack("{s:O}", "personer", persons);
		break;
	case QUESTION_RECIPIENT:
		return bd_fail(e, BD_E_INTERNAL, "recipient is answered without the register");
	}
	if (json == NULL)
		return -1;
	rc = json_write(json, 0, out, e);
	json_decref(json);
	return rc;
}

void
question_clear(struct question *q)
{
	if (q->ids != NULL)
		explicit_bzero(q->ids, q->count * sizeof(q->ids[0]));
	free(q->ids);
	*q = (struct question){ 0 };
}
