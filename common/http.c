/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP over libcurl: one request, one connection, one answer or an exact statement of how far the
 * request came. Knows nothing of tokens, letters or retries, and must never send a request a second
 * time by itself: libcurl repeats requests only on reused connections (Curl_retry_request), on
 * HTTP/2 and after 417, and all three are ruled out below.
 */
#include "config.h"
#include "common/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

#define ANSWER_MAX_BYTES ((size_t)4 << 20)
#define HEADERS_MAX_BYTES ((size_t)64 << 10)
#define RETRY_AFTER_MAX_SEC 86400L

struct call {
	struct http_answer *answer;
	size_t header_bytes;
	bool loopback_only; /* http://: the address really connected to must be loopback */
	bool refused;       /* the address was not loopback */
	bool begun;         /* connected and shaken hands: from here bytes of the request leave */
	bool too_big;
};

struct part_reader { /* hands a borrowed part to libcurl without copying it */
	const char *data;
	size_t len, at;
};

int
http_init(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

void
http_answer_clear(struct http_answer *answer)
{
	buf_free(&answer->body);
	*answer = (struct http_answer){ .retry_after_sec = -1, .date = -1 };
}

/* libcurl gives pointer and size apart; a callback that returns less ends the transfer. */
static size_t
on_body(char *data, size_t size, size_t count, void *arg)
{
	struct call *c = arg;

	if (buf_add(&c->answer->body, data, size * count) == -1) {
		c->too_big = true;
		return 0;
	}
	return size * count;
}

static long
retry_after(const char *value)
{
	char *end;
	long seconds = strtol(value, &end, 10);

	if (end == value) { /* RFC 9110 10.2.3: seconds or a date */
		time_t when = curl_getdate(value, NULL);

		if (when == (time_t)-1)
			return -1;
		seconds = (long)(when - clock_wall());
	}
	if (seconds < 0)
		return 0;
	return seconds > RETRY_AFTER_MAX_SEC ? RETRY_AFTER_MAX_SEC : seconds;
}

static size_t
on_header(char *data, size_t size, size_t count, void *arg)
{
	struct call *c = arg;
	struct http_answer *a = c->answer;
	size_t len = size * count, n = len;
	char line[512], *value;

	if ((c->header_bytes += len) > HEADERS_MAX_BYTES) {
		c->too_big = true;
		return 0;
	}
	if (n >= 5 && memcmp(data, "HTTP/", 5) == 0) { /* a new head: an interim one is forgotten */
		a->content_type[0] = '\0';
		a->retry_after_sec = -1;
		a->date = -1;
		return len;
	}
	while (n > 0 && (data[n - 1] == '\r' || data[n - 1] == '\n' || data[n - 1] == ' '))
		n--;
	if (n >= sizeof(line))
		return len; /* none of those we read is so long */
	memcpy(line, data, n);
	line[n] = '\0';
	if ((value = strchr(line, ':')) == NULL)
		return len;
	*value++ = '\0';
	value += strspn(value, " \t");
	if (strcasecmp(line, "content-type") == 0) {
		n = strcspn(value, "; \t");
		if (n < sizeof(a->content_type)) {
			memcpy(a->content_type, value, n);
			a->content_type[n] = '\0';
		}
	} else if (strcasecmp(line, "retry-after") == 0) {
		a->retry_after_sec = retry_after(value);
	} else if (strcasecmp(line, "date") == 0) {
		a->date = (long long)curl_getdate(value, NULL);
	}
	return len;
}

/* Called after connect and TLS handshake, before the first byte of the request: the exact border
 * between HTTP_NOT_SENT and HTTP_UNSURE. */
static int
on_before_request(void *arg, char *peer, char *local, int peer_port, int local_port)
{
	struct call *c = arg;

	(void)peer;
	(void)local;
	(void)peer_port;
	(void)local_port;
	c->begun = true;
	return CURL_PREREQFUNC_OK;
}

static bool
is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		return ntohl(in.sin_addr.s_addr) >> 24 == 127;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
	}
	return false;
}

