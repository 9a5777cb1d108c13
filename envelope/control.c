/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control record as JSON and back. Member names are those of struct control_record; NULL
 * members are left out. Reading checks what the transport relies on, because a gateway of another
 * version may have written it; a member that is not known is ignored, a version that is not known
 * is refused.
 */
#include "config.h"
#include "envelope/sealed.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"

#define CONTROL_VERSION_OLDEST 1
#define CONTROL_MAX_BYTES ((size_t)1 << 20)
#define LIST_MAX 300
#define SET_MAX 10000

struct text_member {
	const char *name;
	size_t offset;
	bool required;
};

#define RECORD_TEXT(member, required)                                      \
	{                                                                  \
#member, offsetof(struct control_record, member), required \
	}
static const struct text_member record_texts[] = {
	RECORD_TEXT(mail_id, true),
	RECORD_TEXT(route, true),
	RECORD_TEXT(agency, true),
	RECORD_TEXT(orgnr, true),
	RECORD_TEXT(unit, false),
	RECORD_TEXT(invoice_reference, false),
	RECORD_TEXT(kind, false),
	RECORD_TEXT(title, false),
	RECORD_TEXT(public_title, false),
	RECORD_TEXT(language, false),
	RECORD_TEXT(effective, false),
	RECORD_TEXT(notice_email_text, false),
	RECORD_TEXT(notice_sms_text, false),
	RECORD_TEXT(mail_from, false),
	RECORD_TEXT(reports_to, false),
	RECORD_TEXT(envid, false),
	RECORD_TEXT(ret, false),
	RECORD_TEXT(notify, false),
	RECORD_TEXT(recipient, false),
	RECORD_TEXT(orcpt, false),
	RECORD_TEXT(message_id, false),
	RECORD_TEXT(front_queue_id, false),
	{ NULL, 0, false },
};
#define ADDRESSEE_TEXT(member, required)                                      \
	{                                                                     \
#member, offsetof(struct control_addressee, member), required \
	}
static const struct text_member addressee_texts[] = {
	ADDRESSEE_TEXT(national_id, false),   ADDRESSEE_TEXT(mailbox, false),
	ADDRESSEE_TEXT(provider, false),      ADDRESSEE_TEXT(notice_email, false),
	ADDRESSEE_TEXT(notice_mobile, false), { NULL, 0, false },
};
#define DOCUMENT_TEXT(member, required)                                      \
	{                                                                    \
#member, offsetof(struct control_document, member), required \
	}
static const struct text_member document_texts[] = {
	DOCUMENT_TEXT(href, true),
	DOCUMENT_TEXT(mime, true),
	{ NULL, 0, false },
};

static char **
text_at(void *base, const struct text_member *m)
{
	return (char **)(void *)((char *)base + m->offset);
}

static const char *
text_of(const void *base, const struct text_member *m)
{
	return *(char *const *)(const void *)((const char *)base + m->offset);
}

/* Writing: a NULL value anywhere becomes a failed json_object_set_new, seen at its end. */

static int
texts_put(json_t *object, const void *base, const struct text_member *members, struct bd_err *e)
{
	for (const struct text_member *m = members; m->name != NULL; m++) {
		const char *text = text_of(base, m);

		if (text == NULL && !m->required)
			continue;
		/* json_string refuses what is not UTF-8 */
		if (text == NULL || json_object_set_new(object, m->name, json_string(text)) == -1)
			return bd_fail(e, BD_E_INTERNAL, "control record: %s is %s", m->name,
				       text == NULL ? "missing" : "not UTF-8");
	}
	return 0;
}

static json_t *
hash_text(const uint8_t hash[SHA256_BYTES])
{
	char hex[2 * SHA256_BYTES + 1];

	hex_encode(hex, hash, SHA256_BYTES);
	return json_string(hex);
}

static int
lists_put(json_t *root, const struct control_record *c, struct bd_err *e)
{
	json_t *addressees = json_array(), *documents = json_array(), *repeats = json_array();
	int bad = 0;

	bad |= json_object_set_new(root, "addressees", addressees);
	bad |= json_object_set_new(root, "documents", documents);
	bad |= json_object_set_new(root, "repeats", repeats);
	for (size_t i = 0; !bad && i < c->addressee_count; i++) {
		json_t *item = json_object();

		bad |= json_array_append_new(addressees, item);
		if (bad || texts_put(item, &c->addressees[i], addressee_texts, e) == -1)
			return bad ? bd_fail(e, BD_E_MEMORY, "control record") : -1;
		bad |= json_object_set_new(item, "certificate",
					   hash_text(c->addressees[i].certificate));
	}
	for (size_t i = 0; !bad && i < c->document_count; i++) {
		const struct control_document *d = &c->documents[i];
		json_t *item = json_object();

		bad |= json_array_append_new(documents, item);
		if (bad || texts_put(item, d, document_texts, e) == -1)
			return bad ? bd_fail(e, BD_E_MEMORY, "control record") : -1;
		bad |= json_object_set_new(item, "size", json_integer((json_int_t)d->size));
		bad |= json_object_set_new(item, "sha256", hash_text(d->sha256));
	}
	for (size_t i = 0; !bad && i < c->repeat_count; i++)
		bad |= json_array_append_new(repeats, json_integer(c->repeats[i]));
	return bad ? bd_fail(e, BD_E_MEMORY, "control record") : 0;
}

