/* SPDX-License-Identifier: Apache-2.0 */
/* The store on a real Berkeley DB environment in a temporary folder, with real kills. */
#include "config.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/kv.h"

static const char *const tables[] = { "one", "two", NULL };
static char home[64];

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
setup(void **state)
{
	(void)state;
	snprintf(home, sizeof(home), "/tmp/test_kv.XXXXXX");
	return mkdtemp(home) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	return nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct kv *
open_kv(void)
{
	struct bd_err e = { 0 };
	struct kv *kv = kv_open(home, tables, &e);

	if (kv == NULL)
		print_message("%s\n", e.cause);
	assert_non_null(kv);
	return kv;
}

struct item {
	const char *table;
	const char *key;
	size_t key_len;
	const void *value;
	size_t value_len;
	bool fail; /* the body fails after it */
};

static int
put_items(struct kv_txn *t, void *arg, struct bd_err *e)
{
	for (const struct item *i = arg; i->table != NULL; i++) {
		if (kv_put(t, i->table, i->key, i->key_len, i->value, i->value_len, e) != KV_OK)
			return -1;
		if (i->fail)
			return bd_fail(e, BD_E_CONTENT, "on purpose");
	}
	return 0;
}

static void
put(struct kv *kv, const char *table, const char *key, const void *value, size_t len)
{
	struct item items[] = { { table, key, strlen(key), value, len, false }, { 0 } };
	struct bd_err e = { 0 };

	assert_int_equal(kv_transact(kv, put_items, items, &e), 0);
}

static bool
has(struct kv *kv, const char *table, const char *key, const void *value, size_t len)
{
	struct buf b = { 0 };
	struct bd_err e = { 0 };
	enum kv_result r = kv_get(kv, NULL, table, key, strlen(key), &b, &e);
	bool same;

	assert_int_not_equal(r, KV_ERROR);
	same = r == KV_OK && b.len == len && (len == 0 || memcmp(b.data, value, len) == 0);
	buf_free(&b);
	return same;
}

static void
test_values_come_back(void **state)
{
	static unsigned char big[100000];
	struct kv *kv = open_kv();
	struct item nul[] = { { "one", "a\0b", 3, "x\0y", 3, false }, { 0 } };
	struct buf b = { 0 };
	struct bd_err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (unsigned char)(i * 7);
	put(kv, "one", "small", "v", 1);
	put(kv, "one", "empty", "", 0);
	put(kv, "one", "big", big, sizeof(big));
	put(kv, "two", "small", "other", 5);
	assert_int_equal(kv_transact(kv, put_items, nul, &e), 0);
	kv_close(&kv);
	assert_null(kv);
	kv = open_kv();
	assert_true(has(kv, "one", "small", "v", 1));
	assert_true(has(kv, "one", "empty", "", 0));
	assert_true(has(kv, "one", "big", big, sizeof(big)));
	assert_true(has(kv, "two", "small", "other", 5));
	assert_int_equal(kv_get(kv, NULL, "one", "a\0b", 3, &b, &e), KV_OK);
	assert_memory_equal(b.data, "x\0y", 3);
	assert_int_equal(kv_get(kv, NULL, "one", "a", 1, &b, &e), KV_NOT_FOUND);
	assert_int_equal(b.len, 0);
	put(kv, "one", "small", "w", 1);
	assert_true(has(kv, "one", "small", "w", 1));
	assert_int_equal(kv_get(kv, NULL, "three", "a", 1, &b, &e), KV_ERROR);
	buf_free(&b);
	kv_close(&kv);
}

static int
add_and_delete(struct kv_txn *t, void *arg, struct bd_err *e)
{
	(void)arg;
	assert_int_equal(kv_add(t, "one", "k", 1, "1", 1, e), KV_OK);
	assert_int_equal(kv_add(t, "one", "k", 1, "2", 1, e), KV_EXISTS);
	assert_int_equal(kv_del(t, "one", "k", 1, e), KV_OK);
	assert_int_equal(kv_del(t, "one", "k", 1, e), KV_NOT_FOUND);
	assert_int_equal(kv_add(t, "one", "k", 1, "3", 1, e), KV_OK);
	return 0;
}

static void
test_add_and_delete(void **state)
{
	struct kv *kv = open_kv();
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(kv_transact(kv, add_and_delete, NULL, &e), 0);
	assert_true(has(kv, "one", "k", "3", 1));
	kv_close(&kv);
}

static void
test_lazy_commits_last_with_the_next(void **state)
{
	struct kv *kv = open_kv();
	struct item items[] = { { "one", "lazy", 4, "1", 1, false }, { 0 } };
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(kv_transact_lazy(kv, put_items, items, &e), 0);
	assert_true(has(kv, "one", "lazy", "1", 1));
	put(kv, "two", "synced", "1", 1);
	kv_close(&kv);
	kv = open_kv();
	assert_true(has(kv, "one", "lazy", "1", 1));
	kv_close(&kv);
}

static void
test_failed_body_leaves_nothing(void **state)
{
	struct kv *kv = open_kv();
	struct item items[] = { { "one", "a", 1, "1", 1, false },
				{ "two", "b", 1, "1", 1, true },
				{ 0 } };
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(kv_transact(kv, put_items, items, &e), -1);
	assert_int_equal(e.kind, BD_E_CONTENT);
	assert_false(has(kv, "one", "a", "1", 1));
	assert_false(has(kv, "two", "b", "1", 1));
	kv_close(&kv);
}

struct collected {
	char text[256];
	size_t rows;
	size_t stop_at;
	struct kv_txn *delete_in;
};

static int
collect(void *arg, const void *key, size_t key_len, const void *value, size_t value_len)
{
	struct collected *c = arg;
	struct bd_err e = { 0 };
	size_t len = strlen(c->text);

	snprintf(c->text + len, sizeof(c->text) - len, "%.*s=%.*s ", (int)key_len,
		 (const char *)key, (int)value_len, (const char *)value);
	if (c->delete_in != NULL)
		assert_int_equal(kv_del(c->delete_in, "one", key, key_len, &e), KV_OK);
	return ++c->rows == c->stop_at ? 7 : 0;
}

static const struct {
	const char *name;
	const char *from, *prefix;
	size_t stop_at;
	int rc;
	const char *rows;
} scans[] = {
	{ "all", "", "", 0, 0, "\x01=1 a=1 b:1=1 b:2=2 b:3=3 c=1 \xff=1 " },
	{ "prefix", "", "b:", 0, 0, "b:1=1 b:2=2 b:3=3 " },
	{ "prefix, from inside", "b:2", "b:", 0, 0, "b:2=2 b:3=3 " },
	{ "from between keys", "b:11", "b:", 0, 0, "b:2=2 b:3=3 " },
	{ "from before the prefix", "a", "b:", 0, 0, "b:1=1 b:2=2 b:3=3 " },
	{ "from behind the prefix", "c", "b:", 0, 0, "" },
	{ "from, no prefix", "c", "", 0, 0, "c=1 \xff=1 " },
	{ "no such prefix", "", "bb", 0, 0, "" },
	{ "stopped", "", "b:", 2, 7, "b:1=1 b:2=2 " },
	{ "prefix is a key", "", "a", 0, 0, "a=1 " },
};

static void
test_scans(void **state)
{
	static const char *const keys[] = { "c", "b:3", "\xff", "a", "b:1", "\x01", "b:2" };
	struct kv *kv = open_kv();
	struct bd_err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		put(kv, "one", keys[i], strlen(keys[i]) == 3 ? keys[i] + 2 : "1", 1);
	for (size_t i = 0; i < sizeof(scans) / sizeof(scans[0]); i++) {
		struct collected c = { .stop_at = scans[i].stop_at };

		print_message("  %s\n", scans[i].name);
		assert_int_equal(kv_scan(kv, NULL, "one", scans[i].from, strlen(scans[i].from),
					 scans[i].prefix, strlen(scans[i].prefix), collect, &c, &e),
				 scans[i].rc);
		assert_string_equal(c.text, scans[i].rows);
	}
	kv_close(&kv);
}

static int
put_many(struct kv_txn *t, void *arg, struct bd_err *e)
{
	for (int i = *(int *)arg; i < *(int *)arg + 1000; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%06d", i);
		if (kv_put(t, "one", key, 6, key, 6, e) != KV_OK)
			return -1;
	}
	return 0;
}

static int
in_order(void *arg, const void *key, size_t key_len, const void *value, size_t value_len)
{
	int *next = arg;
	char expected[16];

	snprintf(expected, sizeof(expected), "%06d", (*next)++);
	assert_int_equal(key_len, 6);
	assert_int_equal(value_len, 6);
	assert_memory_equal(key, expected, 6);
	assert_memory_equal(value, expected, 6);
	return 0;
}

struct wipe {
	struct kv *kv;
	size_t rows;
};

static int
delete_scanned(struct kv_txn *t, void *arg, struct bd_err *e)
{
	struct wipe *w = arg;
	struct collected c = { .delete_in = t };
	int rc = kv_scan(w->kv, t, "one", NULL, 0, "001", 3, collect, &c, e);

	w->rows = c.rows;
	return rc;
}

static void
test_scan_over_many_batches(void **state)
{
	struct kv *kv = open_kv();
	struct bd_err e = { 0 };
	struct wipe w = { .kv = kv };
	int next = 0;

	(void)state;
	for (int i = 0; i < 5000; i += 1000)
		assert_int_equal(kv_transact(kv, put_many, &i, &e), 0);
	assert_int_equal(kv_scan(kv, NULL, "one", NULL, 0, NULL, 0, in_order, &next, &e), 0);
	assert_int_equal(next, 5000);
	assert_int_equal(kv_transact(kv, delete_scanned, &w, &e), 0);
	assert_int_equal(w.rows, 1000);
	next = 2000;
	assert_int_equal(kv_scan(kv, NULL, "one", "001", 3, NULL, 0, in_order, &next, &e), 0);
	assert_int_equal(next, 5000);
	kv_close(&kv);
}

/* Runs what in a child; its exit status, or minus the signal. */
static int
in_child(int (*what)(void))
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (pid == 0)
		_exit(what());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int
open_refused(void)
{
	struct bd_err e = { 0 };

	return kv_open(home, tables, &e) == NULL && e.kind == BD_E_BUSY &&
		       strstr(e.cause, "in use by another process") != NULL
		   ? 0
		   : 1;
}

static void
test_one_owner(void **state)
{
	struct kv *kv = open_kv();

	(void)state;
	assert_int_equal(open_refused(), 0);
	assert_int_equal(in_child(open_refused), 0);
	put(kv, "one", "a", "1", 1); /* the owner was not disturbed */
	kv_close(&kv);
	kv = open_kv();
	assert_true(has(kv, "one", "a", "1", 1));
	kv_close(&kv);
}

static void
expect_refused(const char *dir, const char *words)
{
	struct bd_err e = { 0 };

	assert_null(kv_open(dir, tables, &e));
	assert_int_equal(e.kind, BD_E_CONFIG);
	assert_non_null(strstr(e.cause, words));
}

static void
test_unsafe_homes_are_refused(void **state)
{
	char path[128];
	int fd;

	(void)state;
	expect_refused("tmp", "not an absolute path");
	expect_refused("/nonexistent/deeper", "No such file");
	assert_int_equal(chmod(home, 0750), 0);
	expect_refused(home, "must be 0700");
	assert_int_equal(chmod(home, 0700), 0);
	snprintf(path, sizeof(path), "%s/link", home);
	assert_int_equal(symlink(home, path), 0);
	expect_refused(path, "not a folder");
	snprintf(path, sizeof(path), "%s/DB_CONFIG", home);
	assert_int_not_equal(fd = open(path, O_CREAT | O_WRONLY, 0600), -1);
	close(fd);
	expect_refused(home, "must not exist");
	if (geteuid() == 0) {
		assert_int_equal(unlink(path), 0);
		assert_int_equal(chown(home, 1, 1), 0);
		expect_refused(home, "belongs to uid 1");
	}
}

/* Commits rounds of three keys for ever, telling each committed round through fd. */
static void
commit_for_ever(int fd)
{
	struct bd_err e = { 0 };
	struct kv *kv = kv_open(home, tables, &e);
	struct buf last = { 0 };
	uint32_t n = 0;

	if (kv == NULL)
		_exit(2);
	if (kv_get(kv, NULL, "one", "last", 4, &last, &e) == KV_OK)
		memcpy(&n, last.data, sizeof(n));
	for (;;) {
		char a[16], b[16];
		struct item items[] = { { "one", a, 0, "1", 1, false },
					{ "two", b, 0, "1", 1, false },
					{ "one", "last", 4, &n, sizeof(n), false },
					{ 0 } };

		n++;
		items[0].key_len = (size_t)snprintf(a, sizeof(a), "a%08u", n);
		items[1].key_len = (size_t)snprintf(b, sizeof(b), "b%08u", n);
		if (kv_transact(kv, put_items, items, &e) != 0 ||
		    write(fd, &n, sizeof(n)) != sizeof(n))
			_exit(3);
	}
}

static void
check_rounds(uint32_t acknowledged)
{
	struct kv *kv = open_kv();
	struct buf last = { 0 };
	struct bd_err e = { 0 };
	uint32_t n = 0;

	if (acknowledged > 0)
		assert_int_equal(kv_get(kv, NULL, "one", "last", 4, &last, &e), KV_OK);
	if (last.len == sizeof(n))
		memcpy(&n, last.data, sizeof(n));
	assert_true(n >= acknowledged);
	for (uint32_t i = 1; i <= n + 1; i++) {
		char a[16], b[16];

		snprintf(a, sizeof(a), "a%08u", i);
		snprintf(b, sizeof(b), "b%08u", i);
		/* all of a round up to the last, nothing of the next */
		assert_int_equal(has(kv, "one", a, "1", 1), i <= n);
		assert_int_equal(has(kv, "two", b, "1", 1), i <= n);
	}
	buf_free(&last);
	kv_close(&kv);
}

static void
test_kill_loses_no_commit_and_leaves_no_half(void **state)
{
	uint32_t acknowledged = 0;

	(void)state;
	for (int round = 0; round < 8; round++) {
		int fds[2], status;
		uint32_t n;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		if ((pid = fork()) == 0) {
			close(fds[0]);
			commit_for_ever(fds[1]);
		}
		close(fds[1]);
		for (int i = 0; i < 3 + 40 * round; i++) {
			assert_int_equal(read(fds[0], &n, sizeof(n)), sizeof(n));
			acknowledged = n;
		}
		kill(pid, SIGKILL);
		while (read(fds[0], &n, sizeof(n)) == sizeof(n))
			acknowledged = n; /* told before the kill arrived */
		close(fds[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		check_rounds(acknowledged);
	}
}

struct crossing {
	struct kv *kv;
	pthread_barrier_t *barrier;
	const char *first, *second;
	int attempts;
	int rc;
};

static int
take_both(struct kv_txn *t, void *arg, struct bd_err *e)
{
	struct crossing *c = arg;
	char value = c->first[0];

	c->attempts++;
	if (kv_put(t, "one", c->first, 1, &value, 1, e) != KV_OK)
		return -1;
	if (c->attempts == 1) /* now each holds what the other wants */
		pthread_barrier_wait(c->barrier);
	return kv_put(t, "two", c->second, 1, &value, 1, e) == KV_OK &&
		       kv_put(t, "one", c->second, 1, &value, 1, e) == KV_OK
		   ? 0
		   : -1;
}

static void *
crossing_run(void *arg)
{
	struct crossing *c = arg;
	struct bd_err e = { 0 };

	c->rc = kv_transact(c->kv, take_both, c, &e);
	return NULL;
}

static int
put_far_apart(struct kv_txn *t, void *arg, struct bd_err *e)
{
	static char filler[800];

	(void)arg;
	/* a and b on pages of their own, so that the first puts do not wait for each other */
	for (int i = 0; i < 40; i++) {
		char key[8];

		snprintf(key, sizeof(key), "a%02d", i);
		if (kv_put(t, "one", key, 3, filler, sizeof(filler), e) != KV_OK)
			return -1;
	}
	return kv_put(t, "one", "a", 1, "-", 1, e) == KV_OK &&
		       kv_put(t, "one", "b", 1, "-", 1, e) == KV_OK
		   ? 0
		   : -1;
}

static void
test_deadlocked_transactions_both_finish(void **state)
{
	struct kv *kv = open_kv();
	pthread_barrier_t barrier;
	pthread_t threads[2];
	struct crossing c[2] = {
		{ .kv = kv, .barrier = &barrier, .first = "a", .second = "b" },
		{ .kv = kv, .barrier = &barrier, .first = "b", .second = "a" },
	};
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(kv_transact(kv, put_far_apart, NULL, &e), 0);
	pthread_barrier_init(&barrier, NULL, 2);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, crossing_run, &c[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(c[0].rc, 0);
	assert_int_equal(c[1].rc, 0);
	assert_true(c[0].attempts + c[1].attempts > 2); /* there was a deadlock */
	/* the later one wrote both */
	assert_true(has(kv, "one", "a", "a", 1) == has(kv, "one", "b", "a", 1));
	pthread_barrier_destroy(&barrier);
	kv_close(&kv);
}

static size_t
count_logs(void)
{
	DIR *d = opendir(home);
	struct dirent *entry;
	size_t n = 0;

	assert_non_null(d);
	while ((entry = readdir(d)) != NULL)
		n += strncmp(entry->d_name, "log.", 4) == 0;
	closedir(d);
	return n;
}

static void
test_old_logs_are_removed(void **state)
{
	static char value[200000];
	struct kv *kv = open_kv();
	struct bd_err e = { 0 };

	(void)state;
	for (int i = 0; i < 200; i++)
		put(kv, "one", "same", value, sizeof(value));
	assert_int_equal(kv_checkpoint(kv, &e), 0);
	assert_true(count_logs() <= 2);
	kv_close(&kv);
}

/* A damaged page must end the process or give an error, never data. */
static int
read_damaged(void)
{
	struct bd_err e = { 0 };
	struct kv *kv = kv_open(home, tables, &e);
	struct buf b = { 0 };

	if (kv == NULL)
		return 0;
	for (int i = 0; i < 5000; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%06d", i);
		switch (kv_get(kv, NULL, "one", key, 6, &b, &e)) {
		case KV_OK:
			if (b.len != 6 || memcmp(b.data, key, 6) != 0)
				return 1;
			break;
		case KV_ERROR:
			return 0;
		default:
			return 1;
		}
	}
	return 2; /* not noticed */
}

static void
test_damage_is_noticed(void **state)
{
	struct kv *kv = open_kv();
	struct bd_err e = { 0 };
	char path[128];
	int fd, status;

	(void)state;
	for (int i = 0; i < 5000; i += 1000)
		assert_int_equal(kv_transact(kv, put_many, &i, &e), 0);
	kv_close(&kv);
	snprintf(path, sizeof(path), "%s/one.db", home);
	assert_int_not_equal(fd = open(path, O_WRONLY), -1);
	assert_int_equal(pwrite(fd, "garbage", 7, 5 * 4096 + 2000), 7);
	close(fd);
	status = in_child(read_damaged);
	assert_true(status == 0 || status == 75);
}

static int
fill_disk(void)
{
	static char value[60000];
	struct bd_err e = { 0 };
	struct kv *kv;
	int n = 0;

	if (unshare(CLONE_NEWNS) == -1 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("none", home, "tmpfs", 0, "size=120m,mode=0700") == -1)
		return 77;
	if ((kv = kv_open(home, tables, &e)) == NULL)
		return 1;
	for (;; n++) {
		char key[16];
		struct item items[] = { { "one", key, 0, value, sizeof(value), false }, { 0 } };

		items[0].key_len = (size_t)snprintf(key, sizeof(key), "%06d", n);
		if (kv_transact(kv, put_items, items, &e) == -1)
			break;
		if (n > 10000)
			return 2;
	}
	if (e.kind != BD_E_STORE_FULL)
		return 3;
	if (!has(kv, "one", "000000", value, sizeof(value))) /* it still answers */
		return 4;
	kv_close(&kv);
	return (kv = kv_open(home, tables, &e)) != NULL ? 0 : 5;
}

static void
test_full_disk(void **state)
{
	int status = in_child(fill_disk);

	(void)state;
	if (status == 77) {
		print_message(
		    "  skipped: it needs a small file system, and nothing may be mounted here\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void
test_root_makes_the_home_for_its_user(void **state)
{
	char parent[128], dir[160];
	struct bd_err e = { 0 };
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	snprintf(parent, sizeof(parent), "%s/brevdue-x", home);
	snprintf(dir, sizeof(dir), "%s/records", parent);
	umask(077); /* a daemon's own must not close the parent to its user */
	assert_int_equal(kv_home_make(dir, "nobody", &e), 0);
	assert_int_equal(kv_home_make(dir, "nobody", &e), 0); /* there already */
	umask(022);
	assert_int_equal(stat(parent, &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(dir, sizeof(dir), "%s/no/such/way", home);
	assert_int_equal(kv_home_make(dir, "nobody", &e), -1);
	assert_int_equal(e.kind, BD_E_CONFIG);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_values_come_back),
		T(test_add_and_delete),
		T(test_lazy_commits_last_with_the_next),
		T(test_failed_body_leaves_nothing),
		T(test_scans),
		T(test_scan_over_many_batches),
		T(test_one_owner),
		T(test_unsafe_homes_are_refused),
		T(test_kill_loses_no_commit_and_leaves_no_half),
		T(test_deadlocked_transactions_both_finish),
		T(test_old_logs_are_removed),
		T(test_damage_is_noticed),
		T(test_full_disk),
		T(test_root_makes_the_home_for_its_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
