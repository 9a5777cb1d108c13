/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of the business messages as tables, after the published JSON schemas, and the rules the
 * schemas leave to their text (fixed strings, unique repetitions, one address form).
 */
#include "config.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "sandbox/sandbox.h"
#include "sandbox/schema.h"

#define STANDARD                                                                           \
	"urn:fdc:digdir.no:2020:innbyggerpost:xsd::innbyggerpost##urn:fdc:digdir.no:2020:" \
	"innbyggerpost:schema:%s::1.0"
#define PROCESS "urn:fdc:digdir.no:2020:profile:egovernment:innbyggerpost:%s:ver1.0"
#define DIGEST_METHOD "http://www.w3.org/2001/04/xmlenc#sha256"

enum kind { OBJECT, ARRAY, STRING, INTEGER, BOOLEAN };

struct member;
struct node {
	enum kind kind;
	json_int_t min, max; /* characters, items or value; max 0: no limit */
	bool (*format)(const char *text);
	const char *format_name;
	const struct member *members; /* of an object, NULL-named last; others are refused */
	const struct node *items;     /* of an array */
	bool open; /* an object that takes other members too, as its schema does */
};
struct member {
	const char *name;
	bool required;
	const struct node *node;
};

/* RFC 3339 with a zone; clock_parse alone would also take an offset of hours only. */
static bool
is_date_time(const char *t)
{
	size_t len = strlen(t);
	time_t when;

	return clock_parse(t, &when) == 0 && len >= 20 &&
	       (t[len - 1] == 'Z' || (len >= 25 && t[len - 3] == ':'));
}

static bool
is_date(const char *t)
{
	char whole[32];

	if (strlen(t) != 10)
		return false;
	snprintf(whole, sizeof(whole), "%sT00:00:00Z", t);
	return is_date_time(whole);
}

static bool
is_authority(const char *t)
{
	return strcmp(t, "iso6523-actorid-upis") == 0;
}

static bool
is_organisation(const char *t)
{
	return strncmp(t, "0192:", 5) == 0 && strspn(t + 5, "0123456789") == 9 && t[14] == '\0';
}

static bool
is_digest_method(const char *t)
{
	return strcmp(t, DIGEST_METHOD) == 0;
}

static bool
is_one_dot_zero(const char *t)
{
	return strcmp(t, "1.0") == 0;
}

static bool
is_language(const char *t)
{
	return strlen(t) == 2 && islower((unsigned char)t[0]) && islower((unsigned char)t[1]);
}

static bool
is_mail_address(const char *t)
{
	const char *at = strrchr(t, '@');

	return at != NULL && at != t && at[1] != '\0' && strpbrk(t, " \t\r\n<>,;") == NULL;
}

static bool
is_mobile(const char *t)
{
	t += *t == '+';
	return *t != '\0' && t[strspn(t, "- _0123456789")] == '\0';
}

static bool
is_print_type(const char *t)
{
	return strcmp(t, "SORT_HVIT") == 0 || strcmp(t, "FARGE") == 0;
}

static bool
is_return_handling(const char *t)
{
	return strcmp(t, "DIREKTE_RETUR") == 0 || strcmp(t, "MAKULERING_MED_MELDING") == 0;
}

static bool
is_post_class(const char *t)
{
	return strcmp(t, "A") == 0 || strcmp(t, "B") == 0;
}

static bool
is_postcode(const char *t)
{
	return strspn(t, "0123456789") == 4 && t[4] == '\0';
}

static bool
is_country_code(const char *t)
{
	return strlen(t) == 2 && isalpha((unsigned char)t[0]) && isalpha((unsigned char)t[1]);
}

#define TEXT(low, high)                                     \
	{                                                   \
		.kind = STRING, .min = (low), .max = (high) \
	}
#define FORM(test, words)                                                \
	{                                                                \
		.kind = STRING, .format = (test), .format_name = (words) \
	}
#define OBJ(table)                                 \
	{                                          \
		.kind = OBJECT, .members = (table) \
	}
#define LIST(low, high, node)                                               \
	{                                                                   \
		.kind = ARRAY, .min = (low), .max = (high), .items = (node) \
	}
#define END                       \
	{                         \
		NULL, false, NULL \
	}

