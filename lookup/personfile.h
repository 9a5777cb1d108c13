/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_PERSONFILE_H
#define BD_LOOKUP_PERSONFILE_H

/*
 * Reads the persons of an import file one by one, however big the file is. Three forms:
 *   {"personer":[{...},{...}]}   the register's own answer (spec/krr.md 3), also the bare array
 *   {...}                        one person after the other, a line each or not
 *   CSV                          a header line of member names ("personidentifikator;status;..."),
 *                                separated by comma, semicolon or tab, quoted as in RFC 4180;
 *                                postal addresses as adresselinje1..4, postnummer, poststed,
 *                                landkode, adressegradering, fornavn, mellomnavn, etternavn
 * Used by one thread.
 */

#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "common/err.h"

enum personfile_result {
	PERSONFILE_PERSON,
	PERSONFILE_END,
	PERSONFILE_BAD,   /* this person cannot be read; the next may */
	PERSONFILE_BROKEN /* nor can what follows */
};

struct personfile;

/* Reads from fd, which stays the caller's. NULL with kind CONTENT for a form that is none of the
 * three. */
struct personfile *personfile_new(int fd, struct bd_err *e);
/* *element_r is a new reference, *line_r the line it starts on (from 1). e names no content. */
enum personfile_result personfile_next(struct personfile *f, json_t **element_r, unsigned *line_r,
				       struct bd_err *e);
uint64_t personfile_bytes(const struct personfile *f); /* read so far, for progress */
void personfile_free(struct personfile **f);

#endif
