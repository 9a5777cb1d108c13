/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the decision again and compares. Never says why a decision changed. */
#include "config.h"
#include "transport/recheck.h"

#include <string.h>
#include <strings.h>

static bool
same(const char *now, const char *sealed)
{
	return sealed != NULL && sealed[0] != '\0' && strcmp(now, sealed) == 0;
}

int
recheck_compare(const struct control_record *c, const struct lookup_decision *now, struct bd_err *e)
{
	const struct control_addressee *a = &c->addressees[0];
	char fingerprint[2 * SHA256_BYTES + 1];

	if (now->route[0] == '\0' || strcmp(now->route, "hold") == 0)
		return bd_fail(e, BD_E_REGISTER, "decision: hold");
	hex_encode(fingerprint, a->certificate, SHA256_BYTES);
	return same(now->route, c->route) && same(now->provider, a->provider) &&
	       same(now->mailbox, a->mailbox) && strcasecmp(now->certificate, fingerprint) == 0;
}

int
recheck(const struct conf *conf, const struct control_record *c, int timeout_ms, struct bd_err *e)
{
	enum conf_kind kind = c->kind != NULL && strcmp(c->kind, "service") == 0
				  ? CONF_KIND_SERVICE
				  : CONF_KIND_IMPORTANT;
	struct lookup_decision now;

	if (lookup_decision(conf->lookup.socket, c->agency, kind, c->addressees[0].national_id,
			    timeout_ms, &now, e) == -1) {
		e->kind = BD_E_REGISTER;
		return bd_wrap(e, "asking the decision again");
	}
	return recheck_compare(c, &now, e);
}
