/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix-domain sockets with deadlines and passed descriptors. Waits with poll on the monotonic
 * clock; no signal, timer or global state. Knows no protocol.
 */
#include "config.h"
#include "common/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"

#define BACKLOG 128
#define FDS_MAX 4
#define NAMES_BYTES 16384 /* room for one passwd or group entry */

static int
address_set(struct sockaddr_un *address, const char *path, struct bd_err *e)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address->sun_path))
		return bd_fail(e, BD_E_CONFIG, "%s: too long for a socket", path);
	strcpy(address->sun_path, path);
	return 0;
}

static int
user_find(const char *name, uid_t *uid_r, struct bd_err *e)
{
	struct passwd entry, *found = NULL;
	char names[NAMES_BYTES];

	if (name == NULL)
		return 0;
	if (getpwnam_r(name, &entry, names, sizeof(names), &found) != 0 || found == NULL)
		return bd_fail(e, BD_E_CONFIG, "there is no user \"%s\"", name);
	*uid_r = entry.pw_uid;
	return 0;
}

static int
group_find(const char *name, gid_t *gid_r, struct bd_err *e)
{
	struct group entry, *found = NULL;
	char names[NAMES_BYTES];

	if (name == NULL)
		return 0;
	if (getgrnam_r(name, &entry, names, sizeof(names), &found) != 0 || found == NULL)
		return bd_fail(e, BD_E_CONFIG, "there is no group \"%s\"", name);
	*gid_r = entry.gr_gid;
	return 0;
}

/* The folder is the trust boundary: who may write there could put a socket in our place. */
static int
folder_make(const char *path, uid_t uid, gid_t gid, struct bd_err *e)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;
	struct stat st;

	strcpy(folder, path);
	slash = strrchr(folder, '/');
	if (slash == NULL || slash == folder)
		return 0;
	*slash = '\0';
	if (mkdir(folder, 0750) == 0) {
		if (chmod(folder, 0750) == -1 || chown(folder, uid, gid) == -1)
			return bd_fail_errno(e, BD_E_CONFIG, "folder %s", folder);
		return 0;
	}
	if (errno != EEXIST)
		return bd_fail_errno(e, BD_E_CONFIG, "making folder %s", folder);
	if (stat(folder, &st) == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "folder %s", folder);
	if ((st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0)
		return bd_fail(e, BD_E_CONFIG, "folder %s is writable by everybody", folder);
	return 0;
}

/* Removes the socket that a dead process left; refuses a live one and anything else. */
static int
stale_remove(const struct sockaddr_un *address, struct bd_err *e)
{
	struct stat st;
	int fd, rc;

	if (lstat(address->sun_path, &st) == -1)
		return errno == ENOENT ? 0 : bd_fail_errno(e, BD_E_CONFIG, "%s", address->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return bd_fail(e, BD_E_CONFIG, "%s is in the way and no socket", address->sun_path);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) == -1)
		return bd_fail_errno(e, BD_E_INTERNAL, "socket");
	rc = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	if (rc == -1 && errno == ECONNREFUSED)
		rc = unlink(address->sun_path) == 0 || errno == ENOENT ? 1 : -1;
	close(fd);
	if (rc == 1)
		return 0;
	return bd_fail(e, BD_E_CONFIG, "%s: another process listens there already",
		       address->sun_path);
}

int
sock_listen(const char *path, const char *user, const char *group, mode_t mode, struct bd_err *e)
{
	struct sockaddr_un address;
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	mode_t mask;
	int fd, rc;

	if (address_set(&address, path, e) == -1 || user_find(user, &uid, e) == -1 ||
	    group_find(group, &gid, e) == -1 || folder_make(path, uid, gid, e) == -1 ||
	    stale_remove(&address, e) == -1)
		return -1;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return bd_fail_errno(e, BD_E_INTERNAL, "socket");
	mask = umask(0177); /* nobody may connect before owner and mode are right */
	rc = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (rc == -1) {
		bd_fail_errno(e, BD_E_CONFIG, "%s", path);
		close(fd);
		return -1;
	}
	if (chown(path, uid, gid) == -1 || chmod(path, mode) == -1 || listen(fd, BACKLOG) == -1) {
		bd_fail_errno(e, BD_E_CONFIG, "%s", path);
		unlink(path);
		close(fd);
		return -1;
	}
	return fd;
}

static int
send_timeout_set(int fd, int timeout_ms)
{
	struct timeval t = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000L };

	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

