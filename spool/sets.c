/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table "sets": have/MAIL/INDEX, a letter that came; wait/MAIL, a set to be judged; short/MAIL,
 * one that was found incomplete. Rows of the first kind stay, so that a copy that comes late does
 * not open a finished set again. Writers touch the kinds in this order (no deadlocks).
 */
#include "config.h"
#include "spool/sets.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"

#define TABLE "sets"
#define VALUE_VERSION 1
#define VALUE_MAX_BYTES 200
#define KEY_MAX 160
#define BATCH 64

static int
key_make(char key[KEY_MAX], const char *kind, const char *mail, struct bd_err *e)
{
	int len = snprintf(key, KEY_MAX, "%s/%s", kind, mail);

	return len < KEY_MAX ? len : bd_fail(e, BD_E_INTERNAL, "a mail id of %d bytes", len);
}

static int
value_read(const void *data, size_t len, struct set *s, struct bd_err *e)
{
	json_t *o = json_parse(data, len, VALUE_MAX_BYTES, e);
	int rc = 0;

	if (o == NULL || json_integer_value(json_object_get(o, "v")) != VALUE_VERSION)
		rc = bd_fail(e, BD_E_INTERNAL, "a record of a set of an unknown version");
	s->first_ms = json_integer_value(json_object_get(o, "t"));
	s->count = (unsigned)json_integer_value(json_object_get(o, "count"));
	json_decref(o);
	return rc;
}

int
sets_arrived(struct kv_txn *t, const char *mail, unsigned index, unsigned count,
	     const char *letter_id, int64_t now_ms, struct bd_err *e)
{
	char have[KEY_MAX], wait[KEY_MAX], value[VALUE_MAX_BYTES];
	int len, wait_len = key_make(wait, "wait", mail, e);
	enum kv_result rc;

	if (wait_len == -1)
		return -1;
	len = snprintf(have, sizeof(have), "have/%s/%u", mail, index);
	if (len >= KEY_MAX)
		return bd_fail(e, BD_E_INTERNAL, "a mail id of %zu bytes", strlen(mail));
	rc = kv_add(t, TABLE, have, (size_t)len, letter_id, strlen(letter_id), e);
	if (rc != KV_OK)
		return rc == KV_EXISTS ? 0 : -1;
	len = snprintf(value, sizeof(value), "{\"v\":%d,\"t\":%lld,\"count\":%u}", VALUE_VERSION,
		       (long long)now_ms, count);
	/* the first letter's time stays */
	return kv_add(t, TABLE, wait, (size_t)wait_len, value, (size_t)len, e) == KV_ERROR ? -1 : 0;
}

static int
count_row(void *arg, const void *key, size_t key_len, const void *value, size_t value_len)
{
	(void)key;
	(void)key_len;
	(void)value;
	(void)value_len;
	++*(unsigned *)arg;
	return 0;
}

static int
count_arrived(struct kv *kv, struct kv_txn *t, struct set *s, struct bd_err *e)
{
	char prefix[KEY_MAX];
	int len = snprintf(prefix, sizeof(prefix), "have/%s/", s->mail);

	s->arrived = 0;
	if (len >= KEY_MAX)
		return bd_fail(e, BD_E_INTERNAL, "a mail id of %zu bytes", strlen(s->mail));
	return kv_scan(kv, t, TABLE, prefix, (size_t)len, prefix, (size_t)len, count_row,
		       &s->arrived, e);
}

struct judging {
	struct kv *kv;
	struct set set;
	bool changed;
};

/* In a transaction: a letter that comes meanwhile is seen here, or finds no row to wait in. */
static int
judge(struct kv_txn *t, void *arg, struct bd_err *e)
{
	struct judging *j = arg;
	char wait[KEY_MAX], brief[KEY_MAX];
	int wait_len = key_make(wait, "wait", j->set.mail, e);
	int brief_len = key_make(brief, "short", j->set.mail, e);
	struct buf value = { 0 };
	enum kv_result rc = KV_ERROR;

	j->changed = false;
	if (wait_len == -1 || brief_len == -1 || count_arrived(j->kv, t, &j->set, e) == -1 ||
	    (rc = kv_get(j->kv, t, TABLE, wait, (size_t)wait_len, &value, e)) != KV_OK)
		goto out;
	if (value_read(value.data, value.len, &j->set, e) == -1)
		rc = KV_ERROR;
	else if (j->set.arrived < j->set.count)
		rc = kv_add(t, TABLE, brief, (size_t)brief_len, value.data, value.len, e);
	else
		rc = kv_del(t, TABLE, brief, (size_t)brief_len, e);
	j->changed = rc == KV_OK;
	if (rc != KV_ERROR)
		rc = kv_del(t, TABLE, wait, (size_t)wait_len, e);
out:
	buf_free(&value);
	return rc == KV_ERROR ? -1 : 0;
}

struct due {
	int64_t before_ms;
	size_t count;
	char mails[BATCH][KEY_MAX];
	struct bd_err *e;
};

static int
due_row(void *arg, const void *key, size_t key_len, const void *value, size_t value_len)
{
	struct due *d = arg;
	struct set s;

	if (value_read(value, value_len, &s, d->e) == -1)
		return -1;
	if (s.first_ms > d->before_ms)
		return 0;
	snprintf(d->mails[d->count++], KEY_MAX, "%.*s", (int)(key_len - strlen("wait/")),
		 (const char *)key + strlen("wait/"));
	return d->count == BATCH ? 1 : 0;
}

int
sets_check(struct kv *kv, int64_t before_ms, void (*changed)(void *arg, const struct set *s),
	   void *arg, struct bd_err *e)
{
	struct due due = { .before_ms = before_ms, .e = e };

	if (kv_scan(kv, NULL, TABLE, "wait/", 5, "wait/", 5, due_row, &due, e) == -1)
		return -1;
	for (size_t i = 0; i < due.count; i++) {
		struct judging j = { .kv = kv, .set.mail = due.mails[i] };

		if (kv_transact(kv, judge, &j, e) == -1)
			return -1;
		if (j.changed)
			changed(arg, &j.set);
	}
	return 0;
}

struct listing {
	struct kv *kv;
	int (*set)(void *arg, const struct set *s);
	void *arg;
	struct bd_err *e;
};

static int
short_row(void *arg, const void *key, size_t key_len, const void *value, size_t value_len)
{
	struct listing *l = arg;
	char mail[KEY_MAX];
	struct set s = { .mail = mail };

	snprintf(mail, sizeof(mail), "%.*s", (int)(key_len - strlen("short/")),
		 (const char *)key + strlen("short/"));
	if (value_read(value, value_len, &s, l->e) == -1 ||
	    count_arrived(l->kv, NULL, &s, l->e) == -1)
		return -1;
	return s.arrived < s.count ? l->set(l->arg, &s) : 0;
}

int
sets_incomplete(struct kv *kv, int (*set)(void *arg, const struct set *s), void *arg,
		struct bd_err *e)
{
	struct listing l = { kv, set, arg, e };

	return kv_scan(kv, NULL, TABLE, "short/", 6, "short/", 6, short_row, &l, e);
}
