/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_GATE_H
#define BD_MILTER_GATE_H

/*
 * What all sessions of the milter share: configuration, keys and certificates, and the ways to the
 * other processes. The ways stand in a table of functions, so that the state machine of a session
 * needs no sockets. Built before the first thread; then only its counters change. Thread safe.
 */

#include <stdatomic.h>
#include <stdint.h>
#include <openssl/x509.h>

#include "common/conf.h"
#include "common/encode.h"
#include "common/err.h"
#include "common/procs.h"
#include "common/signer.h"
#include "common/workers.h"
#include "envelope/cert.h"
#include "envelope/letter.h"
#include "envelope/sealed.h"
#include "lookup/client.h"
#include "lookup/person.h"
#include "milter/memory.h"
#include "milter/poison.h"
#include "milter/rate.h"
#include "milter/submit.h"

#define GATE_SECRET_BYTES 32

struct gate_agency {
	const struct conf_agency *conf;
	struct cert_chain chain;
	char fingerprint[2 * SHA256_BYTES + 1]; /* of the chain's leaf, hex */
};

struct gate;

struct gate_ops {
	/* Can the register be asked at all? -1 with kind REGISTER. */
	int (*reach)(struct gate *g, struct bd_err *e);
	struct lookup_question *(*ask)(struct gate *g, const char *agency, const char *const *ids,
				       size_t count, struct bd_err *e);
	int (*collect)(struct gate *g, struct lookup_question *q, struct person *persons,
		       size_t count, struct bd_err *e);
	void (*forget)(struct lookup_question **q);
	/* The letter in the mail fd; options is the reader's JSON. */
	int (*read)(struct gate *g, int fd, const char *options, int timeout_ms,
		    struct letter **l_r, struct bd_err *e);
	/* As submit_mail, to the seal service. */
	int (*submit)(struct gate *g, const struct submit_envelope *env, const char *to,
		      const char *to_args, const void *data, size_t len, int64_t deadline_ms,
		      char queue_id[SUBMIT_QUEUE_ID_CHARS], struct bd_err *e);
};

struct gate {
	const struct conf *conf;
	const struct gate_ops *ops;
	struct gate_agency *agencies; /* as many as conf->agency_count, in its order */
	X509_STORE *roots;
	struct seal_keys seal_keys;
	uint8_t secret[GATE_SECRET_BYTES];
	struct procs *procs;
	struct signer *signer;
	struct workers *workers;
	struct submit_pool *seal_pool, *mail_pool; /* mail_pool only for ordinary = resubmit */
	struct memory memory;
	struct poison poison;
	struct rate rate;
	atomic_uint mails; /* between MAIL and its end: what shutting down waits for */
	void *ops_arg;     /* for tests' own functions */
};

/* In main's order: gate_load reads files and starts the children (as root, before threads);
 * gate_start makes pools (after privileges are dropped). c must outlive the gate. */
int gate_load(struct gate *g, const struct conf *c, const char *user, struct bd_err *e);
int gate_start(struct gate *g, struct bd_err *e);
void gate_clear(struct gate *g);

const struct gate_agency *gate_agency(const struct gate *g, const struct conf_agency *agency);

#endif
