/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_OPERATOR_H
#define BD_LOOKUP_OPERATOR_H

/*
 * The verbs of the lookup daemon's control socket, which `brevdue registry` and `brevdue lookup`
 * use. Requests and answers, besides "verb" and the last line:
 *   registry-info                       {"persons":n,"generation":n,"imported":"date-time"}
 *   registry-import, and an open file   {"problem":"words","line":n} ..., "warning" likewise,
 *                                       {"progress":bytes,"of":bytes,"persons":n} ...,
 *                                       as registry-info
 *   registry-list                       {"person":{...}} ...
 *   registry-show, "id"                 {"person":{...}}
 *   registry-remove, "id"               {"removed":true}
 *   decide, "id", "agency"              {"agency":"...","important":{...},"service":{...}}, the
 *                                       decisions as in client.h
 * Every one leaves who asked, and about whom, in the log. Thread safe.
 */

#include <stdint.h>

#include "common/conf.h"
#include "common/control.h"
#include "lookup/embedded.h"

struct operator_desk {
	const struct conf *conf;
	struct embedded *embedded;
	uint8_t secret[32];
};

extern const struct control_verb operator_verbs[]; /* their arg is a struct operator_desk */

#endif