int
control_to_json(const struct control_record *c, struct buf *out, struct bd_err *e)
{
	json_t *root = json_object();
	int bad = 0, rc = -1;

	bad |= json_object_set_new(root, "version", json_integer(CONTROL_VERSION));
	bad |= json_object_set_new(root, "letter_id", json_string(c->letter_id));
	bad |= json_object_set_new(root, "index", json_integer(c->index));
	bad |= json_object_set_new(root, "count", json_integer(c->count));
	bad |= json_object_set_new(root, "security_level", json_integer(c->security_level));
	bad |= json_object_set_new(root, "open_receipt", json_boolean(c->open_receipt));
	bad |= json_object_set_new(root, "wants_delivery", json_boolean(c->wants_delivery));
	bad |= json_object_set_new(root, "signer", json_string(c->signer));
	bad |= json_object_set_new(root, "package_sha256", hash_text(c->package_sha256));
	bad |= json_object_set_new(root, "package_size", json_integer((json_int_t)c->package_size));
	bad |= json_object_set_new(root, "sealed_at", json_integer(c->sealed_at));
	if (bad)
		bd_fail(e, BD_E_MEMORY, "control record");
	else if (texts_put(root, c, record_texts, e) == 0 && lists_put(root, c, e) == 0)
		rc = json_write(root, 0, out, e);
	json_decref(root);
	return rc;
}

static int
damaged(struct bd_err *e, const char *member)
{
	return bd_fail(e, BD_E_DAMAGED, "control record: %s is missing or of a wrong form", member);
}

static int
texts_get(const json_t *object, void *base, const struct text_member *members, struct bd_err *e)
{
	for (const struct text_member *m = members; m->name != NULL; m++) {
		const json_t *value = json_object_get(object, m->name);

		if (value == NULL && !m->required)
			continue;
		if (!json_is_string(value))
			return damaged(e, m->name);
		if ((*text_at(base, m) = strdup(json_string_value(value))) == NULL)
			return bd_fail(e, BD_E_MEMORY, "control record");
	}
	return 0;
}

static int
number_get(const json_t *object, const char *name, json_int_t min, json_int_t max,
	   json_int_t *number_r, struct bd_err *e)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_integer(value) || json_integer_value(value) < min ||
	    json_integer_value(value) > max)
		return damaged(e, name);
	*number_r = json_integer_value(value);
	return 0;
}

static int
hash_get(const json_t *object, const char *name, uint8_t hash[SHA256_BYTES], struct bd_err *e)
{
	const char *hex = json_string_value(json_object_get(object, name));

	if (hex == NULL || hex_decode(hash, SHA256_BYTES, hex) == -1)
		return damaged(e, name);
	return 0;
}

/* A list of objects: its length, and zeroed storage for that many. */
static int
list_get(const json_t *list, const char *name, size_t item_size, void **items_r, size_t *count_r,
	 struct bd_err *e)
{
	size_t count = json_array_size(list);

	if (!json_is_array(list) || count > LIST_MAX)
		return damaged(e, name);
	if ((*items_r = calloc(count + 1, item_size)) == NULL)
		return bd_fail(e, BD_E_MEMORY, "control record");
	*count_r = count;
	return 0;
}

static int
addressees_get(const json_t *root, struct control_record *c, struct bd_err *e)
{
	const json_t *list = json_object_get(root, "addressees");
	void *items = NULL;

	if (list_get(list, "addressees", sizeof(*c->addressees), &items, &c->addressee_count, e) ==
	    -1)
		return -1;
	c->addressees = items;
	for (size_t i = 0; i < c->addressee_count; i++) {
		const json_t *item = json_array_get(list, i);

		if (texts_get(item, &c->addressees[i], addressee_texts, e) == -1 ||
		    hash_get(item, "certificate", c->addressees[i].certificate, e) == -1)
			return -1;
	}
	return 0;
}

