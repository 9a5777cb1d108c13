/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP in and out: reads a whole request within its limits, finds the route, lets the handler
 * answer, records the call. It knows nothing of letters. The only file that includes libmicrohttpd.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <microhttpd.h>

#include "common/clock.h"
#include "common/encode.h"
#include "common/json.h"
#include "common/log.h"
#include "sandbox/web.h"

#define BODY_MAX_BYTES ((size_t)60 << 20)
#define HELD_MAX_BYTES ((size_t)320 << 20) /* by all requests together */
#define CONNECTIONS_MAX 200
#define IDLE_TIMEOUT_SEC 75
#define FORM_BUFFER_BYTES ((size_t)64 << 10)
#define CALLS_KEPT 500

struct web {
	struct MHD_Daemon *daemon;
	struct sandbox *sb;
	atomic_size_t held;
};

struct call { /* one request on its way in */
	struct web_request req;
	struct web *web;
	struct MHD_PostProcessor *form;
	size_t bytes;
	int refuse; /* status to answer when the body is in: too big, malformed */
	int64_t since_ms;
};

static const struct web_route *const tables[] = { token_routes, register_routes, accesspoint_routes,
						  inspect_routes, page_routes };

/* Segments of pattern and path are equal or {}. Cuts the path where it fills in a segment. */
static bool
route_fits(const char *pattern, char *path, const char *segment[2])
{
	size_t count = 0;
	char *cuts[2];

	while (*pattern != '\0' && *path != '\0') {
		if (strncmp(pattern, "{}", 2) != 0) {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		if (count == 2 || *path == '/')
			return false;
		segment[count] = path;
		pattern += 2;
		path += strcspn(path, "/");
		cuts[count++] = path;
	}
	if (*pattern != '\0' || *path != '\0')
		return false;
	for (size_t i = 0; i < count; i++)
		*cuts[i] = '\0';
	return true;
}

static const struct web_route *
route_find(struct web_request *req, char *path, bool *path_known)
{
	*path_known = false;
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct web_route *r = tables[t]; r->pattern != NULL; r++) {
			const char *segment[2] = { NULL, NULL };
			char *copy = strdup(path);

			if (copy == NULL)
				return NULL;
			if (!route_fits(r->pattern, copy, segment)) {
				free(copy);
				continue;
			}
			free(copy);
			*path_known = true;
			if (strcmp(r->method, req->method) != 0)
				continue;
			route_fits(r->pattern, path, req->segment);
			return r;
		}
	}
	return NULL;
}

