/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zip of an ASiC-E container over libzip. Reading is bounded before anything is unpacked and
 * again while it is; names are compared, never used as paths.
 */
#include "config.h"
#include "envelope/asice.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zip.h>

#define NAME_MAX_BYTES 255
#define DOS_TIME 0
#define DOS_DATE 0x21 /* 1980-01-01, as reproducible builds have it */

/* Types that are compressed already get the fastest level: they hardly shrink, and the highest
 * levels cost seconds on a letter of 50 MB. They are still deflated, as the known programs do
 * (spec/dpi.md 1.6.1), since no mailbox is known to have met a stored document. */
static zip_uint32_t
level_for(const char *mime)
{
	return strncmp(mime, "text/", 5) == 0 || strstr(mime, "xml") != NULL ? 6 : 1;
}

static int
entry_add(zip_t *zip, const struct asice_entry *entry, int method, zip_uint32_t level)
{
	zip_source_t *source = zip_source_buffer(zip, entry->data, entry->len, 0);
	zip_int64_t index;

	if (source == NULL)
		return -1;
	index = zip_file_add(zip, entry->name, source, ZIP_FL_ENC_UTF_8);
	if (index < 0) {
		zip_source_free(source);
		return -1;
	}
	return zip_set_file_compression(zip, (zip_uint64_t)index, method, level) == 0 &&
		       zip_file_set_dostime(zip, (zip_uint64_t)index, DOS_TIME, DOS_DATE, 0) == 0
		   ? 0
		   : -1;
}

static int
entries_add(zip_t *zip, const struct asice_entry *entries, size_t count)
{
	static const char comment[] = "mimetype=" ASICE_MIME;
	static const struct asice_entry first = { ASICE_MIMETYPE, ASICE_MIME, ASICE_MIME,
						  sizeof(ASICE_MIME) - 1 };
	const zip_uint16_t comment_len = sizeof(comment) - 1;

	if (entry_add(zip, &first, ZIP_CM_STORE, 0) == -1 ||
	    zip_file_set_comment(zip, 0, comment, comment_len, 0) == -1 ||
	    zip_set_archive_comment(zip, comment, comment_len) == -1)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (entry_add(zip, &entries[i], ZIP_CM_DEFLATE, level_for(entries[i].mime)) == -1)
			return -1;
	return 0;
}

static int
source_read(zip_source_t *source, struct buf *out, struct bd_err *e)
{
	zip_stat_t st;
	int rc = -1;

	if (zip_source_stat(source, &st) == -1 || (st.valid & ZIP_STAT_SIZE) == 0 ||
	    zip_source_open(source) == -1)
		return bd_fail(e, BD_E_SEAL, "container cannot be read back");
	if (st.size > BUF_MAX_BYTES || buf_reserve(out, (size_t)st.size) == -1)
		bd_fail(e, BD_E_MEMORY, "no memory for a container");
	else if (zip_source_read(source, out->data + out->len, st.size) != (zip_int64_t)st.size)
		bd_fail(e, BD_E_SEAL, "container cannot be read back");
	else
		rc = 0;
	if (rc == 0) {
		out->len += (size_t)st.size;
		out->data[out->len] = '\0';
	}
	zip_source_close(source);
	return rc;
}

int
asice_write(const struct asice_entry *entries, size_t count, struct buf *out, struct bd_err *e)
{
	zip_source_t *source;
	zip_error_t error;
	zip_t *zip = NULL;
	int rc = -1;

	zip_error_init(&error);
	if ((source = zip_source_buffer_create(NULL, 0, 0, &error)) == NULL) {
		bd_fail(e, BD_E_MEMORY, "no memory for a container");
		goto out;
	}
	zip_source_keep(source); /* zip_close gives one reference back, we read from the other */
	if ((zip = zip_open_from_source(source, ZIP_CREATE | ZIP_TRUNCATE, &error)) == NULL) {
		zip_source_free(source);
		bd_fail(e, BD_E_SEAL, "container: %s", zip_error_strerror(&error));
		goto out;
	}
	if (entries_add(zip, entries, count) == -1 || zip_close(zip) == -1) {
		bd_fail(e, BD_E_SEAL, "container: %s", zip_strerror(zip));
		goto out;
	}
	zip = NULL;
	rc = source_read(source, out, e);
out:
	if (zip != NULL)
		zip_discard(zip);
	zip_source_free(source);
	zip_error_fini(&error);
	return rc;
}

static int
name_check(const struct asice *a, const char *name, struct bd_err *e)
{
	size_t len = name != NULL ? strlen(name) : 0;

	if (len == 0 || len > NAME_MAX_BYTES || name[len - 1] == '/')
		return bd_fail(e, BD_E_DAMAGED, "container: entry without a usable name");
	for (size_t i = 0; i < a->count; i++) /* also two that differ in case only */
		if (strcasecmp(a->files[i].name, name) == 0)
			return bd_fail(e, BD_E_DAMAGED, "container: two entries of one name");
	return 0;
}

