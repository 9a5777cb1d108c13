/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_ADDRESS_H
#define BD_LOOKUP_ADDRESS_H

/* Citizen addresses (design section 3): local part to national number and options. Pure, thread
 * safe. */

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"
#include "envelope/nationalid.h"
#include "lookup/decide.h"

struct citizen {
	char id[NATIONALID_CHARS]; /* canonical */
	enum decide_force force;   /* +print, +digital */
	bool service;              /* +info */
	bool level3;               /* +level3 */
};

/* Reads a local part as given in RCPT (no quotes, as the MTA passes it). -1 with kind BAD_NUMBER.
 */
int citizen_parse(const char *local_part, bool allow_synthetic, struct citizen *out,
		  struct bd_err *e);
/* Splits "<local@domain>" or "local@domain" and finds the domain's profile; NULL when it is not
 * ours. local gets the local part. */
const struct conf_domain *citizen_domain(const struct conf *c, const char *address, char *local,
					 size_t local_size);
/* Whether eleven digits that no other digit touches, and that are a national number (synthetic or
 * not), stand anywhere in an address or a parameter that holds one (ORCPT). The domain counts too:
 * logs and queues show the whole address. */
bool address_holds_number(const char *text);

#endif
