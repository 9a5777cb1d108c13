/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows and makes the changes of a plan. Knows nothing of Postfix or keys, asks no questions, and
 * overwrites nothing that it did not make itself.
 */
#include "config.h"
#include "cli/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cli/plan_private.h"
#include "cli/tool.h"

struct plan *
plan_new(const char *record)
{
	struct plan *p = calloc(1, sizeof(*p));

	if (p != NULL && (p->record = strdup(record)) == NULL) {
		free(p);
		p = NULL;
	}
	return p;
}

void
plan_free(struct plan **pp)
{
	struct plan *p = *pp;

	if (p == NULL)
		return;
	for (size_t i = 0; i < p->count; i++) {
		free(p->items[i].path);
		free(p->items[i].owner);
		free(p->items[i].group);
		buf_free(&p->items[i].content);
	}
	free(p->items);
	free(p->record);
	free(p);
	*pp = NULL;
}

static struct plan_item *
item_add(struct plan *p, enum plan_kind kind, const char *path, const char *owner,
	 const char *group, mode_t mode, struct bd_err *e)
{
	struct plan_item *items, *item;

	items = realloc(p->items, (p->count + 1) * sizeof(*items));
	if (items == NULL)
		goto nomem;
	p->items = items;
	item = &items[p->count];
	*item = (struct plan_item){ .kind = kind, .mode = mode };
	p->count++;
	if ((item->path = strdup(path)) == NULL ||
	    (item->owner = strdup(owner == NULL ? "root" : owner)) == NULL ||
	    (item->group = strdup(group == NULL ? "root" : group)) == NULL)
		goto nomem;
	return item;
nomem:
	bd_fail(e, BD_E_MEMORY, "out of memory");
	return NULL;
}

int
plan_dir(struct plan *p, const char *path, const char *owner, const char *group, mode_t mode,
	 struct bd_err *e)
{
	return item_add(p, PLAN_DIR, path, owner, group, mode, e) == NULL ? -1 : 0;
}

int
plan_tree(struct plan *p, const char *path, const char *owner, const char *group, mode_t mode,
	  struct bd_err *e)
{
	return item_add(p, PLAN_TREE, path, owner, group, mode, e) == NULL ? -1 : 0;
}

int
plan_file(struct plan *p, const char *path, const char *owner, const char *group, mode_t mode,
	  const void *data, size_t len, struct bd_err *e)
{
	struct plan_item *item = item_add(p, PLAN_FILE, path, owner, group, mode, e);

	if (item == NULL)
		return -1;
	if (buf_add(&item->content, data, len) == -1)
		return bd_fail(e, BD_E_MEMORY, "out of memory");
	return 0;
}

int
plan_copy(struct plan *p, const char *path, const void *data, size_t len, struct bd_err *e)
{
	struct plan_item *item = item_add(p, PLAN_COPY, path, NULL, NULL, 0644, e);

	if (item == NULL)
		return -1;
	if (buf_add(&item->content, data, len) == -1)
		return bd_fail(e, BD_E_MEMORY, "out of memory");
	return 0;
}

int
plan_fifo(struct plan *p, const char *path, mode_t mode, struct bd_err *e)
{
	return item_add(p, PLAN_FIFO, path, NULL, NULL, mode, e) == NULL ? -1 : 0;
}

int
plan_tmpfs(struct plan *p, const char *path, size_t size_bytes, struct bd_err *e)
{
	struct plan_item *item = item_add(p, PLAN_TMPFS, path, NULL, NULL, 0755, e);

	if (item == NULL)
		return -1;
	item->size_bytes = size_bytes;
	return 0;
}

int
plan_group(struct plan *p, const char *group, const char *member, struct bd_err *e)
{
	return item_add(p, PLAN_GROUP, group, member, NULL, 0, e) == NULL ? -1 : 0;
}

bool
plan_is_tmpfs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

/* A tmpfs of its own, not only a folder somewhere on one (/tmp often is one). */
static bool
is_tmpfs_mount(const char *path)
{
	struct stat here, up;
	char parent[4096];

	snprintf(parent, sizeof(parent), "%s/..", path);
	return plan_is_tmpfs(path) && stat(path, &here) == 0 && stat(parent, &up) == 0 &&
	       here.st_dev != up.st_dev;
}