static int
entry_check(const zip_stat_t *st, size_t left, struct bd_err *e)
{
	const zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
				    ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;

	if ((st->valid & needed) != needed || st->encryption_method != ZIP_EM_NONE ||
	    (st->comp_method != ZIP_CM_STORE && st->comp_method != ZIP_CM_DEFLATE))
		return bd_fail(e, BD_E_DAMAGED, "container: entry neither stored nor deflated");
	if (st->size > left)
		return bd_fail(e, BD_E_DAMAGED, "container unpacks to more than %zu bytes",
			       ASICE_TOTAL_MAX);
	return 0;
}

/* Exactly the size named in the directory; libzip compares the CRC when the end is reached. */
static int
entry_read(zip_t *zip, zip_uint64_t index, size_t size, struct buf *out, struct bd_err *e)
{
	zip_file_t *file = zip_fopen_index(zip, index, 0);
	int rc = -1;
	char more;

	if (file == NULL)
		return bd_fail(e, BD_E_DAMAGED, "container: %s", zip_strerror(zip));
	if (buf_reserve(out, size + 1) == -1) { /* memory even for an empty file */
		bd_fail(e, BD_E_MEMORY, "no memory for a container");
	} else if (zip_fread(file, out->data, size) != (zip_int64_t)size ||
		   zip_fread(file, &more, 1) != 0) {
		bd_fail(e, BD_E_DAMAGED, "container: an entry is damaged");
	} else {
		out->len = size;
		out->data[size] = '\0';
		rc = 0;
	}
	zip_fclose(file);
	return rc;
}

static int
entries_read(zip_t *zip, size_t len, struct asice *a, struct bd_err *e)
{
	zip_int64_t count = zip_get_num_entries(zip, 0);
	size_t total = 0, packed = 0;
	zip_stat_t st;

	if (count <= 0 || count > ASICE_FILES_MAX)
		return bd_fail(e, BD_E_DAMAGED, "container of %lld entries", (long long)count);
	if ((a->files = calloc((size_t)count, sizeof(*a->files))) == NULL)
		return bd_fail(e, BD_E_MEMORY, "no memory for a container");
	for (zip_uint64_t i = 0; i < (zip_uint64_t)count; i++) {
		struct asice_file *file = &a->files[i];

		if (zip_stat_index(zip, i, 0, &st) == -1)
			return bd_fail(e, BD_E_DAMAGED, "container: %s", zip_strerror(zip));
		if (entry_check(&st, ASICE_TOTAL_MAX - total, e) == -1 ||
		    name_check(a, st.name, e) == -1)
			return -1;
		/* entries that share their bytes make small bombs big */
		if (st.comp_size > len - packed)
			return bd_fail(e, BD_E_DAMAGED, "container: entries overlap");
		total += (size_t)st.size;
		packed += (size_t)st.comp_size;
		if ((file->name = strdup(st.name)) == NULL)
			return bd_fail(e, BD_E_MEMORY, "no memory for a container");
		a->count = (size_t)i + 1;
		if (entry_read(zip, i, (size_t)st.size, &file->data, e) == -1)
			return -1;
	}
	return 0;
}

static int
mimetype_check(const struct asice *a, struct bd_err *e)
{
	const struct asice_file *file = asice_find(a, ASICE_MIMETYPE);

	if (file == NULL) /* the classic programs leave it out */
		return 0;
	if (file != a->files || file->data.len != strlen(ASICE_MIME) ||
	    memcmp(file->data.data, ASICE_MIME, file->data.len) != 0)
		return bd_fail(e, BD_E_DAMAGED, "container: mimetype is not first or another one");
	return 0;
}

int
asice_read(const void *zip_data, size_t len, struct asice *a_r, struct bd_err *e)
{
	struct asice a = { NULL, 0 };
	zip_source_t *source;
	zip_error_t error;
	zip_t *zip = NULL;
	int rc = -1;

	zip_error_init(&error);
	if ((source = zip_source_buffer_create(zip_data, len, 0, &error)) == NULL) {
		bd_fail(e, BD_E_MEMORY, "no memory for a container");
		goto out;
	}
	/* CHECKCONS: the directory and the entries' own headers must agree */
	zip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
	if (zip == NULL) {
		zip_source_free(source);
		bd_fail(e, BD_E_DAMAGED, "container: %s", zip_error_strerror(&error));
		goto out;
	}
	if (entries_read(zip, len, &a, e) == -1 || mimetype_check(&a, e) == -1)
		goto out;
	*a_r = a;
	a = (struct asice){ NULL, 0 };
	rc = 0;
out:
	if (zip != NULL)
		zip_discard(zip);
	asice_clear(&a);
	zip_error_fini(&error);
	return rc;
}

const struct asice_file *
asice_find(const struct asice *a, const char *name)
{
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->files[i].name, name) == 0)
			return &a->files[i];
	return NULL;
}

void
asice_clear(struct asice *a)
{
	for (size_t i = 0; i < a->count; i++) {
		free(a->files[i].name);
		buf_free(&a->files[i].data);
	}
	free(a->files);
	*a = (struct asice){ NULL, 0 };
}
