/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SANDBOX_CHECKS_H
#define BD_SANDBOX_CHECKS_H

/*
 * The checks that the access point (C2) and the mailbox provider (C4) must make of a letter
 * (spec/dpi.md 1.11, 1.12, 1.17). C2's failures are HTTP errors, C4's become a `feil` receipt.
 */

#include "common/buf.h"
#include "envelope/package.h"
#include "sandbox/web.h"

#define CHANNEL_CHARS 29 /* with NUL */

struct submission {
	json_t *document; /* the payload of the JWT; everything below is borrowed from it */
	const json_t *body;
	const char *type, *conversation, *process;
	const char *mailbox; /* NULL for print */
	const char *unit;
	char instance[37];                                 /* lower case */
	char sender[ORGNR_CHARS], receiver[ORGNR_CHARS];   /* of the header: who signs, C4 */
	char agency[ORGNR_CHARS];                          /* avsender */
	char channel[CHANNEL_CHARS];                       /* lower case, "" when none */
	char consumer[ORGNR_CHARS], supplier[ORGNR_CHARS]; /* of the token; supplier may be "" */
	const struct pki_party *provider;
	X509 *signer; /* of the JWT, chain checked */
	const struct buf *package;
};

/* A channel as in the API, lower-cased into out. NULL gives "". 0 or -1. */
int check_channel(const char *text, char out[CHANNEL_CHARS]);
/* C2. 0 with s filled, -1 with the answer made. Clear s in any case. */
int check_c2(struct web_request *req, struct web_answer *ans, struct submission *s);
/* C4. 0 with the opened package, -1 with what the receipt says in why. */
int check_c4(const struct sandbox *sb, const struct submission *s, struct package_open *open,
	     char *why, size_t size);
void submission_clear(struct submission *s);

#endif
