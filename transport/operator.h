/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_OPERATOR_H
#define BD_TRANSPORT_OPERATOR_H

/*
 * The verbs of the control socket: "letters" (id, state, generation of every letter, or of those in
 * "state"), "letter" (the events of "id") and "release" (lets a parked letter go). Root and the
 * operators named in the configuration; who asked for what is logged.
 */

#include "common/control.h"
#include "transport/deliver.h"

/* For control_start, whose arg is the struct deliver. */
extern const struct control_verb operator_verbs[];

#endif
