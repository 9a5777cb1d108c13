/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_DPI_IDENTITY_H
#define BD_TRANSPORT_DPI_IDENTITY_H

/*
 * Who signs and asks for tokens: each configured agency with its certificate. Package, business
 * message and grant of a letter are signed with one key (spec/dpi.md 1.11), so a letter is bound to
 * the certificate that signed its package. A rolled certificate stays usable while another agency
 * block of the same organisation still names it. Immutable once made, so thread safe.
 */

#include "common/conf.h"
#include "common/err.h"
#include "envelope/cert.h"
#include "envelope/sealed.h"

struct dpi_identity {
	const struct conf_agency *agency; /* its name is the signer's key label */
	struct cert_chain chain;
	char fingerprint[2 * SHA256_BYTES + 1];
	char orgnr[ORGNR_CHARS]; /* of the certificate: who signs */
	const char *consumer;    /* the agency, when somebody else signs for it (1.15), or NULL */
};

struct dpi_identities {
	struct dpi_identity *list;
	size_t count;
};

int dpi_identities_load(const struct conf *c, struct dpi_identities *out, struct bd_err *e);
void dpi_identities_clear(struct dpi_identities *ids);
/* The one whose certificate signed the letter's package; NULL with kind CONFIG. */
const struct dpi_identity *dpi_identity_of_letter(const struct dpi_identities *ids,
						  const struct control_record *c, struct bd_err *e);
/* By the agency's name, for questions; NULL with kind CONFIG. */
const struct dpi_identity *dpi_identity_of_agency(const struct dpi_identities *ids,
						  const char *agency, struct bd_err *e);

#endif
