/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the agencies' certificates and finds the one a letter is bound to. Holds no private key. */
#include "config.h"
#include "transport/dpi_identity.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int
identity_load(const struct conf_agency *a, struct dpi_identity *id, struct bd_err *e)
{
	uint8_t digest[SHA256_BYTES];

	id->agency = a;
	if (cert_chain_load(a->certificate, &id->chain, e) == -1)
		return -1;
	if (cert_fingerprint(id->chain.leaf, digest) == -1 ||
	    cert_orgnr(id->chain.leaf, id->orgnr) == -1)
		return bd_fail(e, BD_E_CONFIG, "no organisation number in the certificate");
	hex_encode(id->fingerprint, digest, sizeof(digest));
	if (strcmp(id->orgnr, a->orgnr) != 0)
		id->consumer = a->orgnr;
	return 0;
}

int
dpi_identities_load(const struct conf *c, struct dpi_identities *out, struct bd_err *e)
{
	*out = (struct dpi_identities){ 0 };
	if ((out->list = calloc(c->agency_count + 1, sizeof(*out->list))) == NULL)
		return bd_fail(e, BD_E_MEMORY, "agencies");
	for (size_t i = 0; i < c->agency_count; i++) {
		out->count++;
		if (identity_load(&c->agencies[i], &out->list[i], e) == -1) {
			bd_wrap(e, "agency %s", c->agencies[i].name);
			dpi_identities_clear(out);
			return -1;
		}
	}
	return 0;
}

void
dpi_identities_clear(struct dpi_identities *ids)
{
	for (size_t i = 0; i < ids->count; i++)
		cert_chain_clear(&ids->list[i].chain);
	free(ids->list);
	*ids = (struct dpi_identities){ 0 };
}

const struct dpi_identity *
dpi_identity_of_letter(const struct dpi_identities *ids, const struct control_record *c,
		       struct bd_err *e)
{
	const struct dpi_identity *other = NULL;

	for (size_t i = 0; i < ids->count; i++) {
		const struct dpi_identity *id = &ids->list[i];

		if (strcasecmp(id->fingerprint, c->signer) != 0 ||
		    strcmp(id->agency->orgnr, c->orgnr) != 0)
			continue;
		if (strcmp(id->agency->name, c->agency) == 0)
			return id;
		other = id;
	}
	if (other == NULL)
		bd_fail(e, BD_E_CONFIG,
			"agency %s: the certificate that signed the package (%.16s...) is not "
			"configured",
			c->agency, c->signer);
	return other;
}

const struct dpi_identity *
dpi_identity_of_agency(const struct dpi_identities *ids, const char *agency, struct bd_err *e)
{
	for (size_t i = 0; i < ids->count; i++)
		if (strcmp(ids->list[i].agency->name, agency) == 0)
			return &ids->list[i];
	bd_fail(e, BD_E_CONFIG, "agency %s is not configured", agency);
	return NULL;
}
