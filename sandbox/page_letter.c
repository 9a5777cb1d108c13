/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Letters: the list, one letter as its recipient and its tester see it, its documents. Documents
 * are foreign: they leave from an address of their own with a policy that lets nothing run.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "sandbox/html.h"
#include "sandbox/mailbox.h"
#include "sandbox/page.h"
#include "sandbox/receipts.h"

#define DOCUMENT_POLICY                                                           \
	"sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; " \
	"frame-ancestors 'self'; base-uri 'none'; form-action 'none'"

static const char *
letter_title(const json_t *m)
{
	const char *title = json_text(json_array_get(json_object_get(m, "documents"), 0), "title");

	if (title == NULL)
		title = json_text(m, "public_title");
	return title != NULL ? title : "(no title)";
}

static void
letter_badge(struct buf *b, const json_t *m)
{
	if (json_object_get(m, "failure") != NULL)
		html_badge(b, "bad", "not delivered");
	else if (json_object_get(m, "opened") != NULL)
		html_badge(b, "plain", "opened");
	else
		html_badge(b, "good",
			   json_text(m, "mailbox") != NULL ? "delivered" : "to be printed");
}

static void
letter_row(struct buf *b, const struct sandbox *sb, const char *id, const json_t *m)
{
	const char *address = json_text(m, "mailbox");

	html_raw(b, "<tr><th scope=\"row\"><a href=\"/letters/");
	html_url(b, id);
	html_raw(b, "\">");
	html_text(b, letter_title(m));
	html_raw(b, "</a></th><td>");
	html_text(b, page_provider_name(sb, json_text(m, "provider")));
	html_raw(b, " <code>");
	html_text(b, address);
	html_raw(b, "</code></td><td class=\"n\">");
	html_textf(b, "%zu", json_array_size(json_object_get(m, "documents")));
	html_raw(b, "</td><td>");
	html_time(b, json_text(m, "received"));
	html_raw(b, "</td><td>");
	letter_badge(b, m);
	html_raw(b, "</td></tr>\n");
}

size_t
page_letter_table(struct buf *b, const struct sandbox *sb, const char *provider,
		  const char *mailbox, size_t most)
{
	size_t total = json_object_size(sb->messages), n = 0, at = 0;
	const char **ids = total > 0 ? malloc(total * sizeof(*ids)) : NULL, *id;
	json_t *m;

	if (ids == NULL)
		return 0;
	json_object_foreach(sb->messages, id, m)
	{
		const char *a = json_text(m, "mailbox");

		if (mailbox == NULL || (a != NULL && strcmp(a, mailbox) == 0 &&
					strcmp(json_text(m, "provider"), provider) == 0 &&
					json_object_get(m, "failure") == NULL))
			ids[at++] = id;
	}
	if (at > 0)
		html_raw(
		    b,
		    "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Letters\">"
		    "<table><thead><tr><th scope=\"col\">Title</th><th scope=\"col\">Mailbox</th>"
		    "<th scope=\"col\" class=\"n\">Documents</th><th scope=\"col\">Received (UTC)"
		    "</th><th scope=\"col\">State</th></tr></thead><tbody>\n");
	for (; n < at && n < most; n++)
		letter_row(b, sb, ids[at - 1 - n], json_object_get(sb->messages, ids[at - 1 - n]));
	if (at > 0)
		html_raw(b, "</tbody></table></div>\n");
	if (at > most)
		buf_addf(b, "<p>The newest %zu of %zu are shown.</p>\n", most, at);
	free(ids);
	return at;
}

void
page_letters(struct web_request *req, struct web_answer *ans)
{
	struct buf *b = &ans->body;

	html_begin(b, "Letters", "/letters");
	pthread_mutex_lock(&req->sb->lock);
	if (page_letter_table(b, req->sb, NULL, NULL, 1000) == 0)
		html_raw(b, "<p class=\"empty\">No letter has come in yet.</p>\n");
	pthread_mutex_unlock(&req->sb->lock);
	html_end(req, ans);
}

