/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_PROCS_PRIVATE_H
#define BD_COMMON_PROCS_PRIVATE_H

/*
 * Between the daemon (procs.c) and its fork server (procs_server.c), over one SOCK_SEQPACKET pair:
 * a question and its answer. Answers carry the question's number, so that one that came too late is
 * not taken for the next. procs_child.c is what happens between fork and exec.
 */

#include <stdint.h>
#include <sys/types.h>

#include "common/procs.h"

#define PROCS_READER 'R'     /* answer: pid and a descriptor */
#define PROCS_END_READER 'E' /* with pid */
#define PROCS_SIGNER 'S'     /* answer: a descriptor */
#define PROCS_OK 'k'
#define PROCS_FAILED 'e'

#define PROCS_CONTROL_FD 3 /* in the server and in every child: the way to who started it */

struct procs_message {
	uint32_t number;
	int32_t pid;
	char what;
	char words[256]; /* of PROCS_FAILED: a cause */
};

#define PROCS_SIGNER_START_MS 30000
#define PROCS_SIGNER_ANSWER_MS 5000
#define PROCS_ANSWER_MS 45000 /* the daemon's patience with the server: above the two */

/* The server's life; never returns. fd is its end of the pair. */
void procs_server_run(const struct procs_conf *conf, int fd) __attribute__((noreturn));

/* Forks; return the pid and, in *fd_r, the way to the child, or -1. procs_child_reader returns only
 * when the executable runs, procs_child_signer only when the keys are loaded. */
pid_t procs_child_reader(const struct procs_conf *conf, int *fd_r, struct bd_err *e);
pid_t procs_child_signer(const struct procs_conf *conf, int *fd_r, struct bd_err *e);

/* Keeps 0 to 2 and fd as PROCS_CONTROL_FD, closes all other descriptors; fd2 (or -1) is kept as the
 * next number, closed at exec. */
void procs_keep_fds(int fd, int fd2);

#endif
