/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials to client, client and sender to agency. Knows nothing of sessions and macros. */
#include "config.h"
#include "milter/policy.h"

#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "common/network.h"

void
policy_peer_set(struct policy_peer *peer, const char *hostname, const struct sockaddr *sa)
{
	*peer = (struct policy_peer){ .address.ss_family = AF_UNSPEC };
	if (sa == NULL) {
		if (hostname != NULL && strcmp(hostname, "localhost") == 0)
			peer->address.ss_family = AF_UNIX;
		return;
	}
	if (sa->sa_family == AF_INET)
		memcpy(&peer->address, sa, sizeof(struct sockaddr_in));
	else if (sa->sa_family == AF_INET6)
		memcpy(&peer->address, sa, sizeof(struct sockaddr_in6));
	else if (sa->sa_family == AF_UNIX)
		peer->address.ss_family = AF_UNIX;
}

/* Bits of the matching prefix plus one, 0 when the peer is not in the network. */
static unsigned
network_match(const char *text, const struct policy_peer *peer)
{
	struct bd_err ignored = { 0 }; /* conf_load has refused what does not parse */
	struct network n;

	if (peer->address.ss_family == AF_UNSPEC || network_parse(text, &n, &ignored) == -1)
		return 0;
	return network_has(&n, (const struct sockaddr *)&peer->address) ? n.bits + 1 : 0;
}

bool
policy_peer_is_local(const struct policy_peer *peer)
{
	return network_match("unix", peer) > 0 || network_match("127.0.0.0/8", peer) > 0 ||
	       network_match("::1", peer) > 0;
}

static bool
list_has(char *const *list, const char *value)
{
	if (value == NULL || *value == '\0' || list == NULL)
		return false;
	for (; *list != NULL; list++)
		if (strcmp(*list, value) == 0)
			return true;
	return false;
}

const struct conf_client *
policy_client(const struct conf *c, const struct policy_peer *peer, const char *login,
	      const char *listener, enum policy_how *how_r)
{
	const struct conf_client *best = NULL;
	unsigned best_match = 0;

	*how_r = POLICY_LOGIN;
	for (size_t i = 0; i < c->client_count; i++)
		if (list_has(c->clients[i].logins, login))
			return &c->clients[i];
	*how_r = POLICY_LISTENER;
	for (size_t i = 0; i < c->client_count; i++)
		if (list_has(c->clients[i].listeners, listener))
			return &c->clients[i];
	*how_r = POLICY_NETWORK;
	for (size_t i = 0; i < c->client_count; i++) {
		char *const *n = c->clients[i].networks;

		for (; n != NULL && *n != NULL; n++) {
			unsigned match = network_match(*n, peer);

			if (match > best_match) {
				best_match = match;
				best = &c->clients[i];
			}
		}
	}
	if (best == NULL)
		*how_r = POLICY_NONE;
	return best;
}

bool
policy_is_private(const struct conf_client *client, const struct policy_peer *peer,
		  const char *tls_version)
{
	if (client->tls_optional || policy_peer_is_local(peer))
		return true;
	return tls_version != NULL &&
	       (strcmp(tls_version, "TLSv1.2") == 0 || strcmp(tls_version, "TLSv1.3") == 0);
}

const struct conf_sender *
policy_sender(const struct conf_agency *agency, const char *sender)
{
	const char *at = strrchr(sender, '@');
	const struct conf_sender *domain = NULL;

	for (size_t i = 0; i < agency->sender_count; i++) {
		const char *pattern = agency->senders[i].pattern;

		if (strcasecmp(pattern, sender) == 0)
			return &agency->senders[i];
		if (pattern[0] == '@' && at != NULL && strcasecmp(pattern, at) == 0)
			domain = &agency->senders[i];
	}
	return domain;
}

static bool
has_domain(const struct conf_agency *agency, const char *domain)
{
	for (size_t i = 0; i < agency->sender_count; i++) {
		const char *at = strrchr(agency->senders[i].pattern, '@');

		if (at != NULL && strcasecmp(at + 1, domain) == 0)
			return true;
	}
	return false;
}

int
policy_agency(const struct conf *c, const struct conf_client *client, enum policy_how how,
	      const char *sender, const char *dkim_domain, const struct conf_agency **agency_r,
	      const struct conf_sender **entry_r, struct bd_err *e)
{
	const struct conf_agency *found = NULL;
	size_t set = 0, matches = 0;

	for (char *const *name = client->agencies; name != NULL && *name != NULL; name++) {
		const struct conf_agency *a = conf_agency(c, *name);

		if (a == NULL)
			continue;
		set++;
		if (policy_sender(a, sender) == NULL)
			continue;
		if (dkim_domain != NULL && !has_domain(a, dkim_domain))
			continue;
		found = a;
		matches++;
	}
	if (matches == 0)
		return bd_fail(e, BD_E_NOT_AUTHORISED,
			       "client %s: sender in no table of its agencies", client->name);
	if (client->shared && how == POLICY_NETWORK && dkim_domain == NULL)
		return bd_fail(e, BD_E_NOT_AUTHORISED,
			       "client %s: shared network and no verified signature", client->name);
	if (matches > 1)
		return bd_fail(e, BD_E_NOT_AUTHORISED, "client %s: sender fits %zu agencies",
			       client->name, matches);
	if (set > 1 && how == POLICY_NETWORK && dkim_domain == NULL)
		return bd_fail(e, BD_E_NOT_AUTHORISED,
			       "client %s: a network cannot choose between %zu agencies",
			       client->name, set);
	*agency_r = found;
	*entry_r = policy_sender(found, sender);
	return 0;
}

bool
policy_sender_may(const struct conf_sender *entry, enum conf_kind kind)
{
	return kind == CONF_KIND_SERVICE ? entry->service : entry->important;
}
