/* SPDX-License-Identifier: Apache-2.0 */
/* Writing and loading the sandbox's files. It does not know what is in them but id and sequence. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/encode.h"
#include "common/json.h"
#include "common/log.h"
#include "sandbox/keep.h"

int
keep_bytes(int dir, const char *name, const void *data, size_t len, struct bd_err *e)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const char *p = data;
	ssize_t n = 0;

	if (fd == -1)
		return bd_fail_errno(e, BD_E_STORE_FULL, "making %s", name);
	for (; len > 0; p += n, len -= (size_t)n)
		if ((n = write(fd, p, len)) <= 0)
			break;
	if (len > 0 || close(fd) == -1) {
		if (len > 0)
			close(fd);
		return bd_fail_errno(e, BD_E_STORE_FULL, "writing %s", name);
	}
	return 0;
}

int
keep_json(const char *dir, const char *name, const json_t *value, struct bd_err *e)
{
	struct buf text = { 0 };
	char temporary[64];
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = -1;

	if (fd == -1)
		return bd_fail_errno(e, BD_E_STORE_FULL, "opening %s", dir);
	snprintf(temporary, sizeof(temporary), ".%.50s.new", name);
	if (json_write(value, 0, &text, e) == 0 &&
	    keep_bytes(fd, temporary, text.data, text.len, e) == 0) {
		rc = renameat(fd, temporary, fd, name);
		if (rc == -1)
			bd_fail_errno(e, BD_E_STORE_FULL, "renaming %s", temporary);
	}
	buf_free(&text);
	close(fd);
	return rc;
}

static int
by_sequence(const void *a, const void *b)
{
	json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "sequence")),
		   y = json_integer_value(json_object_get(*(json_t *const *)b, "sequence"));

	return (x > y) - (x < y);
}

/* Puts the loaded ones into target in their old order, keyed by id. Takes the references. */
static void
take_sorted(struct sandbox *sb, json_t **list, size_t count, json_t *target)
{
	if (count > 0)
		qsort(list, count, sizeof(*list), by_sequence);
	for (size_t i = 0; i < count; i++) {
		json_int_t n = json_integer_value(json_object_get(list[i], "sequence"));

		if (n > sb->sequence)
			sb->sequence = n;
		json_object_set_new(target, json_text(list[i], "id"), list[i]);
	}
}

void
keep_remove_folder(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(d), entry->d_name, 0);
	if (d != NULL)
		closedir(d);
	rmdir(path);
}

/* Appends to list the object in path; a file that cannot be read is left where it is. */
static int
take_file(const char *path, json_t ***list, size_t *count, struct bd_err *e)
{
	json_t *one = json_load_file(path, JSON_REJECT_DUPLICATES, NULL), **grown;

	if (json_text(one, "id") == NULL) {
		log_warn("%s is not readable, left out", path);
		json_decref(one);
		return 0;
	}
	if ((grown = realloc(*list, (*count + 1) * sizeof(**list))) == NULL) {
		json_decref(one);
		return bd_fail(e, BD_E_MEMORY, "out of memory");
	}
	*list = grown;
	grown[(*count)++] = one;
	return 0;
}

int
keep_load(struct sandbox *sb, const char *folder, const char *suffix, json_t *target,
	  struct bd_err *e)
{
	char path[PATH_MAX + 300], id[UUID_CHARS];
	const bool folders = suffix[0] == '/';
	json_t **list = NULL;
	struct dirent *entry;
	size_t count = 0;
	int rc = 0;
	DIR *d;

	if (mkdir(folder, 0700) == -1 && errno != EEXIST)
		return bd_fail_errno(e, BD_E_CONFIG, "making %s", folder);
	if ((d = opendir(folder)) == NULL)
		return bd_fail_errno(e, BD_E_CONFIG, "reading %s", folder);
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (folders && strncmp(entry->d_name, ".new-", 5) == 0)
			keep_remove_folder(path);      /* a run ended while writing it */
		memcpy(id, entry->d_name, sizeof(id)); /* d_name holds 256 bytes */
		id[sizeof(id) - 1] = '\0';
		if (!sandbox_is_uuid(id) || strlen(entry->d_name) < 36 ||
		    strcmp(entry->d_name + 36, folders ? "" : suffix) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s%s", folder, id, suffix);
		rc = take_file(path, &list, &count, e);
	}
	closedir(d);
	take_sorted(sb, list, count, target);
	free(list);
	return rc;
}
