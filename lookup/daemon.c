/* SPDX-License-Identifier: Apache-2.0 */
/* Puts brevdue-lookup together, in the one order that is safe: what needs root, then privileges,
 * then the database and threads. */
#include "config.h"
#include "lookup/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/control.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/sock.h"
#include "lookup/embedded.h"
#include "lookup/operator.h"
#include "lookup/server.h"
#include "store/kv.h"

#define SOCKET_MODE 0660

struct lookup_daemon {
	const struct conf *conf;
	struct operator_desk desk;
	struct embedded *embedded;
	struct control *control;
	struct server *server;
};

static void
signals_block(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int
secret_read(const struct conf *c, uint8_t secret[32], struct bd_err *e)
{
	long len = privs_read_secret(c->secret, secret, 32, e);

	if (len == -1)
		return bd_wrap(e, "secret");
	if (len != 32)
		return bd_fail(e, BD_E_CONFIG, "secret %s: %ld bytes, must be 32", c->secret, len);
	return 0;
}

struct lookup_daemon *
lookup_daemon_open(const struct conf *c, struct bd_err *e)
{
	struct lookup_daemon *d = calloc(1, sizeof(*d));
	int fd = -1, control_fd = -1;

	if (d == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return NULL;
	}
	d->conf = c;
	d->desk.conf = c;
	signals_block();
	/* as root, when we are */
	if (secret_read(c, d->desk.secret, e) == -1 ||
	    kv_home_make(c->lookup.database, c->lookup.user, e) == -1)
		goto fail;
	fd = sock_listen(c->lookup.socket, c->lookup.user, c->lookup.socket_group, SOCKET_MODE, e);
	if (fd == -1)
		goto fail;
	control_fd =
	    sock_listen(c->lookup.control, c->lookup.user, c->lookup.socket_group, SOCKET_MODE, e);
	if (control_fd == -1 || privs_drop(c->lookup.user, e) == -1)
		goto fail;
	d->embedded = embedded_open(c->lookup.database, c->synthetic, e);
	if (d->embedded == NULL)
		goto fail;
	d->desk.embedded = d->embedded;
	d->server = server_open(c, fd, embedded_registry(d->embedded), d->desk.secret, e);
	fd = -1;
	if (d->server == NULL)
		goto fail;
	d->control = control_start(control_fd, operator_verbs, (const char *const *)c->operators,
				   &d->desk, e);
	control_fd = -1;
	if (d->control == NULL)
		goto fail;
	return d;
fail:
	if (fd != -1)
		close(fd);
	if (control_fd != -1)
		close(control_fd);
	lookup_daemon_close(&d);
	return NULL;
}

int
lookup_daemon_run(struct lookup_daemon *d, struct bd_err *e)
{
	struct embedded_info info;

	if (embedded_info(d->embedded, &info, e) == -1)
		return -1;
	if (info.generation == 0)
		log_warn("the embedded register is empty; fill it: brevdue registry import FILE");
	log_info("ready register=embedded persons=%llu generation=%u",
		 (unsigned long long)info.persons, info.generation);
	if (server_run(d->server, e) == -1)
		return -1;
	log_info("ending");
	return 0;
}

void
lookup_daemon_close(struct lookup_daemon **dp)
{
	struct lookup_daemon *d = *dp;

	if (d == NULL)
		return;
	control_stop(&d->control);
	server_close(&d->server);
	embedded_close(&d->embedded);
	explicit_bzero(&d->desk, sizeof(d->desk));
	free(d);
	*dp = NULL;
}
