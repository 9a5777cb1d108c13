/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes and reads letter records. What events mean is view.c's business; who may write is
 * claims.c's. Never stores anything in clear that could name a person.
 */
#include "config.h"
#include "spool/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "spool/sets.h"
#include "store/kv.h"

#define EVENT_VERSION 1
#define EVENT_MAX_BYTES ((size_t)8 << 10)
#define ID_BYTES (LETTER_ID_CHARS - 1)
#define KEY_BYTES (ID_BYTES + 4)
#define INDEX_KEY_BYTES 160
#define INDEX_MAX 4
#define EVENTS_MAX 2

static const char *const tables[] = { "events", "sealed", "index", "open", "sets", NULL };

struct records {
	struct kv *kv;
	uint8_t secret[32];
	int64_t copy_window_ms;
};

struct batch { /* what one transaction writes, in the tables' order */
	const char *letter_id;
	uint32_t seq;
	struct buf events[EVENTS_MAX];
	size_t event_count;
	unsigned generation;
	const void *sealed;
	size_t sealed_len;
	char index[INDEX_MAX][INDEX_KEY_BYTES];
	size_t index_count;
	enum { OPEN_KEEP, OPEN_ADD, OPEN_REMOVE } open;
	const struct control_record *of_set; /* a letter of several has come, or NULL */
};

static void
key_make(uint8_t key[KEY_BYTES], const char *letter_id, uint32_t number)
{
	memcpy(key, letter_id, ID_BYTES);
	for (int i = 0; i < 4; i++)
		key[ID_BYTES + i] = (uint8_t)(number >> (24 - 8 * i));
}

static uint32_t
key_number(const uint8_t *key)
{
	const uint8_t *n = key + ID_BYTES;

	return (uint32_t)n[0] << 24 | (uint32_t)n[1] << 16 | (uint32_t)n[2] << 8 | n[3];
}

static int
id_check(const char *letter_id, struct bd_err *e)
{
	if (strlen(letter_id) != ID_BYTES || strspn(letter_id, "0123456789abcdef") != ID_BYTES)
		return bd_fail(e, BD_E_INTERNAL, "not a letter id");
	return 0;
}

struct records *
records_open(const char *dir, const uint8_t secret[32], int64_t copy_window_ms, struct bd_err *e)
{
	struct records *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		bd_fail(e, BD_E_MEMORY, "records");
		return NULL;
	}
	if ((r->kv = kv_open(dir, tables, e)) == NULL) {
		bd_wrap(e, "letter records");
		free(r);
		return NULL;
	}
	memcpy(r->secret, secret, sizeof(r->secret));
	r->copy_window_ms = copy_window_ms;
	return r;
}

void
records_close(struct records **r)
{
	if (*r == NULL)
		return;
	kv_close(&(*r)->kv);
	explicit_bzero((*r)->secret, sizeof((*r)->secret));
	free(*r);
	*r = NULL;
}

struct kv *
records_store(struct records *r)
{
	return r->kv;
}

static int
batch_write(struct kv_txn *t, void *arg, struct bd_err *e)
{
	struct batch *b = arg;
	uint8_t key[KEY_BYTES];
	enum kv_result rc;

	for (size_t i = 0; i < b->event_count; i++) {
		key_make(key, b->letter_id, b->seq + (uint32_t)i);
		rc = kv_add(t, "events", key, sizeof(key), b->events[i].data, b->events[i].len, e);
		if (rc == KV_EXISTS)
			return bd_fail(e, BD_E_INTERNAL, "event %u of %s exists", b->seq,
				       b->letter_id);
		if (rc != KV_OK)
			return -1;
	}
	key_make(key, b->letter_id, b->generation);
	if (b->sealed != NULL && /* the first one recorded stays */
	    kv_add(t, "sealed", key, sizeof(key), b->sealed, b->sealed_len, e) == KV_ERROR)
		return -1;
	for (size_t i = 0; i < b->index_count; i++)
		if (kv_put(t, "index", b->index[i], strlen(b->index[i]), b->letter_id, ID_BYTES,
			   e) != KV_OK)
			return -1;
	if (b->open == OPEN_ADD && kv_put(t, "open", key, sizeof(key), "", 0, e) != KV_OK)
		return -1;
	if (b->open == OPEN_REMOVE && kv_del(t, "open", key, sizeof(key), e) == KV_ERROR)
		return -1;
	if (b->of_set != NULL)
		return sets_arrived(t, b->of_set->mail_id, (unsigned)b->of_set->index,
				    (unsigned)b->of_set->count, b->letter_id, clock_wall_ms(), e);
	return 0;
}

