/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_DRIVER_H
#define BD_TRANSPORT_DRIVER_H

/*
 * A way to deliver letters is a struct of functions in a file of its own (design section 10). The
 * caller stores the intent before send is called and the outcome after it; a driver keeps no record
 * and no retry clock. Ids are given and are the same at every attempt of a generation. All
 * functions but open and close are called from many threads at once.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/signer.h"
#include "envelope/sealed.h"

enum driver_result {
	DRIVER_UNSURE, /* sent in part or whole, no answer seen: ask before sending again; zero, so
			  that forgetting to set it is safe */
	DRIVER_DONE,   /* the service has taken it */
	DRIVER_LATER,  /* certainly not taken, safe to repeat; e says why */
	DRIVER_NEVER   /* will never be taken; note->reason says why */
};

enum driver_found {
	DRIVER_UNKNOWN, /* could not be asked; e says why */
	DRIVER_THERE,
	DRIVER_ABSENT,
	DRIVER_GAVE_UP /* the service had it and says that it failed */
};

struct driver_env { /* outlives the driver */
	const struct conf *conf;
	struct signer *signer;
};

struct driver_letter { /* all borrowed */
	const struct control_record *control;
	const struct buf *package;
	const char *instance, *conversation;
	bool first;          /* no attempt of this generation was made before */
	int64_t deadline_ms; /* monotonic: an answer after it is of no use */
};

struct driver_query {
	const char *agency; /* name in the configuration */
	const char *instance;
	int64_t deadline_ms;
};

struct driver_note {     /* for record and log: codes and our own words, nothing foreign */
	int code;        /* the service's, 0 when it gave none */
	bool duplicate;  /* it had the letter already */
	bool final;      /* the status found will not change */
	char status[16]; /* in the service's words: OPPRETTET, SENDT, FEILET */
	char reason[64];
};

struct driver_sink { /* where poll and receive put what they got (receipts and incoming mail) */
	/* Durable when it returns 0; only then the driver acknowledges to the service. id is the
	 * service's own for the item, conversation that of the letter it belongs to. */
	int (*store)(void *arg, const char *kind, const char *id, const char *conversation,
		     const void *data, size_t len, struct bd_err *e);
	void *arg;
};

struct driver_ops {
	const char *name;
	int (*open)(void **self_r, const struct driver_env *env, struct bd_err *e);
	enum driver_result (*send)(void *self, const struct driver_letter *l,
				   struct driver_note *note_r, struct bd_err *e);
	enum driver_found (*query)(void *self, const struct driver_query *q,
				   struct driver_note *note_r, struct bd_err *e);
	/* Receipts of letters sent; NULL when the service has none. */
	int (*poll)(void *self, const struct driver_sink *sink, struct bd_err *e);
	/* Mail the service brings in; NULL when it brings none. */
	int (*receive)(void *self, const struct driver_sink *sink, struct bd_err *e);
	void (*close)(void **self);
};

extern const struct driver_ops driver_null; /* takes everything, sends nothing anywhere */
extern const struct driver_ops driver_dpi;

#endif
