/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one person of the register's JSON. Draws no conclusions: that is decide.c's. */
#include "config.h"
#include "lookup/person.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"

#define FRESH_MONTHS 18

struct word {
	const char *text;
	int value;
};

/* The value of an enum member: unknown is 0, also when it is absent or no string. */
static int
member_word(const json_t *object, const char *member, const struct word *words, size_t count)
{
	const char *text = json_text(object, member);

	for (size_t i = 0; text != NULL && i < count; i++)
		if (strcmp(text, words[i].text) == 0)
			return words[i].value;
	return 0;
}

static int
member_copy(const json_t *object, const char *member, char **out, struct bd_err *e)
{
	const char *text = json_text(object, member);

	if (text == NULL)
		return 0;
	if ((*out = strdup(text)) == NULL)
		return bd_fail(e, BD_E_MEMORY, "out of memory");
	return 0;
}

static time_t
member_time(const json_t *object, const char *name, const char *suffix)
{
	char member[64];
	const char *text;
	time_t when;

	snprintf(member, sizeof(member), "%s_%s", name, suffix);
	text = json_text(object, member);
	return text != NULL && clock_parse(text, &when) == 0 ? when : 0;
}

static bool
is_no_value(const json_t *value)
{
	return value == NULL || json_is_null(value) ||
	       (json_is_string(value) && json_string_length(value) == 0);
}

static int
channel_parse(const json_t *contact, const char *name, struct person_channel *out, struct bd_err *e)
{
	char member[64];
	const json_t *shared;
	const char *text;

	if (member_copy(contact, name, &out->address, e) == -1)
		return -1;
	out->updated = member_time(contact, name, "oppdatert");
	out->verified = member_time(contact, name, "sist_verifisert");
	snprintf(member, sizeof(member), "%s_duplisert", name);
	shared = json_object_get(contact, member);
	text = json_text(contact, member);
	/* JA, and whatever we do not know, keeps a notice from reaching strangers. */
	out->shared = !is_no_value(shared) && (text == NULL || strcmp(text, "NEI") != 0);
	return 0;
}

/* An address that paper can be sent to. An address grade other than the two open ones hides it
 * (spec/krr.md 10). */
static bool
address_is_usable(const json_t *address)
{
	const char *grade = json_text(address, "adressegradering");

	if (!json_is_object(address))
		return false;
	if (!is_no_value(json_object_get(address, "adressegradering")) &&
	    (grade == NULL ||
	     (strcmp(grade, "ugradert") != 0 && strcmp(grade, "klientadresse") != 0)))
		return false;
	return json_text(address, "poststed") != NULL ||
	       json_array_size(json_object_get(address, "adresselinje")) > 0;
}

int
person_parse(const json_t *element, struct person *person_r, struct bd_err *e)
{
	static const struct word statuses[] = { { "AKTIV", PERSON_ACTIVE },
						{ "SLETTET", PERSON_DELETED },
						{ "IKKE_REGISTRERT", PERSON_NOT_REGISTERED } };
	static const struct word reserved[] = { { "JA", PERSON_RESERVED },
						{ "NEI", PERSON_NOT_RESERVED } };
	static const struct word notifiable[] = { { "KAN_VARSLES", PERSON_NOTIFIABLE },
						  { "KAN_IKKE_VARSLES", PERSON_NOT_NOTIFIABLE } };
	const json_t *contact, *mailbox;
	struct person p = { 0 };
	const char *text;

	*person_r = p;
	if (!json_is_object(element))
		return bd_fail(e, BD_E_REGISTER, "a person in the answer is no object");
	text = json_text(element, "personidentifikator");
	if (text == NULL || !nationalid_is_valid(text, true))
		return bd_fail(e, BD_E_REGISTER,
			       "a person in the answer has no valid personidentifikator");
	memcpy(p.id, text, NATIONALID_CHARS);
	p.status = (enum person_status)member_word(element, "status", statuses, 3);
	p.reserved = (enum person_reserved)member_word(element, "reservasjon", reserved, 2);
	p.notifiable =
	    (enum person_notifiable)member_word(element, "varslingsstatus", notifiable, 2);
	contact = json_object_get(element, "kontaktinformasjon");
	mailbox = json_object_get(element, "digital_post");
	p.has_address = address_is_usable(json_object_get(element, "postadresse"));
	/* The population register's word, which the embedded register may hold too. */
	text = json_text(element, "personstatus");
	p.deceased = text != NULL && strcmp(text, "doed") == 0;
	if (channel_parse(contact, "epostadresse", &p.email, e) == -1 ||
	    channel_parse(contact, "mobiltelefonnummer", &p.mobile, e) == -1 ||
	    member_copy(mailbox, "postkasseadresse", &p.mailbox, e) == -1 ||
	    member_copy(mailbox, "postkasseleverandoeradresse", &p.provider, e) == -1 ||
	    member_copy(element, "sertifikat", &p.certificate, e) == -1 ||
	    member_copy(element, "spraak", &p.language, e) == -1) {
		person_clear(&p);
		return -1;
	}
	*person_r = p;
	return 0;
}

void
person_clear(struct person *p)
{
	if (p == NULL)
		return;
	free(p->email.address);
	free(p->mobile.address);
	free(p->mailbox);
	free(p->provider);
	free(p->certificate);
	free(p->language);
	explicit_bzero(p, sizeof(*p));
}

bool
person_channel_is_fresh(const struct person_channel *c, time_t now)
{
	time_t oldest = clock_months_before(now, FRESH_MONTHS);

	return c->address != NULL && !c->shared &&
	       ((c->updated != 0 && c->updated >= oldest) ||
		(c->verified != 0 && c->verified >= oldest));
}