static int
batch_commit(struct records *r, struct batch *b, struct bd_err *e)
{
	int rc = kv_transact(r->kv, batch_write, b, e);

	for (size_t i = 0; i < b->event_count; i++)
		buf_free(&b->events[i]);
	return rc;
}

/* Adds an event to the batch. data's reference passes to the call. */
static int
batch_event(struct batch *b, const char *kind, json_t *data, struct bd_err *e)
{
	struct buf *out = &b->events[b->event_count];
	json_t *ev = json_pack("{s:i, s:I, s:s}", "v", EVENT_VERSION, "t",
			       (json_int_t)clock_wall_ms(), "kind", kind);
	int rc = -1;

	if (ev == NULL || (data != NULL && json_object_update_missing(ev, data) == -1)) {
		bd_fail(e, BD_E_MEMORY, "event");
		goto out;
	}
	*out = (struct buf){ .max = EVENT_MAX_BYTES };
	if (json_write(ev, 0, out, e) == -1) {
		buf_free(out);
		goto out;
	}
	b->event_count++;
	rc = 0;
out:
	json_decref(ev);
	json_decref(data);
	return rc;
}

static void
batch_index(struct batch *b, const char *a, const char *what, const char *id)
{
	char *key = b->index[b->index_count];

	if (snprintf(key, INDEX_KEY_BYTES, "%s/%s/%s", a, what, id) < INDEX_KEY_BYTES)
		b->index_count++;
}

struct fold {
	struct view *view;
	const char *package;
	int (*event)(void *arg, const json_t *ev);
	void *arg;
	struct bd_err *e;
};

static int
fold_row(void *arg, const void *key, size_t key_len, const void *value, size_t value_len)
{
	struct fold *f = arg;
	json_t *ev = json_parse(value, value_len, EVENT_MAX_BYTES, f->e);
	int rc = 0;

	(void)key;
	(void)key_len;
	if (ev == NULL || json_integer_value(json_object_get(ev, "v")) != EVENT_VERSION) {
		json_decref(ev);
		bd_fail(f->e, BD_E_INTERNAL, "a letter record of an unknown version");
		return -1;
	}
	if (f->view != NULL)
		view_apply(f->view, ev, f->package);
	if (f->event != NULL)
		rc = f->event(f->arg, ev);
	json_decref(ev);
	return rc;
}

static int
fold_letter(struct records *r, const char *letter_id, struct fold *f, struct bd_err *e)
{
	if (id_check(letter_id, e) == -1)
		return -1;
	f->e = e;
	return kv_scan(r->kv, NULL, "events", letter_id, ID_BYTES, letter_id, ID_BYTES, fold_row, f,
		       e);
}

int
records_view(struct records *r, const char *letter_id, const char *package, struct view *view_r,
	     struct bd_err *e)
{
	struct fold f = { .view = view_r, .package = package };

	*view_r = (struct view){ 0 };
	if (fold_letter(r, letter_id, &f, e) == -1)
		return -1;
	return view_r->events > 0 ? 1 : 0;
}

int
records_events(struct records *r, const char *letter_id, int (*event)(void *arg, const json_t *ev),
	       void *arg, struct bd_err *e)
{
	struct view v = { 0 };
	struct fold f = { .view = &v, .event = event, .arg = arg };

	if (fold_letter(r, letter_id, &f, e) == -1)
		return -1;
	return v.events > 0 ? 1 : 0;
}

