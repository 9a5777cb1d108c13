/* SPDX-License-Identifier: Apache-2.0 */
/* What `brevdue check` asks of the ways between the processes. It runs as root, for whom every door
 * is open: modes and groups say what the daemons' users will find. */
#include "config.h"
#include "cli/check.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#define GROUPS_MAX 64
#define MAY_WRITE 2 /* to connect to a socket */
#define MAY_EXECUTE 1

struct who {
	const char *name;
	uid_t uid;
	gid_t groups[GROUPS_MAX];
	int count;
};

/* false: there is no such user, which another row says */
static bool
who_is(const char *name, struct who *who_r)
{
	const struct passwd *pw = name != NULL ? getpwnam(name) : NULL;

	if (pw == NULL)
		return false;
	*who_r = (struct who){ .name = name, .uid = pw->pw_uid, .count = GROUPS_MAX };
	return getgrouplist(name, pw->pw_gid, who_r->groups, &who_r->count) != -1;
}

static bool
may(const struct who *w, const struct stat *st, mode_t bit)
{
	if (w->uid == 0)
		return true;
	if (st->st_uid == w->uid)
		return (st->st_mode & bit << 6) != 0;
	for (int i = 0; i < w->count; i++)
		if (w->groups[i] == st->st_gid)
			return (st->st_mode & bit << 3) != 0;
	return (st->st_mode & bit) != 0;
}

/* Every folder down to path, then path itself. One that is not there is another row's business. */
static bool
way(struct check *k, const char *user, const char *path, mode_t bit)
{
	char part[4096];
	struct stat st;
	struct who w;

	if (path == NULL || strlen(path) >= sizeof(part) || !who_is(user, &w))
		return true;
	for (const char *end = path; end != NULL;) {
		end = strchr(end + 1, '/');
		memcpy(part, path, end != NULL ? (size_t)(end - path) : strlen(path) + 1);
		if (end != NULL)
			part[end - path] = '\0';
		if (stat(part, &st) == -1)
			return true;
		if (!may(&w, &st, end != NULL ? MAY_EXECUTE : bit))
			return check_says(
			    k, "user %s cannot use %s: %s is closed to it (mode %04o)", user, path,
			    end != NULL ? part : "the file itself", (unsigned)st.st_mode & 07777);
	}
	return true;
}

static bool
ways(struct check *k)
{
	const struct conf *c = k->conf;

	return way(k, c->milter.user, c->milter.reader, MAY_EXECUTE) &&
	       way(k, c->milter.user, c->lookup.socket, MAY_WRITE) &&
	       way(k, c->transport.user, c->lookup.socket, MAY_WRITE) &&
	       way(k, c->milter.user, c->milter.submit_seal, MAY_WRITE) &&
	       way(k, c->milter.user, c->milter.submit_mail, MAY_WRITE) &&
	       way(k, c->transport.user, c->transport.report_service, MAY_WRITE) &&
	       way(k, "postfix", c->milter.socket, MAY_WRITE) &&
	       way(k, "postfix", c->transport.socket, MAY_WRITE);
}

const struct check_row check_way_rows[] = {
	{ "ways between the processes", CHECK_WRONG, ways, false },
	{ NULL, CHECK_WRONG, NULL, false },
};
