/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digital post through the sender's access point (spec/dpi.md 1.11 to 1.13): builds and signs the
 * business message at each attempt, because token, digest and signature belong together and tokens
 * live for two minutes; posts it once; says exactly how far it came. Never makes an id and never
 * decides to send again later.
 */
#include "config.h"
#include "transport/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/http.h"
#include "common/log.h"
#include "envelope/jwt.h"
#include "envelope/maskinporten.h"
#include "envelope/sbd.h"
#include "transport/dpi_answer.h"
#include "transport/dpi_identity.h"
#include "transport/pauses.h"

#define ACCESS_POINT "access point" /* name of its pause */
#define TIME_MIN_MS 1000            /* with less than this left nothing is begun */
#define QUERY_TIMEOUT_MS 15000
#define URL_CHARS 512
#define DETAIL_CHARS 160

struct dpi {
	const struct conf *conf;
	struct signer *signer;
	struct maskinporten *tokens;
	struct pauses *pauses;
	struct dpi_identities identities;
	char base[URL_CHARS / 2]; /* without final slash */
};

static void
dpi_close(void **self)
{
	struct dpi *d = *self;

	if (d == NULL)
		return;
	dpi_identities_clear(&d->identities);
	pauses_free(&d->pauses);
	maskinporten_free(&d->tokens);
	free(d);
	*self = NULL;
}

static int
dpi_open(void **self_r, const struct driver_env *env, struct bd_err *e)
{
	const char *url = env->conf->access_point.url;
	struct dpi *d = calloc(1, sizeof(*d));
	void *self = d;
	size_t len;

	if (d == NULL)
		return bd_fail(e, BD_E_MEMORY, "dpi driver");
	d->conf = env->conf;
	d->signer = env->signer;
	if (url == NULL || env->conf->maskinporten.token_url == NULL) {
		bd_fail(e, BD_E_CONFIG, "dpi needs access-point.url and maskinporten.token-url");
		goto bad;
	}
	len = strlen(url);
	while (len > 0 && url[len - 1] == '/')
		len--;
	if (len >= sizeof(d->base)) {
		bd_fail(e, BD_E_CONFIG, "access-point.url is too long");
		goto bad;
	}
	memcpy(d->base, url, len);
	d->tokens = maskinporten_new(env->conf, env->signer);
	d->pauses = pauses_new();
	if (d->tokens == NULL || d->pauses == NULL) {
		bd_fail(e, BD_E_MEMORY, "dpi driver");
		goto bad;
	}
	if (dpi_identities_load(env->conf, &d->identities, e) == -1)
		goto bad;
	*self_r = d;
	return 0;
bad:
	dpi_close(&self);
	return -1;
}

/* Nothing is sent to a service that asked us to wait or has failed too often. */
static int
pause_check(struct dpi *d, const char *name, struct bd_err *e)
{
	int64_t left = pauses_left(d->pauses, name, clock_ms());

	return left == 0 ? 0
			 : bd_fail(e, BD_E_AWAY, "%s: pause for %lld s more", name,
				   (long long)(left + 999) / 1000);
}

static int
time_left(int64_t deadline_ms, int most_ms, struct bd_err *e)
{
	int64_t left = deadline_ms - clock_ms();

	if (left < TIME_MIN_MS)
		return bd_fail(e, BD_E_AWAY, "no time left");
	return left < most_ms ? (int)left : most_ms;
}

static int
token_get(struct dpi *d, const struct dpi_identity *id, bool fresh, struct buf *token,
	  struct bd_err *e)
{
	const char *scope = d->conf->maskinporten.scope;

	return maskinporten_token(d->tokens, id->agency, id->chain.leaf,
				  scope != NULL ? scope : "digitalpostinnbygger:send", id->consumer,
				  fresh, token, e);
}

/* The business message, signed: its token must be the very string of the HTTP header (1.3). */
static int
message_make(struct dpi *d, const struct driver_letter *l, const struct dpi_identity *id,
	     const struct buf *token, struct buf *jwt, struct bd_err *e)
{
	const struct sbd_ids ids = { .instance = l->instance,
				     .conversation = l->conversation,
				     .signer_orgnr = id->orgnr,
				     .token = buf_str(token),
				     .created_ms = clock_wall_ms() };
	struct buf json = { 0 };
	int rc = -1;

	if (sbd_digital(l->control, &ids, &json, e) == 0)
		rc = jwt_sign(buf_str(&json), json.len, id->chain.leaf, NULL, d->signer,
			      id->agency->name, jwt, e);
	buf_free(&json);
	return rc;
}

