/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing the tables of a Berkeley DB environment. Transactions are kv_bdb.c's. */
#include "config.h"
#include "store/kv_bdb.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_FIRST_BYTES 1024
/* A scan reads so much at a time and then lets go of its locks before it calls out. */
#define SCAN_ROWS 256
#define SCAN_BYTES (256U << 10)

static DB *
table_find(const struct kv *kv, const char *name, struct bd_err *e)
{
	for (size_t i = 0; i < kv->table_count; i++)
		if (strcmp(kv->names[i], name) == 0)
			return kv->tables[i];
	bd_fail(e, BD_E_INTERNAL, "database: no table %s", name);
	return NULL;
}

/* Berkeley DB's interface has no const; it does not write to what it is given to read. */
static void
dbt_in(DBT *dbt, const void *data, size_t len)
{
	*dbt = (DBT){ 0 };
	memcpy(&dbt->data, &data, sizeof(data));
	dbt->size = (u_int32_t)len;
	dbt->ulen = (u_int32_t)len;
	dbt->flags = DB_DBT_USERMEM;
}

static enum kv_result
failed(struct kv *kv, struct kv_txn *t, int error, struct bd_err *e, const char *doing)
{
	if (t != NULL && kv_bdb_is_deadlock(error))
		t->deadlocked = true;
	kv_bdb_fail(kv, error, e, doing);
	return KV_ERROR;
}

/* One get into value, which grows until the record fits. Berkeley DB's number. */
static int
get_into(DB *db, DB_TXN *txn, DBT *key, struct buf *value)
{
	for (;;) {
		DBT data = { .flags = DB_DBT_USERMEM };
		int error;

		data.data = value->data;
		data.ulen = (u_int32_t)(value->cap - 1);
		error = db->get(db, txn, key, &data, 0);
		if (error == 0) {
			value->len = data.size;
			value->data[value->len] = '\0';
			return 0;
		}
		if (error != DB_BUFFER_SMALL)
			return error;
		if (buf_reserve(value, data.size) == -1)
			return ENOMEM;
	}
}

enum kv_result
kv_get(struct kv *kv, struct kv_txn *t, const char *table, const void *key, size_t key_len,
       struct buf *value, struct bd_err *e)
{
	DB *db = table_find(kv, table, e);
	DBT k;
	int error;

	buf_clear(value);
	if (db == NULL)
		return KV_ERROR;
	if (buf_reserve(value, VALUE_FIRST_BYTES) == -1) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return KV_ERROR;
	}
	dbt_in(&k, key, key_len);
	for (int attempt = 0;; attempt++) {
		error = get_into(db, t != NULL ? t->txn : NULL, &k, value);
		/* A read of its own has nothing to undo: it is simply asked again. */
		if (t != NULL || !kv_bdb_is_deadlock(error) || attempt == KV_ATTEMPTS)
			break;
		kv_bdb_pause(attempt);
	}
	if (error == 0)
		return KV_OK;
	if (error == DB_NOTFOUND)
		return KV_NOT_FOUND;
	return failed(kv, t, error, e, "reading");
}

static enum kv_result
put(struct kv_txn *t, const char *table, const void *key, size_t key_len, const void *value,
    size_t value_len, u_int32_t flags, struct bd_err *e)
{
	DB *db = table_find(t->kv, table, e);
	DBT k, v;
	int error;

	if (db == NULL)
		return KV_ERROR;
	if (key_len == 0 || key_len > UINT32_MAX || value_len > UINT32_MAX) {
		bd_fail(e, BD_E_INTERNAL, "database: a key or value that cannot be stored");
		return KV_ERROR;
	}
	dbt_in(&k, key, key_len);
	dbt_in(&v, value, value_len);
	error = db->put(db, t->txn, &k, &v, flags);
	if (error == 0)
		return KV_OK;
	if (error == DB_KEYEXIST)
		return KV_EXISTS;
	return failed(t->kv, t, error, e, "writing");
}

enum kv_result
kv_put(struct kv_txn *t, const char *table, const void *key, size_t key_len, const void *value,
       size_t value_len, struct bd_err *e)
{
	return put(t, table, key, key_len, value, value_len, 0, e);
}

enum kv_result
kv_add(struct kv_txn *t, const char *table, const void *key, size_t key_len, const void *value,
       size_t value_len, struct bd_err *e)
{
	return put(t, table, key, key_len, value, value_len, DB_NOOVERWRITE, e);
}

enum kv_result
kv_del(struct kv_txn *t, const char *table, const void *key, size_t key_len, struct bd_err *e)
{
	DB *db = table_find(t->kv, table, e);
	DBT k;
	int error;

	if (db == NULL)
		return KV_ERROR;
	dbt_in(&k, key, key_len);
	error = db->del(db, t->txn, &k, 0);
	if (error == 0)
		return KV_OK;
	if (error == DB_NOTFOUND)
		return KV_NOT_FOUND;
	return failed(t->kv, t, error, e, "deleting");
}

