/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_DECIDE_H
#define BD_LOOKUP_DECIDE_H

/* The decision table: spec/krr.md 5 with the routes of design section 4. Pure, thread safe. */

#include <stdbool.h>
#include <time.h>

#include "common/conf.h"
#include "lookup/person.h"

enum route { ROUTE_HOLD, ROUTE_DIGITAL, ROUTE_PRINT, ROUTE_REFUSE };
enum decide_force { DECIDE_ANY, DECIDE_PRINT, DECIDE_DIGITAL }; /* +print, +digital */

struct decide_in {
	const struct person *person; /* NULL: no usable answer */
	enum conf_kind kind;
	enum decide_force force;
	bool prints; /* the agency prints this kind */
	time_t now;
};
struct decision {
	enum route route;
	int row;            /* of the table in spec/krr.md 5, 0 when none */
	const char *reason; /* words for the trace and the operator, never for the sender */
	bool notify_email;  /* fresh channels to order notices on; e-mail first, else SMS */
	bool notify_mobile;
};

void decide(const struct decide_in *in, struct decision *out);
const char *route_name(enum route r); /* "hold", "digital", "print", "refuse" */

#endif
