/* SPDX-License-Identifier: Apache-2.0 */
/* Builds what the sessions share, and asks the other processes for them. */
#include "config.h"
#include "milter/gate.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/privs.h"
#include "common/sock.h"

#define REACH_MS 2000
#define READER_CPU_SEC 60

static int
gate_reach(struct gate *g, struct bd_err *e)
{
	int fd = sock_connect(g->conf->lookup.socket, REACH_MS, e);

	if (fd == -1) {
		e->kind = BD_E_REGISTER;
		return bd_wrap(e, "lookup daemon");
	}
	close(fd);
	return 0;
}

static struct lookup_question *
gate_ask(struct gate *g, const char *agency, const char *const *ids, size_t count, struct bd_err *e)
{
	return lookup_ask(g->conf->lookup.socket, agency, ids, count, g->conf->lookup.timeout_ms,
			  e);
}

static int
gate_collect(struct gate *g, struct lookup_question *q, struct person *persons, size_t count,
	     struct bd_err *e)
{
	(void)g;
	return lookup_collect(q, persons, count, e);
}

static int
gate_read(struct gate *g, int fd, const char *options, int timeout_ms, struct letter **l_r,
	  struct bd_err *e)
{
	int out = -1, rc;

	if (workers_call(g->workers, fd, options, &out, timeout_ms, e) == -1)
		return -1;
	rc = letter_read(out, l_r, e);
	close(out);
	return rc;
}

static int
gate_submit(struct gate *g, const struct submit_envelope *env, const char *to, const char *to_args,
	    const void *data, size_t len, int64_t deadline_ms, char queue_id[SUBMIT_QUEUE_ID_CHARS],
	    struct bd_err *e)
{
	return submit_mail(g->seal_pool, env, to, to_args, data, len, deadline_ms, queue_id, e);
}

static const struct gate_ops gate_real_ops = {
	.reach = gate_reach,
	.ask = gate_ask,
	.collect = gate_collect,
	.forget = lookup_question_free,
	.read = gate_read,
	.submit = gate_submit,
};

static int
load_agencies(struct gate *g, struct bd_err *e)
{
	const struct conf *c = g->conf;

	if ((g->agencies = calloc(c->agency_count + 1, sizeof(*g->agencies))) == NULL)
		return bd_fail(e, BD_E_MEMORY, "agencies");
	for (size_t i = 0; i < c->agency_count; i++) {
		struct gate_agency *a = &g->agencies[i];
		uint8_t fingerprint[SHA256_BYTES];

		a->conf = &c->agencies[i];
		/* Printing comes with the print service; a setting that promises it must not
		 * make letters fail one by one. */
		if (a->conf->prints || a->conf->prints_service)
			return bd_fail(e, BD_E_CONFIG,
				       "agency %s: prints is not available in this version",
				       a->conf->name);
		if (a->conf->mixed_domains != NULL && a->conf->mixed_domains[0] != NULL)
			return bd_fail(e, BD_E_CONFIG,
				       "agency %s: mixed-domains is not available in this version",
				       a->conf->name);
		if (cert_chain_load(a->conf->certificate, &a->chain, e) == -1 ||
		    cert_fingerprint(a->chain.leaf, fingerprint) == -1)
			return bd_wrap(e, "agency %s", a->conf->name);
		hex_encode(a->fingerprint, fingerprint, sizeof(fingerprint));
	}
	return 0;
}

static int
load_keys(struct gate *g, struct bd_err *e)
{
	const struct conf *c = g->conf;

	if (c->secret == NULL || c->trust == NULL)
		return bd_fail(e, BD_E_CONFIG, "%s: secret and trust must be set", c->file);
	if (seal_keys_load(c->seal_keys, c->seal_key_count, &g->seal_keys, e) == -1)
		return -1;
	if (privs_read_secret(c->secret, g->secret, sizeof(g->secret), e) != sizeof(g->secret)) {
		e->kind = BD_E_CONFIG;
		return bd_wrap(e, "secret %s must hold %d bytes", c->secret, GATE_SECRET_BYTES);
	}
	g->roots = cert_roots_load(c->trust, e);
	return g->roots != NULL ? 0 : -1;
}

static int
start_children(struct gate *g, const char *user, struct bd_err *e)
{
	const struct conf *c = g->conf;
	struct signer_key *keys = calloc(c->agency_count + 1, sizeof(*keys));
	struct procs_conf pc = {
		.user = user,
		.keys = keys,
		.key_count = c->agency_count,
		.reader = c->milter.reader,
		.reader_memory_bytes = c->milter.reader_memory,
		.reader_cpu_sec = READER_CPU_SEC,
	};

	if (keys == NULL)
		return bd_fail(e, BD_E_MEMORY, "keys");
	for (size_t i = 0; i < c->agency_count; i++) {
		keys[i].label = c->agencies[i].name;
		keys[i].path = c->agencies[i].key;
	}
	g->procs = procs_start(&pc, e);
	free(keys);
	return g->procs != NULL ? 0 : -1;
}

int
gate_load(struct gate *g, const struct conf *c, const char *user, struct bd_err *e)
{
	*g = (struct gate){ .conf = c, .ops = &gate_real_ops };
	g->memory.limit = c->milter.memory;
	poison_init(&g->poison);
	if (rate_init(&g->rate, c, e) == -1)
		return -1;
	/* The children start first, before any secret is in this process for them to inherit. */
	if (start_children(g, user, e) == -1 || load_agencies(g, e) == -1 || load_keys(g, e) == -1)
		return -1;
	return 0;
}

int
gate_start(struct gate *g, struct bd_err *e)
{
	const struct conf *c = g->conf;

	if ((g->signer = signer_new(g->procs)) == NULL ||
	    (g->workers = workers_new(g->procs, c->milter.readers, c->milter.reader_uses)) == NULL)
		return bd_fail(e, BD_E_MEMORY, "signer and readers");
	g->seal_pool = submit_pool_new(c->milter.submit_seal, c->milter.submit_connections,
				       c->milter.submit_timeout_ms, e);
	if (g->seal_pool == NULL)
		return -1;
	if (c->milter.ordinary != CONF_ORDINARY_RESUBMIT)
		return 0;
	g->mail_pool = submit_pool_new(c->milter.submit_mail, c->milter.submit_connections,
				       c->milter.submit_timeout_ms, e);
	return g->mail_pool != NULL ? 0 : -1;
}

void
gate_clear(struct gate *g)
{
	submit_pool_free(&g->seal_pool);
	submit_pool_free(&g->mail_pool);
	workers_free(&g->workers);
	signer_free(&g->signer);
	procs_stop(&g->procs);
	rate_clear(&g->rate);
	seal_keys_clear(&g->seal_keys);
	X509_STORE_free(g->roots);
	g->roots = NULL;
	for (size_t i = 0; g->agencies != NULL && i < g->conf->agency_count; i++)
		cert_chain_clear(&g->agencies[i].chain);
	free(g->agencies);
	g->agencies = NULL;
	explicit_bzero(g->secret, sizeof(g->secret));
}

const struct gate_agency *
gate_agency(const struct gate *g, const struct conf_agency *agency)
{
	for (size_t i = 0; i < g->conf->agency_count; i++)
		if (g->agencies[i].conf == agency)
			return &g->agencies[i];
	return NULL;
}