const char *
web_query(const struct web_request *req, const char *name)
{
	return MHD_lookup_connection_value(req->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *
web_header(const struct web_request *req, const char *name)
{
	return MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, name);
}

struct web_part *
web_part(struct web_request *req, const char *name)
{
	struct web_part *found = NULL;

	for (size_t i = 0; i < req->part_count; i++) {
		if (strcmp(req->parts[i].name, name) != 0)
			continue;
		if (req->parts[i].repeated)
			return NULL;
		found = &req->parts[i];
	}
	return found;
}

const char *
web_text(struct web_request *req, const char *name)
{
	struct web_part *part = web_part(req, name);

	if (part == NULL ||
	    (part->data.len > 0 && memchr(part->data.data, 0, part->data.len) != NULL))
		return NULL;
	return buf_str(&part->data);
}

void
web_json(struct web_answer *ans, int status, json_t *value)
{
	struct bd_err e;

	ans->status = status;
	ans->type = "application/json";
	buf_clear(&ans->body);
	if (value == NULL || json_write(value, 0, &ans->body, &e) == -1)
		ans->status = 500;
	json_decref(value);
}

void
web_problem(struct web_request *req, struct web_answer *ans, int status, const char *title,
	    const char *fmt, ...)
{
	char detail[512], id[UUID_CHARS] = "";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	uuid_random(id);
	web_json(ans, status,
		 json_pack("{s:s+, s:s, s:i, s:o, s:s+, s:o, s:s}", "type", req->sb->url,
			   "/setup#problems", "title", title, "status", status, "detail",
			   json_stringn_nocheck(detail, strlen(detail)), "instance", req->path, "",
			   "timestamp", sandbox_now(), "correlation-id", id));
	ans->type = "application/problem+json";
	ans->authenticate = status == 401;
}

/* libmicrohttpd calls this for each piece of a form's part. */
static enum MHD_Result
form_piece(void *arg, enum MHD_ValueKind kind, const char *key, const char *filename,
	   const char *type, const char *encoding, const char *data, uint64_t off, size_t size)
{
	struct call *c = arg;
	struct web_request *req = &c->req;
	struct web_part *part;

	(void)kind;
	(void)filename; /* a part counts with or without one (spec/dpi.md 1.12) */
	(void)type;
	(void)encoding;
	if (off == 0) {
		if (req->part_count == WEB_PARTS || strlen(key) >= sizeof(part->name)) {
			c->refuse = 400;
			return MHD_NO;
		}
		part = &req->parts[req->part_count];
		for (size_t i = 0; i < req->part_count; i++)
			part->repeated |= strcmp(req->parts[i].name, key) == 0;
		snprintf(part->name, sizeof(part->name), "%s", key);
		req->part_count++;
	}
	if (req->part_count == 0)
		return MHD_NO;
	part = &req->parts[req->part_count - 1];
	part->data.max = BODY_MAX_BYTES;
	if (buf_add(&part->data, data, size) == -1) {
		c->refuse = 413;
		return MHD_NO;
	}
	return MHD_YES;
}

static void
call_free(struct call *c)
{
	if (c->form != NULL)
		MHD_destroy_post_processor(c->form);
	atomic_fetch_sub(&c->web->held, c->bytes);
	buf_free(&c->req.body);
	for (size_t i = 0; i < c->req.part_count; i++)
		buf_free(&c->req.parts[i].data);
	free(c);
}

static void
call_ended(void *arg, struct MHD_Connection *conn, void **state,
	   enum MHD_RequestTerminationCode why)
{
	(void)arg;
	(void)conn;
	(void)why;
	if (*state != NULL)
		call_free(*state);
	*state = NULL;
}

/* What the last calls were, for tests and the page: the route only, never query or body. */
static void
call_record(struct sandbox *sb, const char *method, const char *route, int status, int64_t ms,
	    size_t bytes)
{
	char name[160], code[16];
	json_t *count;

	snprintf(name, sizeof(name), "%s %s", method, route);
	snprintf(code, sizeof(code), "%d", status);
	if (status == 0)
		snprintf(code, sizeof(code), "cut");
	log_info("call %s %s ms=%lld", name, code, (long long)ms);
	pthread_mutex_lock(&sb->lock);
	if ((count = json_object_get(sb->counts, name)) == NULL) {
		count = json_object();
		json_object_set_new(sb->counts, name, count);
	}
	json_object_set_new(count, "calls",
			    json_integer(json_integer_value(json_object_get(count, "calls")) + 1));
	json_object_set_new(count, code,
			    json_integer(json_integer_value(json_object_get(count, code)) + 1));
	if (json_array_size(sb->calls) >= CALLS_KEPT)
		json_array_remove(sb->calls, 0);
	json_array_append_new(sb->calls,
			      json_pack("{s:o, s:s, s:s, s:s, s:I, s:I}", "time", sandbox_now(),
					"method", method, "route", route, "status", code, "ms",
					(json_int_t)ms, "bytes", (json_int_t)bytes));
	pthread_mutex_unlock(&sb->lock);
}

static enum MHD_Result
send_answer(struct MHD_Connection *conn, struct web_answer *ans)
{
	struct MHD_Response *r;
	enum MHD_Result rc;

	r = MHD_create_response_from_buffer(ans->body.len, ans->body.data, MHD_RESPMEM_MUST_COPY);
	if (r == NULL)
		return MHD_NO;
	if (ans->type != NULL)
		MHD_add_response_header(r, "Content-Type", ans->type);
	MHD_add_response_header(r, "Cache-Control", "no-store");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "Referrer-Policy", "same-origin");
	if (ans->policy != NULL)
		MHD_add_response_header(r, "Content-Security-Policy", ans->policy);
	if (ans->location[0] != '\0')
		MHD_add_response_header(r, "Location", ans->location);
	if (ans->disposition[0] != '\0')
		MHD_add_response_header(r, "Content-Disposition", ans->disposition);
	if (ans->authenticate)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
	rc = MHD_queue_response(conn, (unsigned int)ans->status, r);
	MHD_destroy_response(r);
	return rc;
}

/* A page of another site in the tester's browser may not press our buttons. */
static bool
foreign_origin(const struct web_request *req)
{
	const char *origin = web_header(req, "Origin"), *host = web_header(req, "Host");

	return origin != NULL && (host == NULL || strncmp(origin, "http://", 7) != 0 ||
				  strcasecmp(origin + 7, host) != 0);
}

static enum MHD_Result
call_answer(struct call *c)
{
	struct sandbox *sb = c->web->sb;
	struct web_answer ans = { .status = 500, .type = "text/plain; charset=utf-8" };
	const struct web_route *route;
	bool path_known;
	char *path = strdup(c->req.path);
	enum MHD_Result rc;

	if (path == NULL)
		return MHD_NO;
	route = route_find(&c->req, path, &path_known);
	if (c->form != NULL) {
		if (MHD_destroy_post_processor(c->form) != MHD_YES && c->refuse == 0)
			c->refuse = 400; /* the form ends in the middle */
		c->form = NULL;
	}
	if (c->refuse == 413)
		web_problem(&c->req, &ans, 413, "PAYLOAD TOO LARGE",
			    "The request is larger than %zu bytes", BODY_MAX_BYTES);
	else if (c->refuse == 503)
		web_problem(&c->req, &ans, 503, "SERVICE UNAVAILABLE",
			    "Too much is being sent at once");
	else if (c->refuse != 0)
		web_problem(&c->req, &ans, 400, "BAD REQUEST",
			    "The form in the request is malformed");
	else if (route == NULL)
		web_problem(&c->req, &ans, path_known ? 405 : 404,
			    path_known ? "METHOD NOT ALLOWED" : "NOT FOUND",
			    "There is nothing here");
	else if (strcmp(c->req.method, "POST") == 0 && foreign_origin(&c->req))
		web_problem(&c->req, &ans, 403, "FORBIDDEN", "The request comes from another site");
	else
		route->handler(&c->req, &ans);
	rc = ans.cut ? MHD_NO : send_answer(c->req.connection, &ans);
	call_record(sb, c->req.method, route != NULL ? route->pattern : "(no such route)",
		    ans.cut ? 0 : ans.status, clock_ms() - c->since_ms, c->bytes);
	buf_free(&ans.body);
	free(path);
	return rc;
}

