/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetches and keeps Maskinporten tokens. One entry per client, scope set, resource and consumer
 * (spec/krr.md 13.3); who needs a token while another fetches it waits for that one. Decides
 * nothing about who may send, and never logs a grant or a token.
 */
#include "config.h"
#include "envelope/maskinporten.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/encode.h"
#include "common/http.h"
#include "common/json.h"
#include "common/log.h"
#include "envelope/jwt.h"

#define GRANT_LIFE_SEC 110 /* 13.1: use 100 to 120 */
#define CONNECT_TIMEOUT_MS 5000
#define TOTAL_TIMEOUT_MS 15000
#define MARGIN_MAX_MS 30000 /* 13.3: min(30 s, a quarter of the life) */
#define LIFE_MAX_SEC 86400
#define TOKEN_MAX_BYTES ((size_t)16 << 10)
#define SCOPE_WORDS_MAX 16
#define GRANT_TYPE "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"

struct entry {
	SLIST_ENTRY(entry) next;
	char *key;
	struct buf token;
	int64_t good_until_ms; /* monotonic */
	bool fetching;
	unsigned fetches; /* ended ones: a waiter leaves when it changes */
	struct bd_err e;  /* of the last fetch */
	bool failed;
};

struct maskinporten {
	const struct conf *conf;
	struct signer *signer;
	pthread_mutex_t lock;
	pthread_cond_t fetched;
	SLIST_HEAD(, entry) entries;
};

struct grant {
	const struct conf_agency *agency;
	X509 *leaf;
	const char *scope, *consumer;
};

struct maskinporten *
maskinporten_new(const struct conf *c, struct signer *signer)
{
	struct maskinporten *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->conf = c;
	m->signer = signer;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->fetched, NULL);
	SLIST_INIT(&m->entries);
	return m;
}

void
maskinporten_free(struct maskinporten **m)
{
	struct entry *en;

	if (*m == NULL)
		return;
	while ((en = SLIST_FIRST(&(*m)->entries)) != NULL) {
		SLIST_REMOVE_HEAD(&(*m)->entries, next);
		buf_free(&en->token);
		free(en->key);
		free(en);
	}
	pthread_cond_destroy(&(*m)->fetched);
	pthread_mutex_destroy(&(*m)->lock);
	free(*m);
	*m = NULL;
}

static int
word_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* client NL sorted scopes NL resource NL consumer */
static int
key_make(const struct maskinporten *m, const struct grant *g, struct buf *key)
{
	char *words[SCOPE_WORDS_MAX], *copy = strdup(g->scope), *at = NULL;
	size_t count = 0;
	int rc = -1;

	if (copy == NULL)
		return -1;
	for (char *w = strtok_r(copy, " ", &at); w != NULL; w = strtok_r(NULL, " ", &at))
		if (count < SCOPE_WORDS_MAX)
			words[count++] = w;
	qsort(words, count, sizeof(words[0]), word_compare);
	if (buf_addf(key, "%s\n", g->agency->client_id) == -1)
		goto out;
	for (size_t i = 0; i < count; i++)
		if (buf_addf(key, "%s ", words[i]) == -1)
			goto out;
	rc = buf_addf(key, "\n%s\n%s",
		      m->conf->maskinporten.resource != NULL ? m->conf->maskinporten.resource : "",
		      g->consumer != NULL ? g->consumer : "");
out:
	free(copy);
	return rc;
}

/* Called with the lock held. */
static struct entry *
entry_get(struct maskinporten *m, const struct grant *g, struct bd_err *e)
{
	struct buf key = { 0 };
	struct entry *en = NULL;

	if (key_make(m, g, &key) == -1)
		goto nomem;
	SLIST_FOREACH(en, &m->entries, next)
	if (strcmp(en->key, buf_str(&key)) == 0)
		goto out;
	if ((en = calloc(1, sizeof(*en))) == NULL || (en->key = strdup(buf_str(&key))) == NULL)
		goto nomem;
	en->token.max = TOKEN_MAX_BYTES;
	SLIST_INSERT_HEAD(&m->entries, en, next);
	goto out;
nomem:
	free(en);
	en = NULL;
	bd_fail(e, BD_E_MEMORY, "token entry");
out:
	buf_free(&key);
	return en;
}