struct scan {
	DB *db;
	DB_TXN *txn;
	const void *prefix;
	size_t prefix_len;
	struct buf from; /* the next batch starts at this key */
	struct buf rows; /* {key size, value size, key, value} ... */
	size_t count;
	bool at_end;
};

static int
batch_add(struct scan *s, const DBT *key, const DBT *data)
{
	uint32_t sizes[2] = { key->size, data->size };

	if (buf_add(&s->rows, sizes, sizeof(sizes)) == -1 ||
	    buf_add(&s->rows, key->data, key->size) == -1 ||
	    buf_add(&s->rows, data->data, data->size) == -1)
		return ENOMEM;
	s->count++;
	return 0;
}

static bool
has_prefix(const struct scan *s, const DBT *key)
{
	return s->prefix_len == 0 ||
	       (key->size >= s->prefix_len && memcmp(key->data, s->prefix, s->prefix_len) == 0);
}

/* Copies the next rows; with a transaction its locks stay, without one none does. */
static int
batch_read(struct scan *s)
{
	DBT key = { .flags = DB_DBT_REALLOC }, data = { .flags = DB_DBT_REALLOC };
	DBC *cursor;
	u_int32_t how = DB_SET_RANGE;
	int error;

	buf_clear(&s->rows);
	s->count = 0;
	error = s->db->cursor(s->db, s->txn, &cursor, s->txn == NULL ? DB_READ_COMMITTED : 0);
	if (error != 0)
		return error;
	/* Berkeley DB takes over and resizes this memory. */
	key.size = (u_int32_t)s->from.len;
	if ((key.data = malloc(s->from.len + 1)) == NULL)
		error = ENOMEM;
	else if (s->from.len > 0)
		memcpy(key.data, s->from.data, s->from.len);
	while (error == 0 && s->count < SCAN_ROWS && s->rows.len < SCAN_BYTES) {
		error = cursor->get(cursor, &key, &data, how);
		how = DB_NEXT;
		if (error == DB_NOTFOUND || (error == 0 && !has_prefix(s, &key))) {
			error = 0;
			s->at_end = true;
			break;
		}
		if (error == 0)
			error = batch_add(s, &key, &data);
	}
	/* The smallest key after the last one */
	if (error == 0 && s->count > 0) {
		buf_clear(&s->from);
		if (!s->at_end &&
		    (buf_add(&s->from, key.data, key.size) == -1 || buf_addc(&s->from, '\0') == -1))
			error = ENOMEM;
	}
	if (data.data != NULL)
		explicit_bzero(data.data, data.size);
	free(key.data);
	free(data.data);
	cursor->close(cursor);
	return error;
}

static int
batch_call(const struct scan *s,
	   int (*row)(void *arg, const void *key, size_t key_len, const void *value,
		      size_t value_len),
	   void *arg)
{
	const unsigned char *p = s->rows.data;

	for (size_t i = 0; i < s->count; i++) {
		uint32_t sizes[2];
		int rc;

		memcpy(sizes, p, sizeof(sizes));
		p += sizeof(sizes);
		if ((rc = row(arg, p, sizes[0], p + sizes[0], sizes[1])) != 0)
			return rc;
		p += (size_t)sizes[0] + sizes[1];
	}
	return 0;
}

int
kv_scan(struct kv *kv, struct kv_txn *t, const char *table, const void *from, size_t from_len,
	const void *prefix, size_t prefix_len,
	int (*row)(void *arg, const void *key, size_t key_len, const void *value, size_t value_len),
	void *arg, struct bd_err *e)
{
	struct scan s = { .prefix = prefix, .prefix_len = prefix_len };
	size_t common = from_len < prefix_len ? from_len : prefix_len;
	int order = common > 0 ? memcmp(from, prefix, common) : 0, rc = -1, attempt = 0;

	if ((s.db = table_find(kv, table, e)) == NULL)
		return -1;
	s.txn = t != NULL ? t->txn : NULL;
	if (order < 0 || (order == 0 && from_len < prefix_len)) {
		from = prefix;
		from_len = prefix_len;
	}
	if (buf_add(&s.from, from, from_len) == -1) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		goto out;
	}
	do {
		int error = batch_read(&s);

		if (error != 0 && t == NULL && kv_bdb_is_deadlock(error) &&
		    attempt++ < KV_ATTEMPTS) {
			kv_bdb_pause(attempt);
			s.count = 0; /* nothing was passed on: the same batch again */
			continue;
		}
		if (error != 0) {
			failed(kv, t, error, e, "scanning");
			goto out;
		}
		attempt = 0;
		if ((rc = batch_call(&s, row, arg)) != 0)
			goto out;
	} while (!s.at_end);
	rc = 0;
out:
	buf_free(&s.from);
	buf_free(&s.rows);
	return rc;
}
