/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SANDBOX_WEB_H
#define BD_SANDBOX_WEB_H

/*
 * The sandbox's web server (libmicrohttpd): one thread per connection, so that a delay ordered by a
 * fault switch holds nobody else, with a bounded number of connections and of bytes held. Handlers
 * see a whole request and fill an answer; they never see the library.
 */

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "common/buf.h"
#include "common/err.h"
#include "sandbox/sandbox.h"

#define WEB_PARTS 32

struct web_part { /* of multipart/form-data or a form */
	char name[64];
	bool repeated; /* the same name came before */
	struct buf data;
};

struct web_request {
	struct sandbox *sb;
	const char *method;
	const char *path;
	const char *segment[2]; /* what stood for {} in the route */
	struct buf body;        /* when it is no form */
	struct web_part parts[WEB_PARTS];
	size_t part_count;
	void *connection;
};

struct web_answer {
	int status;
	const char *type; /* static */
	struct buf body;
	char location[256];
	char disposition[160];
	const char *policy; /* Content-Security-Policy, static; NULL: none */
	bool authenticate;  /* WWW-Authenticate: Bearer */
	bool cut;           /* close without answering */
};

typedef void web_handler(struct web_request *req, struct web_answer *ans);

struct web_route {
	const char *method;
	const char *pattern; /* {} stands for one segment */
	web_handler *handler;
};

struct web;

/* listen is "address:port", port 0 lets the system choose; fills sb->url and sb->issuer. */
struct web *web_start(struct sandbox *sb, const char *listen, struct bd_err *e);
void web_stop(struct web **w);

const char *web_query(const struct web_request *req, const char *name);  /* NULL when absent */
const char *web_header(const struct web_request *req, const char *name); /* NULL when absent */
/* The form's value; NULL when absent or given twice. */
struct web_part *web_part(struct web_request *req, const char *name);
/* The part as text without NUL bytes; NULL when absent, repeated or not text. */
const char *web_text(struct web_request *req, const char *name);

/* Answers with JSON; takes the reference. */
void web_json(struct web_answer *ans, int status, json_t *value);
/* A problem document (RFC 7807) as the access point gives. */
void web_problem(struct web_request *req, struct web_answer *ans, int status, const char *title,
		 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The routes, one table per part. */
extern const struct web_route token_routes[], register_routes[], accesspoint_routes[],
    inspect_routes[], page_routes[];

#endif
