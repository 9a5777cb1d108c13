/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_SETWATCH_H
#define BD_TRANSPORT_SETWATCH_H

/*
 * Says when letters of a mail have not all come within transport.set-timeout (design promise 2):
 * one thread that looks at the records now and then. Which set has been told is in the records, so
 * a restart forgets nothing and repeats nothing.
 */

#include "common/err.h"
#include "transport/deliver.h"

struct setwatch;

/* d outlives it. */
struct setwatch *setwatch_start(struct deliver *d, struct bd_err *e);
void setwatch_stop(struct setwatch **w);

#endif
