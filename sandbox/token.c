/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /token: checks an RFC 7523 grant as Maskinporten does and signs a token; /jwk and the
 * metadata. It keeps no tokens, they are self-contained, only the ids of grants it has seen.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <openssl/core_names.h>

#include "common/clock.h"
#include "common/encode.h"
#include "common/json.h"
#include "envelope/jwt.h"
#include "sandbox/token.h"

#define GRANT_TYPE "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define CLOCK_SKEW_SEC 10
#define GRANT_LIFE_SEC 120
#define JTI_KEPT 100000
#define AUTHORITY "iso6523-actorid-upis"

const struct client token_clients[] = {
	{ "00000000-0000-4000-8000-000000000001", PKI_AGENCY, NULL, NULL },
	{ "00000000-0000-4000-8000-000000000002", PKI_AGENCY, "sandbox-key-1", NULL },
	{ "00000000-0000-4000-8000-000000000003", PKI_OTHER, NULL, NULL },
	{ "00000000-0000-4000-8000-000000000004", PKI_PROCESSOR, NULL, "123456785" },
};
const size_t token_client_count = sizeof(token_clients) / sizeof(token_clients[0]);

static const char *const scopes_known[] = { SCOPE_SEND, SCOPE_CONTACT, SCOPE_MAILBOX };

struct grant {
	const char *assertion;
	json_t *header, *claims;
	const struct client *client;
	X509 *leaf;
	const char *consumer_org; /* NULL: itself */
};