static enum http_outcome
call(struct dpi *d, const char *method, const char *path, const struct buf *token,
     const struct http_part *parts, size_t part_count, int timeout_ms, struct http_answer *answer,
     struct bd_err *e)
{
	const struct http_conf http = {
		.ca_file = d->conf->access_point.ca_file,
		.connect_timeout_ms = d->conf->access_point.connect_timeout_ms,
		.total_timeout_ms = timeout_ms,
		.insecure_loopback = d->conf->access_point.insecure_loopback,
	};
	enum http_outcome outcome = HTTP_NOT_SENT;
	struct buf authorization = { 0 };
	char url[URL_CHARS];

	snprintf(url, sizeof(url), "%s%s", d->base, path);
	if (buf_addf(&authorization, "Authorization: Bearer %s", buf_str(token)) == -1) {
		bd_fail(e, BD_E_MEMORY, "request");
	} else {
		const char *const headers[] = { buf_str(&authorization), "Accept: application/json",
						NULL };
		const struct http_request req = { .method = method,
						  .url = url,
						  .headers = headers,
						  .parts = parts,
						  .part_count = part_count };

		outcome = http_perform(&http, &req, answer, e);
	}
	buf_free(&authorization);
	return outcome;
}

static enum driver_found
statuses_get(struct dpi *d, const struct dpi_identity *id, const struct driver_query *q, bool fresh,
	     int *code_r, struct driver_note *note, struct bd_err *e)
{
	enum driver_found found = DRIVER_UNKNOWN;
	struct http_answer answer = { 0 };
	struct buf token = { 0 };
	char path[96];
	int timeout;

	*code_r = 0;
	if (token_get(d, id, fresh, &token, e) == -1 ||
	    (timeout = time_left(q->deadline_ms, QUERY_TIMEOUT_MS, e)) == -1)
		goto out;
	snprintf(path, sizeof(path), "/messages/out/%s/statuses", q->instance);
	if (call(d, "GET", path, &token, NULL, 0, timeout, &answer, e) != HTTP_ANSWER) {
		pauses_failure(d->pauses, ACCESS_POINT, clock_ms());
		bd_wrap(e, "status query");
		goto out;
	}
	note->code = *code_r = answer.status;
	if (answer.retry_after_sec > 0)
		pauses_hold(d->pauses, ACCESS_POINT, clock_ms(), answer.retry_after_sec * 1000);
	else if (answer.status < 500)
		pauses_success(d->pauses, ACCESS_POINT);
	if (answer.status == 200)
		found = dpi_answer_statuses(answer.body.data, answer.body.len, note, e);
	else if (answer.status == 404 || answer.status == 204)
		found = DRIVER_ABSENT;
	else
		bd_fail(e, answer.status == 403 ? BD_E_CONFIG : BD_E_AWAY,
			"status query: HTTP status %d", answer.status);
out:
	http_answer_clear(&answer);
	buf_free(&token);
	return found;
}

static enum driver_found
dpi_query(void *self, const struct driver_query *q, struct driver_note *note_r, struct bd_err *e)
{
	struct dpi *d = self;
	const struct dpi_identity *id = dpi_identity_of_agency(&d->identities, q->agency, e);
	enum driver_found found;
	int code;

	*note_r = (struct driver_note){ 0 };
	if (id == NULL || pause_check(d, ACCESS_POINT, e) == -1)
		return DRIVER_UNKNOWN;
	found = statuses_get(d, id, q, false, &code, note_r, e);
	if (found == DRIVER_UNKNOWN && code == 401)
		found = statuses_get(d, id, q, true, &code, note_r, e);
	return found;
}

/* 409 and the old text say that the id is used. That is success; the status query tells whether
 * the access point has given up meanwhile (1.12). */
static enum driver_result
duplicate_confirm(struct dpi *d, const struct driver_letter *l, const struct dpi_identity *id,
		  struct driver_note *note, struct bd_err *e)
{
	const struct driver_query q = { .agency = id->agency->name,
					.instance = l->instance,
					.deadline_ms = l->deadline_ms };
	struct driver_note status = { 0 };
	int code;

	note->duplicate = true;
	if (l->first)
		log_warn("letter id=%s: the access point knows its id at the first attempt: was "
			 "the record lost?",
			 l->control->letter_id);
	if (statuses_get(d, id, &q, false, &code, &status, e) == DRIVER_GAVE_UP) {
		snprintf(note->reason, sizeof(note->reason), "access point gave up");
		return DRIVER_NEVER;
	}
	return DRIVER_DONE;
}

static enum driver_result
answer_judge(struct dpi *d, const struct driver_letter *l, const struct dpi_identity *id,
	     const struct http_answer *a, bool *token_again, struct driver_note *note,
	     struct bd_err *e)
{
	const char *provider = l->control->addressees[0].provider;
	enum dpi_class class = dpi_answer_class(a->status, a->body.data, a->body.len);
	const char *reason = dpi_answer_reason(class, a->status);
	char detail[DETAIL_CHARS];

