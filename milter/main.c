/* SPDX-License-Identifier: Apache-2.0 */
/* brevdue-milter: arguments, configuration, children, socket, privileges, and then libmilter. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <libmilter/mfapi.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/sock.h"
#include "milter/gate.h"
#include "milter/mlfi.h"
#include "milter/session.h"

#define BACKLOG 256
#define DRAIN_MS 50000 /* a mail's end takes 45 s at most */
#define DRAIN_STEP_US 50000

static void
usage(FILE *out)
{
	fprintf(out, "usage: brevdue-milter [-c file]\n");
}

static int
set_owner(const struct conf *c, const char *user, struct bd_err *e)
{
	const char *path = c->milter.socket, *group = c->milter.socket_group;
	struct passwd *pw = user != NULL ? getpwnam(user) : NULL;
	struct group *gr = group != NULL ? getgrnam(group) : NULL;
	uid_t uid = geteuid() == 0 && pw != NULL ? pw->pw_uid : (uid_t)-1;
	gid_t gid = gr != NULL ? gr->gr_gid : (gid_t)-1;

	if (user != NULL && pw == NULL)
		return bd_fail(e, BD_E_CONFIG, "milter.user: no user %s", user);
	if (group != NULL && gr == NULL)
		return bd_fail(e, BD_E_CONFIG, "milter.socket-group: no group %s", group);
	if (chown(path, uid, gid) == -1 || chmod(path, 0660) == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "%s", path);
	return 0;
}

/* libmilter opens the socket itself, by any means and into any folder: sock_listen makes the folder
 * as it must be, and refuses to push aside a milter that is alive. */
static int
open_socket(struct gate *g, const char *user, struct bd_err *e)
{
	const struct conf *c = g->conf;
	int fd = sock_listen(c->milter.socket, user, c->milter.socket_group, 0660, e);
	mode_t mask;
	int rc;

	if (fd == -1)
		return bd_wrap(e, "milter.socket");
	close(fd);
	if (mlfi_register(g, c->milter.socket, e) == -1)
		return -1;
	smfi_setbacklog(BACKLOG);
	mask = umask(0117);
	rc = smfi_opensocket(true);
	umask(mask);
	if (rc != MI_SUCCESS)
		return bd_fail_errno(e, BD_E_CONFIG, "milter.socket: libmilter cannot open %s",
				     c->milter.socket);
	return set_owner(c, user, e);
}

/* Told now: later it would answer 451 to every letter. Asked as the user that readers are. */
static int
reader_can_run(const struct conf *c, struct bd_err *e)
{
	if (access(c->milter.reader, X_OK) == 0)
		return 0;
	return bd_fail(e, BD_E_CONFIG,
		       "milter.reader: its user may not run %s: file and every folder above must "
		       "be open to it",
		       c->milter.reader);
}

/* smfi_main returns while callbacks may still run; none is to be cut between its first submission
 * and its verdict. */
static void
drain(struct gate *g)
{
	int64_t deadline = clock_ms() + DRAIN_MS;

	while (atomic_load(&g->mails) > 0 && clock_ms() < deadline)
		usleep(DRAIN_STEP_US);
	if (atomic_load(&g->mails) > 0)
		log_warn("ended with %u mails unfinished", atomic_load(&g->mails));
}

/* libmilter waits for these in a thread of its own; in ours they would end the process at once. */
static void
leave_signals_to_libmilter(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int
serve(const struct conf *c, struct bd_err *e)
{
	static struct gate g; /* callbacks may outlive this function at shutdown */
	const char *user = geteuid() == 0 ? c->milter.user : NULL;
	int rc = -1;

	if (gate_load(&g, c, user, e) == -1 || open_socket(&g, user, e) == -1)
		goto out;
	leave_signals_to_libmilter();
	if (privs_drop(c->milter.user, e) == -1 || reader_can_run(c, e) == -1 ||
	    gate_start(&g, e) == -1)
		goto out;
	log_info("ready: %s", c->milter.socket);
	rc = smfi_main() == MI_SUCCESS ? 0 : bd_fail(e, BD_E_INTERNAL, "libmilter ended");
	drain(&g);
	log_info("stopped");
	if (atomic_load(&g.mails) > 0)
		_exit(rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
out:
	gate_clear(&g);
	return rc;
}

int
main(int argc, char **argv)
{
	const char *file = CONF_DEFAULT_FILE;
	struct bd_err e = { 0 };
	struct conf *c;
	int opt, rc;

	while ((opt = getopt(argc, argv, "c:h")) != -1) {
		switch (opt) {
		case 'c':
			file = optarg;
			break;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EXIT_FAILURE;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return EXIT_FAILURE;
	}
	log_open("brevdue-milter", false, false);
	if ((c = conf_load(file, &e)) == NULL) {
		log_error("%s", e.cause);
		return EXIT_FAILURE;
	}
	log_open("brevdue-milter", c->log != NULL && strcmp(c->log, "syslog") == 0, c->debug);
	if ((rc = serve(c, &e)) == -1)
		log_error("%s", e.cause);
	conf_free(&c);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
