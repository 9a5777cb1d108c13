/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access point's API under /dpi (spec/dpi.md 1.12 to 1.14): takes letters, tells statuses,
 * hands out receipts. Delivery to the mailbox happens before the answer, so that a test that has
 * its 201 finds the letter or its `feil`.
 */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "sandbox/checks.h"
#include "sandbox/keep.h"
#include "sandbox/mailbox.h"
#include "sandbox/receipts.h"
#include "sandbox/token.h"

#define PAGE_SIZE_DEFAULT 100
#define PAGE_SIZE_MAX 1000

struct spoil { /* what the fault switches say for this letter */
	int delay_ms, status, cut_before, cut_after, duplicate, failed;
};

static void
spoil_take(struct sandbox *sb, struct spoil *sp)
{
	pthread_mutex_lock(&sb->lock);
	*sp = (struct spoil){ .delay_ms = sb->faults.delay_ms };
	/* one fault for each letter, in this order */
	if (faults_take(&sb->faults.fail))
		sp->status = sb->faults.fail_status;
	else if (faults_take(&sb->faults.cut_before))
		sp->cut_before = 1;
	else if (faults_take(&sb->faults.cut_after))
		sp->cut_after = 1;
	else if (faults_take(&sb->faults.duplicate))
		sp->duplicate = 1;
	else if (faults_take(&sb->faults.failed))
		sp->failed = 1;
	pthread_mutex_unlock(&sb->lock);
}

static void
answer_used_id(struct web_request *req, struct web_answer *ans, const char *id)
{
	web_problem(req, ans, 409, "CONFLICT",
		    "409002: Document with ID %s already exists, duplicate values not possible",
		    id);
}

/* Makes the id ours, or says that it is used. A second request with the same id while the first is
 * being checked counts as used too. */
static bool
reserve(struct sandbox *sb, const char *id)
{
	bool used;

	pthread_mutex_lock(&sb->lock);
	used = json_object_get(sb->messages, id) != NULL ||
	       json_object_get(sb->in_progress, id) != NULL;
	if (!used)
		json_object_set_new(sb->in_progress, id, json_true());
	pthread_mutex_unlock(&sb->lock);
	return !used;
}

static void
release(struct sandbox *sb, const char *id)
{
	pthread_mutex_lock(&sb->lock);
	json_object_del(sb->in_progress, id);
	pthread_mutex_unlock(&sb->lock);
}

/* C3 and C4: into the mailbox with a delivery receipt, or a `feil` receipt. */
static int
deliver(struct sandbox *sb, const struct submission *s, bool given_up, struct bd_err *e)
{
	struct package_open open = { 0 };
	json_t *message = NULL;
	char why[400] = "";
	int good = 0, rc = -1;

	while (sem_wait(&sb->openers) == -1)
		;
	if (!given_up)
		good = check_c4(sb, s, &open, why, sizeof(why)) == 0;
	message = mailbox_message(s, good ? &open : NULL, given_up || good ? NULL : why);
	if (message == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		goto out;
	}
	if (mailbox_store(sb, message, good ? &open : NULL, e) == -1)
		goto out;
	log_info("letter id=%s provider=%s result=%s", s->instance, s->receiver,
		 given_up ? "given-up"
		 : good   ? "delivered"
			  : "feil");
	failpoint("sandbox.letter-kept");
	rc = given_up ? 0 : receipts_arrival(sb, message, e);
out:
	package_open_clear(&open);
	sem_post(&sb->openers);
	json_decref(message);
	return rc;
}

static void
letter_in(struct web_request *req, struct web_answer *ans, const struct spoil *sp)
{
	struct submission s = { 0 };
	struct bd_err e;

	if (check_c2(req, ans, &s) == -1)
		goto out;
	if (!reserve(req->sb, s.instance)) {
		answer_used_id(req, ans, s.instance);
		goto out;
	}
	if (deliver(req->sb, &s, sp->failed, &e) == -1) {
		log_error("letter id=%s: %s", s.instance, e.cause);
		web_problem(req, ans, 500, "INTERNAL SERVER ERROR", "The letter could not be kept");
	} else if (sp->duplicate) {
		answer_used_id(req, ans, s.instance);
	} else {
		ans->status = 201;
		ans->type = NULL;
	}
	release(req->sb, s.instance);
out:
	submission_clear(&s);
}

static void
messages_out(struct web_request *req, struct web_answer *ans)
{
	struct spoil sp;

	spoil_take(req->sb, &sp);
	sandbox_sleep_ms(sp.delay_ms);
	if (sp.cut_before) {
		ans->cut = true;
		return;
	}
	if (sp.status != 0) {
		web_problem(req, ans, sp.status, "ERROR",
			    "The access point has a problem (fault switch)");
		return;
	}
	letter_in(req, ans, &sp);
	ans->cut = sp.cut_after;
}

/* Whose mail the caller sees: the processor's, else the consumer's. 0, or -1 with the answer made.
 */
static int
caller(struct web_request *req, struct web_answer *ans, char owner[ORGNR_CHARS])
{
	const char *token;
	char why[300];
	json_t *claims = token_bearer(req, &token, why, sizeof(why));
	int rc = -1;

	if (claims == NULL) {
		web_problem(req, ans, 401, "UNAUTHORIZED", "%s", why);
		return -1;
	}
	token_party(claims, "supplier", owner);
	if (owner[0] == '\0')
		token_party(claims, "consumer", owner);
	if (!token_has_scope(claims, SCOPE_SEND))
		web_problem(req, ans, 403, "FORBIDDEN", "The token lacks the scope %s", SCOPE_SEND);
	else
		rc = 0;
	json_decref(claims);
	return rc;
}

