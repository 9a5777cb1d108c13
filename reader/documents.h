/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_READER_DOCUMENTS_H
#define BD_READER_DOCUMENTS_H

/*
 * From parts with roles to the letter's documents: which is the main one (design section 4), the
 * body's pieces put together, pictures put inside it, types decided, names and titles given.
 */

#include "reader/parts.h"
#include "reader/read.h"

/* r->letter has its header fields already. 0, or -1 as reader_read. */
int documents_make(struct types *types, struct parts *p, const struct reader_options *o,
		   struct reading *r, struct bd_err *e);

#endif
