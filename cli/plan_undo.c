/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of what a plan made, and taking it back: last made, first removed. Removes nothing
 * that the record does not name, except inside the folders recorded as trees.
 */
#include "config.h"
#include "cli/plan_private.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "cli/tool.h"

static const char *const kind_names[] = {
	[PLAN_DIR] = "dir",   [PLAN_TREE] = "tree",   [PLAN_FILE] = "file",   [PLAN_COPY] = "copy",
	[PLAN_FIFO] = "fifo", [PLAN_TMPFS] = "tmpfs", [PLAN_GROUP] = "group",
};
#define KIND_COUNT (sizeof(kind_names) / sizeof(kind_names[0]))

struct record {
	char **lines;
	size_t count;
};

static void
record_clear(struct record *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->lines[i]);
	free(r->lines);
	*r = (struct record){ 0 };
}

/* A record that is not there holds nothing. */
static int
record_read(const char *path, struct record *r, struct bd_err *e)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return errno == ENOENT ? 0 : bd_fail_errno(e, BD_E_CONFIG, "reading %s", path);
	while ((n = getline(&line, &size, f)) > 0) {
		char **lines = realloc(r->lines, (r->count + 1) * sizeof(*lines));

		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (lines == NULL)
			break;
		r->lines = lines;
		if ((r->lines[r->count] = strdup(line)) == NULL)
			break;
		r->count++;
	}
	free(line);
	fclose(f);
	return 0;
}

bool
plan_holds_record(const struct plan *p, const struct plan_item *item)
{
	const char *slash = strrchr(p->record, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - p->record);

	return item->kind <= PLAN_TREE && strlen(item->path) == len &&
	       strncmp(item->path, p->record, len) == 0;
}

static void
item_line(const struct plan_item *item, char *line, size_t size)
{
	if (item->kind == PLAN_GROUP)
		snprintf(line, size, "group %s %s", item->path, item->owner);
	else
		snprintf(line, size, "%s %s", kind_names[item->kind], item->path);
}

int
plan_recorded(const char *record, const struct plan_item *item)
{
	struct record r = { 0 };
	struct bd_err e = { 0 };
	char line[4200];
	int found = 0;

	item_line(item, line, sizeof(line));
	if (record_read(record, &r, &e) == 0)
		for (size_t i = 0; i < r.count && !found; i++)
			found = strcmp(r.lines[i], line) == 0;
	record_clear(&r);
	return found;
}

int
plan_remember(const char *record, const struct plan_item *item, struct bd_err *e)
{
	char line[4200];
	int fd, rc = -1;

	if (plan_recorded(record, item))
		return 0;
	item_line(item, line, sizeof(line));
	fd = open(record, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "writing %s", record);
	if (dprintf(fd, "%s\n", line) < 0 || fsync(fd) == -1)
		bd_fail_errno(e, BD_E_CONFIG, "writing %s", record);
	else
		rc = 0;
	close(fd);
	return rc;
}

static int
tree_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

/* Processes of an instance that was just stopped may sit in it a moment longer. */
static int
unmount(const char *path)
{
	const struct timespec tenth = { 0, 100 * 1000 * 1000 };

	for (int tries = 0; umount2(path, UMOUNT_NOFOLLOW) == -1; tries++) {
		if (errno == EINVAL || errno == ENOENT)
			return 0; /* gone already */
		if (errno != EBUSY || tries == 100)
			return -1;
		nanosleep(&tenth, NULL);
	}
	return 0;
}

/* The operator's own files in it (sasl/smtpd.conf, maps) are not ours to remove. */
static int
folder_remove(const char *path, struct bd_err *e)
{
	if (rmdir(path) == 0 || errno == ENOENT)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return bd_fail_errno(e, BD_E_CONFIG, "removing the folder %s", path);
	fprintf(stderr, "brevdue setup: %s stays, it holds files that brevdue did not make\n",
		path);
	return 0;
}

static int
thing_remove(const char *kind, const char *what, struct bd_err *e)
{
	char name[256], member[256];
	const char *leave[] = { "gpasswd", "-d", member, name, NULL };

	if (strcmp(kind, "tree") == 0) {
		if (nftw(what, tree_unlink, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == -1 &&
		    errno != ENOENT)
			return bd_fail_errno(e, BD_E_CONFIG, "removing %s", what);
	} else if (strcmp(kind, "dir") == 0) {
		return folder_remove(what, e);
	} else if (strcmp(kind, "tmpfs") == 0) {
		if (unmount(what) == -1)
			return bd_fail_errno(e, BD_E_CONFIG, "unmounting %s", what);
	} else if (strcmp(kind, "group") == 0) {
		if (sscanf(what, "%255s %255s", name, member) != 2)
			return bd_fail(e, BD_E_CONFIG, "the record is damaged");
		tool_run(leave, NULL, e); /* the user may be gone: fine */
	} else if (unlink(what) == -1 && errno != ENOENT) {
		return bd_fail_errno(e, BD_E_CONFIG, "removing %s", what);
	}
	return 0;
}

static int
line_split(char *line, const char **kind_r, const char **what_r, struct bd_err *e)
{
	char *space = strchr(line, ' ');

	if (space != NULL) {
		*space = '\0';
		for (size_t k = 0; k < KIND_COUNT; k++) {
			if (strcmp(line, kind_names[k]) != 0)
				continue;
			*kind_r = line;
			*what_r = space + 1;
			return 0;
		}
	}
	return bd_fail(e, BD_E_CONFIG, "the record holds a line it cannot hold: %s", line);
}

/* out set: only tells. */
static int
undo(const char *record, FILE *out, struct bd_err *e)
{
	struct record r = { 0 };
	const char *kind = NULL, *what = NULL, *slash = strrchr(record, '/');
	int rc = -1;

	if (record_read(record, &r, e) == -1)
		return -1;
	for (size_t i = r.count; i-- > 0;) {
		if (line_split(r.lines[i], &kind, &what, e) == -1)
			goto out;
		if (out != NULL) {
			fprintf(out, "- %-6s %s\n", kind, what);
			continue;
		}
		/* The record goes before the folder it lies in, which is removed last. */
		if (slash != NULL && strlen(what) == (size_t)(slash - record) &&
		    strncmp(what, record, strlen(what)) == 0)
			unlink(record);
		if (thing_remove(kind, what, e) == -1)
			goto out;
	}
	if (out == NULL)
		unlink(record);
	rc = (int)r.count;
out:
	record_clear(&r);
	return rc;
}

int
plan_undo_show(const char *record, FILE *out, struct bd_err *e)
{
	return undo(record, out, e);
}

int
plan_undo(const char *record, struct bd_err *e)
{
	return undo(record, NULL, e) == -1 ? -1 : 0;
}