/* Maskinporten's error document; code may be "". Always -1. */
static int __attribute__((format(printf, 5, 6)))
refuse(struct web_answer *ans, int status, const char *error, const char *code, const char *fmt,
       ...)
{
	char words[256], description[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	snprintf(description, sizeof(description), "%s%s%s", code, *code != '\0' ? ": " : "",
		 words);
	web_json(ans, status,
		 json_pack("{s:s, s:o}", "error", error, "error_description",
			   json_stringn_nocheck(description, strlen(description))));
	return -1;
}

static const struct client *
client_named(const char *id)
{
	for (size_t i = 0; id != NULL && i < token_client_count; i++)
		if (strcmp(token_clients[i].id, id) == 0)
			return &token_clients[i];
	return NULL;
}

/* x5c is an array whose leaf is the client's organisation's, and chains to our root. */
static int
grant_certificate(struct sandbox *sb, struct grant *g, struct web_answer *ans)
{
	const char *owner = sb->pki->party[g->client->owner].orgnr;
	char orgnr[ORGNR_CHARS];
	struct bd_err e;

	if (!json_is_array(json_object_get(g->header, "x5c")))
		return refuse(ans, 400, "invalid_grant", "MP-123",
			      "x5c must be an array of certificates");
	if ((g->leaf = jwt_leaf(g->assertion, strlen(g->assertion), &e)) == NULL)
		return refuse(ans, 400, "invalid_grant", "MP-123", "x5c is malformed: %s", e.cause);
	if (cert_check(g->leaf, NULL, sb->pki->roots, CERT_SIGNS, &e) == -1)
		return refuse(ans, 400, "invalid_grant", "MP-120",
			      "the certificate is not accepted in this environment: %s", e.cause);
	if (cert_orgnr(g->leaf, orgnr) == -1 || strcmp(orgnr, owner) != 0)
		return refuse(ans, 400, "invalid_grant", "MP-122",
			      "the certificate belongs to another organisation than the client");
	return 0;
}

static int
grant_signature(struct sandbox *sb, struct grant *g, struct web_answer *ans)
{
	const char *kid = json_text(g->header, "kid");
	EVP_PKEY *key;
	json_t *payload;
	struct bd_err e;

	if (g->client->kid != NULL) {
		if (kid == NULL || strcmp(kid, g->client->kid) != 0)
			return refuse(ans, 400, "invalid_grant", "MP-121",
				      "the client has a registered key; no key with this kid");
		key = sb->pki->client_key;
	} else {
		if (kid != NULL)
			return refuse(ans, 400, "invalid_grant", "MP-121", "no key with this kid");
		if (grant_certificate(sb, g, ans) == -1)
			return -1;
		key = X509_get0_pubkey(g->leaf);
	}
	if (jwt_verify(g->assertion, strlen(g->assertion), key, &payload, &e) == -1)
		return refuse(ans, 400, "invalid_grant", "MP-124", "bad signature: %s", e.cause);
	json_decref(payload);
	return 0;
}

static int
grant_times(const struct grant *g, struct web_answer *ans)
{
	const json_t *iat = json_object_get(g->claims, "iat"),
		     *exp = json_object_get(g->claims, "exp");
	json_int_t now = clock_wall(), from, to;

	if (!json_is_integer(iat) || !json_is_integer(exp))
		return refuse(ans, 400, "invalid_request", "MP-011", "iat and exp must be numbers");
	from = json_integer_value(iat);
	to = json_integer_value(exp);
	if (from > now + CLOCK_SKEW_SEC)
		return refuse(ans, 400, "invalid_grant", "MP-130", "issue time is in the future");
	if (to <= now)
		return refuse(ans, 400, "invalid_grant", "MP-130", "the grant has expired");
	if (to - from > GRANT_LIFE_SEC)
		return refuse(ans, 400, "invalid_grant", "MP-130",
			      "exp is more than %d seconds after iat", GRANT_LIFE_SEC);
	if (from < now - CLOCK_SKEW_SEC - GRANT_LIFE_SEC)
		return refuse(ans, 400, "invalid_grant", "MP-130", "issue time is too long ago");
	return 0;
}

static int
grant_scope(const struct grant *g, struct web_answer *ans)
{
	const char *text = json_text(g->claims, "scope");
	size_t known = 0, len;

	if (text == NULL)
		return refuse(ans, 400, "invalid_scope", "MP-200", "scope is missing");
	for (; *text != '\0'; text += len + (text[len] == ' ')) {
		len = strcspn(text, " ");
		known = 0;
		for (size_t i = 0; i < sizeof(scopes_known) / sizeof(scopes_known[0]); i++)
			known |= strlen(scopes_known[i]) == len &&
				 memcmp(scopes_known[i], text, len) == 0;
		if (!known)
			return refuse(ans, 400, "invalid_scope", "MP-200",
				      "a scope is not registered on the client");
	}
	return 0;
}

static int
grant_consumer(struct sandbox *sb, struct grant *g, struct web_answer *ans)
{
	const json_t *other = json_object_get(g->claims, "consumer_org");
	const char *own = sb->pki->party[g->client->owner].orgnr;

	if (other == NULL)
		return 0;
	g->consumer_org = json_string_value(other);
	if (g->consumer_org == NULL)
		return refuse(ans, 400, "invalid_request", "MP-011", "consumer_org must be text");
	if (json_object_get(g->claims, "iss_onbehalfof") != NULL)
		return refuse(ans, 400, "invalid_request", "",
			      "consumer_org excludes iss_onbehalfof");
	if (strcmp(g->consumer_org, own) == 0)
		return refuse(ans, 400, "invalid_request", "",
			      "consumer_org equals own organisation");
	if (g->client->acts_for == NULL || strcmp(g->consumer_org, g->client->acts_for) != 0)
		return refuse(ans, 403, "access_denied", "MP-251",
			      "no delegation in Altinn from this organisation");
	return 0;
}

/* A grant can be used once. */
static int
grant_once(struct sandbox *sb, const struct grant *g, struct web_answer *ans)
{
	const char *jti = json_text(g->claims, "jti"), *key;
	json_int_t now = clock_wall();
	uint8_t digest[SHA256_BYTES];
	char name[2 * SHA256_BYTES + 1];
	json_t *until;
	void *next;
	bool seen;

	if (jti == NULL)
		jti = g->assertion;
	sha256(digest, jti, strlen(jti));
	hex_encode(name, digest, sizeof(digest));
	pthread_mutex_lock(&sb->lock);
	if (json_object_size(sb->used_jti) >= JTI_KEPT / 10)
		json_object_foreach_safe(sb->used_jti, next, key,
					 until) if (json_integer_value(until) < now)
		    json_object_del(sb->used_jti, key);
	seen = json_object_get(sb->used_jti, name) != NULL;
	if (!seen && json_object_size(sb->used_jti) < JTI_KEPT)
		json_object_set_new(sb->used_jti, name,
				    json_integer(now + GRANT_LIFE_SEC + CLOCK_SKEW_SEC));
	pthread_mutex_unlock(&sb->lock);
	if (seen)
		return refuse(ans, 400, "invalid_grant", "MP-012",
			      "the grant has been used before");
	return 0;
}

static int
grant_check(struct sandbox *sb, struct grant *g, struct web_answer *ans)
{
	size_t len = strlen(g->assertion);
	const char *aud;
	struct bd_err e;

	if ((g->header = jwt_header(g->assertion, len, &e)) == NULL ||
	    (g->claims = jwt_payload_unverified(g->assertion, len, &e)) == NULL)
		return refuse(ans, 400, "invalid_request", "MP-011", "malformed assertion: %s",
			      e.cause);
	if ((g->client = client_named(json_text(g->claims, "iss"))) == NULL)
		return refuse(ans, 400, "invalid_grant", "MP-100", "unknown client");
	aud = json_text(g->claims, "aud");
	if (aud == NULL || strcmp(aud, sb->issuer) != 0)
		return refuse(ans, 400, "invalid_grant", "MP-110", "aud must be %s", sb->issuer);
	if (grant_signature(sb, g, ans) == -1 || grant_times(g, ans) == -1 ||
	    grant_scope(g, ans) == -1 || grant_consumer(sb, g, ans) == -1)
		return -1;
	return grant_once(sb, g, ans);
}

static json_t *
party_json(const char *orgnr)
{
	return json_pack("{s:s, s:s+}", "authority", AUTHORITY, "ID", "0192:", orgnr);
}

static json_t *
token_claims(struct sandbox *sb, const struct grant *g)
{
	const char *own = sb->pki->party[g->client->owner].orgnr;
	json_t *resource = json_object_get(g->claims, "resource"), *claims;
	json_int_t now = clock_wall();
	char jti[UUID_CHARS];

	if (uuid_random(jti) == -1)
		return NULL;
	claims = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:o}", "scope",
			   json_text(g->claims, "scope"), "iss", sb->issuer, "client_amr",
			   g->client->kid != NULL ? "private_key_jwt" : "virksomhetssertifikat",
			   "token_type", "Bearer", "iat", now, "exp", now + sb->token_life_sec,
			   "client_id", g->client->id, "jti", jti, "consumer",
			   party_json(g->consumer_org != NULL ? g->consumer_org : own));
	if (claims == NULL)
		return NULL;
	if (g->consumer_org != NULL) {
		json_object_set_new(claims, "supplier", party_json(own));
		json_object_set_new(claims, "delegation_source",
				    json_string("https://tt02.altinn.no/"));
	}
	if (resource != NULL)
		json_object_set(claims, "aud", resource);
	else
		json_object_set_new(claims, "aud", json_string("unspecified"));
	return claims;
}

