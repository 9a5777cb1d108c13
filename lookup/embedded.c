/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded register's questions: reading, listing, removing. Filling it is embedded_import.c's.
 */
#include "config.h"
#include "lookup/embedded_private.h"

#include <stdlib.h>
#include <string.h>

#include "lookup/codec.h"

#define META_VERSION 1
#define EMPTY_ROWS 500

static const char *const tables[] = { "person_a",      "person_b", "certificate_a",
				      "certificate_b", "meta",     NULL };

const char *
embedded_person_table(uint32_t generation)
{
	return tables[generation % 2];
}

const char *
embedded_cert_table(uint32_t generation)
{
	return tables[2 + generation % 2];
}

static void
put_be(unsigned char *out, uint64_t n, size_t bytes)
{
	while (bytes-- > 0) {
		out[bytes] = (unsigned char)n;
		n >>= 8;
	}
}

static uint64_t
get_be(const unsigned char *in, size_t bytes)
{
	uint64_t n = 0;

	while (bytes-- > 0)
		n = n << 8 | *in++;
	return n;
}

void
embedded_person_key(unsigned char key[EMBEDDED_PERSON_KEY_BYTES], const char *id)
{
	put_be(key, strtoull(id, NULL, 10), EMBEDDED_PERSON_KEY_BYTES);
}

static void
id_of_key(char id[NATIONALID_CHARS], const unsigned char *key)
{
	uint64_t n = get_be(key, EMBEDDED_PERSON_KEY_BYTES);

	for (size_t i = NATIONALID_CHARS - 1; i-- > 0; n /= 10)
		id[i] = (char)('0' + n % 10);
	id[NATIONALID_CHARS - 1] = '\0';
}

void
embedded_cert_key(unsigned char key[EMBEDDED_CERT_KEY_BYTES], int64_t index)
{
	put_be(key, (uint64_t)index, EMBEDDED_CERT_KEY_BYTES);
}

int
embedded_meta_read(struct kv *kv, struct kv_txn *t, struct embedded_info *info_r, struct bd_err *e)
{
	struct buf value = { 0 };
	int rc = -1;

	*info_r = (struct embedded_info){ 0 };
	switch (kv_get(kv, t, "meta", "current", 7, &value, e)) {
	case KV_OK:
		if (value.len != 21 || value.data[0] != META_VERSION) {
			bd_fail(e, BD_E_DAMAGED, "the register is of another version");
			break;
		}
		info_r->generation = (uint32_t)get_be(value.data + 1, 4);
		info_r->persons = get_be(value.data + 5, 8);
		info_r->imported = (time_t)get_be(value.data + 13, 8);
		rc = 0;
		break;
	case KV_NOT_FOUND:
		rc = 0;
		break;
	case KV_EXISTS:
	case KV_ERROR:
		break;
	}
	buf_free(&value);
	return rc;
}

int
embedded_meta_write(struct kv_txn *t, const struct embedded_info *info, struct bd_err *e)
{
	unsigned char value[21] = { META_VERSION };

	put_be(value + 1, info->generation, 4);
	put_be(value + 5, info->persons, 8);
	put_be(value + 13, (uint64_t)info->imported, 8);
	return kv_put(t, "meta", "current", 7, value, sizeof(value), e) == KV_OK ? 0 : -1;
}

struct emptying {
	struct kv *kv;
	const char *table;
	struct kv_txn *t;
	struct bd_err *e;
	size_t rows;
};

static int
empty_row(void *arg, const void *key, size_t key_len, const void *value, size_t value_len)
{
	struct emptying *m = arg;

	(void)value;
	(void)value_len;
	if (kv_del(m->t, m->table, key, key_len, m->e) == KV_ERROR)
		return -1;
	return ++m->rows == EMPTY_ROWS;
}

static int
empty_some(struct kv_txn *t, void *arg, struct bd_err *e)
{
	struct emptying *m = arg;

	m->t = t;
	m->e = e;
	m->rows = 0;
	return kv_scan(m->kv, t, m->table, NULL, 0, NULL, 0, empty_row, m, e) == -1 ? -1 : 0;
}

int
embedded_empty(struct kv *kv, uint32_t generation, struct bd_err *e)
{
	const char *const both[] = { embedded_person_table(generation),
				     embedded_cert_table(generation) };

	for (size_t i = 0; i < 2; i++) {
		struct emptying m = { .kv = kv, .table = both[i] };

		do
			if (kv_transact_lazy(kv, empty_some, &m, e) == -1)
				return -1;
		while (m.rows == EMPTY_ROWS);
	}
	return 0;
}

struct embedded *
embedded_open(const char *dir, bool allow_synthetic, struct bd_err *e)
{
	struct embedded *r = calloc(1, sizeof(*r));
	struct embedded_info info;

	if (r == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&r->importing, NULL);
	r->allow_synthetic = allow_synthetic;
	if ((r->kv = kv_open(dir, tables, e)) == NULL ||
	    embedded_meta_read(r->kv, NULL, &info, e) == -1 ||
	    embedded_empty(r->kv, info.generation + 1, e) == -1) {
		bd_wrap(e, "embedded register");
		embedded_close(&r);
		return NULL;
	}
	atomic_store(&r->generation, info.generation);
	return r;
}

void
embedded_close(struct embedded **rp)
{
	struct embedded *r = *rp;

	if (r == NULL)
		return;
	kv_close(&r->kv);
	pthread_mutex_destroy(&r->importing);
	free(r);
	*rp = NULL;
}

static int
cert_add(struct embedded *r, uint32_t generation, json_t *person, int64_t index, struct buf *value,
	 struct bd_err *e)
{
	unsigned char key[EMBEDDED_CERT_KEY_BYTES];

