/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_SERVER_H
#define BD_TRANSPORT_SERVER_H

/* The LMTP socket: who may connect, a thread per connection, bytes to and from lmtp.c. */

#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"
#include "transport/deliver.h"

struct server_conf {
	int fd;               /* listening; the server closes it */
	gid_t group;          /* of Postfix: its members may connect, besides root and ourselves */
	unsigned connections; /* at most so many at a time */
	size_t message_max;
};

struct server;

/* Starts to accept. d outlives the server. */
struct server *server_start(const struct server_conf *conf, struct deliver *d, struct bd_err *e);
/* Takes no more, lets running deliveries end (each has its own cap), then returns. */
void server_stop(struct server **s);

#endif
