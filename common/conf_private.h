/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_CONF_PRIVATE_H
#define BD_COMMON_CONF_PRIVATE_H

/* Shared by conf.c (reads the file), conf_table.c (the settings), conf_value.c (one value) and
 * conf_check.c (what must fit together). Nobody else includes it. */

#include "common/conf.h"

enum conf_section_id {
	CONF_TOP,
	CONF_SEAL_KEY,
	CONF_AGENCY,
	CONF_SENDER, /* inside an agency */
	CONF_DOMAIN,
	CONF_CLIENT,
	CONF_MILTER,
	CONF_LOOKUP,
	CONF_TRANSPORT,
	CONF_ACCESS_POINT,
	CONF_MASKINPORTEN,
	CONF_POSTFIX,
	CONF_SECTION_COUNT
};

struct conf_section_row {
	const char *name;
	const char *path;   /* as conf_settings shows it, "agency.sender" */
	const char *titled; /* what the title is, NULL: one section without a title */
	size_t array; /* titled: offsets in the owner of array and count, size of an element */
	size_t count;
	size_t size;
};

enum conf_type {
	CONF_STRING,
	CONF_NAME,    /* letters, digits, '.', '_', '-': shown in logs, used as labels */
	CONF_PATH,    /* absolute */
	CONF_SOCKET,  /* absolute and short enough for sun_path */
	CONF_USER,    /* user or group name */
	CONF_BOOL,    /* yes or no */
	CONF_NUMBER,  /* int or unsigned within min and max */
	CONF_SIZE,    /* size_t, bytes, k M G */
	CONF_MSEC,    /* int milliseconds, ms s m h d; min and max in ms */
	CONF_SEC,     /* unsigned seconds */
	CONF_WORD,    /* char *, one of words */
	CONF_CHOICE,  /* enum, the word's position */
	CONF_SWITCH,  /* bool, true for the second word */
	CONF_ORGNR,   /* nine digits with check digit */
	CONF_URL,     /* https, or http for the sandbox */
	CONF_EMAIL,   /* an address */
	CONF_PUBLIC,  /* text strangers may see, at most max characters */
	CONF_KINDS,   /* a sender's kinds */
	CONF_STRINGS, /* lists from here on: char ** */
	CONF_USERS,
	CONF_NETWORKS,
	CONF_DOMAINS,
	CONF_ORGNRS
};

struct conf_row {
	enum conf_section_id section;
	const char *name;
	enum conf_type type;
	size_t offset;        /* in struct conf, or in the element of a titled section */
	const char *fallback; /* default as text; NULL: none */
	const char *words;    /* of CONF_WORD, CONF_CHOICE and CONF_SWITCH, "a|b" */
	unsigned long min, max;
	bool required; /* where its section stands */
	const char *help;
};

extern const struct conf_row conf_rows[];
extern const size_t conf_row_count;
extern const struct conf_section_row conf_sections[CONF_SECTION_COUNT];

/* The row of a setting, NULL when the section has none of that name. */
const struct conf_row *conf_row(enum conf_section_id section, const char *name);
const char *conf_type_name(const struct conf_row *row);
bool conf_type_is_list(enum conf_type type);
bool conf_type_is_text(enum conf_type type); /* stored as char * */

/* The file's text with comments blanked out, lines kept; the caller frees. NULL: e says why. */
char *conf_text_read(const char *file, struct bd_err *e);

/* Checks the values and, where base is not NULL, stores them at base + row->offset. -1 with the
 * words (without file and line) as cause. */
int conf_value_store(const struct conf_row *row, void *base, const char *const *values,
		     size_t count, struct bd_err *e);
/* Checks a section's title. */
int conf_title_check(enum conf_section_id section, const char *title, struct bd_err *e);
bool conf_is_domain(const char *text);
bool conf_is_email(const char *text);

/* A file being read, for conf_check.c: where things stand. */
struct conf_load;
bool conf_has_section(const struct conf_load *l, enum conf_section_id section);
/* Fails with file and line of the setting (NULL: of the section) and the words. */
int conf_fail_at(const struct conf_load *l, struct bd_err *e, enum conf_section_id section,
		 size_t index, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/* Everything that takes more than one setting to judge. */
int conf_check(const struct conf *c, const struct conf_load *l, struct bd_err *e);

#endif