static void
size_words(char out[32], json_int_t bytes)
{
	if (bytes < 1000)
		snprintf(out, 32, "%d bytes", (int)bytes);
	else if (bytes < 1000000)
		snprintf(out, 32, "%.1f kB", (double)bytes / 1e3);
	else
		snprintf(out, 32, "%.1f MB", (double)bytes / 1e6);
}

static void
document_item(struct buf *b, const char *id, const json_t *d, bool preview)
{
	const char *mime = json_text(d, "mime"), *title = json_text(d, "title");
	json_int_t n = json_integer_value(json_object_get(d, "n"));
	char address[96], size[32];

	snprintf(address, sizeof(address), "/letters/%s/documents/%d", id, (int)n);
	size_words(size, json_integer_value(json_object_get(d, "size")));
	html_raw(b, "<li><p><a href=\"");
	html_text(b, address);
	html_raw(b, "\">");
	html_text(b, title != NULL ? title : json_text(d, "href"));
	html_raw(b, "</a> ");
	html_badge(b, "plain", n == 0 ? "main document" : "attachment");
	html_raw(b, "</p><p class=\"fine\">");
	html_textf(b, "%s, %s, %s", json_text(d, "href"), mime, size);
	html_raw(b, "<br><abbr title=\"SHA-256 digest\">SHA-256</abbr> <code>");
	html_text(b, json_text(d, "sha256"));
	html_raw(b, "</code></p>\n");
	if (preview && (strcmp(mime, "text/html") == 0 || strcmp(mime, "text/plain") == 0)) {
		html_raw(b, "<iframe sandbox title=\"Content of ");
		html_text(b, title != NULL ? title : "the document");
		html_raw(b, "\" src=\"");
		html_text(b, address);
		html_raw(b, "\"></iframe>\n");
	} else if (preview && (strcmp(mime, "image/png") == 0 || strcmp(mime, "image/jpeg") == 0 ||
			       strcmp(mime, "image/gif") == 0)) {
		html_raw(b, "<img class=\"preview\" alt=\"\" src=\"");
		html_text(b, address);
		html_raw(b, "\">\n");
	}
	html_raw(b, "</li>\n");
}

static void
letter_documents(struct buf *b, const char *id, const json_t *m)
{
	json_t *list = json_object_get(m, "documents"), *d;
	size_t i;

	html_raw(b, "<section aria-labelledby=\"docs\"><h2 id=\"docs\">Documents</h2>\n<ol "
		    "class=\"docs\">");
	json_array_foreach(list, i, d) document_item(b, id, d, i < 10);
	html_raw(b, "</ol></section>\n");
}

static void
letter_facts(struct buf *b, const struct sandbox *sb, const json_t *m)
{
	char level[16], size[32];
	json_int_t n = json_integer_value(json_object_get(m, "security_level"));

	snprintf(level, sizeof(level), "%d", (int)n);
	size_words(size, json_integer_value(json_object_get(m, "package_size")));
	html_raw(b, "<section aria-labelledby=\"facts\"><h2 id=\"facts\">About the letter</h2>\n"
		    "<dl class=\"facts\">\n");
	html_fact(b, "Public title (before login)", json_text(m, "public_title"));
	html_fact(b, "Sender (avsender)", json_text(m, "sender"));
	html_fact(b, "Unit", json_text(m, "unit"));
	html_fact(b, "Signed by", json_text(m, "signer"));
	html_fact(b, "Provider", page_provider_name(sb, json_text(m, "provider")));
	html_fact(b, "Mailbox", json_text(m, "mailbox"));
	html_fact(b, "Security level", n != 0 ? level : NULL);
	html_fact(b, "Language", json_text(m, "language"));
	html_fact(b, "Visible from", json_text(m, "effective"));
	html_fact(b, "Opening receipt",
		  json_is_true(json_object_get(m, "open_receipt")) ? "ordered" : "not ordered");
	html_fact(b, "Opened", json_text(m, "opened"));
	html_fact(b, "Channel", json_text(m, "channel"));
	html_fact(b, "Letter id (instanceIdentifier)", json_text(m, "id"));
	html_fact(b, "Conversation", json_text(m, "conversation"));
	html_fact(b, "Package", size);
	html_fact(b, "Package SHA-256", json_text(m, "package_sha256"));
	html_raw(b, "</dl></section>\n");
}