	embedded_cert_key(key, index);
	switch (kv_get(r->kv, NULL, embedded_cert_table(generation), key, sizeof(key), value, e)) {
	case KV_OK:
		if (json_object_set_new(person, "sertifikat",
					json_stringn(buf_str(value), value->len)) == 0)
			return 0;
		return bd_fail(e, BD_E_MEMORY, "out of memory");
	case KV_NOT_FOUND:
		return bd_fail(e, BD_E_DAMAGED, "a person's certificate is not stored");
	case KV_EXISTS:
	case KV_ERROR:
		break;
	}
	return -1;
}

/* One person of one generation. New reference or NULL. */
static json_t *
person_read(struct embedded *r, uint32_t generation, const char *id, struct buf *value,
	    struct bd_err *e)
{
	unsigned char key[EMBEDDED_PERSON_KEY_BYTES];
	json_t *person = NULL;
	int64_t cert;

	embedded_person_key(key, id);
	switch (
	    kv_get(r->kv, NULL, embedded_person_table(generation), key, sizeof(key), value, e)) {
	case KV_NOT_FOUND:
		if ((person = codec_unknown(id)) == NULL)
			bd_fail(e, BD_E_MEMORY, "out of memory");
		return person;
	case KV_OK:
		break;
	case KV_EXISTS:
	case KV_ERROR:
		return NULL;
	}
	if ((person = codec_decode(id, value->data, value->len, &cert, e)) == NULL)
		return NULL;
	if (cert != -1 && cert_add(r, generation, person, cert, value, e) == -1) {
		json_decref(person);
		return NULL;
	}
	return person;
}

/* A set of tables is emptied and filled again only after the generation was raised, so an answer
 * counts when the generation is the same before and after. */
static json_t *
person_get(struct embedded *r, const char *id, struct buf *value, struct bd_err *e)
{
	for (;;) {
		uint32_t generation = atomic_load(&r->generation);
		json_t *person = person_read(r, generation, id, value, e);

		if (atomic_load(&r->generation) == generation)
			return person;
		json_decref(person);
	}
}

static int
persons(void *self, const char *const *ids, size_t count, json_t *out, struct bd_err *e)
{
	struct embedded *r = self;
	struct buf value = { 0 };
	int rc = -1;

	for (size_t i = 0; i < count; i++) {
		json_t *person = person_get(r, ids[i], &value, e);

		if (person == NULL) {
			e->kind = BD_E_REGISTER;
			bd_wrap(e, "embedded register");
			goto out;
		}
		if (json_array_append_new(out, person) == -1) {
			bd_fail(e, BD_E_MEMORY, "out of memory");
			goto out;
		}
	}
	rc = 0;
out:
	buf_free(&value);
	return rc;
}

struct registry
embedded_registry(struct embedded *r)
{
	static const struct registry_ops ops = { "embedded", persons };

	return (struct registry){ &ops, r };
}

int
embedded_info(struct embedded *r, struct embedded_info *info_r, struct bd_err *e)
{
	return embedded_meta_read(r->kv, NULL, info_r, e);
}

struct removal {
	struct embedded *r;
	const char *id;
	int found;
};

static int
remove_body(struct kv_txn *t, void *arg, struct bd_err *e)
{
	struct removal *m = arg;
	unsigned char key[EMBEDDED_PERSON_KEY_BYTES];
	struct embedded_info info;
	enum kv_result result;

	/* Reading the record in the transaction keeps the generation from changing under it. */
	if (embedded_meta_read(m->r->kv, t, &info, e) == -1)
		return -1;
	embedded_person_key(key, m->id);
	result = kv_del(t, embedded_person_table(info.generation), key, sizeof(key), e);
	m->found = result == KV_OK;
	if (result == KV_ERROR)
		return -1;
	if (result == KV_NOT_FOUND)
		return 0;
	info.persons--;
	return embedded_meta_write(t, &info, e);
}

int
embedded_remove(struct embedded *r, const char *id, struct bd_err *e)
{
	struct removal m = { .r = r, .id = id };

	if (kv_transact(r->kv, remove_body, &m, e) == -1)
		return -1;
	return m.found;
}

struct listing {
	struct embedded *r;
	uint32_t generation;
	int (*row)(void *arg, json_t *person);
	void *arg;
	struct buf value;
	struct bd_err *e;
};

static int
list_row(void *arg, const void *key, size_t key_len, const void *value, size_t value_len)
{
	struct listing *l = arg;
	char id[NATIONALID_CHARS];
	json_t *person;
	int64_t cert;
	int rc;

	if (atomic_load(&l->r->generation) != l->generation)
		return bd_fail(l->e, BD_E_BUSY, "the register was replaced meanwhile; ask again");
	if (key_len != EMBEDDED_PERSON_KEY_BYTES)
		return bd_fail(l->e, BD_E_DAMAGED, "a stored person cannot be read");
	id_of_key(id, key);
	if ((person = codec_decode(id, value, value_len, &cert, l->e)) == NULL)
		return -1;
	if (cert != -1 && cert_add(l->r, l->generation, person, cert, &l->value, l->e) == -1)
		rc = -1;
	else
		rc = l->row(l->arg, person);
	json_decref(person);
	return rc;
}

int
embedded_list(struct embedded *r, int (*row)(void *arg, json_t *person), void *arg,
	      struct bd_err *e)
{
	struct listing l = { .r = r, .row = row, .arg = arg, .e = e };
	int rc;

	l.generation = atomic_load(&r->generation);
	rc = kv_scan(r->kv, NULL, embedded_person_table(l.generation), NULL, 0, NULL, 0, list_row,
		     &l, e);
	buf_free(&l.value);
	return rc;
}