static bool
group_has(const char *group, const char *member)
{
	struct group *g = getgrnam(group);

	if (g == NULL)
		return false;
	for (char **m = g->gr_mem; *m != NULL; m++)
		if (strcmp(*m, member) == 0)
			return true;
	return false;
}

/* The file's content, or -1 with errno. */
static int
file_content(const char *path, struct buf *content)
{
	char chunk[8192];
	size_t n;
	FILE *f = fopen(path, "re");
	int rc = -1;

	if (f == NULL)
		return -1;
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		if (buf_add(content, chunk, n) == -1)
			goto out;
	if (!ferror(f))
		rc = 0;
out:
	fclose(f);
	return rc;
}

/* Does the item stand as planned? Sets exists for files that are there with other content. */
static bool
item_stands(const struct plan_item *item, bool *exists)
{
	struct stat st;
	struct buf now = { 0 };
	bool same;

	*exists = false;
	if (item->kind == PLAN_GROUP)
		return group_has(item->path, item->owner);
	if (item->kind == PLAN_TMPFS)
		return is_tmpfs_mount(item->path);
	if (lstat(item->path, &st) == -1)
		return false;
	*exists = true;
	switch (item->kind) {
	case PLAN_DIR:
	case PLAN_TREE:
		return S_ISDIR(st.st_mode);
	case PLAN_FIFO:
		return S_ISFIFO(st.st_mode);
	default:
		same = S_ISREG(st.st_mode) && file_content(item->path, &now) == 0 &&
		       now.len == item->content.len &&
		       (now.len == 0 || memcmp(now.data, item->content.data, now.len) == 0);
		buf_free(&now);
		return same;
	}
}

static void
show_file(const struct plan_item *item, bool exists, FILE *out)
{
	const char *at = buf_str(&item->content), *end;

	if (exists) {
		const char *diff[] = { "diff",       "-u",       "--label", item->path, "--label",
				       "as planned", item->path, "-",       NULL };

		fflush(out);
		tool_feed(diff, item->content.data, item->content.len, out);
		return;
	}
	fprintf(out, "+ file      %s (%s:%s, %04o)\n", item->path, item->owner, item->group,
		(unsigned)item->mode);
	for (; *at != '\0'; at = *end == '\0' ? end : end + 1) {
		end = strchrnul(at, '\n');
		fprintf(out, "  | %.*s\n", (int)(end - at), at);
	}
}

static void
item_show(const struct plan_item *item, bool exists, FILE *out)
{
	switch (item->kind) {
	case PLAN_DIR:
	case PLAN_TREE:
		fprintf(out, "+ folder    %s (%s:%s, %04o)\n", item->path, item->owner, item->group,
			(unsigned)item->mode);
		break;
	case PLAN_FILE:
		show_file(item, exists, out);
		break;
	case PLAN_COPY:
		fprintf(out, "+ copy      %s (of the system's, for chrooted processes)\n",
			item->path);
		break;
	case PLAN_FIFO:
		fprintf(out, "+ FIFO      %s (%s:%s, %04o)\n", item->path, item->owner, item->group,
			(unsigned)item->mode);
		break;
	case PLAN_TMPFS:
		fprintf(out, "+ RAM disk  %s (tmpfs, %zu MB at most)\n", item->path,
			item->size_bytes >> 20);
		break;
	case PLAN_GROUP:
		fprintf(out, "+ group     %s with member %s\n", item->path, item->owner);
		break;
	}
}

int
plan_show(struct plan *p, FILE *out, struct bd_err *e)
{
	int changes = 0;

	for (size_t i = 0; i < p->count; i++) {
		const struct plan_item *item = &p->items[i];
		bool exists;

		if (item_stands(item, &exists))
			continue;
		if (exists && item->kind == PLAN_FILE && plan_recorded(p->record, item) == 0)
			return bd_fail(
			    e, BD_E_CONFIG,
			    "%s exists and was not made by brevdue setup: move it away or "
			    "configure another folder",
			    item->path);
		if (exists && item->kind != PLAN_FILE && item->kind != PLAN_COPY)
			return bd_fail(e, BD_E_CONFIG, "%s exists and is something else",
				       item->path);
		changes++;
		if (out != NULL)
			item_show(item, exists, out);
	}
	return changes;
}

