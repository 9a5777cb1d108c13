/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_QUESTION_H
#define BD_LOOKUP_QUESTION_H

/*
 * What is asked over the socketmap, and the answer made from the register's: maps person,
 * recipient, decision and persons (client.h has their keys and values). Pure; a question belongs
 * to one thread at a time.
 */

#include <stdbool.h>
#include <jansson.h>

#include "common/buf.h"
#include "common/conf.h"
#include "envelope/nationalid.h"
#include "lookup/socketmap.h"

#define QUESTION_WORD_CHARS 64

enum question_map { QUESTION_PERSON, QUESTION_RECIPIENT, QUESTION_DECISION, QUESTION_PERSONS };

struct question {
	enum question_map map;
	char agency[QUESTION_WORD_CHARS]; /* "" none; else one of the configuration's */
	char purpose[QUESTION_WORD_CHARS];
	enum conf_kind kind; /* decision */
	char (*ids)[NATIONALID_CHARS];
	size_t count;
};

enum question_result {
	QUESTION_ASK,       /* the register must be asked */
	QUESTION_OK,        /* found without the register */
	QUESTION_NOT_FOUND, /* answered without the register */
	QUESTION_REFUSED    /* e->cause says why, in words for the asker */
};

/* Reads a request. q is to be cleared in every case. */
enum question_result question_parse(const struct conf *c, const struct socketmap_request *r,
				    struct question *q, struct bd_err *e);
/* Appends the answer's data for the persons the register gave, one per id in order. -1 with kind
 * REGISTER when they are not those asked for. */
int question_answer(const struct conf *c, const struct question *q, const json_t *persons,
		    struct buf *out, struct bd_err *e);
/* The decision about one of the register's persons as JSON; new reference or NULL. */
json_t *question_decision(const struct conf *c, const char *agency, enum conf_kind kind,
			  const json_t *element, struct bd_err *e);
const char *question_map_name(enum question_map map);
void question_clear(struct question *q);

#endif