static const struct node any_text = TEXT(0, 0), filled = TEXT(1, 0), text40 = TEXT(0, 40),
			 text80 = TEXT(0, 80), text100 = TEXT(0, 100), text255 = TEXT(1, 255),
			 text500 = TEXT(1, 500), text160 = TEXT(1, 160),
			 boolean = { .kind = BOOLEAN },
			 level = { .kind = INTEGER, .min = 3, .max = 4 },
			 day = { .kind = INTEGER, .min = 0, .max = 25 }, days = LIST(1, 10, &day),
			 date_time = FORM(is_date_time, "an RFC 3339 date-time with zone"),
			 date = FORM(is_date, "a date"), uuid = FORM(sandbox_is_uuid, "a UUID"),
			 authority = FORM(is_authority, "iso6523-actorid-upis"),
			 organisation = FORM(is_organisation, "0192: and nine digits"),
			 digest_method = FORM(is_digest_method, DIGEST_METHOD),
			 version = FORM(is_one_dot_zero, "1.0"),
			 language = FORM(is_language, "two letters, ISO 639-1"),
			 mail_address = FORM(is_mail_address, "an e-mail address"),
			 mobile = { .kind = STRING,
				    .min = 8,
				    .max = 20,
				    .format = is_mobile,
				    .format_name = "a mobile number" },
			 print_type = FORM(is_print_type, "SORT_HVIT or FARGE"),
			 return_handling = FORM(is_return_handling, "a returposthaandtering"),
			 post_class = FORM(is_post_class, "A or B"),
			 postcode = FORM(is_postcode, "four digits"),
			 country_code = FORM(is_country_code, "two letters");

static const struct member identifier_members[] = { { "authority", true, &authority },
						    { "value", true, &organisation },
						    END };
static const struct node identifier = OBJ(identifier_members);
static const struct member actor_members[] = { { "identifier", true, &identifier }, END };
static const struct node actor = OBJ(actor_members), actors = LIST(1, 1, &actor);
static const struct member identification_members[] = { { "standard", true, &any_text },
							{ "typeVersion", true, &version },
							{ "instanceIdentifier", true, &uuid },
							{ "type", true, &any_text },
							{ "creationDateAndTime", true, &date_time },
							END };
static const struct node identification = OBJ(identification_members);
static const struct member info_members[] = { { "expectedResponseDateTime", false, &any_text },
					      END };
static const struct node info = OBJ(info_members), infos = LIST(0, 0, &info);
static const struct member scope_members[] = { { "type", true, &any_text },
					       { "instanceIdentifier", false, &uuid },
					       { "identifier", false, &any_text },
					       { "scopeInformation", false, &infos },
					       END };
static const struct node scope = OBJ(scope_members), scopes = LIST(1, 0, &scope);
static const struct member business_members[] = { { "scope", true, &scopes }, END };
static const struct node business = OBJ(business_members);
static const struct member header_members[] = {
	{ "headerVersion", true, &version },  { "sender", true, &actors },
	{ "receiver", true, &actors },        { "documentIdentification", true, &identification },
	{ "businessScope", true, &business }, END
};
static const struct node header = OBJ(header_members);

static const struct member sender_members[] = { { "virksomhetsidentifikator", true, &identifier },
						{ "avsenderidentifikator", false, &text100 },
						{ "fakturaReferanse", false, &text40 },
						END };
static const struct node sender = OBJ(sender_members);
static const struct member person_members[] = { { "postkasseadresse", true, &filled }, END };
static const struct node person = OBJ(person_members);
static const struct member digest_members[] = { { "digestMethod", true, &digest_method },
						{ "digestValue", true, &filled },
						END };
static const struct node digest = OBJ(digest_members);
static const struct member email_members[] = { { "epostadresse", true, &mail_address },
					       { "varslingstekst", true, &text500 },
					       { "repetisjoner", true, &days },
					       END };
static const struct node email = OBJ(email_members);
static const struct member sms_members[] = { { "mobiltelefonnummer", true, &mobile },
					     { "varslingstekst", true, &text160 },
					     { "repetisjoner", true, &days },
					     END };
static const struct node sms = OBJ(sms_members);
static const struct member notice_members[] = { { "epostvarsel", false, &email },
						{ "smsvarsel", false, &sms },
						END };
