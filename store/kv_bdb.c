/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Berkeley DB environment behind kv.h: opening with recovery, one owner, transactions,
 * checkpoints, removal of old logs. The rules are those of threats.md 6. Knows nothing of what is
 * stored.
 */
#include "config.h"
#include "store/kv_bdb.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define CACHE_BYTES (32U << 20)
#define LOG_FILE_BYTES (8U << 20)
#define LOG_BUFFER_BYTES (1U << 20)
/* One page = one block of the file system, so that a power cut cannot tear it. */
#define PAGE_BYTES 4096
#define LOCK_TIMEOUT_US 5000000
#define LOCKS_MAX 20000
#define TRANSACTIONS_MAX 512
#define CHECKPOINT_KB 1024
#define CHECKPOINT_MINUTES 1
#define KEEPER_PERIOD_SEC 1
#define TRANSACT_MS 15000
/*
 * A page or log record that cannot be written makes the environment unusable, so we stop taking
 * work while there is room for all that may still be in memory: the whole cache dirty and the
 * logs up to the next checkpoint (measured: with 8 MB left over, the next open failed).
 */
#define RESERVE_BYTES (CACHE_BYTES + 4 * LOG_FILE_BYTES)
#define MESSAGES_PER_SEC 10

bool
kv_bdb_is_deadlock(int error)
{
	return error == DB_LOCK_DEADLOCK || error == DB_LOCK_NOTGRANTED;
}

static void
die_for_recovery(const char *doing)
{
	log_error("database: %s: the environment must be recovered; ending, the next start does it",
		  doing);
	_exit(EX_TEMPFAIL);
}

int
kv_bdb_fail(const struct kv *kv, int error, struct bd_err *e, const char *doing)
{
	if (error == DB_RUNRECOVERY && kv->opened)
		die_for_recovery(doing);
	return bd_fail(e, error == ENOSPC || error == EDQUOT ? BD_E_STORE_FULL : BD_E_INTERNAL,
		       "database: %s: %s", doing, db_strerror(error));
}

void
kv_bdb_pause(int attempt)
{
	static _Thread_local unsigned seed;
	long limit_us = 200L << (attempt < 9 ? attempt : 9);
	struct timespec ts = { 0 };

	if (seed == 0)
		seed = (unsigned)time(NULL) ^ (unsigned)(size_t)&seed;
	ts.tv_nsec = 1000 * (rand_r(&seed) % limit_us);
	nanosleep(&ts, NULL);
}

static void
on_event(DB_ENV *env, u_int32_t event, void *info)
{
	const struct kv *kv = env->app_private;

	(void)info;
	if (event == DB_EVENT_PANIC && kv->opened)
		die_for_recovery("panic");
}

static void
on_message(const DB_ENV *env, const char *prefix, const char *text)
{
	static _Atomic int64_t second;
	static atomic_int count;
	int64_t now = clock_ms() / 1000;

	(void)env;
	(void)prefix;
	/* A full disk makes it complain of every page. */
	if (atomic_exchange(&second, now) != now)
		atomic_store(&count, 0);
	if (atomic_fetch_add(&count, 1) < MESSAGES_PER_SEC)
		log_warn("database: %s", text);
}

static int
parent_make(const char *dir, struct bd_err *e)
{
	char parent[4096], *slash;

	if (snprintf(parent, sizeof(parent), "%s", dir) >= (int)sizeof(parent))
		return bd_fail(e, BD_E_CONFIG, "database folder: path too long");
	if ((slash = strrchr(parent, '/')) == NULL || slash == parent)
		return 0;
	*slash = '\0';
	if (mkdir(parent, 0755) == -1)
		return errno == EEXIST ? 0 : bd_fail_errno(e, BD_E_CONFIG, "folder %s", parent);
	if (chmod(parent, 0755) == -1) /* the umask may have closed it to the user */
		return bd_fail_errno(e, BD_E_CONFIG, "folder %s", parent);
	return 0;
}

