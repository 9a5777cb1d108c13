/* SPDX-License-Identifier: Apache-2.0 */
/* Persons to stored bytes and back, by one table of the register's members. Stores nothing. */
#include "config.h"
#include "lookup/codec.h"

#include <string.h>

#include "common/clock.h"
#include "common/json.h"

#define TEXT_MAX_BYTES 4096
#define CERTIFICATE_MAX_BYTES 16384
#define CERTIFICATE_TAG 16

enum member_type {
	MEMBER_WORD,        /* one of words, stored as its place from 1; else 0 and as text */
	MEMBER_TEXT,        /* length and bytes */
	MEMBER_TIME,        /* seconds since 1970 */
	MEMBER_JSON,        /* an object as compact JSON */
	MEMBER_CERTIFICATE, /* a number */
};

static const char *const statuses[] = { "AKTIV", "SLETTET", "IKKE_REGISTRERT", NULL };
static const char *const yes_no[] = { "JA", "NEI", NULL };
static const char *const notifiable[] = { "KAN_VARSLES", "KAN_IKKE_VARSLES", NULL };
static const char *const languages[] = { "nb", "nn", "en", "se", NULL };

/* Tags are never used again for anything else. */
static const struct member {
	unsigned char tag;
	enum member_type type;
	const char *parent; /* "" for the person itself */
	const char *name;
	const char *const *words;
} members[] = {
	{ 1, MEMBER_WORD, "", "reservasjon", yes_no },
	{ 2, MEMBER_TIME, "", "reservasjonstidspunkt", NULL },
	{ 3, MEMBER_TIME, "", "reservasjon_oppdatert", NULL },
	{ 4, MEMBER_WORD, "", "status", statuses },
	{ 5, MEMBER_WORD, "", "varslingsstatus", notifiable },
	{ 6, MEMBER_TEXT, "kontaktinformasjon", "epostadresse", NULL },
	{ 7, MEMBER_TIME, "kontaktinformasjon", "epostadresse_oppdatert", NULL },
	{ 8, MEMBER_TIME, "kontaktinformasjon", "epostadresse_sist_verifisert", NULL },
	{ 9, MEMBER_TIME, "kontaktinformasjon", "epostadresse_sist_validert", NULL },
	{ 10, MEMBER_WORD, "kontaktinformasjon", "epostadresse_duplisert", yes_no },
	{ 11, MEMBER_TEXT, "kontaktinformasjon", "mobiltelefonnummer", NULL },
	{ 12, MEMBER_TIME, "kontaktinformasjon", "mobiltelefonnummer_oppdatert", NULL },
	{ 13, MEMBER_TIME, "kontaktinformasjon", "mobiltelefonnummer_sist_verifisert", NULL },
	{ 14, MEMBER_TIME, "kontaktinformasjon", "mobiltelefonnummer_sist_validert", NULL },
	{ 15, MEMBER_WORD, "kontaktinformasjon", "mobiltelefonnummer_duplisert", yes_no },
	{ CERTIFICATE_TAG, MEMBER_CERTIFICATE, "", "sertifikat", NULL },
	{ 17, MEMBER_TEXT, "digital_post", "postkasseadresse", NULL },
	{ 18, MEMBER_TEXT, "digital_post", "postkasseleverandoeradresse", NULL },
	{ 19, MEMBER_WORD, "", "spraak", languages },
	{ 20, MEMBER_TIME, "", "spraak_oppdatert", NULL },
	{ 21, MEMBER_TIME, "", "oppdatert", NULL },
	{ 22, MEMBER_JSON, "", "postadresse", NULL },
	{ 23, MEMBER_JSON, "", "navn", NULL },
	{ 24, MEMBER_TEXT, "", "personstatus", NULL },
};

#define MEMBER_COUNT (sizeof(members) / sizeof(members[0]))

/* Unsigned numbers seven bits at a time, the low ones first. */
static int
put_number(struct buf *out, uint64_t n)
{
	unsigned char bytes[10];
	size_t len = 0;

	do {
		bytes[len] = (unsigned char)(n & 0x7f);
		n >>= 7;
		if (n != 0)
			bytes[len] |= 0x80;
		len++;
	} while (n != 0);
	return buf_add(out, bytes, len);
}

static int
get_number(const unsigned char **p, const unsigned char *end, uint64_t *n_r)
{
	uint64_t n = 0;

	for (unsigned shift = 0; shift < 63; shift += 7) {
		unsigned char byte;

		if (*p == end)
			return -1;
		byte = *(*p)++;
		n |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0) {
			*n_r = n;
			return 0;
		}
	}
	return -1;
}

