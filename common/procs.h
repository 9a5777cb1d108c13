/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_PROCS_H
#define BD_COMMON_PROCS_H

/*
 * The fork server (design section 1): a small process forked before the first thread and before
 * privileges are dropped, which starts what must not share a process with the daemon: the signer
 * child (alone holds private keys) and reader workers (own executable, no network, no keys). It
 * restarts the signer when that died, and ends with all its children when the daemon ends. Children
 * run as the daemon's user, not dumpable, no new privileges, with the limits given.
 */

#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

struct signer_key {
	char *label; /* agency's name */
	char *path;  /* PEM file of the private key */
};

struct procs_conf {
	const char *user;              /* NULL: stay who we are (daemon not started by root) */
	const struct signer_key *keys; /* may be empty: then there is no signer */
	size_t key_count;
	const char *reader;         /* path of the reader executable, NULL when none is needed */
	size_t reader_memory_bytes; /* address-space limit of a reader */
	unsigned reader_cpu_sec;    /* processor time for one message (workers_serve renews it) */
};

struct procs;

/* Starts the server and, when there are keys, the signer, and waits until the keys are loaded: a
 * missing or unreadable key is an error here, in words. Call before threads and before privs_drop.
 */
struct procs *procs_start(const struct procs_conf *conf, struct bd_err *e);
/* A SOCK_SEQPACKET descriptor to a fresh reader (the caller's to close; closing ends the reader).
 * pid_r is for the log. -1 on failure. Thread safe. */
int procs_reader(struct procs *p, pid_t *pid_r, struct bd_err *e);
/* Ends a reader that procs_reader gave and that has not been waited for; others are left alone. */
void procs_end_reader(struct procs *p, pid_t pid);
/* A new descriptor to the signer, restarting it when it died. Thread safe; used by signer.c. */
int procs_signer(struct procs *p, struct bd_err *e);
/* Ends the server and its children and waits for them. When the server dies by itself the daemon
 * cannot go on: the next call logs that and sends the process a SIGTERM. */
void procs_stop(struct procs **p);

#endif
