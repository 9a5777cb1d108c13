/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_AUDIT_H
#define BD_LOOKUP_AUDIT_H

/* The audit log (design section 9): every question about a person leaves who asked, what for and
 * the person's pseudonym, never the number. Thread safe. */

#include <stddef.h>
#include <stdint.h>

#include "envelope/nationalid.h"

/* "" in purpose or agency is written as "-". */
void audit_log(const uint8_t secret[32], const char *user, const char *map, const char *purpose,
	       const char *agency, char (*ids)[NATIONALID_CHARS], size_t count);

#endif