static int
word_number(const struct member *m, const char *text)
{
	for (int i = 0; m->words[i] != NULL; i++)
		if (strcmp(m->words[i], text) == 0)
			return i + 1;
	return 0;
}

static int
out_of_memory(struct bd_err *e)
{
	return bd_fail(e, BD_E_MEMORY, "out of memory");
}

static int
put_json(struct buf *out, const json_t *value, const struct member *m, struct bd_err *e)
{
	struct buf text = { .max = TEXT_MAX_BYTES };
	int rc = -1;

	if (!json_is_object(value))
		return bd_fail(e, BD_E_CONTENT, "%s is not an object", m->name);
	if (json_write(value, 0, &text, e) == -1)
		bd_fail(e, BD_E_CONTENT, "%s is too long", m->name);
	else if (put_number(out, text.len) == -1 || buf_add(out, text.data, text.len) == -1)
		out_of_memory(e);
	else
		rc = 0;
	buf_free(&text);
	return rc;
}

static int
put_text(struct buf *out, const struct member *m, const char *text, size_t len, struct bd_err *e)
{
	if (len > TEXT_MAX_BYTES)
		return bd_fail(e, BD_E_CONTENT, "%s is too long", m->name);
	if (put_number(out, len) == -1 || buf_add(out, text, len) == -1)
		return out_of_memory(e);
	return 0;
}

static int
put_member(struct buf *out, const struct member *m, const json_t *value,
	   int64_t (*cert_index)(void *arg, const char *text, struct bd_err *e), void *arg,
	   const char **unknown_r, struct bd_err *e)
{
	const char *text = json_string_value(value);
	size_t len = text != NULL ? strlen(text) : 0;
	uint64_t n = 0;
	time_t when;
	int64_t index;

	if (buf_addc(out, (char)m->tag) == -1)
		return out_of_memory(e);
	if (m->type == MEMBER_JSON)
		return put_json(out, value, m, e);
	if (text == NULL)
		return bd_fail(e, BD_E_CONTENT, "%s is not a string", m->name);
	switch (m->type) {
	case MEMBER_WORD:
		/* A value of tomorrow is kept as it is, and decides nothing (spec/krr.md 3 rule 3).
		 */
		if ((n = (uint64_t)word_number(m, text)) == 0) {
			*unknown_r = m->name;
			if (put_number(out, 0) == -1)
				return out_of_memory(e);
			return put_text(out, m, text, len, e);
		}
		break;
	case MEMBER_TIME:
		if (clock_parse(text, &when) == -1)
			return bd_fail(e, BD_E_CONTENT, "%s is not a date and time", m->name);
		/* sign in the lowest bit */
		n = when < 0 ? (uint64_t)-when * 2 + 1 : (uint64_t)when * 2;
		break;
	case MEMBER_CERTIFICATE:
		if (len > CERTIFICATE_MAX_BYTES)
			return bd_fail(e, BD_E_CONTENT, "%s is too long", m->name);
		if ((index = cert_index(arg, text, e)) == -1)
			return -1;
		n = (uint64_t)index;
		break;
	case MEMBER_TEXT:
	case MEMBER_JSON:
		return put_text(out, m, text, len, e);
	}
	return put_number(out, n) == -1 ? out_of_memory(e) : 0;
}

/* Absent, null and "" mean the same (spec/krr.md 3 rule 2). */
static bool
is_no_value(const json_t *value)
{
	return value == NULL || json_is_null(value) ||
	       (json_is_string(value) && json_string_length(value) == 0);
}

int
codec_encode(const json_t *element, bool allow_synthetic, char id_r[NATIONALID_CHARS],
	     int64_t (*cert_index)(void *arg, const char *text, struct bd_err *e), void *arg,
	     struct buf *out, const char **unknown_r, struct bd_err *e)
{
	const char *id = json_text(element, "personidentifikator");

