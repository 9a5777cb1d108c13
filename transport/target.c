/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the recipient addresses that the milter makes; refuses to guess. */
#include "config.h"
#include "transport/target.h"

#include <string.h>
#include <strings.h>

#define DIGITS "0123456789"

void
target_parse(const char *address, struct target *out)
{
	const char *at = strchr(address, '@'), *domain;
	size_t digits;

	*out = (struct target){ .kind = TARGET_NONE };
	if (at == NULL || at - address != LETTER_ID_CHARS - 1 ||
	    strspn(address, DIGITS "abcdef") != LETTER_ID_CHARS - 1)
		return;
	memcpy(out->letter_id, address, LETTER_ID_CHARS - 1);
	domain = at + 1;
	if (strcasecmp(domain, "report.brevdue.invalid") == 0) {
		out->kind = TARGET_REPORT;
		return;
	}
	digits = strspn(domain, DIGITS);
	if (digits != ORGNR_CHARS - 1 ||
	    strcasecmp(domain + digits, ".digital.brevdue.invalid") != 0)
		return;
	memcpy(out->provider, domain, digits);
	out->kind = TARGET_DIGITAL;
}