static void
letter_notices(struct buf *b, const json_t *m)
{
	const json_t *notices = json_object_get(m, "notices");
	const char *name;
	json_t *v;

	if (json_object_size(notices) == 0)
		return;
	html_raw(b, "<section aria-labelledby=\"notices\"><h2 id=\"notices\">Notices "
		    "ordered</h2>\n<div class=\"wide\" "
		    "tabindex=\"0\" role=\"region\" aria-label=\"Notices\"><table><thead><tr><th "
		    "scope=\"col\">To</th><th scope=\"col\">Text</th>"
		    "<th scope=\"col\">Days</th></tr></thead><tbody>\n");
	json_object_foreach((json_t *)(uintptr_t)notices, name, v)
	{
		const char *to = json_text(v, "epostadresse");
		json_t *day;
		size_t i;

		html_raw(b, "<tr><th scope=\"row\">");
		html_text(b, to != NULL ? to : json_text(v, "mobiltelefonnummer"));
		html_raw(b, "</th><td>");
		html_text(b, json_text(v, "varslingstekst"));
		html_raw(b, "</td><td>");
		json_array_foreach(json_object_get(v, "repetisjoner"), i, day)
		    html_textf(b, "%s%d", i > 0 ? ", " : "", (int)json_integer_value(day));
		html_raw(b, "</td></tr>\n");
	}
	html_raw(b, "</tbody></table></div></section>\n");
}

static void
letter_history(struct buf *b, const struct sandbox *sb, const char *id, const json_t *m)
{
	json_t *s, *r;
	const char *key;
	size_t i;

	html_raw(b,
		 "<section aria-labelledby=\"history\"><h2 id=\"history\">What happened</h2>\n<ol "
		 "class=\"steps\">\n");
	json_array_foreach(json_object_get(m, "statuses"), i, s)
	{
		html_raw(b, "<li>");
		html_time(b, json_text(s, "timestamp"));
		html_raw(b, " status <strong>");
		html_text(b, json_text(s, "status"));
		html_raw(b, "</strong> ");
		html_text(b, json_text(s, "beskrivelse"));
		html_raw(b, "</li>\n");
	}
	json_object_foreach(sb->receipts, key, r)
	{
		if (strcmp(json_text(r, "message"), id) != 0)
			continue;
		html_raw(b, "<li>");
		html_time(b, json_text(r, "made"));
		html_raw(b, " receipt <strong>");
		html_text(b, json_text(r, "type"));
		html_raw(b, "</strong> ");
		html_badge(b, json_is_true(json_object_get(r, "read")) ? "plain" : "wait",
			   json_is_true(json_object_get(r, "read")) ? "fetched" : "waiting");
		html_raw(b, "</li>\n");
	}
	html_raw(b, "</ol></section>\n");
}

static void
letter_actions(struct buf *b, const char *id, const json_t *m)
{
	html_raw(b, "<section class=\"actions\" aria-labelledby=\"act\"><h2 id=\"act\">Act as the "
		    "citizen or the provider</h2>\n");
	if (json_object_get(m, "failure") == NULL && json_text(m, "mailbox") != NULL &&
	    json_object_get(m, "opened") == NULL) {
		html_raw(b, "<form method=\"post\" action=\"/letters/");
		html_url(b, id);
		html_raw(b, "/open\"><button>Open the letter</button></form>\n");
	}
	html_raw(b, "<form method=\"post\" action=\"/letters/");
	html_url(b, id);
	html_raw(b, "/receipt\"><label for=\"type\">Queue a receipt</label> "
		    "<select id=\"type\" name=\"type\">\n");
	for (size_t i = 0; receipt_types[i] != NULL; i++) {
		if (!receipts_fits(m, receipt_types[i]))
			continue;
		html_raw(b, "<option>");
		html_raw(b, receipt_types[i]);
		html_raw(b, "</option>\n");
	}
	html_raw(
	    b,
	    "</select> <label for=\"words\">with words</label> <input id=\"words\" name=\"words\" "
	    "maxlength=\"200\"> <button>Queue</button></form></section>\n");
}

