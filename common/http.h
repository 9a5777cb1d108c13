/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_HTTP_H
#define BD_COMMON_HTTP_H

/*
 * One HTTP request at a time over libcurl (the only file that includes it), with the rules of
 * threats.md 5: TLS 1.2 at least, peer and host checked against ca_file, no redirects, no proxy or
 * netrc from the environment, answer bounded, no decompression, a new connection for each POST.
 * http:// is refused unless the address is loopback and insecure_loopback is set.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

struct http_conf {
	const char *ca_file; /* NULL: the system's */
	int connect_timeout_ms;
	int total_timeout_ms;
	size_t answer_max_bytes; /* 0: 4 MB */
	bool insecure_loopback;
};

struct http_part { /* of multipart/form-data */
	const char *name;
	const char *filename; /* NULL: none */
	const char *type;
	const void *data; /* borrowed until the call returns */
	size_t len;
};

struct http_request {
	const char *method; /* GET or POST */
	const char *url;
	const char *const *headers; /* NULL-ended, "Name: value"; may be NULL */
	const void *body;
	size_t body_len;
	const struct http_part *parts; /* instead of body */
	size_t part_count;
};

enum http_outcome {
	HTTP_ANSWER,   /* a status was read */
	HTTP_NOT_SENT, /* certainly nothing of the request reached the server */
	HTTP_UNSURE    /* sent in part or whole, no answer seen */
};

struct http_answer {
	int status;
	struct buf body;
	char content_type[128];
	long retry_after_sec; /* -1 when absent */
	long long date;       /* from the Date header, seconds since 1970, -1 when absent */
};

int http_init(void); /* once in main, before threads */
/* answer is filled on HTTP_ANSWER and must be cleared by the caller in any case. e is filled
 * otherwise. Thread safe. */
enum http_outcome http_perform(const struct http_conf *conf, const struct http_request *req,
			       struct http_answer *answer, struct bd_err *e);
void http_answer_clear(struct http_answer *answer);

#endif