/* The first sight of a generation: metadata for the operator and the next issue's reports. */
static int
batch_queued(struct batch *b, const struct records_letter *l, struct bd_err *e)
{
	const struct control_record *c = l->control;
	json_t *data = json_pack("{s:i, s:s*, s:s*, s:s*, s:s*, s:s*, s:i, s:i, s:s*, s:s*, s:I}",
				 "gen", (int)b->generation, "route", c->route, "agency", c->agency,
				 "letterkind", c->kind, "provider",
				 c->addressee_count > 0 ? c->addressees[0].provider : NULL, "mail",
				 c->mail_id, "index", (int)c->index, "count", (int)c->count,
				 "queue", l->queue[0] != '\0' ? l->queue : NULL, "front",
				 c->front_queue_id, "sealed", (json_int_t)c->sealed_at);

	if (data == NULL)
		return bd_fail(e, BD_E_MEMORY, "event");
	b->sealed = l->sealed;
	b->sealed_len = l->sealed_len;
	if (c->mail_id != NULL && c->mail_id[0] != '\0')
		batch_index(b, "mail", c->mail_id, b->letter_id);
	if (l->queue[0] != '\0')
		batch_index(b, "queue", l->queue, b->letter_id);
	return batch_event(b, "queued", data, e);
}

static int
batch_intent(struct batch *b, const struct records_letter *l, const struct records_attempt *a,
	     const char *package, struct bd_err *e)
{
	json_t *data =
	    json_pack("{s:i, s:s, s:s, s:s, s:s, s:s*}", "gen", (int)a->generation, "driver",
		      l->driver, "instance", a->instance, "conversation", a->conversation,
		      "package", package, "queue", l->queue[0] != '\0' ? l->queue : NULL);

	if (data == NULL)
		return bd_fail(e, BD_E_MEMORY, "event");
	return batch_event(b, "intent", data, e);
}

int
records_begin(struct records *r, const struct records_letter *l, struct records_attempt *a,
	      struct bd_err *e)
{
	const struct control_record *c = l->control;
	struct batch b = { .letter_id = c->letter_id };
	char package[2 * SHA256_BYTES + 1];
	bool queued;

	hex_encode(package, c->package_sha256, SHA256_BYTES);
	if (records_view(r, c->letter_id, package, &a->view, e) == -1)
		return -1;
	a->verdict = view_decide(&a->view, clock_wall_ms(), r->copy_window_ms, &a->generation);
	a->first = a->view.events == 0;
	outward_id_make(a->instance, r->secret, c->letter_id, a->generation, 'i');
	outward_id_make(a->conversation, r->secret, c->letter_id, a->generation, 'c');
	b.seq = a->view.events;
	b.generation = a->generation;
	if (c->count > 1 && c->mail_id != NULL && c->mail_id[0] != '\0')
		b.of_set = c;
	switch (a->verdict) {
	case VIEW_SEND:
	case VIEW_ASK:
		queued = a->first || a->generation != a->view.generation;
		if (queued) {
			batch_index(&b, l->driver, "instance", a->instance);
			batch_index(&b, l->driver, "conversation", a->conversation);
			if (batch_queued(&b, l, e) == -1)
				goto fail;
		}
		if (batch_intent(&b, l, a, package, e) == -1)
			goto fail;
		break;
	case VIEW_COPY:
	case VIEW_AGAIN:
		if (batch_event(&b, a->verdict == VIEW_COPY ? "copy" : "again",
				json_pack("{s:i, s:s*, s:s*}", "gen", (int)a->generation, "queue",
					  l->queue[0] != '\0' ? l->queue : NULL, "front",
					  c->front_queue_id),
				e) == -1)
			goto fail;
		break;
	case VIEW_PARK:
		if (batch_event(&b, "parked", NULL, e) == -1)
			goto fail;
		break;
	case VIEW_STAY_PARKED:
		return 0;
	}
	return batch_commit(r, &b, e);
fail:
	for (size_t i = 0; i < b.event_count; i++)
		buf_free(&b.events[i]);
	return -1;
}

int
records_add(struct records *r, const char *letter_id, const char *kind, json_t *data,
	    struct bd_err *e)
{
	struct batch b = { .letter_id = letter_id };
	const char *status = json_text(data, "status");
	struct view v;