static bool
equals(const json_t *object, const char *member, const char *text)
{
	const char *value = json_string_value(json_object_get(object, member));

	return value != NULL && strcasecmp(value, text) == 0;
}

static void
messages_statuses(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	char owner[ORGNR_CHARS], id[37];
	json_t *message, *statuses = NULL;

	if (caller(req, ans, owner) == -1)
		return;
	snprintf(id, sizeof(id), "%s", req->segment[0]);
	for (char *p = id; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'F')
			*p = (char)(*p + 32);
	pthread_mutex_lock(&sb->lock);
	message = json_object_get(sb->messages, id);
	if (message != NULL &&
	    (equals(message, "owner", owner) || equals(message, "sender", owner)))
		statuses = json_deep_copy(json_object_get(message, "statuses"));
	pthread_mutex_unlock(&sb->lock);
	if (statuses == NULL)
		web_problem(req, ans, 404, "NOT FOUND", "No letter with this id was sent here");
	else
		web_json(ans, 200, statuses);
}

/* A whole number of the query, fallback when absent, -1 when it is none. */
static long
query_number(const struct web_request *req, const char *name, long fallback)
{
	const char *text = web_query(req, name);
	char *end;
	long n;

	if (text == NULL)
		return fallback;
	n = strtol(text, &end, 10);
	return *text < '0' || *text > '9' || *end != '\0' || n > 1000000000 ? -1 : n;
}

static json_t *
unread_page(struct sandbox *sb, const char *owner, const char *channel, const char *unit, long size,
	    long page)
{
	json_t *list = json_array(), *receipt;
	const char *id;
	long at = 0;

	pthread_mutex_lock(&sb->lock);
	json_object_foreach(sb->receipts, id, receipt)
	{
		if (sb->faults.receipts_withheld ||
		    json_is_true(json_object_get(receipt, "read")) ||
		    !equals(receipt, "owner", owner) ||
		    (*channel != '\0' && !equals(receipt, "channel", channel)) ||
		    (unit != NULL && !equals(receipt, "unit", unit)))
			continue;
		if (at >= page * size && at < (page + 1) * size)
			json_array_append_new(list,
					      json_pack("{s:s, s:s++}", "forretningsmelding",
							json_text(receipt, "jwt"), "downloadurl",
							sb->url, "/dpi/messages/in/", id));
		at++;
	}
	pthread_mutex_unlock(&sb->lock);
	return list;
}

static void
messages_in(struct web_request *req, struct web_answer *ans)
{
	char owner[ORGNR_CHARS], channel[CHANNEL_CHARS];
	long size = query_number(req, "page_size", PAGE_SIZE_DEFAULT),
	     page = query_number(req, "page", 0);
	json_t *list;

	if (caller(req, ans, owner) == -1)
		return;
	if (check_channel(web_query(req, "kanal"), channel) == -1 || size < 1 || page < 0) {
		web_problem(req, ans, 400, "BAD REQUEST", "kanal, page_size or page is not valid");
		return;
	}
	if (size > PAGE_SIZE_MAX)
		size = PAGE_SIZE_MAX;
	list = unread_page(req->sb, owner, channel, web_query(req, "avsenderidentifikator"), size,
			   page);
	if (json_array_size(list) > 0) {
		web_json(ans, 200, list);
		return;
	}
	json_decref(list);
	ans->status = 204;
	ans->type = NULL;
}

static void
messages_read(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	char owner[ORGNR_CHARS], folder[PATH_MAX], name[64];
	json_t *receipt;
	struct bd_err e;
	int found, rc = 0;

	if (caller(req, ans, owner) == -1)
		return;
	snprintf(folder, sizeof(folder), "%s/receipts", sb->dir);
	snprintf(name, sizeof(name), "%.40s.json", req->segment[0]);
	pthread_mutex_lock(&sb->lock);
	receipt = json_object_get(sb->receipts, req->segment[0]);
	found = receipt != NULL && equals(receipt, "owner", owner) &&
		!json_is_true(json_object_get(receipt, "read"));
	if (found) {
		json_object_set_new(receipt, "read", json_true());
		rc = keep_json(folder, name, receipt, &e);
	}
	pthread_mutex_unlock(&sb->lock);
	if (!found)
		web_problem(req, ans, 404, "NOT FOUND", "No unread message has this id");
	else if (rc == -1)
		web_problem(req, ans, 500, "INTERNAL SERVER ERROR", "The mark could not be kept");
	else {
		ans->status = 200;
		ans->type = NULL;
	}
}

/* Only receipts come in, and they have no package. */
static void
messages_package(struct web_request *req, struct web_answer *ans)
{
	char owner[ORGNR_CHARS];

	if (caller(req, ans, owner) == 0)
		web_problem(req, ans, 404, "NOT FOUND", "The message has no dokumentpakke");
}

const struct web_route accesspoint_routes[] = {
	{ "POST", "/dpi/messages/out", messages_out },
	{ "GET", "/dpi/messages/out/{}/statuses", messages_statuses },
	{ "GET", "/dpi/messages/in", messages_in },
	{ "GET", "/dpi/messages/in/{}", messages_package },
	{ "POST", "/dpi/messages/in/{}/read", messages_read },
	{ NULL, NULL, NULL },
};
