/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_TRANSPORT_H
#define BD_TRANSPORT_TRANSPORT_H

/* The daemon, put together: what must be opened before privileges are dropped, what after. */

#include "common/conf.h"
#include "common/err.h"

struct transport;

/* Starts the signer, reads secrets and makes the sockets (as root, when started by root), then
 * drops privileges, opens the records and starts serving. conf outlives it. */
struct transport *transport_open(const struct conf *conf, struct bd_err *e);
/* Ends in order: running deliveries get their replies. */
void transport_close(struct transport **t);

#endif
