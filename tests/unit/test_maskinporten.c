/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens against a scripted token service on loopback: how many grants, which, and what refusals
 * mean. */
#include "config.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/http.h"
#include "common/json.h"
#include "common/signer.h"
#include "envelope/jwt.h"
#include "envelope/maskinporten.h"

#define GRANTS_MAX 32
#define ASKERS 8

static struct service {
	int fd, port;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const char *script[8]; /* whole answers; NULL: a token of life */
	size_t at;
	int life;
	int hold; /* answers wait while it is set */
	int grants;
	char assertion[GRANTS_MAX][4096];
} service = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static EVP_PKEY *key;
static X509 *leaf;
static struct signer *signer;
static char name[] = "eksempel", client[] = "client-1", audience[] = "https://t.example/",
	    resource[] = "https://api.example/", url[64];
static struct conf_agency agency = { .name = name, .client_id = client };
static struct conf conf;

static void
request_read(int fd, char *out, size_t size)
{
	size_t n = 0;
	ssize_t got;
	const char *body, *length;

	while (n + 1 < size && (got = recv(fd, out + n, size - 1 - n, 0)) > 0) {
		n += (size_t)got;
		out[n] = '\0';
		body = strstr(out, "\r\n\r\n");
		length = strstr(out, "Content-Length: ");
		if (body != NULL && length != NULL &&
		    n - (size_t)(body + 4 - out) >= (size_t)atol(length + 16))
			return;
	}
}

static void *
serve(void *arg)
{
	struct service *s = arg;
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) != -1) {
		char request[8192] = "", answer[512], body[128];
		const char *at;

		request_read(fd, request, sizeof(request));
		pthread_mutex_lock(&s->lock);
		at =
		    strstr(request, "\r\n\r\ngrant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3A"
				    "jwt-bearer&assertion=");
		if (at != NULL && s->grants < GRANTS_MAX)
			snprintf(s->assertion[s->grants], sizeof(s->assertion[0]), "%s",
				 strrchr(at, '=') + 1);
		s->grants++;
		pthread_cond_broadcast(&s->changed);
		while (s->hold)
			pthread_cond_wait(&s->changed, &s->lock);
		if (s->at < 8 && s->script[s->at] != NULL) {
			snprintf(answer, sizeof(answer), "%s", s->script[s->at]);
		} else {
			snprintf(body, sizeof(body), "{\"access_token\":\"t%d\",\"expires_in\":%d}",
				 s->grants, s->life);
			snprintf(answer, sizeof(answer),
				 "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
				 body);
		}
		s->at++;
		pthread_mutex_unlock(&s->lock);
		if (send(fd, answer, strlen(answer), MSG_NOSIGNAL) == -1)
			abort();
		close(fd);
	}
	return NULL;
}

static void
service_reset(int life)
{
	pthread_mutex_lock(&service.lock);
	memset(service.script, 0, sizeof(service.script));
	service.at = 0;
	service.grants = 0;
	service.hold = 0;
	service.life = life;
	pthread_mutex_unlock(&service.lock);
}

static json_t *
claims_of(int grant)
{
	const char *jwt = service.assertion[grant];
	struct bd_err e = { 0 };
	json_t *claims = NULL;

	if (jwt_verify(jwt, strlen(jwt), key, &claims, &e) == -1)
		fail_msg("grant %d: %s", grant, e.cause);
	return claims;
}

static int
ask(struct maskinporten *m, const char *scope, const char *consumer, bool fresh, char *out,
    struct bd_err *e)
{
	struct buf token = { 0 };
	int rc = maskinporten_token(m, &agency, leaf, scope, consumer, fresh, &token, e);

	snprintf(out, 32, "%s", buf_str(&token));
	buf_free(&token);
	return rc;
}

static void
test_grant_claims(void **state)
{
	struct maskinporten *m = maskinporten_new(&conf, signer);
	struct bd_err e = { 0 };
	char token[32];
	json_t *first, *second;

	(void)state;
	service_reset(120);
	conf.maskinporten.resource = resource;
	clock_set_wall(1767225600);
	assert_int_equal(ask(m, "a:b", "987654325", false, token, &e), 0);
	assert_int_equal(ask(m, "a:b", "987654325", true, token, &e), 0);
	clock_set_wall(0);
	conf.maskinporten.resource = NULL;
	assert_string_equal(token, "t2");
	first = claims_of(0);
	second = claims_of(1);
	assert_string_equal(json_text(first, "aud"), audience);
	assert_string_equal(json_text(first, "iss"), client);
	assert_string_equal(json_text(first, "scope"), "a:b");
	assert_string_equal(json_text(first, "consumer_org"), "987654325");
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(first, "resource"), 0)), resource);
	assert_int_equal(json_integer_value(json_object_get(first, "iat")), 1767225600);
	assert_in_range(json_integer_value(json_object_get(first, "exp")), 1767225700, 1767225720);
	assert_string_not_equal(json_text(first, "jti"), json_text(second, "jti"));
	json_decref(first);
	json_decref(second);
	maskinporten_free(&m);
}

