/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the embedded register: a new generation beside the one that answers, then one switch. */
#include "config.h"
#include "lookup/embedded_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/encode.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "lookup/codec.h"
#include "lookup/personfile.h"

#define BATCH_PERSONS 1000
#define CHECKPOINT_BATCHES 20
#define PROBLEMS_MAX 20

struct row {
	unsigned char key[EMBEDDED_PERSON_KEY_BYTES];
	unsigned line;
	size_t at, len; /* in values */
};

/* A certificate that the batch is the first to use */
struct new_cert {
	int64_t index;
	size_t at, len; /* in values */
};

struct job {
	struct embedded *r;
	struct embedded_import *import;
	struct personfile *file;
	uint32_t generation;
	struct row rows[BATCH_PERSONS];
	size_t row_count;
	struct new_cert certs[BATCH_PERSONS];
	size_t cert_count;
	struct buf values;
	json_t *known;        /* digest of a certificate to its index */
	struct buf last_cert; /* most persons have one of two: the text asked for last ... */
	int64_t last_index;   /* ... and its index */
	unsigned twice_line;
	uint64_t batches;
};

static void
problem(struct job *j, unsigned line, const char *words)
{
	j->import->problems++;
	j->import->problem(j->import->arg, line, words);
}

static void
warning(struct job *j, unsigned line, const char *member)
{
	char words[128];

	if (++j->import->warnings > PROBLEMS_MAX)
		return;
	snprintf(words, sizeof(words), "%s has a value that is not known; letters will wait",
		 member);
	j->import->warning(j->import->arg, line, words);
}

/* The index of a certificate's text; a new one is stored with the batch. */
static int64_t
cert_index(void *arg, const char *text, struct bd_err *e)
{
	struct job *j = arg;
	uint8_t digest[SHA256_BYTES];
	char name[2 * SHA256_BYTES + 1];
	json_t *found;
	int64_t index;

	if (j->last_cert.len > 0 && strcmp(buf_str(&j->last_cert), text) == 0)
		return j->last_index;
	sha256(digest, text, strlen(text));
	hex_encode(name, digest, sizeof(digest));
	if ((found = json_object_get(j->known, name)) != NULL) {
		buf_clear(&j->last_cert);
		j->last_index = json_integer_value(found);
		return buf_adds(&j->last_cert, text) == 0
			   ? j->last_index
			   : bd_fail(e, BD_E_MEMORY, "out of memory");
	}
	index = (int64_t)json_object_size(j->known);
	if (index > UINT32_MAX)
		return bd_fail(e, BD_E_CONTENT, "too many different certificates");
	j->certs[j->cert_count] = (struct new_cert){ index, j->values.len, strlen(text) };
	if (buf_adds(&j->values, text) == -1 ||
	    json_object_set_new(j->known, name, json_integer(index)) == -1)
		return bd_fail(e, BD_E_MEMORY, "out of memory");
	j->cert_count++;
	return index;
}

static int
row_order(const void *a, const void *b)
{
	return memcmp(((const struct row *)a)->key, ((const struct row *)b)->key,
		      EMBEDDED_PERSON_KEY_BYTES);
}

static int
batch_body(struct kv_txn *t, void *arg, struct bd_err *e)
{
	struct job *j = arg;

	for (size_t i = 0; i < j->cert_count; i++) {
		const struct new_cert *c = &j->certs[i];
		unsigned char key[EMBEDDED_CERT_KEY_BYTES];

		embedded_cert_key(key, c->index);
		if (kv_put(t, embedded_cert_table(j->generation), key, sizeof(key),
			   j->values.data + c->at, c->len, e) != KV_OK)
			return -1;
	}
	for (size_t i = 0; i < j->row_count; i++) {
		const struct row *row = &j->rows[i];

		switch (kv_add(t, embedded_person_table(j->generation), row->key, sizeof(row->key),
			       j->values.data + row->at, row->len, e)) {
		case KV_OK:
			break;
		case KV_EXISTS:
			j->twice_line = row->line;
			return bd_fail(e, BD_E_CONTENT, "a person stands twice in the file");
		case KV_NOT_FOUND:
		case KV_ERROR:
			return -1;
		}
	}
	return 0;
}

/* Stores what has gathered. A person given twice is a mistake of the file. */
static int
batch_store(struct job *j, struct bd_err *e)
{
	int rc = 0;

	/* In one order, for the tree's sake; equal keys keep the order of the file's lines. */
	qsort(j->rows, j->row_count, sizeof(j->rows[0]), row_order);
	if (j->import->problems == 0 && j->row_count > 0) {
		j->twice_line = 0;
		/* The switch's commit is the one that waits for the disk, for all of them. */
		rc = kv_transact_lazy(j->r->kv, batch_body, j, e);
		if (rc == -1 && j->twice_line != 0) {
			problem(j, j->twice_line, "this person stands twice in the file");
			rc = 0;
		}
		failpoint("lookup.import-batch");
	}
	j->row_count = j->cert_count = 0;
	buf_clear(&j->values);
	if (rc == 0 && ++j->batches % CHECKPOINT_BATCHES == 0)
		rc = kv_checkpoint(j->r->kv, e);
	if (rc == 0 &&
	    j->import->progress(j->import->arg, j->import->persons, personfile_bytes(j->file)) != 0)
		rc = bd_fail(e, BD_E_BUSY, "stopped by the operator");
	return rc;
}