static struct call *
call_new(struct web *w, struct MHD_Connection *conn, const char *path, const char *method)
{
	struct call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->web = w;
	c->since_ms = clock_ms();
	c->req.sb = w->sb;
	c->req.connection = conn;
	c->req.path = path;
	c->req.method = strcmp(method, "HEAD") == 0 ? "GET" : method;
	c->req.body.max = BODY_MAX_BYTES;
	/* JSON goes to /sandbox/, whatever type the client (curl -d) says it has */
	if (strncmp(path, "/sandbox/", 9) != 0)
		c->form = MHD_create_post_processor(conn, FORM_BUFFER_BYTES, form_piece, c);
	return c;
}

static void
call_take(struct call *c, const char *data, size_t size)
{
	if (c->refuse != 0)
		return;
	if (c->bytes + size > BODY_MAX_BYTES) {
		c->refuse = 413;
		return;
	}
	if (atomic_fetch_add(&c->web->held, size) + size > HELD_MAX_BYTES)
		c->refuse = 503;
	c->bytes += size;
	if (c->refuse != 0)
		return;
	if (c->form != NULL) {
		if (MHD_post_process(c->form, data, size) != MHD_YES && c->refuse == 0)
			c->refuse = 400;
	} else if (buf_add(&c->req.body, data, size) == -1) {
		c->refuse = 413;
	}
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *conn, const char *path, const char *method,
	   const char *version, const char *data, size_t *size, void **state)
{
	struct web *w = arg;
	struct call *c = *state;

	(void)version;
	if (c == NULL) {
		if ((c = call_new(w, conn, path, method)) == NULL)
			return MHD_NO;
		*state = c;
		return MHD_YES;
	}
	if (*size > 0) {
		call_take(c, data, *size);
		*size = 0;
		return MHD_YES;
	}
	return call_answer(c);
}

static int
listen_on(const char *where, char *url, size_t url_size, struct bd_err *e)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	char host[64], text[INET_ADDRSTRLEN];
	const char *colon = strrchr(where, ':');
	char *end = NULL;
	long port = colon != NULL ? strtol(colon + 1, &end, 10) : -1;
	int fd, on = 1;

	if (colon == NULL || (size_t)(colon - where) >= sizeof(host) || end == colon + 1 ||
	    *end != '\0' || port < 0 || port > 65535)
		return bd_fail(e, BD_E_CONFIG, "--listen wants address:port, not \"%.60s\"", where);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - where), where);
	if (inet_pton(AF_INET, host, &sin.sin_addr) != 1)
		return bd_fail(e, BD_E_CONFIG, "--listen wants an IPv4 address, not \"%s\"", host);
	sin.sin_port = htons((uint16_t)port);
	if ((fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "making a socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 || listen(fd, SOMAXCONN) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1) {
		bd_fail_errno(e, BD_E_CONFIG, "listening on %s", where);
		close(fd);
		return -1;
	}
	inet_ntop(AF_INET, &sin.sin_addr, text, sizeof(text));
	snprintf(url, url_size, "http://%s:%u", text, ntohs(sin.sin_port));
	return fd;
}

struct web *
web_start(struct sandbox *sb, const char *where, struct bd_err *e)
{
	struct web *w = calloc(1, sizeof(*w));
	int fd;

	if (w == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		return NULL;
	}
	w->sb = sb;
	if ((fd = listen_on(where, sb->url, sizeof(sb->url), e)) == -1)
		goto fail;
	snprintf(sb->issuer, sizeof(sb->issuer), "%s/", sb->url);
	w->daemon = MHD_start_daemon(
	    MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
		MHD_USE_ITC,
	    0, NULL, NULL, on_request, w, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED,
	    call_ended, NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS_MAX,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)256 << 10, MHD_OPTION_CONNECTION_TIMEOUT,
	    (unsigned int)IDLE_TIMEOUT_SEC, MHD_OPTION_END);
	if (w->daemon == NULL) {
		close(fd);
		bd_fail(e, BD_E_CONFIG, "the web server did not start");
		goto fail;
	}
	return w;
fail:
	free(w);
	return NULL;
}

void
web_stop(struct web **wp)
{
	struct web *w = *wp;

	if (w == NULL)
		return;
	MHD_stop_daemon(w->daemon);
	free(w);
	*wp = NULL;
}
