/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON that tests look at and the switches they set: /sandbox/... No token is asked for. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "sandbox/mailbox.h"
#include "sandbox/page.h"
#include "sandbox/receipts.h"
#include "sandbox/token.h"

#define REQUEST_MAX_BYTES ((size_t)64 << 10)

/* The values of an object as an array of copies. */
static json_t *
values(const json_t *object)
{
	json_t *list = json_array(), *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	    json_array_append_new(list, json_deep_copy(value));
	return list;
}

static void
letters(struct web_request *req, struct web_answer *ans)
{
	json_t *list;

	pthread_mutex_lock(&req->sb->lock);
	list = values(req->sb->messages);
	pthread_mutex_unlock(&req->sb->lock);
	web_json(ans, 200, json_pack("{s:o}", "letters", list));
}

static void
letter(struct web_request *req, struct web_answer *ans)
{
	json_t *message;

	pthread_mutex_lock(&req->sb->lock);
	message = json_deep_copy(json_object_get(req->sb->messages, req->segment[0]));
	pthread_mutex_unlock(&req->sb->lock);
	if (message == NULL)
		web_problem(req, ans, 404, "NOT FOUND", "There is no such letter");
	else
		web_json(ans, 200, message);
}

static void
letter_open(struct web_request *req, struct web_answer *ans)
{
	struct bd_err e;
	int rc = mailbox_read_letter(req->sb, req->segment[0], &e);

	if (rc == -1)
		web_problem(req, ans, 409, "CONFLICT", "%s", e.cause);
	else
		web_json(ans, 200, json_pack("{s:b}", "first", rc == 0));
}

/* {"type":"varslingfeiletkvittering","words":"sms: Ugyldig nummer"} */
static void
letter_receipt(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	struct bd_err e;
	json_t *body = json_parse(req->body.data, req->body.len, REQUEST_MAX_BYTES, &e), *message;
	const char *type = json_text(body, "type");

	pthread_mutex_lock(&sb->lock);
	message = json_deep_copy(json_object_get(sb->messages, req->segment[0]));
	pthread_mutex_unlock(&sb->lock);
	if (message == NULL)
		web_problem(req, ans, 404, "NOT FOUND", "There is no such letter");
	else if (type == NULL || !receipts_fits(message, type))
		web_problem(req, ans, 400, "BAD REQUEST",
			    "The letter can have no receipt of this type");
	else if (receipts_add(sb, message, type, json_text(body, "words"), &e) == -1)
		web_problem(req, ans, 500, "INTERNAL SERVER ERROR", "%s", e.cause);
	else
		web_json(ans, 201, json_object());
	json_decref(body);
	json_decref(message);
}

static void
receipts(struct web_request *req, struct web_answer *ans)
{
	json_t *list;

	pthread_mutex_lock(&req->sb->lock);
	list = values(req->sb->receipts);
	pthread_mutex_unlock(&req->sb->lock);
	web_json(ans, 200, json_pack("{s:o}", "receipts", list));
}

static void
persons(struct web_request *req, struct web_answer *ans)
{
	web_json(ans, 200, json_pack("{s:O}", "personer", req->sb->persons));
}

static void
calls(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	json_t *out;

	pthread_mutex_lock(&sb->lock);
	out = json_pack("{s:o, s:o}", "counts", json_deep_copy(sb->counts), "calls",
			json_deep_copy(sb->calls));
	pthread_mutex_unlock(&sb->lock);
	web_json(ans, 200, out);
}

static void
faults_show(struct web_request *req, struct web_answer *ans)
{
	json_t *out;

	pthread_mutex_lock(&req->sb->lock);
	out = faults_json(&req->sb->faults);
	pthread_mutex_unlock(&req->sb->lock);
	web_json(ans, 200, out);
}

static void
faults_change(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	struct bd_err e;
	json_t *body = json_parse(req->body.data, req->body.len, REQUEST_MAX_BYTES, &e);
	int rc = -1;

	if (body != NULL) {
		pthread_mutex_lock(&sb->lock);
		rc = faults_set(&sb->faults, body, &e);
		pthread_mutex_unlock(&sb->lock);
	}
	json_decref(body);
	if (rc == -1)
		web_problem(req, ans, 400, "BAD REQUEST", "%s", e.cause);
	else
		faults_show(req, ans);
}

static void
faults_reset(struct web_request *req, struct web_answer *ans)
{
	pthread_mutex_lock(&req->sb->lock);
	faults_clear(&req->sb->faults);
	pthread_mutex_unlock(&req->sb->lock);
	faults_show(req, ans);
}

static void
setup(struct web_request *req, struct web_answer *ans)
{
	const struct sandbox *sb = req->sb;
	json_t *clients = json_array();

	for (size_t i = 0; i < token_client_count; i++) {
		const struct client *c = &token_clients[i];

		json_array_append_new(clients,
				      json_pack("{s:s, s:s, s:s?, s:s?}", "client_id", c->id,
						"orgnr", sb->pki->party[c->owner].orgnr, "kid",
						c->kid, "acts_for", c->acts_for));
	}
	web_json(ans, 200,
		 json_pack("{s:s, s:s+, s:s, s:s+, s:s, s:o}", "issuer", sb->issuer, "token_url",
			   sb->url, "/token", "register_url", sb->url, "access_point_url", sb->url,
			   "/dpi", "dir", sb->dir, "clients", clients));
}

const struct web_route inspect_routes[] = {
	{ "GET", "/sandbox/letters", letters },
	{ "GET", "/sandbox/letters/{}", letter },
	{ "GET", "/sandbox/letters/{}/documents/{}", page_document },
	{ "POST", "/sandbox/letters/{}/open", letter_open },
	{ "POST", "/sandbox/letters/{}/receipts", letter_receipt },
	{ "GET", "/sandbox/receipts", receipts },
	{ "GET", "/sandbox/persons", persons },
	{ "GET", "/sandbox/log", calls },
	{ "GET", "/sandbox/faults", faults_show },
	{ "POST", "/sandbox/faults", faults_change },
	{ "DELETE", "/sandbox/faults", faults_reset },
	{ "GET", "/sandbox/setup", setup },
	{ NULL, NULL, NULL },
};