	if (records_view(r, letter_id, NULL, &v, e) == -1) {
		json_decref(data);
		return -1;
	}
	b.seq = v.events;
	b.generation = v.generation;
	if (strcmp(kind, "status") == 0)
		b.generation = (unsigned)json_integer_value(json_object_get(data, "gen"));
	if (strcmp(kind, "sent") == 0)
		b.open = OPEN_ADD;
	else if (strcmp(kind, "failed") == 0 ||
		 (strcmp(kind, "status") == 0 && status != NULL &&
		  (strcmp(status, "SENDT") == 0 || strcmp(status, "FEILET") == 0)))
		b.open = OPEN_REMOVE;
	if (batch_event(&b, kind, data, e) == -1)
		return -1;
	return batch_commit(r, &b, e);
}

int
records_wait_over(struct records *r, const char *letter_id, unsigned generation, struct bd_err *e)
{
	struct batch b = { .letter_id = letter_id, .generation = generation, .open = OPEN_REMOVE };

	return id_check(letter_id, e) == -1 ? -1 : batch_commit(r, &b, e);
}

struct each {
	struct view view;
	char id[LETTER_ID_CHARS];
	int (*letter)(void *arg, const char *letter_id, const struct view *v);
	void *arg;
	struct bd_err *e;
};

static int
each_row(void *arg, const void *key, size_t key_len, const void *value, size_t value_len)
{
	struct each *ea = arg;
	struct fold f = { .view = &ea->view, .e = ea->e };
	int rc;

	if (key_len != KEY_BYTES)
		return 0;
	if (memcmp(ea->id, key, ID_BYTES) != 0) {
		if (ea->id[0] != '\0' && (rc = ea->letter(ea->arg, ea->id, &ea->view)) != 0)
			return rc;
		memcpy(ea->id, key, ID_BYTES);
		ea->view = (struct view){ 0 };
	}
	return fold_row(&f, key, key_len, value, value_len);
}

int
records_each(struct records *r,
	     int (*letter)(void *arg, const char *letter_id, const struct view *v), void *arg,
	     struct bd_err *e)
{
	struct each ea = { .letter = letter, .arg = arg, .e = e };
	int rc = kv_scan(r->kv, NULL, "events", "", 0, "", 0, each_row, &ea, e);

	if (rc == 0 && ea.id[0] != '\0')
		rc = letter(arg, ea.id, &ea.view);
	return rc;
}

struct waiting {
	int (*letter)(void *arg, const char *letter_id, unsigned generation);
	void *arg;
};

static int
waiting_row(void *arg, const void *key, size_t key_len, const void *value, size_t value_len)
{
	struct waiting *w = arg;
	char id[LETTER_ID_CHARS] = "";

	(void)value;
	(void)value_len;
	if (key_len != KEY_BYTES)
		return 0;
	memcpy(id, key, ID_BYTES);
	return w->letter(w->arg, id, key_number(key));
}

int
records_waiting(struct records *r,
		int (*letter)(void *arg, const char *letter_id, unsigned generation), void *arg,
		struct bd_err *e)
{
	struct waiting w = { letter, arg };

	return kv_scan(r->kv, NULL, "open", "", 0, "", 0, waiting_row, &w, e);
}

int
records_find(struct records *r, const char *driver, const char *what, const char *id,
	     char letter_id_r[LETTER_ID_CHARS], struct bd_err *e)
{
	char key[INDEX_KEY_BYTES];
	struct buf value = { 0 };
	enum kv_result rc;

	if (snprintf(key, sizeof(key), "%s/%s/%s", driver, what, id) >= (int)sizeof(key))
		return 0;
	rc = kv_get(r->kv, NULL, "index", key, strlen(key), &value, e);
	if (rc == KV_OK && value.len == ID_BYTES)
		memcpy(letter_id_r, value.data, LETTER_ID_CHARS);
	else if (rc == KV_OK)
		rc = KV_NOT_FOUND;
	buf_free(&value);
	return rc == KV_OK ? 1 : rc == KV_NOT_FOUND ? 0 : -1;
}

int
records_sealed(struct records *r, const char *letter_id, unsigned generation, struct buf *out,
	       struct bd_err *e)
{
	uint8_t key[KEY_BYTES];
	enum kv_result rc;

	if (id_check(letter_id, e) == -1)
		return -1;
	key_make(key, letter_id, generation);
	rc = kv_get(r->kv, NULL, "sealed", key, sizeof(key), out, e);
	return rc == KV_OK ? 1 : rc == KV_NOT_FOUND ? 0 : -1;
}