	if (!json_is_object(element))
		return bd_fail(e, BD_E_CONTENT, "a person must be an object");
	if (id == NULL)
		return bd_fail(e, BD_E_CONTENT, "personidentifikator is missing or no string");
	if (!nationalid_is_valid(id, true))
		return bd_fail(e, BD_E_CONTENT, "personidentifikator is not a valid number");
	if (!nationalid_is_valid(id, allow_synthetic))
		return bd_fail(e, BD_E_CONTENT,
			       "personidentifikator is synthetic, and national-numbers = \"real\"");
	if (json_text(element, "status") == NULL)
		return bd_fail(e, BD_E_CONTENT, "status is missing");
	memcpy(id_r, id, NATIONALID_CHARS);
	*unknown_r = NULL;
	if (buf_addc(out, CODEC_VERSION) == -1)
		return out_of_memory(e);
	for (size_t i = 0; i < MEMBER_COUNT; i++) {
		const struct member *m = &members[i];
		const json_t *parent =
		    m->parent[0] == '\0' ? element : json_object_get(element, m->parent);
		const json_t *value = json_object_get(parent, m->name);

		if (!is_no_value(value) &&
		    put_member(out, m, value, cert_index, arg, unknown_r, e) == -1)
			return -1;
	}
	return 0;
}

static const struct member *
member_of_tag(unsigned char tag)
{
	for (size_t i = 0; i < MEMBER_COUNT; i++)
		if (members[i].tag == tag)
			return &members[i];
	return NULL;
}

/* len bytes at *p as text or JSON. */
static json_t *
get_bytes(bool as_json, uint64_t len, const unsigned char **p, const unsigned char *end)
{
	const char *bytes = (const char *)*p;

	if (len > (uint64_t)(end - *p))
		return NULL;
	*p += len;
	return as_json ? json_loadb(bytes, len, 0, NULL) : json_stringn(bytes, len);
}

static json_t *
get_member(const struct member *m, uint64_t n, const unsigned char **p, const unsigned char *end)
{
	char text[RFC3339_CHARS];
	int64_t when;

	switch (m->type) {
	case MEMBER_WORD:
		if (n == 0)
			return get_number(p, end, &n) == 0 ? get_bytes(false, n, p, end) : NULL;
		for (uint64_t i = 1; m->words[i - 1] != NULL; i++)
			if (i == n)
				return json_string(m->words[i - 1]);
		return NULL;
	case MEMBER_TIME:
		when = (int64_t)(n >> 1);
		clock_rfc3339(text, 1000 * ((n & 1) != 0 ? -when : when));
		return json_string(text);
	case MEMBER_CERTIFICATE:
		return json_null();
	case MEMBER_TEXT:
		return get_bytes(false, n, p, end);
	case MEMBER_JSON:
		return get_bytes(true, n, p, end);
	}
	return NULL;
}

/* Sets the member in its place, making the object it belongs to. Takes over value. */
static int
set_member(json_t *person, const struct member *m, json_t *value)
{
	json_t *parent = person;

	if (m->parent[0] != '\0') {
		parent = json_object_get(person, m->parent);
		if (parent == NULL) {
			parent = json_object();
			if (json_object_set_new(person, m->parent, parent) == -1) {
				json_decref(value);
				return -1;
			}
		}
	}
	return json_object_set_new_nocheck(parent, m->name, value);
}

json_t *
codec_decode(const char *id, const void *data, size_t len, int64_t *cert_r, struct bd_err *e)
{
	const unsigned char *p = data, *end = p + len;
	json_t *person;

	*cert_r = -1;
	if (len == 0 || *p++ != CODEC_VERSION) {
		bd_fail(e, BD_E_DAMAGED, "a stored person is of another version");
		return NULL;
	}
	if ((person = json_pack("{s:s}", "personidentifikator", id)) == NULL) {
		out_of_memory(e);
		return NULL;
	}
	while (p < end) {
		const struct member *m = member_of_tag(*p++);
		json_t *value;
		uint64_t n;

		if (m == NULL || get_number(&p, end, &n) == -1 ||
		    (value = get_member(m, n, &p, end)) == NULL)
			goto damaged;
		if (m->type == MEMBER_CERTIFICATE) {
			*cert_r = (int64_t)n;
			json_decref(value);
		} else if (set_member(person, m, value) == -1) {
			goto damaged;
		}
	}
	return person;
damaged:
	json_decref(person);
	bd_fail(e, BD_E_DAMAGED, "a stored person cannot be read");
	return NULL;
}

json_t *
codec_unknown(const char *id)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "personidentifikator", id, "reservasjon", "NEI",
			 "status", "IKKE_REGISTRERT", "varslingsstatus", "KAN_IKKE_VARSLES");
}

const char *
codec_parent(const char *member)
{
	for (size_t i = 0; i < MEMBER_COUNT; i++)
		if (members[i].type != MEMBER_JSON && strcmp(members[i].name, member) == 0)
			return members[i].parent;
	return NULL;
}