int
sock_connect(const char *path, int timeout_ms, struct bd_err *e)
{
	struct sockaddr_un address;
	int64_t end = clock_ms() + timeout_ms;
	int fd, rc;

	if (address_set(&address, path, e) == -1)
		return -1;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return bd_fail_errno(e, BD_E_INTERNAL, "socket");
	do {
		int64_t left = timeout_ms < 0 ? 0 : end - clock_ms();

		/* poll does not tell when a full backlog has room; the send timeout does */
		if (timeout_ms >= 0 && left < 1)
			left = 1;
		send_timeout_set(fd, (int)left);
		rc = connect(fd, (struct sockaddr *)&address, sizeof(address));
	} while (rc == -1 && errno == EINTR);
	if (rc == -1) {
		if (errno == EAGAIN)
			errno = ETIMEDOUT;
		bd_fail_errno(e, BD_E_INTERNAL, "connecting to %s", path);
		close(fd);
		return -1;
	}
	send_timeout_set(fd, 0);
	return fd;
}

int
sock_peer(int fd, uid_t *uid_r, gid_t *gid_r)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1)
		return -1;
	*uid_r = peer.uid;
	*gid_r = peer.gid;
	return 0;
}

/* 0 when fd is ready (or has an error to be read), -1 at the deadline. end -1 waits for ever. */
static int
wait_for(int fd, short events, int64_t end, struct bd_err *e)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		int64_t left = end < 0 ? -1 : end - clock_ms();
		int rc;

		if (end >= 0 && left < 0)
			left = 0;
		rc = poll(&p, 1, (int)left);
		if (rc > 0)
			return 0;
		if (rc == 0)
			return bd_fail(e, BD_E_INTERNAL, "no answer in time");
		if (errno != EINTR)
			return bd_fail_errno(e, BD_E_INTERNAL, "poll");
	}
}

static int64_t
deadline(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : clock_ms() + timeout_ms;
}

static bool
is_again(void)
{
	return errno == EINTR || errno == EAGAIN;
}

int
sock_read(int fd, void *data, size_t len, int timeout_ms, struct bd_err *e)
{
	int64_t end = deadline(timeout_ms);
	char *p = data;

	while (len > 0) {
		ssize_t n = recv(fd, p, len, MSG_DONTWAIT);

		if (n == 0)
			return bd_fail(e, BD_E_INTERNAL, "connection closed by the other end");
		if (n == -1 && !is_again())
			return bd_fail_errno(e, BD_E_INTERNAL, "reading");
		if (n == -1 && wait_for(fd, POLLIN, end, e) == -1)
			return -1;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int
sock_write(int fd, const void *data, size_t len, int timeout_ms, struct bd_err *e)
{
	int64_t end = deadline(timeout_ms);
	const char *p = data;

	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n == -1 && !is_again())
			return bd_fail_errno(e, BD_E_INTERNAL, "writing");
		if (n == -1 && wait_for(fd, POLLOUT, end, e) == -1)
			return -1;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

union control {
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

int
sock_send_fds(int fd, const void *data, size_t len, const int *fds, size_t count, struct bd_err *e)
{
	union control control = { 0 };
	struct iovec iov = { .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (count > FDS_MAX || len == 0)
		return bd_fail(e, BD_E_INTERNAL, "message cannot be sent");
	memcpy(&iov.iov_base, &data, sizeof(data)); /* sendmsg only reads it */
	if (count > 0) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return bd_fail_errno(e, BD_E_INTERNAL, "sending");
	return 0;
}

/* Takes the descriptors out of msg; -1 when there were more than the caller has room for. */
static int
fds_take(struct msghdr *msg, int *fds, size_t room, size_t *count_r)
{
	int rc = 0;

	*count_r = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t got;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < got; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*count_r < room) {
				fds[(*count_r)++] = fd;
			} else {
				close(fd);
				rc = -1;
			}
		}
	}
	return rc;
}

ssize_t
sock_recv_fds(int fd, void *data, size_t size, int *fds, size_t *count, int timeout_ms,
	      struct bd_err *e)
{
	union control control = { 0 };
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	int64_t end = deadline(timeout_ms);
	size_t got;
	ssize_t n;
	int rc;

	while ((n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) == -1) {
		if (!is_again())
			return bd_fail_errno(e, BD_E_INTERNAL, "receiving");
		if (wait_for(fd, POLLIN, end, e) == -1)
			return -1;
	}
	rc = fds_take(&msg, fds, *count, &got);
	if (rc == -1 || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		while (got > 0)
			close(fds[--got]);
		*count = 0;
		return bd_fail(e, BD_E_INTERNAL,
			       "message is too long or brings too many "
			       "descriptors");
	}
	*count = got;
	return n;
}
