/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_PERSON_H
#define BD_LOOKUP_PERSON_H

/*
 * A person as the register answers, read from the register's own JSON (spec/krr.md 3): the one
 * parser for the embedded register, the national register and the lookup daemon's answers. Unknown
 * members are ignored, unknown values become UNKNOWN, absent = null = "".
 */

#include <stdbool.h>
#include <time.h>
#include <jansson.h>

#include "common/err.h"
#include "envelope/nationalid.h"

enum person_status { PERSON_STATUS_UNKNOWN, PERSON_ACTIVE, PERSON_DELETED, PERSON_NOT_REGISTERED };
enum person_reserved { PERSON_RESERVED_UNKNOWN, PERSON_RESERVED, PERSON_NOT_RESERVED };
enum person_notifiable { PERSON_NOTIFIABLE_UNKNOWN, PERSON_NOTIFIABLE, PERSON_NOT_NOTIFIABLE };

struct person_channel {
	char *address;  /* NULL when none */
	time_t updated; /* 0 when absent or unreadable */
	time_t verified;
	bool shared; /* _duplisert is JA or an unknown value */
};

struct person {
	char id[NATIONALID_CHARS];
	enum person_status status;
	enum person_reserved reserved;
	enum person_notifiable notifiable;
	struct person_channel email, mobile;
	char *mailbox;     /* postkasseadresse */
	char *provider;    /* postkasseleverandoeradresse */
	char *certificate; /* base64 DER or PEM, as given */
	char *language;    /* spraak, NULL */
	bool has_address;  /* a postal address is known (print issue) */
	bool deceased;
};

/* 0; -1 when the element is no object or has no valid number (kind REGISTER). */
int person_parse(const json_t *element, struct person *person_r, struct bd_err *e);
void person_clear(struct person *p);
/* Fresh by spec/krr.md 4: updated or verified within 18 months of now, and not shared. */
bool person_channel_is_fresh(const struct person_channel *c, time_t now);

#endif
