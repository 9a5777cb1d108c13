/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_NETWORK_H
#define BD_COMMON_NETWORK_H

/* Addresses and prefixes as the configuration names them ("192.0.2.0/24", "2001:db8::1", "unix"),
 * and whether a peer lies in one. Pure, thread safe. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/err.h"

struct network {
	int family; /* AF_INET, AF_INET6 or AF_UNIX */
	unsigned bits;
	uint8_t address[16];
};

/* 0, or -1 with kind CONFIG and words. Bits set past the prefix are refused: a slip in typing. */
int network_parse(const char *text, struct network *out, struct bd_err *e);
/* Whether the peer's address lies in it. An IPv4-mapped IPv6 peer counts as IPv4 (RFC 4291
 * 2.5.5.2). */
bool network_has(const struct network *n, const struct sockaddr *peer);

#endif