static void
test_kept_by_scope_set_and_consumer(void **state)
{
	struct maskinporten *m = maskinporten_new(&conf, signer);
	struct bd_err e = { 0 };
	char token[32];
	json_t *claims;

	(void)state;
	service_reset(120);
	assert_int_equal(ask(m, "a b", NULL, false, token, &e), 0);
	assert_int_equal(ask(m, "b a", NULL, false, token, &e), 0);
	assert_string_equal(token, "t1");
	assert_int_equal(ask(m, "a", NULL, false, token, &e), 0);
	assert_string_equal(token, "t2");
	assert_int_equal(ask(m, "a b", "987654325", false, token, &e), 0);
	assert_string_equal(token, "t3");
	assert_int_equal(ask(m, "a b", NULL, false, token, &e), 0);
	assert_string_equal(token, "t1");
	claims = claims_of(0);
	assert_null(json_object_get(claims, "consumer_org"));
	assert_null(json_object_get(claims, "resource"));
	json_decref(claims);
	maskinporten_free(&m);
}

/* 13.3: the margin is min(30 s, a quarter of the life), so a life of zero is never kept, and one
 * of 1 s is kept for less than that. */
static void
test_expiry_margin(void **state)
{
	struct maskinporten *m = maskinporten_new(&conf, signer);
	struct bd_err e = { 0 };
	char token[32];
	int64_t began;

	(void)state;
	service_reset(0);
	ask(m, "a", NULL, false, token, &e);
	assert_int_equal(ask(m, "a", NULL, false, token, &e), 0);
	assert_string_equal(token, "t2");
	maskinporten_free(&m);

	m = maskinporten_new(&conf, signer);
	service_reset(1);
	began = clock_ms();
	do {
		assert_int_equal(ask(m, "a", NULL, false, token, &e), 0);
		usleep(5000);
	} while (strcmp(token, "t1") == 0 && clock_ms() - began < 5000);
	assert_string_equal(token, "t2");
	assert_in_range(clock_ms() - began, 740, 4000);
	maskinporten_free(&m);
}

struct asker {
	struct maskinporten *m;
	pthread_t thread;
	char token[32];
	int rc;
	struct bd_err e;
};

static atomic_int asking;

static void *
asker_run(void *arg)
{
	struct asker *a = arg;

	asking++;
	a->rc = ask(a->m, "a", NULL, false, a->token, &a->e);
	return NULL;
}

static void
many_ask(struct maskinporten *m, struct asker *askers)
{
	asking = 0;
	pthread_mutex_lock(&service.lock);
	service.hold = 1;
	pthread_mutex_unlock(&service.lock);
	for (int i = 0; i < ASKERS; i++) {
		askers[i] = (struct asker){ .m = m };
		pthread_create(&askers[i].thread, NULL, asker_run, &askers[i]);
	}
	while (asking < ASKERS)
		sched_yield();
	pthread_mutex_lock(&service.lock);
	while (service.grants == 0)
		pthread_cond_wait(&service.changed, &service.lock);
	service.hold = 0;
	pthread_cond_broadcast(&service.changed);
	pthread_mutex_unlock(&service.lock);
	for (int i = 0; i < ASKERS; i++)
		pthread_join(askers[i].thread, NULL);
}

static void
test_one_fetch_however_many_wait(void **state)
{
	struct maskinporten *m = maskinporten_new(&conf, signer);
	struct asker askers[ASKERS];

	(void)state;
	service_reset(120);
	many_ask(m, askers);
	assert_int_equal(service.grants, 1);
	for (int i = 0; i < ASKERS; i++) {
		assert_int_equal(askers[i].rc, 0);
		assert_string_equal(askers[i].token, "t1");
	}
	maskinporten_free(&m);
}

#define REFUSED(extra, body)                                                         \
	"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: " \
	"close\r\n" extra "\r\n" body
#define MP012                                                                      \
	REFUSED("", "{\"error\":\"invalid_grant\",\"error_description\":\"MP-012 " \
		    "grant used before\"}")

