/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_POLLER_H
#define BD_TRANSPORT_POLLER_H

/*
 * Asks the service for the final status of letters it has taken (spec/dpi.md 1.13): one thread per
 * access point, one question at a time, ever more slowly for one letter. A letter is remembered in
 * the records, so a restart forgets nothing. A status that never comes is an alarm, not a resend.
 */

#include "common/err.h"
#include "transport/deliver.h"

struct poller;

/* Takes over the letters that wait in the records and starts the thread. d outlives it. */
struct poller *poller_start(struct deliver *d, struct bd_err *e);
/* A letter was sent. Thread safe, does not block on the network. */
void poller_add(struct poller *p, const char *letter_id, unsigned generation);
void poller_stop(struct poller **p);

#endif
