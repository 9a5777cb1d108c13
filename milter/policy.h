/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_POLICY_H
#define BD_MILTER_POLICY_H

/*
 * Who may hand in letters, and for which agency (design promise 7). The session's credentials pick
 * a client of the configuration, the client gives the set of agencies, the agencies' sender tables
 * the rest. Unverified headers never decide. Pure, thread safe; results are borrowed from conf.
 */

#include <stdbool.h>
#include <sys/socket.h>

#include "common/conf.h"
#include "common/err.h"

enum policy_how { POLICY_NONE, POLICY_LOGIN, POLICY_LISTENER, POLICY_NETWORK };

struct policy_peer {
	struct sockaddr_storage address; /* family AF_INET, AF_INET6, AF_UNIX, else AF_UNSPEC */
};

/* hostname and sa as xxfi_connect gives them: Postfix shows a client on a unix socket, and local
 * submission, as "localhost" without an address. */
void policy_peer_set(struct policy_peer *peer, const char *hostname, const struct sockaddr *sa);
bool policy_peer_is_local(const struct policy_peer *peer); /* loopback or unix */

/* The strongest credential that the configuration knows decides: login, then listener, then network
 * (longest prefix). login and listener may be NULL. NULL when nobody is known by them. */
const struct conf_client *policy_client(const struct conf *c, const struct policy_peer *peer,
					const char *login, const char *listener,
					enum policy_how *how_r);
/* TLS 1.2 or later, loopback or a unix socket, or a client listed with tls = "optional". */
bool policy_is_private(const struct conf_client *client, const struct policy_peer *peer,
		       const char *tls_version);
/* The agency for sender (an address without <>). More than one possible agency: the sender tables
 * must single out one, and only for a session known by login or listener. dkim_domain is the
 * domain of a verified signature aligned with From, or NULL; with it the agency whose table has
 * that domain is taken. -1 with kind NOT_AUTHORISED. */
int policy_agency(const struct conf *c, const struct conf_client *client, enum policy_how how,
		  const char *sender, const char *dkim_domain, const struct conf_agency **agency_r,
		  const struct conf_sender **entry_r, struct bd_err *e);
/* The line of the agency's sender table for an address: the whole address before "@domain". */
const struct conf_sender *policy_sender(const struct conf_agency *agency, const char *sender);
bool policy_sender_may(const struct conf_sender *entry, enum conf_kind kind);

#endif
