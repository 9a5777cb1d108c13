/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_DAEMON_H
#define BD_LOOKUP_DAEMON_H

/* brevdue-lookup put together: sockets, privileges, register, control socket, loop. */

#include "common/conf.h"
#include "common/err.h"

struct lookup_daemon;

/* Blocks SIGTERM and SIGINT, opens everything and gives up privileges. No thread may run yet. conf
 * must outlive it. */
struct lookup_daemon *lookup_daemon_open(const struct conf *c, struct bd_err *e);
int lookup_daemon_run(struct lookup_daemon *d, struct bd_err *e); /* until SIGTERM */
void lookup_daemon_close(struct lookup_daemon **d);

#endif
