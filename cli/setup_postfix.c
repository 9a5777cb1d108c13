/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `brevdue setup postfix`: plans both Postfix instances from brevdue.conf, shows the plan, asks,
 * makes it, or takes it back. Never starts, stops or reloads an instance, and never touches the
 * machine's own Postfix.
 */
#include "config.h"
#include "cli/setup.h"

#include <dirent.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/instance.h"
#include "cli/plan.h"

#define RECORD "brevdue.made" /* in each instance's config folder */
#define MAIL_OWNER "postfix"

struct options {
	bool dry_run, yes, mount, undo;
};

struct side {
	const char *name, *config, *queue, *data;
};

static void
sides(const struct conf *c, struct side out[2])
{
	out[0] = (struct side){ "front", c->postfix.front_config, c->postfix.front_queue,
				c->postfix.front_data };
	out[1] = (struct side){ "sending", c->postfix.send_config, c->postfix.send_queue,
				c->postfix.send_data };
}

static void
path_join(char *out, size_t size, const char *folder, const char *name)
{
	snprintf(out, size, "%s/%s", folder, name);
}

/* What chrooted smtpd and smtp processes read: Debian's start script copies the same. */
static int
plan_chroot_files(struct plan *p, const char *queue, struct bd_err *e)
{
	static const char *const names[] = { "hosts", "localtime", "nsswitch.conf", "resolv.conf",
					     "services" };
	char from[4096], to[4096];
	struct buf content = { 0 };
	int rc = 0;

	path_join(to, sizeof(to), queue, "etc");
	if (plan_dir(p, to, NULL, NULL, 0755, e) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && rc == 0; i++) {
		char chunk[8192];
		size_t n;
		FILE *f;

		path_join(from, sizeof(from), "/etc", names[i]);
		path_join(to, sizeof(to), queue, "etc/");
		strncat(to, names[i], sizeof(to) - strlen(to) - 1);
		if ((f = fopen(from, "re")) == NULL)
			continue; /* a machine without it: nothing to copy */
		buf_clear(&content);
		while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
			if (buf_add(&content, chunk, n) == -1)
				break;
		fclose(f);
		rc = plan_copy(p, to, content.data, content.len, e);
	}
	buf_free(&content);
	return rc;
}

static int
plan_side(struct plan *p, const struct conf *c, const struct side *s,
	  const struct instance_text *text, const struct options *o, struct bd_err *e)
{
	const struct {
		const char *name;
		const struct buf *content;
	} files[] = {
		{ "main.cf", &text->main_cf },     { "master.cf", &text->master_cf },
		{ "transport", &text->transport }, { "refuse", &text->refuse },
		{ "access", &text->access },
	};
	bool front = s->config == c->postfix.front_config;
	char path[4096];

	if (plan_dir(p, s->config, NULL, NULL, 0755, e) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		path_join(path, sizeof(path), s->config, files[i].name);
		if (files[i].content->len == 0)
			continue;
		if (plan_file(p, path, NULL, NULL, 0644, files[i].content->data,
			      files[i].content->len, e) == -1)
			return -1;
	}
	if (plan_tree(p, s->queue, NULL, NULL, 0755, e) == -1 ||
	    (front && o->mount && plan_tmpfs(p, s->queue, c->postfix.front_tmpfs, e) == -1) ||
	    plan_tree(p, s->data, MAIL_OWNER, NULL, 0700, e) == -1 ||
	    plan_chroot_files(p, s->queue, e) == -1)
		return -1;
	if (front) {
		path_join(path, sizeof(path), s->config, INSTANCE_FIFO);
		return plan_fifo(p, path, 0600, e);
	}
	if (c->milter.user != NULL &&
	    plan_group(p, c->postfix.submit_group, c->milter.user, e) == -1)
		return -1;
	if (c->transport.user != NULL &&
	    plan_group(p, c->postfix.submit_group, c->transport.user, e) == -1)
		return -1;
	return 0;
}

static struct plan *
plan_make(const struct conf *c, const struct side *s, const struct options *o, struct bd_err *e)
{
	struct instance_text text = { 0 };
	struct plan *p = NULL;
	char record[4096];
	int rc;

	path_join(record, sizeof(record), s->config, RECORD);
	if ((p = plan_new(record)) == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return NULL;
	}
	rc = s->config == c->postfix.front_config ? instance_front(c, &text, e)
						  : instance_send(c, &text, e);
	if (rc == -1 || plan_side(p, c, s, &text, o, e) == -1)
		plan_free(&p);
	instance_text_clear(&text);
	return p;
}

static bool
agreed(const struct options *o, const char *question)
{
	char answer[16];

	if (o->yes)
		return true;
	printf("%s [y/N] ", question);
	fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) != NULL &&
	       (answer[0] == 'y' || answer[0] == 'Y' || answer[0] == 'j' || answer[0] == 'J');
}

