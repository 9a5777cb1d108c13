/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_REGISTRY_H
#define BD_LOOKUP_REGISTRY_H

/*
 * Registers stand behind one struct (design section 9). A register answers persons in the shape of
 * spec/krr.md 3. Called by the database thread; may block.
 */

#include <stddef.h>
#include <jansson.h>

#include "common/err.h"

struct registry_ops {
	const char *name;
	/* Appends one element per id (valid numbers) to persons, in their order; a number that the
	 * register does not know is an element with IKKE_REGISTRERT. -1 with kind REGISTER: the
	 * whole question failed. */
	int (*persons)(void *self, const char *const *ids, size_t count, json_t *persons,
		       struct bd_err *e);
};

struct registry {
	const struct registry_ops *ops;
	void *self;
};

#endif
