/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_READER_FIELD_H
#define BD_READER_FIELD_H

/*
 * Content-Type and Content-Disposition values, read so that there is one reading only (RFC 2045
 * 5.1, RFC 2183): no comments, no attribute twice, no spaces round "=", nothing after a value but
 * ";". Laxer than the RFC in one point, which all parsers share: unquoted values may hold "=", ":",
 * "/" and the like, and an empty parameter may stand at the end. Pure; thread safe.
 */

#include <stdbool.h>
#include <stddef.h>

#define FIELD_TYPE_SIZE ((size_t)128)
#define FIELD_BOUNDARY_MAX ((size_t)70) /* RFC 2046 5.1.1 */
#define FIELD_WORD_SIZE ((size_t)64)
#define FIELD_EXTENSION_SIZE ((size_t)16)
#define FIELD_SECTIONS_MAX 100 /* RFC 2231 sections of one value */

struct field {
	char value[FIELD_TYPE_SIZE]; /* "text/plain", "attachment": lower case */
	char boundary[FIELD_BOUNDARY_MAX + 1];
	char charset[FIELD_WORD_SIZE]; /* lower case, "" when absent */
	bool flowed, delsp;            /* RFC 3676 */
	bool has_name;                 /* a name or filename parameter in any form */
};

/*
 * Parses an unfolded header value. 0, or -1 with *why_r a static phrase ("a parameter twice").
 * name_param is the one that may come in RFC 2231 forms: "name" or "filename".
 */
int field_parse(const char *text, size_t len, const char *name_param, struct field *f,
		const char **why_r);

#endif
