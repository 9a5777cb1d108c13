/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_SOCK_H
#define BD_COMMON_SOCK_H

/* Unix-domain sockets: listen, connect, peer, whole reads and writes with a deadline, passing
 * descriptors. */

#include <stddef.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/err.h"

/*
 * Listens on path. Its folder is made when missing (owner user, group, mode 0750); a stale socket
 * is replaced, a live one refused. mode is the socket's. user and group may be NULL (unchanged).
 * Returns a CLOEXEC descriptor or -1.
 */
int sock_listen(const char *path, const char *user, const char *group, mode_t mode,
		struct bd_err *e);
/* Connects within timeout_ms. A CLOEXEC, blocking descriptor or -1 (kind REGISTER is for the caller
 * to set). */
int sock_connect(const char *path, int timeout_ms, struct bd_err *e);
/* uid and gid of the other end; 0 or -1. */
int sock_peer(int fd, uid_t *uid_r, gid_t *gid_r);
/* Exactly len bytes within timeout_ms in all; 0 or -1 (end of file is an error). */
int sock_read(int fd, void *data, size_t len, int timeout_ms, struct bd_err *e);
int sock_write(int fd, const void *data, size_t len, int timeout_ms, struct bd_err *e);
/* Sends len bytes (1 to 64 kB) and up to four descriptors as one message of a SOCK_SEQPACKET pair.
 */
int sock_send_fds(int fd, const void *data, size_t len, const int *fds, size_t count,
		  struct bd_err *e);
/* Receives one message; *count is in: room, out: descriptors got (CLOEXEC, the caller's to close).
 * Length of the data, 0 at end of file, -1. timeout_ms -1 waits for ever. */
ssize_t sock_recv_fds(int fd, void *data, size_t size, int *fds, size_t *count, int timeout_ms,
		      struct bd_err *e);

#endif
