/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_CLI_CHECK_H
#define BD_CLI_CHECK_H

/*
 * `brevdue check`: rows of tables, each looks at one thing and says in words what is wrong. Single
 * threaded; nothing is changed.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"

enum check_side { CHECK_FRONT, CHECK_SEND };

/* What postconf says of an instance. */
struct check_instance {
	const char *name, *config, *queue, *data;
	bool there;     /* main.cf can be read */
	char *params;   /* "name = value" lines, expanded */
	char *services; /* postconf -M: one line per service with its options */
};

struct check {
	const struct conf *conf;
	struct check_instance side[2];
	char words[512]; /* filled by a row that does not hold */
};

enum check_weight { CHECK_WRONG, CHECK_NOTE }; /* a note does not fail the check */

struct check_row {
	const char *name;
	enum check_weight weight;
	bool (*holds)(struct check *k);
	bool needs_postfix; /* left out when the instances are not there */
};

/* Ends with a NULL name. */
extern const struct check_row check_key_rows[];
extern const struct check_row check_system_rows[];
extern const struct check_row check_way_rows[];
extern const struct check_row check_postfix_rows[];
extern const struct check_row check_listener_rows[];

/* false, with the words set: for "return check_says(...)". */
bool check_says(struct check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct check_param_row { /* a parameter of an instance */
	enum check_side side;
	const char *name;
	enum { PARAM_IS, PARAM_EMPTY, PARAM_LACKS } rule;
	const char *words; /* PARAM_IS: one of these; PARAM_LACKS: none of these */
	const char *why;   /* what could happen */
};
extern const struct check_param_row check_params[];
/* The row's rule for a value from elsewhere; the words do not name the parameter. */
bool check_value_holds(struct check *k, const struct check_param_row *row, const char *value);
bool check_param_holds(struct check *k, const struct check_param_row *row);

/* Value of a parameter, copied into out; false when there is none. */
bool check_value(const struct check_instance *i, const char *name, char *out, size_t size);

#endif
