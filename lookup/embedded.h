/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_EMBEDDED_H
#define BD_LOOKUP_EMBEDDED_H

/*
 * The embedded register: Berkeley DB through kv.h, filled by import. Persons lie in one of two
 * sets of tables; an import fills the other one in small transactions, then one record switches,
 * then the old set is emptied. Whatever happens in between, one whole generation answers. Thread
 * safe: questions and operators' work run side by side.
 */

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "common/err.h"
#include "lookup/registry.h"

struct embedded;

struct embedded_info {
	uint32_t generation; /* 0: nothing was ever imported */
	uint64_t persons;
	time_t imported;
};

/* Opens the database in dir, takes up the last whole generation and removes what an interrupted
 * import left. */
struct embedded *embedded_open(const char *dir, bool allow_synthetic, struct bd_err *e);
void embedded_close(struct embedded **r);
/* For the daemon's questions; r must outlive it. */
struct registry embedded_registry(struct embedded *r);

int embedded_info(struct embedded *r, struct embedded_info *info_r, struct bd_err *e);
/* 1 removed, 0 no such person, -1. */
int embedded_remove(struct embedded *r, const char *id, struct bd_err *e);
/* Calls row for each person in the order of the numbers until it returns non-zero. person is
 * borrowed. */
int embedded_list(struct embedded *r, int (*row)(void *arg, json_t *person), void *arg,
		  struct bd_err *e);

struct embedded_import {
	void *arg;
	/* A mistake in the file: the import goes on to find more, but nothing will be switched. */
	void (*problem)(void *arg, unsigned line, const char *words);
	/* Something that will hold letters back, but may be meant. */
	void (*warning)(void *arg, unsigned line, const char *words);
	/* Now and then; non-zero stops the import. */
	int (*progress)(void *arg, uint64_t persons, uint64_t bytes);
	uint64_t persons;  /* out: read */
	uint64_t problems; /* out */
	uint64_t warnings; /* out */
};
/* Replaces the register by what fd holds. One at a time: kind BUSY for a second. -1: the register
 * is what it was before. */
int embedded_import(struct embedded *r, int fd, struct embedded_import *import, struct bd_err *e);

#endif