/* Takes one person up into the batch. Mistakes are told, not returned. */
static int
person_take(struct job *j, const json_t *element, unsigned line, struct bd_err *e)
{
	struct row *row = &j->rows[j->row_count];
	size_t certs = j->cert_count;
	struct buf value = { 0 };
	const char *unknown;
	char id[NATIONALID_CHARS];
	int rc = -1;

	if (codec_encode(element, j->r->allow_synthetic, id, cert_index, j, &value, &unknown, e) ==
	    -1) {
		if (e->kind != BD_E_CONTENT)
			goto out;
		j->cert_count = certs;
		problem(j, line, e->cause);
		rc = 0;
		goto out;
	}
	if (unknown != NULL)
		warning(j, line, unknown);
	embedded_person_key(row->key, id);
	row->line = line;
	row->at = j->values.len;
	row->len = value.len;
	if (buf_add(&j->values, value.data, value.len) == -1) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		goto out;
	}
	j->import->persons++;
	rc = ++j->row_count == BATCH_PERSONS ? batch_store(j, e) : 0;
out:
	buf_free(&value);
	return rc;
}

static int
file_read(struct job *j, struct bd_err *e)
{
	for (;;) {
		json_t *element;
		unsigned line;
		int rc = 0;

		switch (personfile_next(j->file, &element, &line, e)) {
		case PERSONFILE_PERSON:
			rc = person_take(j, element, line, e);
			json_decref(element);
			break;
		case PERSONFILE_BAD:
			problem(j, line, e->cause);
			break;
		case PERSONFILE_BROKEN:
			problem(j, line, e->cause);
			return batch_store(j, e);
		case PERSONFILE_END:
			return batch_store(j, e);
		}
		if (rc == -1)
			return -1;
		if (j->import->problems >= PROBLEMS_MAX)
			return 0;
	}
}

static int
switch_body(struct kv_txn *t, void *arg, struct bd_err *e)
{
	struct job *j = arg;
	struct embedded_info info = { .generation = j->generation,
				      .persons = j->import->persons,
				      .imported = clock_wall() };

	return embedded_meta_write(t, &info, e);
}

static int
import_run(struct job *j, int fd, struct bd_err *e)
{
	struct embedded *r = j->r;

	if (embedded_empty(r->kv, j->generation, e) == -1)
		return -1;
	if ((j->file = personfile_new(fd, e)) == NULL)
		return -1;
	if (file_read(j, e) == -1)
		return -1;
	if (j->import->problems > 0)
		return bd_fail(e, BD_E_CONTENT,
			       "%llu mistake%s in the file; nothing was imported, the register is "
			       "what it was",
			       (unsigned long long)j->import->problems,
			       j->import->problems == 1 ? "" : "s");
	if (j->import->persons == 0)
		return bd_fail(e, BD_E_CONTENT, "there is no person in the file; nothing changed");
	failpoint("lookup.before-switch");
	if (kv_transact(r->kv, switch_body, j, e) == -1)
		return -1;
	atomic_store(&r->generation, j->generation);
	failpoint("lookup.after-switch");
	return 0;
}

int
embedded_import(struct embedded *r, int fd, struct embedded_import *import, struct bd_err *e)
{
	struct job *j;
	struct bd_err ignored = { 0 };
	int rc = -1;

	if (pthread_mutex_trylock(&r->importing) != 0)
		return bd_fail(e, BD_E_BUSY, "another import is running");
	import->persons = import->problems = import->warnings = 0;
	if ((j = calloc(1, sizeof(*j))) == NULL || (j->known = json_object()) == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		goto out;
	}
	j->r = r;
	j->import = import;
	j->generation = atomic_load(&r->generation) + 1;
	rc = import_run(j, fd, e);
	/* The old generation after a switch, else what was stored of the new one. A failure here
	 * only leaves what the next start or import removes. */
	if (embedded_empty(r->kv, rc == 0 ? j->generation + 1 : j->generation, &ignored) == -1)
		log_warn("register: emptying unused tables: %s", ignored.cause);
out:
	if (j != NULL) {
		personfile_free(&j->file);
		json_decref(j->known);
		buf_free(&j->values);
		buf_free(&j->last_cert);
		free(j);
	}
	pthread_mutex_unlock(&r->importing);
	return rc;
}
