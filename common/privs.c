/* SPDX-License-Identifier: Apache-2.0 */
/* Gives up privileges and guards what only we may have: user, lock, secret files. The reader's
 * system-call filter stands in privs_confine.c. Nothing here can be undone by the process. */
#include "config.h"
#include "common/privs.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_BYTES 16384

static int
user_become(const char *user, struct bd_err *e)
{
	struct passwd entry, *found = NULL;
	char names[NAMES_BYTES];

	if (user == NULL)
		return 0;
	if (getpwnam_r(user, &entry, names, sizeof(names), &found) != 0 || found == NULL)
		return bd_fail(e, BD_E_CONFIG, "there is no user \"%s\"", user);
	if (geteuid() != 0) {
		if (entry.pw_uid == geteuid() && entry.pw_uid == getuid())
			return 0;
		return bd_fail(e, BD_E_CONFIG,
			       "the configured user is \"%s\": start as root or as that user",
			       user);
	}
	if (entry.pw_uid == 0)
		return bd_fail(e, BD_E_CONFIG, "the configured user may not be root");
	if (initgroups(user, entry.pw_gid) == -1 ||
	    setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid) == -1 ||
	    setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid) == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "becoming user \"%s\"", user);
	if (setuid(0) == 0 || geteuid() == 0 || getuid() == 0)
		return bd_fail(e, BD_E_CONFIG, "user \"%s\" could become root again", user);
	return 0;
}

int
privs_drop(const char *user, struct bd_err *e)
{
	const struct rlimit none = { 0, 0 };

	if (user_become(user, e) == -1)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 || setrlimit(RLIMIT_CORE, &none) == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "giving up privileges");
#ifndef BD_SANITIZERS /* the leak check at exit traces its own process */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "giving up core files");
#endif
	umask(077);
	return 0;
}

int
privs_lock(const char *path, struct bd_err *e)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "%s", path);
	if (fcntl(fd, F_SETLK, &lock) == 0)
		return 0; /* fd stays open: closing it would give the lock up */
	if (errno == EACCES || errno == EAGAIN) {
		if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
			bd_fail(e, BD_E_CONFIG, "%s: process %d holds the lock, it owns the data",
				path, (int)lock.l_pid);
		else
			bd_fail(e, BD_E_CONFIG, "%s: another process holds the lock", path);
	} else {
		bd_fail_errno(e, BD_E_CONFIG, "locking %s", path);
	}
	close(fd);
	return -1;
}

long
privs_read_secret(const char *path, void *out, unsigned long size, struct bd_err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	unsigned long len = 0;
	char more;
	ssize_t n = 0;

	if (fd == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "%s", path);
	if (fstat(fd, &st) == -1) {
		bd_fail_errno(e, BD_E_CONFIG, "%s", path);
		goto fail;
	}
	if (!S_ISREG(st.st_mode)) {
		bd_fail(e, BD_E_CONFIG, "%s: is not a plain file", path);
		goto fail;
	}
	/* a group may read: milter and transport share the seal keys */
	if ((st.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
		bd_fail(e, BD_E_CONFIG,
			"%s: its mode is %04o: others than owner and group may use it", path,
			(unsigned)st.st_mode & 07777U);
		goto fail;
	}
	while (len < size && (n = read(fd, (char *)out + len, size - len)) > 0)
		len += (unsigned long)n;
	if (n == -1) {
		bd_fail_errno(e, BD_E_CONFIG, "reading %s", path);
		goto fail;
	}
	if (len == 0 || (len == size && read(fd, &more, 1) == 1)) {
		bd_fail(e, BD_E_CONFIG, "%s: is %s", path, len == 0 ? "empty" : "too long");
		goto fail;
	}
	close(fd);
	return (long)len;
fail:
	explicit_bzero(out, size);
	close(fd);
	return -1;
}