void
page_letter(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	struct buf *b = &ans->body;
	const char *id = req->segment[0], *failure;
	const json_t *m;

	pthread_mutex_lock(&sb->lock);
	if ((m = json_object_get(sb->messages, id)) == NULL) {
		pthread_mutex_unlock(&sb->lock);
		html_message(req, ans, 404, "No such letter",
			     "No letter with this id has come in.");
		return;
	}
	html_begin(b, letter_title(m), "/letters");
	html_raw(b, "<p class=\"crumbs\"><a href=\"/letters\">Letters</a> / ");
	letter_badge(b, m);
	html_raw(b, " received ");
	html_time(b, json_text(m, "received"));
	html_raw(b, "</p>\n");
	if ((failure = json_text(m, "failure")) != NULL) {
		html_raw(b, "<p class=\"notice bad\"><strong>Not delivered.</strong> ");
		html_text(b, failure);
		html_raw(b, "</p>\n");
	} else {
		letter_documents(b, id, m);
	}
	letter_actions(b, id, m);
	letter_history(b, sb, id, m);
	letter_notices(b, m);
	letter_facts(b, sb, m);
	pthread_mutex_unlock(&sb->lock);
	html_end(req, ans);
}

void
page_letter_open(struct web_request *req, struct web_answer *ans)
{
	struct bd_err e;

	if (mailbox_read_letter(req->sb, req->segment[0], &e) == -1)
		html_message(req, ans, 409, "Not opened", e.cause);
	else
		html_redirect(ans, "/letters/%s", req->segment[0]);
}

void
page_letter_receipt(struct web_request *req, struct web_answer *ans)
{
	const char *type = web_text(req, "type"), *words = web_text(req, "words");
	struct sandbox *sb = req->sb;
	struct bd_err e;
	json_t *m;

	pthread_mutex_lock(&sb->lock);
	m = json_deep_copy(json_object_get(sb->messages, req->segment[0]));
	pthread_mutex_unlock(&sb->lock);
	if (m == NULL || type == NULL || !receipts_fits(m, type))
		html_message(req, ans, 400, "Not queued", "This letter can have no such receipt.");
	else if (receipts_add(sb, m, type, words != NULL && *words != '\0' ? words : NULL, &e) ==
		 -1)
		html_message(req, ans, 500, "Not queued", e.cause);
	else
		html_redirect(ans, "/letters/%s", req->segment[0]);
	json_decref(m);
}

/* Types a browser may show by itself; everything else is a download. */
static const char *
shown_type(const char *mime)
{
	static const char *const types[] = { "application/pdf", "image/gif", "image/jpeg",
					     "image/png" };

	if (strcmp(mime, "text/html") == 0)
		return "text/html; charset=utf-8";
	if (strcmp(mime, "text/plain") == 0)
		return "text/plain; charset=utf-8";
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i], mime) == 0)
			return types[i];
	return NULL;
}

void
page_document(struct web_request *req, struct web_answer *ans)
{
	struct buf data = { 0 };
	json_t *d = mailbox_document(req->sb, req->segment[0], req->segment[1], &data);
	const char *type, *href;
	char name[101];
	size_t n = 0;

	if (d == NULL) {
		html_message(req, ans, 404, "No such document", "The letter has no such document.");
		return;
	}
	type = shown_type(json_text(d, "mime"));
	for (href = json_text(d, "href"); *href != '\0' && n < sizeof(name) - 1; href++)
		name[n++] = strchr("\"\\/;%", *href) != NULL || *href < ' ' ? '_' : *href;
	name[n] = '\0';
	ans->status = 200;
	ans->type = type != NULL ? type : "application/octet-stream";
	/* browsers refuse to show a PDF inside a sandbox; it has no access to this origin anyway */
	ans->policy = type != NULL && strcmp(type, "application/pdf") == 0
			  ? "frame-ancestors 'self'"
			  : DOCUMENT_POLICY;
	snprintf(ans->disposition, sizeof(ans->disposition), "%s; filename=\"%s\"",
		 type != NULL ? "inline" : "attachment", name);
	buf_free(&ans->body);
	ans->body = data; /* passes over */
	json_decref(d);
}