static const struct node notices = { .kind = OBJECT, .members = notice_members, .open = true };
static const struct member digital_members[] = { { "avsender", true, &sender },
						 { "mottaker", true, &person },
						 { "dokumentpakkefingeravtrykk", true, &digest },
						 { "maskinportentoken", true, &filled },
						 { "sikkerhetsnivaa", true, &level },
						 { "virkningsdato", false, &date },
						 { "virkningstidspunkt", false, &date_time },
						 { "aapningskvittering", false, &boolean },
						 { "ikkesensitivtittel", true, &text255 },
						 { "spraak", true, &language },
						 { "varsler", false, &notices },
						 END };
static const struct node digital = OBJ(digital_members);

static const struct member address_members[] = {
	{ "navn", true, &any_text },          { "adresselinje1", true, &text100 },
	{ "adresselinje2", false, &text100 }, { "adresselinje3", false, &text100 },
	{ "adresselinje4", false, &text100 }, { "postnummer", false, &postcode },
	{ "poststed", false, &text80 },       { "land", false, &text80 },
	{ "landkode", false, &country_code }, END
};
static const struct node address = OBJ(address_members);
static const struct member return_members[] = { { "mottaker", true, &address },
						{ "returposthaandtering", true, &return_handling },
						END };
static const struct node return_post = OBJ(return_members);
static const struct member print_members[] = { { "avsender", true, &sender },
					       { "mottaker", true, &address },
					       { "dokumentpakkefingeravtrykk", true, &digest },
					       { "maskinportentoken", true, &filled },
					       { "utskriftstype", true, &print_type },
					       { "retur", true, &return_post },
					       { "posttype", false, &post_class },
					       END };
static const struct node print = OBJ(print_members);

static json_int_t
characters(const char *text)
{
	json_int_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xC0) != 0x80;
	return n;
}

static int check(const json_t *v, const struct node *n, const char *where, struct bd_err *e);

static int
check_object(const json_t *v, const struct node *n, const char *where, struct bd_err *e)
{
	char place[160];
	const char *name;
	json_t *value;

	for (const struct member *m = n->members; m->name != NULL; m++) {
		snprintf(place, sizeof(place), "%s/%s", where, m->name);
		value = json_object_get(v, m->name);
		if (value == NULL && m->required)
			return bd_fail(e, BD_E_CONTENT, "%s: is missing", place);
		if (value != NULL && check(value, m->node, place, e) == -1)
			return -1;
	}
	if (n->open)
		return 0;
	json_object_foreach((json_t *)(uintptr_t)v, name, value)
	{
		const struct member *m = n->members;

		while (m->name != NULL && strcmp(m->name, name) != 0)
			m++;
		if (m->name == NULL)
			return bd_fail(e, BD_E_CONTENT, "%s: member %.40s is not allowed", where,
				       name);
	}
	return 0;
}

static int
check_range(json_int_t value, const struct node *n, const char *what, const char *where,
	    struct bd_err *e)
{
	if (value < n->min)
		return bd_fail(e, BD_E_CONTENT, "%s: at least %lld%s", where, (long long)n->min,
			       what);
	if (n->max > 0 && value > n->max)
		return bd_fail(e, BD_E_CONTENT, "%s: at most %lld%s", where, (long long)n->max,
			       what);
	return 0;
}

static int
check(const json_t *v, const struct node *n, const char *where, struct bd_err *e)
{
	static const char *const names[] = { "an object", "an array", "text", "an integer",
					     "true or false" };
	const bool fits[] = { json_is_object(v), json_is_array(v), json_is_string(v),
			      json_is_integer(v), json_is_boolean(v) };
	char place[160];
	json_t *item;
	size_t i;

	if (!fits[n->kind])
		return bd_fail(e, BD_E_CONTENT, "%s: must be %s", where, names[n->kind]);
	switch (n->kind) {
	case OBJECT:
		return check_object(v, n, where, e);
	case ARRAY:
		if (check_range((json_int_t)json_array_size(v), n, " entries", where, e) == -1)
			return -1;
		json_array_foreach(v, i, item)
		{
			snprintf(place, sizeof(place), "%s/%zu", where, i);
			if (check(item, n->items, place, e) == -1)
				return -1;
		}
		return 0;
	case STRING:
		if (check_range(characters(json_string_value(v)), n, " characters", where, e) == -1)
			return -1;
		if (n->format != NULL && !n->format(json_string_value(v)))
			return bd_fail(e, BD_E_CONTENT, "%s: must be %s", where, n->format_name);
		return 0;
	case INTEGER:
		return check_range(json_integer_value(v), n, "", where, e);
	case BOOLEAN:
		break;
	}
	return 0;
}

