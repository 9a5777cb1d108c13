/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and compares network prefixes. Resolves no names and opens nothing. */
#include "config.h"
#include "common/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define ADDRESS_MAX_CHARS 64

static unsigned
family_bits(int family)
{
	return family == AF_INET ? 32 : 128;
}

static bool
bit_is_set(const uint8_t *address, unsigned bit)
{
	return (address[bit / 8] & (0x80U >> (bit % 8))) != 0;
}

static int
prefix_parse(const char *text, unsigned max, unsigned *bits_r)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n > max)
		return -1;
	*bits_r = (unsigned)n;
	return 0;
}

int
network_parse(const char *text, struct network *out, struct bd_err *e)
{
	const char *slash = strchr(text, '/');
	size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
	char address[ADDRESS_MAX_CHARS];

	*out = (struct network){ 0 };
	if (strcmp(text, "unix") == 0) {
		out->family = AF_UNIX;
		return 0;
	}
	if (len == 0 || len >= sizeof(address))
		return bd_fail(e, BD_E_CONFIG, "\"%s\" is not an IP address", text);
	memcpy(address, text, len);
	address[len] = '\0';
	out->family = strchr(address, ':') == NULL ? AF_INET : AF_INET6;
	if (inet_pton(out->family, address, out->address) != 1)
		return bd_fail(e, BD_E_CONFIG,
			       "\"%s\" is not an IP address, a prefix (192.0.2.0/24) or \"unix\"",
			       text);
	out->bits = family_bits(out->family);
	if (slash != NULL && prefix_parse(slash + 1, out->bits, &out->bits) == -1)
		return bd_fail(e, BD_E_CONFIG, "\"%s\" has a wrong prefix length", text);
	for (unsigned bit = out->bits; bit < family_bits(out->family); bit++)
		if (bit_is_set(out->address, bit))
			return bd_fail(e, BD_E_CONFIG,
				       "\"%s\" has address bits past its prefix length", text);
	return 0;
}

bool
network_has(const struct network *n, const struct sockaddr *peer)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *address;
	int family = peer->sa_family;

	if (family == AF_UNIX)
		return n->family == AF_UNIX;
	if (family == AF_INET) {
		address =
		    (const uint8_t *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr;
	} else if (family == AF_INET6) {
		address =
		    (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
		if (n->family == AF_INET && memcmp(address, mapped, sizeof(mapped)) == 0) {
			address += sizeof(mapped);
			family = AF_INET;
		}
	} else {
		return false;
	}
	if (family != n->family)
		return false;
	for (unsigned bit = 0; bit < n->bits; bit++)
		if (bit_is_set(address, bit) != bit_is_set(n->address, bit))
			return false;
	return true;
}