/* The check is made on the address, not on the name: a name may resolve to anything. */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct call *c = arg;

	(void)purpose;
	if (c->loopback_only && !is_loopback(&address->addr)) {
		c->refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t
on_part_read(char *out, size_t size, size_t count, void *arg)
{
	struct part_reader *r = arg;
	size_t n = size * count;

	if (n > r->len - r->at)
		n = r->len - r->at;
	memcpy(out, r->data + r->at, n);
	r->at += n;
	return n;
}

static struct curl_slist *
headers_make(const struct http_request *req, struct bd_err *e)
{
	/* No "Expect: 100-continue": after a 417 libcurl would send again. */
	struct curl_slist *list = curl_slist_append(NULL, "Expect:"), *longer = list;

	for (const char *const *h = req->headers; longer != NULL && h != NULL && *h != NULL; h++) {
		if (strpbrk(*h, "\r\n") != NULL) {
			bd_fail(e, BD_E_INTERNAL, "line break in an HTTP header");
			curl_slist_free_all(list);
			return NULL;
		}
		longer = curl_slist_append(list, *h);
	}
	if (longer == NULL) {
		bd_fail(e, BD_E_MEMORY, "HTTP headers");
		curl_slist_free_all(list);
	}
	return longer;
}

/* No seek function on purpose: libcurl cannot rewind, so it cannot send the parts twice. */
static curl_mime *
parts_make(CURL *curl, const struct http_request *req, struct part_reader *readers,
	   struct bd_err *e)
{
	curl_mime *mime = curl_mime_init(curl);

	for (size_t i = 0; mime != NULL && i < req->part_count; i++) {
		const struct http_part *p = &req->parts[i];
		curl_mimepart *part = curl_mime_addpart(mime);

		readers[i] = (struct part_reader){ .data = p->data, .len = p->len };
		if (part == NULL || curl_mime_name(part, p->name) != CURLE_OK ||
		    (p->filename != NULL && curl_mime_filename(part, p->filename) != CURLE_OK) ||
		    curl_mime_type(part, p->type) != CURLE_OK ||
		    curl_mime_data_cb(part, (curl_off_t)p->len, on_part_read, NULL, NULL,
				      &readers[i]) != CURLE_OK) {
			curl_mime_free(mime);
			mime = NULL;
		}
	}
	if (mime == NULL)
		bd_fail(e, BD_E_MEMORY, "HTTP parts");
	return mime;
}

static void
options_set(CURL *curl, const struct http_conf *conf, struct call *c, char *words)
{
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, c->loopback_only ? "http" : "https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	if (conf->ca_file != NULL) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, conf->ca_file);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); /* ours alone, not the system's too */
	}
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)conf->connect_timeout_ms);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)conf->total_timeout_ms);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "brevdue/" PACKAGE_VERSION);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_before_request);
	curl_easy_setopt(curl, CURLOPT_PREREQDATA, c);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, c);
}

/* http:// is for the sandbox on loopback and only when the configuration says so. */
static int
scheme_check(const struct http_conf *conf, const char *url, struct call *c, struct bd_err *e)
{
	if (strncasecmp(url, "https://", 8) == 0)
		return 0;
	if (strncasecmp(url, "http://", 7) == 0 && conf->insecure_loopback) {
		c->loopback_only = true;
		return 0;
	}
	return bd_fail(e, BD_E_CONFIG, "%.60s: only https:// is allowed", url);
}

static enum http_outcome
failed(CURLcode rc, const struct call *c, const char *words, struct bd_err *e)
{
	if (c->refused)
		bd_fail(e, BD_E_CONFIG, "http:// is for loopback addresses only");
	else if (c->too_big)
		bd_fail(e, BD_E_AWAY, "the answer is too long");
	else
		bd_fail(e, BD_E_AWAY, "%s", words[0] != '\0' ? words : curl_easy_strerror(rc));
	return c->begun ? HTTP_UNSURE : HTTP_NOT_SENT;
}

enum http_outcome
http_perform(const struct http_conf *conf, const struct http_request *req,
	     struct http_answer *answer, struct bd_err *e)
{
	struct call c = { .answer = answer };
	enum http_outcome outcome = HTTP_NOT_SENT;
	struct part_reader *readers = NULL;
	struct curl_slist *headers = NULL;
	curl_mime *mime = NULL;
	char words[CURL_ERROR_SIZE] = "";
	CURL *curl = NULL;
	long status = 0;
	CURLcode rc;

	*answer = (struct http_answer){ .retry_after_sec = -1, .date = -1 };
	answer->body.max = conf->answer_max_bytes != 0 ? conf->answer_max_bytes : ANSWER_MAX_BYTES;
	if (scheme_check(conf, req->url, &c, e) == -1)
		goto out;
	if ((curl = curl_easy_init()) == NULL) {
		bd_fail(e, BD_E_MEMORY, "libcurl handle");
		goto out;
	}
	if ((headers = headers_make(req, e)) == NULL)
		goto out;
	options_set(curl, conf, &c, words);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	if (curl_easy_setopt(curl, CURLOPT_URL, req->url) != CURLE_OK) {
		bd_fail(e, BD_E_MEMORY, "URL");
		goto out;
	}
	if (req->part_count > 0) {
		if ((readers = calloc(req->part_count, sizeof(*readers))) == NULL) {
			bd_fail(e, BD_E_MEMORY, "HTTP parts");
			goto out;
		}
		if ((mime = parts_make(curl, req, readers, e)) == NULL)
			goto out;
		curl_easy_setopt(curl, CURLOPT_MIMEPOST, mime);
	} else if (strcmp(req->method, "POST") == 0) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, req->body != NULL ? req->body : "");
	} else {
		curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
	}

	rc = curl_easy_perform(curl);
	if (rc == CURLE_OK &&
	    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status >= 200) {
		answer->status = (int)status;
		outcome = HTTP_ANSWER;
	} else {
		/* A status whose body was cut counts as not seen: asking again is always right. */
		outcome = failed(rc, &c, words, e);
	}
out:
	curl_mime_free(mime);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	free(readers);
	return outcome;
}
