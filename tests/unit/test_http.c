/* SPDX-License-Identifier: Apache-2.0 */
/* http.c against a scripted server on loopback: how far did the request come, and was it sent once.
 */
#include "config.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http.h"

struct script {
	const char *name;
	const char *scheme;
	const char *answer; /* NULL: cut after reading the request; "" : cut before reading it */
	enum http_outcome outcome;
	int status;
	long retry_after;
	const char *body; /* expected, NULL: not compared */
};

#define HEAD "HTTP/1.1 "
#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static const struct script scripts[] = {
	{ "created", "http", HEAD "201 Created\r\nContent-Length: 2\r\n\r\nok", HTTP_ANSWER, 201,
	  -1, "ok" },
	{ "interim answers are passed over", "http",
	  HEAD "100 Continue\r\n\r\n" HEAD "204 No Content\r\n\r\n", HTTP_ANSWER, 204, -1, "" },
	{ "retry after seconds", "http",
	  HEAD "503 Away\r\nRetry-After: 7\r\n" DATE "Content-Length: 0\r\n\r\n", HTTP_ANSWER, 503,
	  7, "" },
	{ "retry after a date in the past", "http",
	  HEAD "429 Slow\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
	       "Content-Length: 0\r\n\r\n",
	  HTTP_ANSWER, 429, 0, "" },
	{ "a redirect is an answer", "http",
	  HEAD "302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
	  HTTP_ANSWER, 302, -1, "" },
	{ "417 is not answered by sending again", "http",
	  HEAD "417 No\r\nContent-Length: 0\r\n\r\n", HTTP_ANSWER, 417, -1, "" },
	{ "compressed answers stay as they are", "http",
	  HEAD "200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", HTTP_ANSWER, 200,
	  -1, "abc" },
	{ "cut after the request", "http", NULL, HTTP_UNSURE, 0, 0, NULL },
	{ "cut before the request is read", "http", "", HTTP_UNSURE, 0, 0, NULL },
	{ "cut in the answer's head", "http", HEAD "201 Cre", HTTP_UNSURE, 0, 0, NULL },
	{ "cut in the answer's body", "http", HEAD "201 Created\r\nContent-Length: 9\r\n\r\nok",
	  HTTP_UNSURE, 0, 0, NULL },
	{ "answer too long", "http", HEAD "200 OK\r\n\r\n0123456789012345678901234567890123456789",
	  HTTP_UNSURE, 0, 0, NULL },
	{ "no HTTP at all", "http", "220 mail.example ESMTP\r\n", HTTP_UNSURE, 0, 0, NULL },
	{ "TLS handshake fails", "https", "220 mail.example ESMTP\r\n", HTTP_NOT_SENT, 0, 0, NULL },
};

struct server {
	int fd;
	const char *answer;
	int connections;
	char seen[4096];
};

static void *
serve(void *arg)
{
	struct server *s = arg;
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) != -1) {
		s->connections++;
		if (s->answer == NULL || s->answer[0] != '\0') {
			ssize_t n = 0, got;

			/* a TLS hello has no empty line; one read is enough to answer it */
			do {
				got = recv(fd, s->seen + n, sizeof(s->seen) - 1 - (size_t)n, 0);
				n += got > 0 ? got : 0;
				s->seen[n] = '\0';
			} while (got > 0 && s->seen[0] == 'P' &&
				 strstr(s->seen, "the end") == NULL);
		}
		if (s->answer != NULL && send(fd, s->answer, strlen(s->answer), MSG_NOSIGNAL) == -1)
			s->connections += 100;
		shutdown(fd, SHUT_WR);
		close(fd);
	}
	return NULL;
}

static int
listen_loopback(int *port_r)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_not_equal(fd, -1);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*port_r = ntohs(in.sin_port);
	return fd;
}

static const struct http_conf loopback = {
	.connect_timeout_ms = 2000,
	.total_timeout_ms = 5000,
	.answer_max_bytes = 32,
	.insecure_loopback = true,
};

static void
test_outcomes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		const struct script *s = &scripts[i];
		const struct http_part parts[] = {
			{ .name = "a",
			  .filename = "a.bin",
			  .type = "application/jwt",
			  .data = "x",
			  .len = 1 },
			{ .name = "b", .type = "text/plain", .data = "the end", .len = 7 },
		};
		const char *headers[] = { "Authorization: Bearer t", NULL };
		struct server server = { .answer = s->answer };
		struct http_answer a;
		struct bd_err e = { 0 };
		pthread_t thread;
		char url[64];
		int port;

		server.fd = listen_loopback(&port);
		snprintf(url, sizeof(url), "%s://127.0.0.1:%d/out?kanal=x", s->scheme, port);
		assert_int_equal(pthread_create(&thread, NULL, serve, &server), 0);
		struct http_request req = { .method = "POST",
					    .url = url,
					    .headers = headers,
					    .parts = parts,
					    .part_count = 2 };
		enum http_outcome outcome = http_perform(&loopback, &req, &a, &e);

		shutdown(server.fd, SHUT_RDWR);
		pthread_join(thread, NULL);
		close(server.fd);
		if (outcome != s->outcome)
			fail_msg("%s: outcome %d, %s", s->name, (int)outcome, e.cause);
		if (server.connections != 1)
			fail_msg("%s: %d connections", s->name, server.connections);
		if (outcome == HTTP_ANSWER) {
			if (a.status != s->status || a.retry_after_sec != s->retry_after ||
			    (s->body != NULL && strcmp(buf_str(&a.body), s->body) != 0))
				fail_msg("%s: %d, %ld, %s", s->name, a.status, a.retry_after_sec,
					 buf_str(&a.body));
			if (s->status == 503)
				assert_int_equal(a.date, 784111777);
			assert_non_null(strstr(server.seen, "Authorization: Bearer t\r\n"));
			assert_non_null(strstr(server.seen,
					       "name=\"a\"; filename=\"a.bin\"\r\n"
					       "Content-Type: application/jwt\r\n\r\nx"));
			assert_null(strstr(server.seen, "Expect:"));
		}
		http_answer_clear(&a);
	}
}

static void
test_never_sent(void **state)
{
	static const char *const headers_bad[] = { "A: b\r\nC: d", NULL };
	int port, fd = listen_loopback(&port);
	char closed[64];
	const struct {
		const char *name, *url;
		const char *const *headers;
		bool insecure;
		enum bd_kind kind;
	} cases[] = {
		{ "nobody listens", closed, NULL, true, BD_E_AWAY },
		{ "http when not allowed", "http://127.0.0.1/", NULL, false, BD_E_CONFIG },
		{ "http to somebody else", "http://192.0.2.1/", NULL, true, BD_E_CONFIG },
		{ "another scheme", "file:///etc/passwd", NULL, true, BD_E_CONFIG },
		{ "header injection", "http://127.0.0.1/", headers_bad, true, BD_E_INTERNAL },
	};

	(void)state;
	close(fd);
	snprintf(closed, sizeof(closed), "http://127.0.0.1:%d/", port);
	setenv("http_proxy", "http://127.0.0.1:9/", 1); /* must not matter */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_conf conf = loopback;
		struct http_request req = { .method = "GET",
					    .url = cases[i].url,
					    .headers = cases[i].headers };
		struct http_answer a;
		struct bd_err e = { 0 };

		conf.insecure_loopback = cases[i].insecure;
		if (http_perform(&conf, &req, &a, &e) != HTTP_NOT_SENT || e.kind != cases[i].kind)
			fail_msg("%s: %s", cases[i].name, e.cause);
		http_answer_clear(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_never_sent),
	};

	if (http_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
