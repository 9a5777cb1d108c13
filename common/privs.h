/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_PRIVS_H
#define BD_COMMON_PRIVS_H

/* Giving up privileges: sockets first, then groups, gid, uid, then no way back. */

#include <stdbool.h>

#include "common/err.h"

/* Drops to user with its supplementary groups; NULL or not root: only checks. Then no_new_privs,
 * not dumpable, no core, umask 077. */
int privs_drop(const char *user, struct bd_err *e);
/* For readers: a system-call filter without sockets, exec, writes to new files, ptrace. */
int privs_confine_reader(struct bd_err *e);
/* Takes an exclusive fcntl lock on path (created 0600) for the life of the process: one owner
 * (design promise 8). The descriptor stays open on purpose. */
int privs_lock(const char *path, struct bd_err *e);
/* Reads a secret file of at most size bytes; refuses one readable by others. Length or -1. */
long privs_read_secret(const char *path, void *out, unsigned long size, struct bd_err *e);

#endif