static int
grant_make(struct maskinporten *m, const struct grant *g, struct buf *jwt, struct bd_err *e)
{
	const struct conf *c = m->conf;
	char jti[UUID_CHARS];
	struct buf payload = { 0 };
	json_t *claims = NULL;
	time_t now = clock_wall();
	int rc = -1;

	if (uuid_random(jti) == -1)
		return bd_fail(e, BD_E_INTERNAL, "no random numbers");
	claims = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "aud", c->maskinporten.audience, "iss",
			   g->agency->client_id, "scope", g->scope, "iat", (json_int_t)now, "exp",
			   (json_int_t)(now + GRANT_LIFE_SEC), "jti", jti);
	if (claims == NULL)
		return bd_fail(e, BD_E_MEMORY, "token grant");
	if ((c->maskinporten.resource != NULL &&
	     json_object_set_new(claims, "resource", json_pack("[s]", c->maskinporten.resource)) ==
		 -1) ||
	    (g->consumer != NULL &&
	     json_object_set_new(claims, "consumer_org", json_string(g->consumer)) == -1)) {
		bd_fail(e, BD_E_MEMORY, "token grant");
		goto out;
	}
	if (json_write(claims, 0, &payload, e) == -1)
		goto out;
	rc = jwt_sign(buf_str(&payload), payload.len, g->leaf, c->maskinporten.kid, m->signer,
		      g->agency->name, jwt, e);
out:
	json_decref(claims);
	buf_free(&payload);
	return rc;
}

/* The MP code of spec/krr.md 13.4 in the description, 0 when there is none. */
static int
mp_code(const char *words)
{
	const char *at = words != NULL ? strstr(words, "MP-") : NULL;

	return at != NULL ? atoi(at + 3) : 0;
}

/* Words a refusal for the operator. *again is set when a new grant may do (13.4: used before). */
static int
refusal(const struct http_answer *a, int64_t asked_ms, bool *again, struct bd_err *e)
{
	struct bd_err ignored;
	json_t *body = json_parse(a->body.data, a->body.len, a->body.len, &ignored);
	const char *error = json_text(body, "error"), *words = json_text(body, "error_description");
	int code = mp_code(words) != 0 ? mp_code(words) : mp_code(error);
	long long skew = a->date != -1 ? asked_ms / 1000 - a->date : 0;

	*again = code == 12;
	if (a->status >= 500 || a->status == 429 || a->status == 408)
		bd_fail(e, BD_E_AWAY, "token service: HTTP status %d", a->status);
	else if (code == 130 || (words != NULL && strcasestr(words, "issue time") != NULL))
		bd_fail(e, BD_E_CONFIG,
			"token service: the clocks differ, ours is %lld s %s (MP-%03d): %.100s",
			skew < 0 ? -skew : skew, skew < 0 ? "behind" : "ahead", code,
			words != NULL ? words : "");
	else
		bd_fail(e, BD_E_CONFIG, "token service: HTTP status %d, %.40s: %.120s", a->status,
			error != NULL ? error : "no error code", words != NULL ? words : "");
	json_decref(body);
	return -1;
}

static int
token_read(const struct http_answer *a, struct buf *token, long *life_sec_r, struct bd_err *e)
{
	json_t *body = json_parse(a->body.data, a->body.len, TOKEN_MAX_BYTES, e);
	const char *text = json_text(body, "access_token");
	json_t *life = json_object_get(body, "expires_in");
	int rc = -1;

	if (body == NULL) {
		e->kind = BD_E_AWAY;
		return bd_wrap(e, "token answer");
	}
	if (text == NULL || text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					      "0123456789-._~+/=")] != '\0') {
		/* it goes into a header: RFC 6750 2.1 alphabet or nothing */
		bd_fail(e, BD_E_AWAY, "token answer without a usable access_token");
		goto out;
	}
	*life_sec_r = json_is_integer(life) ? (long)json_integer_value(life) : 0;
	if (*life_sec_r < 0 || *life_sec_r > LIFE_MAX_SEC)
		*life_sec_r = 0; /* usable now, not kept */
	buf_clear(token);
	rc = buf_adds(token, text);
	if (rc == -1)
		bd_fail(e, BD_E_MEMORY, "token");
out:
	json_decref(body);
	return rc;
}