static void
token_answer(struct sandbox *sb, const struct grant *g, struct web_answer *ans)
{
	json_t *claims = token_claims(sb, g);
	struct buf text = { 0 }, jwt = { 0 };
	struct bd_err e;

	if (claims == NULL || json_write(claims, 0, &text, &e) == -1 ||
	    jwt_sign(buf_str(&text), text.len, NULL, sb->pki->token_kid, sb->pki->token_signer,
		     "maskinporten", &jwt, &e) == -1)
		refuse(ans, 500, "server_error", "", "the token could not be made");
	else
		web_json(ans, 200,
			 json_pack("{s:s, s:s, s:i, s:s}", "access_token", buf_str(&jwt),
				   "token_type", "Bearer", "expires_in",
				   (int)sb->token_life_sec - 1, "scope",
				   json_text(g->claims, "scope")));
	json_decref(claims);
	buf_free(&text);
	buf_free(&jwt);
}

static void
token_post(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	struct grant g = { 0 };
	const char *type = web_header(req, "Content-Type"), *grant = web_text(req, "grant_type");
	int down, delay;

	pthread_mutex_lock(&sb->lock);
	down = sb->faults.token_down;
	delay = sb->faults.token_delay_ms;
	pthread_mutex_unlock(&sb->lock);
	sandbox_sleep_ms(delay);
	if (down) {
		refuse(ans, 503, "temporarily_unavailable", "", "the token endpoint is down");
		return;
	}
	if (type == NULL || strncmp(type, "application/x-www-form-urlencoded", 33) != 0) {
		refuse(ans, 400, "invalid_request", "",
		       "a form (application/x-www-form-urlencoded) is wanted");
		return;
	}
	if (grant == NULL || strcmp(grant, GRANT_TYPE) != 0) {
		refuse(ans, 400, "unsupported_grant_type", "", "grant_type must be %s", GRANT_TYPE);
		return;
	}
	if ((g.assertion = web_text(req, "assertion")) == NULL || *g.assertion == '\0')
		refuse(ans, 400, "invalid_request", "MP-011", "assertion is missing");
	else if (grant_check(sb, &g, ans) == 0)
		token_answer(sb, &g, ans);
	json_decref(g.header);
	json_decref(g.claims);
	X509_free(g.leaf);
}

