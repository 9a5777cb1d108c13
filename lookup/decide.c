/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision table: one person and one kind of message to a route. Asks nobody and remembers
 * nothing. Rows are those of spec/krr.md 5, tested from the top; what brevdue can do with each is
 * design section 4, "Routes".
 */
#include "config.h"
#include "lookup/decide.h"

#include <stddef.h>

static bool
has_mailbox(const struct person *p)
{
	return p->mailbox != NULL && p->provider != NULL && p->certificate != NULL;
}

/* Row 1: what the register has not said in a way we know. A deleted or unknown person need not have
 * a reservation (spec/krr.md 4), an active one must. */
static const char *
what_is_missing(const struct person *p)
{
	if (p == NULL)
		return "the register gave no usable answer for this person";
	if (p->status == PERSON_STATUS_UNKNOWN)
		return "the register gave no status, or one we do not know";
	if (p->notifiable == PERSON_NOTIFIABLE_UNKNOWN)
		return "the register did not say whether the person can be notified";
	if (p->reserved == PERSON_RESERVED_UNKNOWN && p->status == PERSON_ACTIVE)
		return "the register did not say whether the person has opted out";
	return NULL;
}

/* Finds the row for an answer that is whole; *digital_r says whether it lets this kind of message
 * go to a mailbox. */
static void
row_find(const struct decide_in *in, bool email, bool mobile, struct decision *out, bool *digital_r)
{
	const struct person *p = in->person;
	bool important = in->kind == CONF_KIND_IMPORTANT, mailbox = has_mailbox(p);

	*digital_r = false;
	if (p->reserved == PERSON_RESERVED) {
		out->row = 2;
		out->reason = "the person has opted out of digital mail";
	} else if (p->status != PERSON_ACTIVE) {
		out->row = 3;
		out->reason = p->status == PERSON_DELETED
				  ? "the person was removed from the register"
				  : "the person was never in the register";
	} else if (p->notifiable == PERSON_NOT_NOTIFIABLE) {
		out->row = 4;
		out->reason = "the register says that the person cannot be notified";
		*digital_r = !important && mailbox;
	} else if (!email && !mobile) {
		out->row = 5;
		out->reason =
		    "the register says that the person can be notified, but no channel of "
		    "their own is younger than 18 months";
		*digital_r = !important && mailbox;
	} else if (mailbox) {
		out->row = 6;
		out->reason = "active, not opted out, notifiable, with a complete mailbox";
		*digital_r = true;
	} else {
		out->row = email ? 7 : 8;
		out->reason = "the person has no complete mailbox";
	}
	if (*digital_r && out->row != 6)
		out->reason = "a service message needs only an active person's complete mailbox";
	if (p->deceased) {
		out->row = 0;
		out->reason = "the population register says that the person is deceased";
		*digital_r = false;
	}
}

void
decide(const struct decide_in *in, struct decision *out)
{
	const char *missing = what_is_missing(in->person);
	bool email, mobile, digital;

	*out = (struct decision){ .route = ROUTE_HOLD };
	if (missing != NULL) {
		out->row = 1;
		out->reason = missing;
		return;
	}
	email = person_channel_is_fresh(&in->person->email, in->now);
	mobile = person_channel_is_fresh(&in->person->mobile, in->now);
	row_find(in, email, mobile, out, &digital);
	if (digital && in->force != DECIDE_PRINT) {
		out->route = ROUTE_DIGITAL;
		out->notify_email = in->kind == CONF_KIND_IMPORTANT && email;
		out->notify_mobile = in->kind == CONF_KIND_IMPORTANT && !email && mobile;
		return;
	}
	if (digital)
		out->reason = "the sender asked for paper";
	if (in->force != DECIDE_DIGITAL && in->prints && in->person->has_address)
		out->route = ROUTE_PRINT;
	else
		out->route = ROUTE_REFUSE;
}

const char *
route_name(enum route r)
{
	switch (r) {
	case ROUTE_HOLD:
		return "hold";
	case ROUTE_DIGITAL:
		return "digital";
	case ROUTE_PRINT:
		return "print";
	case ROUTE_REFUSE:
		return "refuse";
	}
	return "hold";
}