static const struct {
	const char *name;
	const char *script[3];
	int rc, grants;
	enum bd_kind kind;
	const char *cause; /* part of it */
} refusals[] = {
	{ "used before, once", { MP012 }, 0, 2, BD_E_INTERNAL, "" },
	{ "used before, twice", { MP012, MP012 }, -1, 2, BD_E_CONFIG, "MP-012" },
	{ "unknown client",
	  { REFUSED("", "{\"error\":\"invalid_grant\",\"error_description\":\"MP-100 unknown\"}") },
	  -1,
	  1,
	  BD_E_CONFIG,
	  "MP-100" },
	{ "clocks differ",
	  { REFUSED("Date: Thu, 01 Jan 2026 00:01:00 GMT\r\n",
		    "{\"error\":\"invalid_grant\",\"error_description\":\"MP-130 expired\"}") },
	  -1,
	  1,
	  BD_E_CONFIG,
	  "ours is 60 s behind" },
	{ "clocks differ, in words",
	  { REFUSED("Date: Wed, 31 Dec 2025 23:59:30 GMT\r\n",
		    "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid issue time\"}") },
	  -1,
	  1,
	  BD_E_CONFIG,
	  "ours is 30 s ahead" },
	{ "away", { "HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n" }, -1, 1, BD_E_AWAY, "503" },
	{ "too many",
	  { "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n" },
	  -1,
	  1,
	  BD_E_AWAY,
	  "429" },
	{ "cut",
	  { "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{" },
	  -1,
	  1,
	  BD_E_AWAY,
	  "token service" },
	{ "no token",
	  { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" },
	  -1,
	  1,
	  BD_E_AWAY,
	  "access_token" },
	{ "no JSON",
	  { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" },
	  -1,
	  1,
	  BD_E_AWAY,
	  "token" },
	{ "a token that would break a header",
	  { "HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n{\"access_token\":\"a\\r\\nB: "
	    "c\",\"expires_in\":99}" },
	  -1,
	  1,
	  BD_E_AWAY,
	  "access_token" },
};

static void
test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct maskinporten *m = maskinporten_new(&conf, signer);
		struct bd_err e = { 0 };
		char token[32];
		int rc;

		service_reset(120);
		for (size_t k = 0; k < 3; k++)
			service.script[k] = refusals[i].script[k];
		clock_set_wall(1767225600); /* 2026-01-01T00:00:00Z */
		rc = ask(m, "a", NULL, false, token, &e);
		clock_set_wall(0);
		if (rc != refusals[i].rc || service.grants != refusals[i].grants ||
		    (rc == -1 &&
		     (e.kind != refusals[i].kind || strstr(e.cause, refusals[i].cause) == NULL)))
			fail_msg("%s: %d, %d grants, %s: %s", refusals[i].name, rc, service.grants,
				 bd_kind_name(e.kind), e.cause);
		if (rc == -1) { /* a failure is not kept */
			memset(service.script, 0, sizeof(service.script));
			assert_int_equal(ask(m, "a", NULL, false, token, &e), 0);
		}
		maskinporten_free(&m);
	}
}

static void
test_all_who_wait_hear_of_the_failure(void **state)
{
	struct maskinporten *m = maskinporten_new(&conf, signer);
	struct asker askers[ASKERS];
	int failed = 0;

	(void)state;
	service_reset(120);
	service.script[0] = "HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n";
	many_ask(m, askers);
	for (int i = 0; i < ASKERS; i++)
		failed += askers[i].rc == -1 && askers[i].e.kind == BD_E_AWAY;
	/* one that came after the failure asked anew */
	assert_int_equal(failed > 0 && service.grants <= 2, 1);
	maskinporten_free(&m);
}

static int
group_setup(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);

	(void)state;
	key = EVP_RSA_gen(2048);
	leaf = X509_new();
	if (key == NULL || leaf == NULL || X509_set_pubkey(leaf, key) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(leaf), 0) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(leaf), 3600) == NULL ||
	    X509_sign(leaf, key, EVP_sha256()) == 0)
		return -1;
	signer = signer_direct(key);
	service.fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(service.fd, (struct sockaddr *)&in, sizeof(in)) == -1 ||
	    listen(service.fd, 20) == -1 ||
	    getsockname(service.fd, (struct sockaddr *)&in, &len) == -1)
		return -1;
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/token", ntohs(in.sin_port));
	conf.maskinporten.token_url = url;
	conf.maskinporten.audience = audience;
	conf.maskinporten.insecure_loopback = true;
	return pthread_create(&service.thread, NULL, serve, &service);
}

static int
group_teardown(void **state)
{
	(void)state;
	shutdown(service.fd, SHUT_RDWR);
	pthread_join(service.thread, NULL);
	close(service.fd);
	signer_free(&signer);
	X509_free(leaf);
	EVP_PKEY_free(key);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grant_claims),
		cmocka_unit_test(test_kept_by_scope_set_and_consumer),
		cmocka_unit_test(test_expiry_margin),
		cmocka_unit_test(test_one_fetch_however_many_wait),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_all_who_wait_hear_of_the_failure),
	};

	if (http_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