int
kv_home_make(const char *dir, const char *user, struct bd_err *e)
{
	const struct passwd *pw;

	if (user == NULL || geteuid() != 0)
		return 0;
	if ((pw = getpwnam(user)) == NULL)
		return bd_fail(e, BD_E_CONFIG, "there is no user %s", user);
	if (parent_make(dir, e) == -1)
		return -1;
	if (mkdir(dir, 0700) == -1)
		return errno == EEXIST ? 0
				       : bd_fail_errno(e, BD_E_CONFIG, "database folder %s", dir);
	if (lchown(dir, pw->pw_uid, pw->pw_gid) == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "database folder %s", dir);
	return 0;
}

/* The home must be ours alone: Berkeley DB trusts what lies in it, and reads its DB_CONFIG. */
static int
home_check(const char *dir, struct bd_err *e)
{
	char config[4096];
	struct stat st;

	if (dir[0] != '/')
		return bd_fail(e, BD_E_CONFIG, "database folder %s: not an absolute path", dir);
	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return bd_fail_errno(e, BD_E_CONFIG, "database folder %s", dir);
	if (lstat(dir, &st) == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "database folder %s", dir);
	if (!S_ISDIR(st.st_mode))
		return bd_fail(e, BD_E_CONFIG, "database folder %s: not a folder", dir);
	if (st.st_uid != geteuid())
		return bd_fail(e, BD_E_CONFIG, "database folder %s: belongs to uid %u, not to %u",
			       dir, (unsigned)st.st_uid, (unsigned)geteuid());
	if ((st.st_mode & 077) != 0)
		return bd_fail(e, BD_E_CONFIG,
			       "database folder %s: mode %04o, others may enter; must be 0700", dir,
			       (unsigned)st.st_mode & 07777);
	if (snprintf(config, sizeof(config), "%s/DB_CONFIG", dir) >= (int)sizeof(config))
		return bd_fail(e, BD_E_CONFIG, "database folder: path too long");
	if (lstat(config, &st) == 0)
		return bd_fail(e, BD_E_CONFIG,
			       "%s: must not exist; settings are brevdue's own business", config);
	return 0;
}

/* One owner (design promise 8). A lock of the open file, not of the process, so that a second open
 * in the same process is refused too; it goes with the process or kv_close. */
