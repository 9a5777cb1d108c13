/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SANDBOX_TOKEN_H
#define BD_SANDBOX_TOKEN_H

/* Maskinporten's stand-in (spec/krr.md 13, spec/dpi.md 1.3): grants in, tokens out, and the check
 * that services make of a token. */

#include <stdbool.h>
#include <jansson.h>

#include "sandbox/web.h"

#define SCOPE_SEND "digitalpostinnbygger:send"
#define SCOPE_CONTACT "krr:global/kontaktinformasjon.read"
#define SCOPE_MAILBOX "krr:global/digitalpost.read"

struct client { /* as registered with Maskinporten */
	const char *id;
	enum pki_who owner;
	const char *kid;      /* signs with the registered key, else with its certificate (x5c) */
	const char *acts_for; /* orgnr that delegated to it, NULL */
};

extern const struct client token_clients[];
extern const size_t token_client_count;

/* The bearer token of the request: claims as a new reference, and the token's text (borrowed from
 * the request). NULL with 401 and the words: none, not ours, expired. */
json_t *token_bearer(const struct web_request *req, const char **token_r, char *why, size_t size);
bool token_has_scope(const json_t *claims, const char *scope);
/* Organisation number in claims' consumer or supplier, "" when absent; out holds 10 bytes. */
void token_party(const json_t *claims, const char *member, char out[ORGNR_CHARS]);

#endif
