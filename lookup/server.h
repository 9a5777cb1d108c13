/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_SERVER_H
#define BD_LOOKUP_SERVER_H

/*
 * The socketmap server: one epoll loop for all connections and one thread that asks the register.
 * Peers are known by their credentials: root, the daemon's own user and lookup.users. Every
 * question about a person leaves user, map, purpose, agency and pseudonym in the log.
 */

#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"
#include "lookup/registry.h"

struct server;

/* Takes ownership of fd (listening), also on failure. conf and register must outlive it; secret (32
 * bytes, copied) makes the pseudonyms. */
struct server *server_open(const struct conf *c, int fd, struct registry r,
			   const uint8_t secret[32], struct bd_err *e);
/* Serves until SIGTERM or SIGINT, which must be blocked in all threads. */
int server_run(struct server *s, struct bd_err *e);
void server_close(struct server **s);

#endif