/* The repetitions of both channels must differ from each other within a channel (spec 1.9). */
static int
check_repeats(const json_t *notices_given, struct bd_err *e)
{
	const char *name;
	json_t *channel;

	json_object_foreach((json_t *)(uintptr_t)notices_given, name, channel)
	{
		const json_t *list = json_object_get(channel, "repetisjoner");

		for (size_t i = 0; i < json_array_size(list); i++)
			for (size_t j = 0; j < i; j++)
				if (json_equal(json_array_get(list, i), json_array_get(list, j)))
					return bd_fail(
					    e, BD_E_CONTENT,
					    "/digital/varsler/%s/repetisjoner: not unique", name);
	}
	return 0;
}

/* Exactly one of the Norwegian and the foreign form (spec 1.10). */
static int
check_address(const json_t *a, const char *where, struct bd_err *e)
{
	int norwegian =
	    json_object_get(a, "postnummer") != NULL && json_object_get(a, "poststed") != NULL;
	int land = json_object_get(a, "land") != NULL,
	    code = json_object_get(a, "landkode") != NULL;

	if (norwegian + (land + code == 1) != 1 || land + code > 1)
		return bd_fail(e, BD_E_CONTENT,
			       "%s: must have postnummer and poststed, or one of land and landkode",
			       where);
	return 0;
}

static int
check_strings(const json_t *head, const char *type, struct bd_err *e)
{
	const json_t *ident = json_object_get(head, "documentIdentification"),
		     *list = json_object_get(json_object_get(head, "businessScope"), "scope"), *one;
	char wanted[200];
	size_t i;

	snprintf(wanted, sizeof(wanted), STANDARD, type);
	if (strcmp(json_string_value(json_object_get(ident, "standard")), wanted) != 0)
		return bd_fail(e, BD_E_CONTENT, "documentIdentification/standard: must be %s",
			       wanted);
	snprintf(wanted, sizeof(wanted), PROCESS, type);
	json_array_foreach(list, i, one)
	{
		const char *process = json_text(one, "identifier");

		if (strcmp(json_string_value(json_object_get(one, "type")), "ConversationId") != 0)
			continue;
		if (json_text(one, "instanceIdentifier") == NULL)
			return bd_fail(e, BD_E_CONTENT, "scope: ConversationId without a UUID");
		if (process == NULL || strcmp(process, wanted) != 0)
			return bd_fail(e, BD_E_CONTENT, "scope/identifier: must be %s", wanted);
		return 0;
	}
	return bd_fail(e, BD_E_CONTENT, "businessScope: no scope of type ConversationId");
}

int
schema_check(const json_t *message, const char *type, struct bd_err *e)
{
	const bool is_print = strcmp(type, "utskrift") == 0;
	const struct member document_members[] = { { "standardBusinessDocumentHeader", true,
						     &header },
						   { type, true, is_print ? &print : &digital },
						   END };
	const struct node document = OBJ(document_members);
	const struct member top_members[] = { { "standardBusinessDocument", true, &document },
					      END };
	const struct node top = OBJ(top_members);
	const json_t *sbd = json_object_get(message, "standardBusinessDocument"), *body;

	if (check(message, &top, "", e) == -1 ||
	    check_strings(json_object_get(sbd, "standardBusinessDocumentHeader"), type, e) == -1)
		return -1;
	body = json_object_get(sbd, type);
	if (!is_print)
		return check_repeats(json_object_get(body, "varsler"), e);
	if (check_address(json_object_get(body, "mottaker"), "/utskrift/mottaker", e) == -1)
		return -1;
	return check_address(json_object_get(json_object_get(body, "retur"), "mottaker"),
			     "/utskrift/retur/mottaker", e);
}
