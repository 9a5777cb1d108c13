/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the audit log's lines. */
#include "config.h"
#include "lookup/audit.h"

#include <stdio.h>

#include "common/log.h"
#include "envelope/sealed.h"

#define PSEUDONYM_CHARS 17
#define PERSONS_PER_LINE 64

void
audit_log(const uint8_t secret[32], const char *user, const char *map, const char *purpose,
	  const char *agency, char (*ids)[NATIONALID_CHARS], size_t count)
{
	char persons[PERSONS_PER_LINE * PSEUDONYM_CHARS + 1];

	for (size_t done = 0; done < count;) {
		size_t len = 0;

		for (size_t n = 0; n < PERSONS_PER_LINE && done < count; n++, done++) {
			char pseudonym[PSEUDONYM_CHARS];

			pseudonym_make(pseudonym, secret, ids[done]);
			len += (size_t)snprintf(persons + len, sizeof(persons) - len, "%s%s",
						n > 0 ? "," : "", pseudonym);
		}
		log_info("lookup user=%s map=%s purpose=%s agency=%s persons=%s", user, map,
			 purpose[0] != '\0' ? purpose : "-", agency[0] != '\0' ? agency : "-",
			 persons);
	}
}