static int
owner_lock(struct kv *kv, struct bd_err *e)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/owner.lock", kv->dir) >= (int)sizeof(path))
		return bd_fail(e, BD_E_CONFIG, "database folder: path too long");
	kv->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (kv->lock_fd == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "%s", path);
	if (fcntl(kv->lock_fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return bd_fail(e, BD_E_BUSY,
			       "database %s is in use by another process: one environment, one "
			       "owner. Is the daemon already running?",
			       kv->dir);
	return bd_fail_errno(e, BD_E_CONFIG, "locking %s", path);
}

static int
env_open(struct kv *kv, struct bd_err *e)
{
	const u_int32_t flags = DB_CREATE | DB_INIT_TXN | DB_INIT_LOCK | DB_INIT_LOG |
				DB_INIT_MPOOL | DB_THREAD | DB_RECOVER | DB_PRIVATE;
	DB_ENV *env;
	int error;

	if ((error = db_env_create(&env, 0)) != 0)
		return kv_bdb_fail(kv, error, e, "making an environment");
	kv->env = env;
	env->app_private = kv;
	env->set_errcall(env, on_message);
	if ((error = env->set_event_notify(env, on_event)) != 0 ||
	    (error = env->set_cachesize(env, 0, CACHE_BYTES, 1)) != 0 ||
	    (error = env->set_lg_bsize(env, LOG_BUFFER_BYTES)) != 0 ||
	    (error = env->set_lg_max(env, LOG_FILE_BYTES)) != 0 ||
	    (error = env->set_lk_detect(env, DB_LOCK_MINWRITE)) != 0 ||
	    (error = env->set_timeout(env, LOCK_TIMEOUT_US, DB_SET_LOCK_TIMEOUT)) != 0 ||
	    (error = env->set_lk_max_locks(env, LOCKS_MAX)) != 0 ||
	    (error = env->set_lk_max_objects(env, LOCKS_MAX)) != 0 ||
	    (error = env->set_lk_max_lockers(env, LOCKS_MAX)) != 0 ||
	    (error = env->set_tx_max(env, TRANSACTIONS_MAX)) != 0)
		return kv_bdb_fail(kv, error, e, "settings");
	if ((error = env->open(env, kv->dir, flags, 0600)) != 0)
		return kv_bdb_fail(kv, error, e, "opening with recovery");
	return 0;
}

static int
table_open(struct kv *kv, const char *name, struct bd_err *e)
{
	char file[64];
	DB *db;
	int error;

	if (kv->table_count == KV_TABLES_MAX ||
	    snprintf(file, sizeof(file), "%s.db", name) >= (int)sizeof(file))
		return bd_fail(e, BD_E_INTERNAL, "database: too many tables or too long a name");
	if ((error = db_create(&db, kv->env, 0)) != 0)
		return kv_bdb_fail(kv, error, e, name);
	kv->names[kv->table_count] = name;
	kv->tables[kv->table_count++] = db;
	if ((error = db->set_flags(db, DB_CHKSUM)) != 0 ||
	    (error = db->set_pagesize(db, PAGE_BYTES)) != 0 ||
	    (error = db->open(db, NULL, file, NULL, DB_BTREE,
			      DB_CREATE | DB_AUTO_COMMIT | DB_THREAD, 0600)) != 0)
		return kv_bdb_fail(kv, error, e, name);
	return 0;
}

static int
checkpoint(struct kv *kv, u_int32_t flags, struct bd_err *e)
{
	int error;

	error = kv->env->txn_checkpoint(kv->env, CHECKPOINT_KB, CHECKPOINT_MINUTES, flags);
	if (error != 0)
		return kv_bdb_fail(kv, error, e, "checkpoint");
	if ((error = kv->env->log_archive(kv->env, NULL, DB_ARCH_REMOVE)) != 0)
		return kv_bdb_fail(kv, error, e, "removing old logs");
	return 0;
}

int
kv_checkpoint(struct kv *kv, struct bd_err *e)
{
	return checkpoint(kv, DB_FORCE, e);
}

static void *
keeper_run(void *arg)
{
	struct kv *kv = arg;

	for (;;) {
		struct bd_err e = { 0 };
		struct timespec until;
		int rejected;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += KEEPER_PERIOD_SEC;
		pthread_mutex_lock(&kv->lock);
		while (!kv->stopping)
			if (pthread_cond_timedwait(&kv->wake, &kv->lock, &until) == ETIMEDOUT)
				break;
		if (kv->stopping) {
			pthread_mutex_unlock(&kv->lock);
			return NULL;
		}
		pthread_mutex_unlock(&kv->lock);
		/* Expired waits are found only when somebody looks. */
		kv->env->lock_detect(kv->env, 0, DB_LOCK_EXPIRE, &rejected);
		if (checkpoint(kv, 0, &e) == -1)
			log_error("%s", e.cause);
	}
}

static int
keeper_start(struct kv *kv, struct bd_err *e)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&kv->wake, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&kv->lock, NULL);
	if ((errno = pthread_create(&kv->keeper, NULL, keeper_run, kv)) != 0) {
		pthread_cond_destroy(&kv->wake);
		pthread_mutex_destroy(&kv->lock);
		return bd_fail_errno(e, BD_E_INTERNAL, "database: checkpoint thread");
	}
	kv->has_keeper = true;
	return 0;
}

static void
keeper_stop(struct kv *kv)
{
	if (!kv->has_keeper)
		return;
	pthread_mutex_lock(&kv->lock);
	kv->stopping = true;
	pthread_cond_signal(&kv->wake);
	pthread_mutex_unlock(&kv->lock);
	pthread_join(kv->keeper, NULL);
	pthread_cond_destroy(&kv->wake);
	pthread_mutex_destroy(&kv->lock);
	kv->has_keeper = false;
}

