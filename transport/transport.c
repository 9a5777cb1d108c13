/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the daemon together and takes it apart, in an order that matters; does nothing else. */
#include "config.h"
#include "transport/transport.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>

#include "common/control.h"
#include "common/privs.h"
#include "common/procs.h"
#include "common/signer.h"
#include "common/sock.h"
#include "store/kv.h"
#include "transport/deliver.h"
#include "transport/operator.h"
#include "transport/poller.h"
#include "transport/server.h"
#include "transport/setwatch.h"

/* base64 of the largest package in lines of 76, and room for headers and control record */
#define MESSAGE_MAX_BYTES(package) ((package) / 57 * 78 + ((size_t)512 << 10))

/* A new driver is a file and a line here. */
static const struct driver_ops *const drivers[] = { &driver_dpi, &driver_null };

struct transport {
	const struct conf *conf;
	struct procs *procs;
	struct signer *signer;
	struct signer_key *signer_keys;
	struct seal_keys keys;
	uint8_t secret[32];
	int lmtp_fd, control_fd;
	gid_t group;
	struct deliver deliver;
	struct poller *poller;
	struct setwatch *setwatch;
	struct server *server;
	struct control *control;
};

static int
signer_begin(struct transport *t, struct bd_err *e)
{
	const struct conf *c = t->conf;
	struct procs_conf procs = { .user = c->transport.user };

	if ((t->signer_keys = calloc(c->agency_count + 1, sizeof(*t->signer_keys))) == NULL)
		return bd_fail(e, BD_E_MEMORY, "keys");
	for (size_t i = 0; i < c->agency_count; i++)
		t->signer_keys[i] = (struct signer_key){ c->agencies[i].name, c->agencies[i].key };
	procs.keys = t->signer_keys;
	procs.key_count = c->agency_count;
	if ((t->procs = procs_start(&procs, e)) == NULL)
		return bd_wrap(e, "signer");
	if ((t->signer = signer_new(t->procs)) == NULL)
		return bd_fail(e, BD_E_MEMORY, "signer");
	return 0;
}

static int
secrets_read(struct transport *t, struct bd_err *e)
{
	const struct conf *c = t->conf;

	if (seal_keys_load(c->seal_keys, c->seal_key_count, &t->keys, e) == -1)
		return -1;
	if (privs_read_secret(c->secret, t->secret, sizeof(t->secret), e) == sizeof(t->secret))
		return 0;
	if (e->cause[0] == '\0')
		bd_fail(e, BD_E_CONFIG, "%s: not 32 bytes", c->secret);
	return -1;
}

static int
sockets_listen(struct transport *t, struct bd_err *e)
{
	const struct conf *c = t->conf;
	const char *user = c->transport.user;
	struct group gr, *found = NULL;
	char space[8192];

	if (getgrnam_r(c->transport.socket_group, &gr, space, sizeof(space), &found) != 0 ||
	    found == NULL)
		return bd_fail(e, BD_E_CONFIG, "transport.socket-group: no group %s",
			       c->transport.socket_group);
	t->group = found->gr_gid;
	t->lmtp_fd = sock_listen(c->transport.socket, user, c->transport.socket_group, 0660, e);
	if (t->lmtp_fd == -1)
		return -1;
	t->control_fd = sock_listen(c->transport.control, user, NULL, 0666, e);
	return t->control_fd == -1 ? -1 : 0;
}

static void
on_sent(void *arg, const char *letter_id, unsigned generation)
{
	struct transport *t = arg;

	poller_add(t->poller, letter_id, generation);
}

static const struct driver_ops *
driver_find(const char *name)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}

static int
delivery_begin(struct transport *t, struct bd_err *e)
{
	const struct conf *c = t->conf;
	struct deliver *d = &t->deliver;
	const struct driver_env env = { .conf = c, .signer = t->signer };

	d->conf = c;
	d->keys = &t->keys;
	if ((d->driver = driver_find(c->transport.driver)) == NULL)
		return bd_fail(e, BD_E_CONFIG, "transport.driver: there is no driver %s",
			       c->transport.driver);
	d->sent = on_sent;
	d->sent_arg = t;
	if ((d->claims = claims_new()) == NULL)
		return bd_fail(e, BD_E_MEMORY, "claims");
	d->records = records_open(c->transport.database, t->secret,
				  (int64_t)c->transport.copy_window_sec * 1000, e);
	if (d->records == NULL)
		return -1;
	if (d->driver->open(&d->driver_self, &env, e) == -1)
		return bd_wrap(e, "driver %s", d->driver->name);
	if ((t->poller = poller_start(d, e)) == NULL)
		return -1;
	t->setwatch = setwatch_start(d, e);
	return t->setwatch == NULL ? -1 : 0;
}

static int
serving_begin(struct transport *t, struct bd_err *e)
{
	const struct conf *c = t->conf;
	const struct server_conf server = { .fd = t->lmtp_fd,
					    .group = t->group,
					    .connections = c->transport.connections,
					    .message_max =
						MESSAGE_MAX_BYTES(c->milter.package_size) };

	t->control = control_start(t->control_fd, operator_verbs, (const char *const *)c->operators,
				   &t->deliver, e);
	t->control_fd = -1; /* control.c's now */
	if (t->control == NULL)
		return -1;
	if ((t->server = server_start(&server, &t->deliver, e)) == NULL)
		return -1;
	t->lmtp_fd = -1;
	return 0;
}

struct transport *
transport_open(const struct conf *conf, struct bd_err *e)
{
	struct transport *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		bd_fail(e, BD_E_MEMORY, "transport");
		return NULL;
	}
	t->conf = conf;
	t->lmtp_fd = t->control_fd = -1;
	/* processes before sockets and threads, everything that needs root before it is gone, the
	 * database last of all */
	if (signer_begin(t, e) == -1 || secrets_read(t, e) == -1 || sockets_listen(t, e) == -1 ||
	    kv_home_make(conf->transport.database, conf->transport.user, e) == -1 ||
	    privs_drop(conf->transport.user, e) == -1 || delivery_begin(t, e) == -1 ||
	    serving_begin(t, e) == -1)
		transport_close(&t);
	return t;
}

void
transport_close(struct transport **tp)
{
	struct transport *t = *tp;

	if (t == NULL)
		return;
	server_stop(&t->server);
	control_stop(&t->control);
	setwatch_stop(&t->setwatch);
	poller_stop(&t->poller);
	if (t->deliver.driver_self != NULL)
		t->deliver.driver->close(&t->deliver.driver_self);
	records_close(&t->deliver.records);
	claims_free(&t->deliver.claims);
	signer_free(&t->signer);
	procs_stop(&t->procs);
	seal_keys_clear(&t->keys);
	explicit_bzero(t->secret, sizeof(t->secret));
	free(t->signer_keys);
	free(t);
	*tp = NULL;
}