/* One grant, one call. Used by one thread at a time per entry. */
static int
fetch_once(struct maskinporten *m, const struct grant *g, struct buf *token, int64_t *good_until_r,
	   bool *again, struct bd_err *e)
{
	static const char *const headers[] = { "Content-Type: application/x-www-form-urlencoded",
					       "Accept: application/json", NULL };
	const struct http_conf http = {
		.ca_file = m->conf->maskinporten.ca_file,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.total_timeout_ms = TOTAL_TIMEOUT_MS,
		.answer_max_bytes = TOKEN_MAX_BYTES,
		.insecure_loopback = m->conf->maskinporten.insecure_loopback,
	};
	struct http_request req = { .method = "POST",
				    .url = m->conf->maskinporten.token_url,
				    .headers = headers };
	struct http_answer answer = { 0 };
	struct buf jwt = { 0 }, form = { 0 };
	int64_t asked = clock_ms(), margin, asked_wall = clock_wall_ms();
	long life = 0;
	int rc = -1;

	*again = false;
	if (grant_make(m, g, &jwt, e) == -1)
		goto out;
	if (buf_adds(&form, "grant_type=" GRANT_TYPE "&assertion=") == -1 ||
	    buf_add(&form, jwt.data, jwt.len) == -1) {
		bd_fail(e, BD_E_MEMORY, "token request");
		goto out;
	}
	req.body = form.data;
	req.body_len = form.len;
	if (http_perform(&http, &req, &answer, e) != HTTP_ANSWER) {
		bd_wrap(e, "token service");
		goto out;
	}
	if (answer.status != 200) {
		refusal(&answer, asked_wall, again, e);
		goto out;
	}
	if (token_read(&answer, token, &life, e) == -1)
		goto out;
	/* counted from before the call, on the monotonic clock */
	margin = (int64_t)life * 1000 / 4;
	*good_until_r =
	    asked + (int64_t)life * 1000 - (margin < MARGIN_MAX_MS ? margin : MARGIN_MAX_MS);
	rc = 0;
out:
	http_answer_clear(&answer);
	buf_free(&form);
	buf_free(&jwt);
	return rc;
}

static int
fetch(struct maskinporten *m, const struct grant *g, struct buf *token, int64_t *good_until_r,
      struct bd_err *e)
{
	bool again;

	if (fetch_once(m, g, token, good_until_r, &again, e) == 0)
		return 0;
	if (!again)
		return -1;
	log_warn("maskinporten: grant was used before (MP-012), one new grant");
	return fetch_once(m, g, token, good_until_r, &again, e);
}

static int
token_give(const struct entry *en, struct buf *token, struct bd_err *e)
{
	if (en->failed) {
		*e = en->e;
		return -1;
	}
	return buf_add(token, en->token.data, en->token.len) == 0
		   ? 0
		   : bd_fail(e, BD_E_MEMORY, "token");
}

int
maskinporten_token(struct maskinporten *m, const struct conf_agency *agency, X509 *leaf,
		   const char *scope, const char *consumer, bool fresh, struct buf *token,
		   struct bd_err *e)
{
	const struct grant g = { agency, leaf, scope, consumer };
	struct buf got = { .max = TOKEN_MAX_BYTES };
	struct entry *en;
	int64_t good_until = 0;
	int rc = -1;

	if (agency->client_id == NULL)
		return bd_fail(e, BD_E_CONFIG, "agency %s has no client-id", agency->name);
	pthread_mutex_lock(&m->lock);
	if ((en = entry_get(m, &g, e)) == NULL)
		goto out;
	if (en->fetching) {
		unsigned seen = en->fetches;

		while (en->fetches == seen)
			pthread_cond_wait(&m->fetched, &m->lock);
		rc = token_give(en, token, e);
		goto out;
	}
	if (!fresh && en->token.len > 0 && clock_ms() < en->good_until_ms) {
		rc = token_give(en, token, e);
		goto out;
	}
	en->fetching = true;
	pthread_mutex_unlock(&m->lock);
	rc = fetch(m, &g, &got, &good_until, e);
	pthread_mutex_lock(&m->lock);
	en->fetching = false;
	en->fetches++;
	en->failed = rc == -1;
	buf_clear(&en->token);
	if (rc == -1) {
		en->e = *e;
	} else if (buf_add(&en->token, got.data, got.len) == -1) {
		en->failed = true;
		bd_fail(&en->e, BD_E_MEMORY, "token");
	}
	en->good_until_ms = good_until;
	rc = token_give(en, token, e);
	pthread_cond_broadcast(&m->fetched);
out:
	pthread_mutex_unlock(&m->lock);
	buf_free(&got);
	return rc;
}