	note->code = a->status;
	dpi_answer_detail(a->body.data, a->body.len, detail, sizeof(detail));
	snprintf(note->reason, sizeof(note->reason), "%s", reason);
	if (a->retry_after_sec > 0 && class != DPI_ACCEPTED)
		pauses_hold(d->pauses, ACCESS_POINT, clock_ms(), a->retry_after_sec * 1000);
	if (class == DPI_IN_DOUBT)
		pauses_failure(d->pauses, provider, clock_ms());
	else
		pauses_success(d->pauses, provider);
	switch (class) {
	case DPI_ACCEPTED:
		return DRIVER_DONE;
	case DPI_DUPLICATE:
		return duplicate_confirm(d, l, id, note, e);
	case DPI_TOKEN:
		*token_again = true;
		bd_fail(e, BD_E_CONFIG, "access point: HTTP status 401: %s", detail);
		return DRIVER_LATER;
	case DPI_NOT_NOW:
		bd_fail(e, BD_E_AWAY, "access point: HTTP status %d, %s", a->status, reason);
		return DRIVER_LATER;
	case DPI_IN_DOUBT:
		bd_fail(e, BD_E_AWAY, "access point: HTTP status %d: %s", a->status, detail);
		return DRIVER_UNSURE;
	case DPI_FORBIDDEN:
		log_error("access point: HTTP status %d, %s: letters of agency %s cannot be sent",
			  a->status, reason, id->agency->name);
		break;
	case DPI_REFUSED:
		break;
	}
	bd_fail(e, BD_E_INTERNAL, "access point: HTTP status %d, %s: %s", a->status, reason,
		detail);
	return DRIVER_NEVER;
}

/* One POST. *token_again: the token was refused, nothing else was looked at. */
static enum driver_result
post(struct dpi *d, const struct driver_letter *l, const struct dpi_identity *id, bool fresh,
     bool *token_again, struct driver_note *note, struct bd_err *e)
{
	const char *provider = l->control->addressees[0].provider;
	const char *channel = d->conf->access_point.channel;
	struct buf token = { 0 }, jwt = { .max = JWT_MAX_BYTES };
	enum driver_result result = DRIVER_LATER;
	struct http_answer answer = { 0 };
	char path[96];
	int timeout;

	*token_again = false;
	if (token_get(d, id, fresh, &token, e) == -1 ||
	    message_make(d, l, id, &token, &jwt, e) == -1 ||
	    (timeout = time_left(l->deadline_ms, d->conf->access_point.total_timeout_ms, e)) == -1)
		goto out;
	{
		const struct http_part parts[] = {
			{ .name = "forretningsmelding",
			  .filename = "sbd.jwt",
			  .type = "application/jwt",
			  .data = jwt.data,
			  .len = jwt.len },
			{ .name = "dokumentpakke",
			  .filename = "asic.cms",
			  .type = "application/cms",
			  .data = l->package->data,
			  .len = l->package->len },
		};

		snprintf(path, sizeof(path), "/messages/out%s%s", channel != NULL ? "?kanal=" : "",
			 channel != NULL ? channel : "");
		switch (call(d, "POST", path, &token, parts, 2, timeout, &answer, e)) {
		case HTTP_ANSWER:
			failpoint("transport.after-post");
			result = answer_judge(d, l, id, &answer, token_again, note, e);
			break;
		case HTTP_NOT_SENT:
			pauses_failure(d->pauses, provider, clock_ms());
			bd_wrap(e, "access point, nothing was sent");
			break;
		case HTTP_UNSURE:
			pauses_failure(d->pauses, provider, clock_ms());
			bd_wrap(e, "access point, no answer seen");
			result = DRIVER_UNSURE;
			break;
		}
	}
out:
	http_answer_clear(&answer);
	buf_free(&jwt);
	buf_free(&token);
	return result;
}

static enum driver_result
dpi_send(void *self, const struct driver_letter *l, struct driver_note *note_r, struct bd_err *e)
{
	struct dpi *d = self;
	const struct dpi_identity *id;
	enum driver_result result;
	bool token_again;

	*note_r = (struct driver_note){ 0 };
	if ((id = dpi_identity_of_letter(&d->identities, l->control, e)) == NULL ||
	    pause_check(d, ACCESS_POINT, e) == -1 ||
	    pause_check(d, l->control->addressees[0].provider, e) == -1)
		return DRIVER_LATER;
	result = post(d, l, id, false, &token_again, note_r, e);
	if (token_again) /* spec/dpi.md 1.12: a new token, everything signed anew, once */
		result = post(d, l, id, true, &token_again, note_r, e);
	return result;
}

const struct driver_ops driver_dpi = {
	.name = "dpi",
	.open = dpi_open,
	.send = dpi_send,
	.query = dpi_query,
	.close = dpi_close,
};