static int
make(const struct conf *c, const struct options *o, struct bd_err *e)
{
	struct plan *plans[2] = { NULL, NULL };
	struct side s[2];
	int changes = 0, rc = -1;

	sides(c, s);
	for (int i = 0; i < 2; i++) {
		int n;

		if ((plans[i] = plan_make(c, &s[i], o, e)) == NULL)
			goto out;
		printf("%s instance (%s)\n", s[i].name, s[i].config);
		if ((n = plan_show(plans[i], stdout, e)) == -1)
			goto out;
		if (n == 0)
			printf("  stands as planned\n");
		changes += n;
	}
	rc = 0;
	if (changes == 0 || o->dry_run)
		goto out;
	if (!agreed(o, "Make these changes?")) {
		printf("nothing was changed\n");
		goto out;
	}
	for (int i = 0; i < 2 && rc == 0; i++)
		rc = plan_apply(plans[i], e);
	if (rc == 0)
		printf("%d changes made. Start, in this order:\n"
		       "  brevdue-lookup, brevdue-transport\n  postfix -c %s start\n"
		       "  brevdue-milter, brevdue logmask\n  postfix -c %s start\n"
		       "An instance that runs already needs: postfix -c DIR reload\n"
		       "%s",
		       changes, s[1].config, s[0].config,
		       o->mount ? "A boot empties the RAM disk: run this again before the front "
				  "instance starts\n"
				: "");
out:
	plan_free(&plans[0]);
	plan_free(&plans[1]);
	return rc;
}

/* Messages that wait in an instance: regular files below its queue folders. */
static int
queue_count(const char *folder, int depth)
{
	struct dirent *entry;
	int count = 0;
	DIR *dir = opendir(folder);

	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		char path[4096];
		struct stat st;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (lstat(path, &st) == -1)
			continue;
		if (S_ISDIR(st.st_mode) && depth > 0)
			count += queue_count(path, depth - 1);
		else if (S_ISREG(st.st_mode))
			count++;
	}
	closedir(dir);
	return count;
}

/* `postfix status` would wait for ever when nobody reads the front's log FIFO, so look ourselves.
 */
static bool
side_runs(const struct side *s)
{
	char path[4096], comm[32] = "";
	FILE *f;
	int pid = 0;

	path_join(path, sizeof(path), s->queue, "pid/master.pid");
	if ((f = fopen(path, "re")) == NULL)
		return false;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (pid <= 0 || (f = fopen(path, "re")) == NULL)
		return false;
	if (fgets(comm, sizeof(comm), f) == NULL)
		comm[0] = '\0';
	fclose(f);
	return strcmp(comm, "master\n") == 0;
}

static int
side_may_go(const struct side *s, struct bd_err *e)
{
	static const char *const queues[] = { "active", "corrupt",  "deferred",
					      "hold",   "incoming", "maildrop" };
	char path[4096];

	for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		int n;

		path_join(path, sizeof(path), s->queue, queues[i]);
		if ((n = queue_count(path, 2)) > 0)
			return bd_fail(e, BD_E_CONFIG,
				       "%d messages wait in the %s instance's queue (%s): deliver "
				       "them first",
				       n, s->name, queues[i]);
	}
	if (side_runs(s))
		return bd_fail(e, BD_E_CONFIG, "the %s instance runs: postfix -c %s stop", s->name,
			       s->config);
	return 0;
}

static int
undo(const struct conf *c, const struct options *o, struct bd_err *e)
{
	struct side s[2];
	char record[2][4096];
	int things = 0;

	sides(c, s);
	for (int i = 0; i < 2; i++) {
		path_join(record[i], sizeof(record[i]), s[i].config, RECORD);
		if (access(record[i], F_OK) == 0 && side_may_go(&s[i], e) == -1)
			return -1;
	}
	for (int i = 0; i < 2; i++) {
		int n;

		printf("%s instance (%s)\n", s[i].name, s[i].config);
		if ((n = plan_undo_show(record[i], stdout, e)) == -1)
			return -1;
		if (n == 0)
			printf("  nothing that brevdue setup made\n");
		things += n;
	}
	if (things == 0 || o->dry_run)
		return 0;
	if (!agreed(o, "Remove these?")) {
		printf("nothing was changed\n");
		return 0;
	}
	if (plan_undo(record[0], e) == -1 || plan_undo(record[1], e) == -1)
		return -1;
	printf("removed\n");
	return 0;
}

int
setup_postfix(struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "dry-run", no_argument, NULL, 'n' },
		{ "yes", no_argument, NULL, 'y' },
		{ "mount", no_argument, NULL, 'm' },
		{ "undo", no_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = { 0 };
	const struct conf *c;
	struct bd_err e = { 0 };
	int opt;

	while ((opt = getopt_long(argc, argv, "nymu", longs, NULL)) != -1) {
		switch (opt) {
		case 'n':
			o.dry_run = true;
			break;
		case 'y':
			o.yes = true;
			break;
		case 'm':
			o.mount = true;
			break;
		case 'u':
			o.undo = true;
			break;
		default:
			return CLI_USAGE;
		}
	}
	if (optind != argc)
		return cli_usage("setup postfix [--dry-run] [--yes] [--mount] [--undo]");
	if ((c = cli_conf(cli)) == NULL)
		return CLI_FAILED;
	if ((o.undo ? undo(c, &o, &e) : make(c, &o, &e)) == -1)
		return cli_fail("setup postfix", &e);
	return CLI_OK;
}