static int
own(const struct plan_item *item, const char *path, struct bd_err *e)
{
	const struct passwd *user = getpwnam(item->owner);
	const struct group *group = getgrnam(item->group);

	if (user == NULL)
		return bd_fail(e, BD_E_CONFIG, "there is no user %s", item->owner);
	if (group == NULL)
		return bd_fail(e, BD_E_CONFIG, "there is no group %s", item->group);
	if (geteuid() == 0 && lchown(path, user->pw_uid, group->gr_gid) == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "changing the owner of %s", path);
	if (chmod(path, item->mode) == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "changing the mode of %s", path);
	return 0;
}

/* Written beside the file, made durable, then moved over it. */
static int
file_make(const struct plan_item *item, struct bd_err *e)
{
	char path[4096];
	FILE *f;
	int fd;

	snprintf(path, sizeof(path), "%s.new", item->path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1 || (f = fdopen(fd, "w")) == NULL) {
		if (fd != -1)
			close(fd);
		return bd_fail_errno(e, BD_E_CONFIG, "writing %s", path);
	}
	fwrite(item->content.data, 1, item->content.len, f);
	if (fflush(f) != 0 || fsync(fd) == -1 || ferror(f)) {
		bd_fail_errno(e, BD_E_CONFIG, "writing %s", path);
		fclose(f);
		return -1;
	}
	fclose(f);
	if (own(item, path, e) == -1)
		return -1;
	if (rename(path, item->path) == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "writing %s", item->path);
	return 0;
}

static int
group_make(const struct plan_item *item, struct bd_err *e)
{
	const char *add[] = { "groupadd", "--system", item->path, NULL };
	const char *member[] = { "gpasswd", "-a", item->owner, item->path, NULL };

	if (getgrnam(item->path) == NULL && tool_run(add, NULL, e) == -1)
		return -1;
	return tool_run(member, NULL, e);
}

static int
tmpfs_make(const struct plan_item *item, struct bd_err *e)
{
	char options[64];

	snprintf(options, sizeof(options), "size=%zu,mode=%04o", item->size_bytes,
		 (unsigned)item->mode);
	if (mount("brevdue", item->path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "mounting a tmpfs on %s", item->path);
	return 0;
}

static int
item_make(const struct plan_item *item, struct bd_err *e)
{
	switch (item->kind) {
	case PLAN_DIR:
	case PLAN_TREE:
		if (mkdir(item->path, 0700) == -1)
			return bd_fail_errno(e, BD_E_CONFIG, "making the folder %s", item->path);
		return own(item, item->path, e);
	case PLAN_FILE:
	case PLAN_COPY:
		return file_make(item, e);
	case PLAN_FIFO:
		if (mkfifo(item->path, 0600) == -1)
			return bd_fail_errno(e, BD_E_CONFIG, "making the FIFO %s", item->path);
		return own(item, item->path, e);
	case PLAN_TMPFS:
		return tmpfs_make(item, e);
	case PLAN_GROUP:
		return group_make(item, e);
	}
	return 0;
}

int
plan_apply(struct plan *p, struct bd_err *e)
{
	if (plan_show(p, NULL, e) == -1)
		return -1;
	for (size_t i = 0; i < p->count; i++) {
		const struct plan_item *item = &p->items[i];
		bool exists;

		if (item_stands(item, &exists))
			continue;
		/* The record's own folder is the one thing that must be made before it can be
		 * recorded. */
		if (plan_holds_record(p, item)) {
			if (item_make(item, e) == -1 || plan_remember(p->record, item, e) == -1)
				return -1;
			continue;
		}
		if (plan_remember(p->record, item, e) == -1 || item_make(item, e) == -1)
			return -1;
	}
	return 0;
}