struct kv *
kv_open(const char *dir, const char *const *tables, struct bd_err *e)
{
	struct kv *kv;

	if (home_check(dir, e) == -1)
		return NULL;
	if ((kv = calloc(1, sizeof(*kv))) == NULL || (kv->dir = strdup(dir)) == NULL) {
		free(kv);
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return NULL;
	}
	kv->lock_fd = -1;
	if (owner_lock(kv, e) == -1 || env_open(kv, e) == -1)
		goto fail;
	for (; *tables != NULL; tables++)
		if (table_open(kv, *tables, e) == -1)
			goto fail;
	/* Recovery has brought the tables up to date; start from there with short logs. */
	if (checkpoint(kv, DB_FORCE, e) == -1)
		goto fail;
	kv->opened = true;
	if (keeper_start(kv, e) == -1)
		goto fail;
	return kv;
fail:
	bd_wrap(e, "%s", dir);
	kv_close(&kv);
	return NULL;
}

void
kv_close(struct kv **kvp)
{
	struct kv *kv = *kvp;
	struct bd_err e = { 0 };

	if (kv == NULL)
		return;
	keeper_stop(kv);
	if (kv->opened && kv_checkpoint(kv, &e) == -1)
		log_error("%s", e.cause);
	for (size_t i = 0; i < kv->table_count; i++)
		kv->tables[i]->close(kv->tables[i], 0);
	if (kv->env != NULL)
		kv->env->close(kv->env, 0);
	if (kv->lock_fd != -1)
		close(kv->lock_fd);
	free(kv->dir);
	free(kv);
	*kvp = NULL;
}

static int
has_space(const struct kv *kv, struct bd_err *e)
{
	struct statvfs fs;

	if (statvfs(kv->dir, &fs) == -1)
		return bd_fail_errno(e, BD_E_INTERNAL, "database: statvfs");
	if ((unsigned long long)fs.f_bavail * fs.f_frsize < RESERVE_BYTES)
		return bd_fail(e, BD_E_STORE_FULL, "database %s: disk full", kv->dir);
	return 0;
}

/* 0 committed, 1 deadlocked, -1 failed. */
static int
transact_once(struct kv *kv, int (*body)(struct kv_txn *t, void *arg, struct bd_err *e), void *arg,
	      u_int32_t flags, struct bd_err *e)
{
	struct kv_txn t = { .kv = kv };
	int error, rc;

	if ((error = kv->env->txn_begin(kv->env, NULL, &t.txn, 0)) != 0)
		return kv_bdb_fail(kv, error, e, "beginning a transaction");
	rc = body(&t, arg, e);
	if (rc == -1 || t.deadlocked) {
		/* A failed abort leaves the environment unusable, and Berkeley DB panics itself. */
		if ((error = t.txn->abort(t.txn)) != 0)
			kv_bdb_fail(kv, error, e, "aborting");
		return t.deadlocked ? 1 : -1;
	}
	if ((error = t.txn->commit(t.txn, flags)) != 0) {
		if (kv_bdb_is_deadlock(error))
			return 1;
		return kv_bdb_fail(kv, error, e, "committing");
	}
	return 0;
}

static int
transact(struct kv *kv, int (*body)(struct kv_txn *t, void *arg, struct bd_err *e), void *arg,
	 u_int32_t flags, struct bd_err *e)
{
	int64_t until = clock_ms() + TRANSACT_MS;
	int attempt;

	if (has_space(kv, e) == -1)
		return -1;
	for (attempt = 0; attempt < KV_ATTEMPTS && clock_ms() < until; attempt++) {
		int rc = transact_once(kv, body, arg, flags, e);

		if (rc != 1)
			return rc;
		kv_bdb_pause(attempt);
	}
	return bd_fail(e, BD_E_BUSY, "database: %d attempts ended in a deadlock", attempt);
}

int
kv_transact(struct kv *kv, int (*body)(struct kv_txn *t, void *arg, struct bd_err *e), void *arg,
	    struct bd_err *e)
{
	return transact(kv, body, arg, 0, e);
}

int
kv_transact_lazy(struct kv *kv, int (*body)(struct kv_txn *t, void *arg, struct bd_err *e),
		 void *arg, struct bd_err *e)
{
	return transact(kv, body, arg, DB_TXN_NOSYNC, e);
}