static void
token_metadata(struct web_request *req, struct web_answer *ans)
{
	const char *url = req->sb->url;

	web_json(ans, 200,
		 json_pack("{s:s, s:s+, s:s+, s:[s], s:[s], s:[s]}", "issuer", req->sb->issuer,
			   "token_endpoint", url, "/token", "jwks_uri", url, "/jwk",
			   "grant_types_supported", GRANT_TYPE,
			   "token_endpoint_auth_methods_supported", "private_key_jwt",
			   "token_endpoint_auth_signing_alg_values_supported", "RS256"));
}

static int
number_text(EVP_PKEY *key, const char *name, struct buf *out)
{
	BIGNUM *n = NULL;
	unsigned char bytes[1024];
	int len, rc = -1;

	if (EVP_PKEY_get_bn_param(key, name, &n) && BN_num_bytes(n) <= (int)sizeof(bytes) &&
	    (len = BN_bn2bin(n, bytes)) > 0)
		rc = base64url_encode(out, bytes, (size_t)len);
	BN_free(n);
	return rc;
}

static void
token_keys(struct web_request *req, struct web_answer *ans)
{
	struct buf n = { 0 }, exponent = { 0 };

	if (number_text(req->sb->pki->token_key, OSSL_PKEY_PARAM_RSA_N, &n) == -1 ||
	    number_text(req->sb->pki->token_key, OSSL_PKEY_PARAM_RSA_E, &exponent) == -1)
		web_problem(req, ans, 500, "INTERNAL SERVER ERROR", "The key could not be written");
	else
		web_json(ans, 200,
			 json_pack("{s:[{s:s, s:s, s:s, s:s, s:s, s:s}]}", "keys", "kty", "RSA",
				   "use", "sig", "alg", "RS256", "kid", req->sb->pki->token_kid,
				   "n", buf_str(&n), "e", buf_str(&exponent)));
	buf_free(&n);
	buf_free(&exponent);
}

json_t *
token_bearer(const struct web_request *req, const char **token_r, char *why, size_t size)
{
	const char *header = web_header(req, "Authorization");
	const struct sandbox *sb = req->sb;
	json_t *claims = NULL;
	struct bd_err e;

	if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0) {
		snprintf(why, size, "A bearer token is missing");
		return NULL;
	}
	header += 7;
	if (jwt_verify(header, strlen(header), sb->pki->token_key, &claims, &e) == -1) {
		snprintf(why, size, "The token is not one of Maskinporten's: %s", e.cause);
		return NULL;
	}
	if (json_text(claims, "iss") == NULL || strcmp(json_text(claims, "iss"), sb->issuer) != 0)
		snprintf(why, size, "The token's issuer is not %s", sb->issuer);
	else if (json_integer_value(json_object_get(claims, "exp")) <= clock_wall())
		snprintf(why, size, "The token has expired");
	else {
		*token_r = header;
		return claims;
	}
	json_decref(claims);
	return NULL;
}

bool
token_has_scope(const json_t *claims, const char *scope)
{
	const char *text = json_text(claims, "scope");
	size_t len = strlen(scope), at;

	for (; text != NULL && *text != '\0'; text += at + (text[at] == ' ')) {
		at = strcspn(text, " ");
		if (at == len && memcmp(text, scope, len) == 0)
			return true;
	}
	return false;
}

void
token_party(const json_t *claims, const char *member, char out[ORGNR_CHARS])
{
	const char *id = json_text(json_object_get(claims, member), "ID");

	out[0] = '\0';
	if (id != NULL && strncmp(id, "0192:", 5) == 0 && strlen(id) == 14)
		snprintf(out, ORGNR_CHARS, "%s", id + 5);
}

const struct web_route token_routes[] = {
	{ "POST", "/token", token_post },
	{ "GET", "/jwk", token_keys },
	{ "GET", "/.well-known/oauth-authorization-server", token_metadata },
	{ NULL, NULL, NULL },
};