static int
documents_get(const json_t *root, struct control_record *c, struct bd_err *e)
{
	const json_t *list = json_object_get(root, "documents");
	void *items = NULL;
	json_int_t size;

	if (list_get(list, "documents", sizeof(*c->documents), &items, &c->document_count, e) == -1)
		return -1;
	c->documents = items;
	for (size_t i = 0; i < c->document_count; i++) {
		struct control_document *d = &c->documents[i];
		const json_t *item = json_array_get(list, i);

		if (texts_get(item, d, document_texts, e) == -1 ||
		    hash_get(item, "sha256", d->sha256, e) == -1 ||
		    number_get(item, "size", 0, INT64_MAX, &size, e) == -1)
			return -1;
		d->size = (size_t)size;
	}
	return 0;
}

static int
repeats_get(const json_t *root, struct control_record *c, struct bd_err *e)
{
	const json_t *list = json_object_get(root, "repeats");
	size_t count = json_array_size(list);

	if (!json_is_array(list) || count > sizeof(c->repeats) / sizeof(c->repeats[0]))
		return damaged(e, "repeats");
	for (size_t i = 0; i < count; i++) {
		const json_t *day = json_array_get(list, i);

		if (!json_is_integer(day) || json_integer_value(day) < 0 ||
		    json_integer_value(day) > 25)
			return damaged(e, "repeats");
		c->repeats[i] = (int)json_integer_value(day);
	}
	c->repeat_count = count;
	return 0;
}

static int
numbers_get(const json_t *root, struct control_record *c, struct bd_err *e)
{
	json_int_t index, count, level, size, sealed_at;

	if (number_get(root, "count", 1, SET_MAX, &count, e) == -1 ||
	    number_get(root, "index", 1, count, &index, e) == -1 ||
	    number_get(root, "security_level", 0, 4, &level, e) == -1 ||
	    number_get(root, "package_size", 0, INT64_MAX, &size, e) == -1 ||
	    number_get(root, "sealed_at", 0, INT64_MAX, &sealed_at, e) == -1)
		return -1;
	c->index = (unsigned)index;
	c->count = (unsigned)count;
	c->security_level = (int)level;
	c->package_size = (size_t)size;
	c->sealed_at = sealed_at;
	c->open_receipt = json_is_true(json_object_get(root, "open_receipt"));
	c->wants_delivery = json_is_true(json_object_get(root, "wants_delivery"));
	return 0;
}

static int
record_get(const json_t *root, struct control_record *c, struct bd_err *e)
{
	const char *id = json_string_value(json_object_get(root, "letter_id"));
	const char *signer = json_string_value(json_object_get(root, "signer"));

	if (id == NULL || strspn(id, "0123456789abcdef") != LETTER_ID_CHARS - 1 ||
	    id[LETTER_ID_CHARS - 1] != '\0')
		return damaged(e, "letter_id");
	memcpy(c->letter_id, id, LETTER_ID_CHARS);
	if (signer == NULL || strlen(signer) >= sizeof(c->signer))
		return damaged(e, "signer");
	memcpy(c->signer, signer, strlen(signer) + 1);
	if (numbers_get(root, c, e) == -1 || texts_get(root, c, record_texts, e) == -1 ||
	    hash_get(root, "package_sha256", c->package_sha256, e) == -1 ||
	    addressees_get(root, c, e) == -1 || documents_get(root, c, e) == -1)
		return -1;
	return repeats_get(root, c, e);
}

int
control_from_json(const void *data, size_t len, struct control_record **c_r, struct bd_err *e)
{
	struct control_record *c = NULL;
	json_int_t version;
	json_t *root;
	int rc = -1;

	if ((root = json_parse(data, len, CONTROL_MAX_BYTES, e)) == NULL) {
		e->kind = BD_E_DAMAGED;
		return bd_wrap(e, "control record");
	}
	if (number_get(root, "version", CONTROL_VERSION_OLDEST, INT_MAX, &version, e) == -1)
		goto out;
	if (version > CONTROL_VERSION) {
		bd_fail(e, BD_E_CONFIG, "control record: version %d is newer than this program",
			(int)version);
		goto out;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		bd_fail(e, BD_E_MEMORY, "control record");
		goto out;
	}
	c->version = (int)version;
	if (record_get(root, c, e) == -1)
		goto out;
	*c_r = c;
	c = NULL;
	rc = 0;
out:
	control_free(&c);
	json_decref(root);
	return rc;
}

static void
texts_free(void *base, const struct text_member *members)
{
	for (const struct text_member *m = members; m->name != NULL; m++) {
		char *text = *text_at(base, m);

		if (text != NULL)
			OPENSSL_cleanse(text, strlen(text));
		free(text);
	}
}

void
control_free(struct control_record **c)
{
	struct control_record *r = *c;

	if (r == NULL)
		return;
	texts_free(r, record_texts);
	for (size_t i = 0; i < r->addressee_count; i++)
		texts_free(&r->addressees[i], addressee_texts);
	for (size_t i = 0; i < r->document_count; i++)
		texts_free(&r->documents[i], document_texts);
	free(r->addressees);
	free(r->documents);
	free(r);
	*c = NULL;
}
