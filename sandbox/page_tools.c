/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts, fault switches, recent calls, and the page that says how to connect. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "sandbox/html.h"
#include "sandbox/page.h"
#include "sandbox/token.h"

#define RECEIPTS_SHOWN 200
#define CALLS_SHOWN 100

static void
receipt_row(struct buf *b, const struct sandbox *sb, const json_t *r)
{
	bool read = json_is_true(json_object_get(r, "read"));

	html_raw(b, "<tr><th scope=\"row\">");
	html_text(b, json_text(r, "type"));
	html_raw(b, "</th><td><a href=\"/letters/");
	html_url(b, json_text(r, "message"));
	html_raw(b, "\"><code>");
	html_textf(b, "%.8s", json_text(r, "message"));
	html_raw(b, "</code></a></td><td>");
	html_text(b, page_provider_name(sb, json_text(r, "provider")));
	html_raw(b, "</td><td>");
	html_text(b, json_text(r, "owner"));
	html_raw(b, "</td><td>");
	html_text(b, json_text(r, "channel"));
	html_raw(b, "</td><td>");
	html_time(b, json_text(r, "made"));
	html_raw(b, "</td><td>");
	html_badge(b, read ? "plain" : "wait", read ? "fetched" : "waiting");
	html_raw(b, "</td><td>");
	html_text(b, json_text(r, "words"));
	html_raw(b, "</td></tr>\n");
}

void
page_receipts(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	struct buf *b = &ans->body;
	size_t total, skip, at = 0;
	const char *key;
	json_t *r;

	html_begin(b, "Receipts", "/receipts");
	pthread_mutex_lock(&sb->lock);
	total = json_object_size(sb->receipts);
	skip = total > RECEIPTS_SHOWN ? total - RECEIPTS_SHOWN : 0;
	if (total == 0) {
		html_raw(b, "<p class=\"empty\">No receipt has been made yet.</p>\n");
	} else {
		html_textf(b, "%zu in all%s.", total, skip > 0 ? ", the latest are shown" : "");
		html_raw(
		    b,
		    "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Receipts\">"
		    "<table><thead><tr><th scope=\"col\">Type</th><th scope=\"col\">Letter</th>"
		    "<th scope=\"col\">From</th><th scope=\"col\">For</th><th scope=\"col\">Channel"
		    "</th><th scope=\"col\">Made (UTC)</th><th scope=\"col\">State</th>"
		    "<th scope=\"col\">Words</th></tr></thead><tbody>\n");
		json_object_foreach(sb->receipts, key, r) if (at++ >= skip) receipt_row(b, sb, r);
		html_raw(b, "</tbody></table></div>\n");
	}
	pthread_mutex_unlock(&sb->lock);
	html_end(req, ans);
}

void
page_faults(struct web_request *req, struct web_answer *ans)
{
	struct buf *b = &ans->body;
	struct faults f;

	pthread_mutex_lock(&req->sb->lock);
	f = req->sb->faults;
	pthread_mutex_unlock(&req->sb->lock);
	html_begin(b, "Faults", "/faults");
	html_raw(b,
		 "<p>Make the services misbehave. A number of letters counts down; -1 means every "
		 "letter until it is set to 0. Each letter suffers one fault at most, in the order "
		 "below. Also as JSON: <code>POST /sandbox/faults</code>.</p>\n"
		 "<form class=\"faults\" method=\"post\" action=\"/faults\">\n");
	for (size_t i = 0; i < fault_row_count; i++) {
		const struct fault_row *row = &fault_rows[i];
		int value = faults_get(&f, row);

		html_raw(b, "<p><label for=\"");
		html_raw(b, row->name);
		html_raw(b, "\">");
		html_text(b, row->words);
		html_raw(b, " <code>");
		html_raw(b, row->name);
		html_raw(b, "</code></label> ");
		if (row->max == 1) /* a box that is not ticked sends nothing: the hidden 0 does */
			buf_addf(
			    b,
			    "<input type=\"checkbox\" id=\"%s\" name=\"%s\" value=\"1\"%s></p>\n",
			    row->name, row->name, value != 0 ? " checked" : "");
		else
			buf_addf(
			    b,
			    "<input type=\"number\" id=\"%s\" name=\"%s\" min=\"%d\" max=\"%d\" "
			    "value=\"%d\"%s></p>\n",
			    row->name, row->name, row->min, row->max, value,
			    value != 0 && strcmp(row->name, "fail_status") != 0 ? " class=\"on\""
										: "");
	}
	html_raw(b, "<p class=\"buttons\"><button>Set the switches</button> <button name=\"clear\" "
		    "value=\"1\" class=\"second\">Switch all off</button></p>\n</form>\n");
	html_end(req, ans);
}

void
page_faults_set(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	json_t *wanted = json_object();
	struct bd_err e;
	char *end;
	int rc = 0;

	for (size_t i = 0; i < fault_row_count; i++) {
		const struct fault_row *row = &fault_rows[i];
		const char *text = web_text(req, row->name);
		long n = 0;

		if (text == NULL && row->max != 1)
			continue;
		if (text != NULL)
			n = strtol(text, &end, 10);
		if (text != NULL && (*text == '\0' || *end != '\0'))
			json_object_set_new(wanted, row->name, json_null()); /* refused below */
		else
			json_object_set_new(wanted, row->name, json_integer(n));
	}
	pthread_mutex_lock(&sb->lock);
	if (web_part(req, "clear") != NULL)
		faults_clear(&sb->faults);
	else
		rc = faults_set(&sb->faults, wanted, &e);
	pthread_mutex_unlock(&sb->lock);
	json_decref(wanted);
	if (rc == -1)
		html_message(req, ans, 400, "Not changed", e.cause);
	else
		html_redirect(ans, "/faults");
}

void
page_calls(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	struct buf *b = &ans->body;
	const char *name, *code;
	json_t *count, *n;
	size_t total;

	html_begin(b, "Calls", "/calls");
	html_raw(
	    b,
	    "<h2>Counts since the start</h2>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" "
	    "aria-label=\"Counts\"><table><thead><tr><th scope=\"col\">Route</th>"
	    "<th scope=\"col\">Answers</th></tr></thead><tbody>\n");
	pthread_mutex_lock(&sb->lock);
	json_object_foreach(sb->counts, name, count)
	{
		html_raw(b, "<tr><th scope=\"row\"><code>");
		html_text(b, name);
		html_raw(b, "</code></th><td>");
		json_object_foreach(count, code, n) if (strcmp(code, "calls") != 0)
		    html_textf(b, "%s: %d  ", code, (int)json_integer_value(n));
		html_raw(b, "</td></tr>\n");
	}
	html_raw(
	    b,
	    "</tbody></table></div>\n<h2>Latest calls</h2>\n<div class=\"wide\" tabindex=\"0\" "
	    "role=\"region\" aria-label=\"Calls\"><table><thead><tr><th scope=\"col\">Time (UTC)"
	    "</th><th scope=\"col\">Route</th><th scope=\"col\">Answer</th><th scope=\"col\" "
	    "class=\"n\">ms</th><th scope=\"col\" class=\"n\">Bytes in</th></tr></thead><tbody>\n");
	total = json_array_size(sb->calls);
	for (size_t i = 0; i < total && i < CALLS_SHOWN; i++) {
		const json_t *c = json_array_get(sb->calls, total - 1 - i);

		html_raw(b, "<tr><td>");
		html_time(b, json_text(c, "time"));
		html_raw(b, "</td><td><code>");
		html_textf(b, "%s %s", json_text(c, "method"), json_text(c, "route"));
		html_raw(b, "</code></td><td>");
		html_text(b, json_text(c, "status"));
		buf_addf(b, "</td><td class=\"n\">%d</td><td class=\"n\">%lld</td></tr>\n",
			 (int)json_integer_value(json_object_get(c, "ms")),
			 (long long)json_integer_value(json_object_get(c, "bytes")));
	}
	pthread_mutex_unlock(&sb->lock);
	html_raw(b, "</tbody></table></div>\n");
	html_end(req, ans);
}

static void
setup_addresses(struct buf *b, const struct sandbox *sb)
{
	char text[256];

	html_raw(b, "<h2>Addresses</h2>\n<dl class=\"facts\">\n");
	html_fact(b, "Issuer and audience of grants", sb->issuer);
	snprintf(text, sizeof(text), "%s/token", sb->url);
	html_fact(b, "Token endpoint", text);
	snprintf(text, sizeof(text), "%s/rest/v2/personer", sb->url);
	html_fact(b, "Register", text);
	snprintf(text, sizeof(text), "%s/dpi", sb->url);
	html_fact(b, "Access point", text);
	html_fact(b, "Folder", sb->dir);
	html_raw(b, "</dl>\n");
}

static void
setup_clients(struct buf *b, const struct sandbox *sb)
{
	html_raw(
	    b,
	    "<h2>Clients of the token service</h2>\n<div class=\"wide\" tabindex=\"0\" "
	    "role=\"region\" aria-label=\"Clients\"><table><thead><tr><th scope=\"col\">Client id"
	    "</th><th scope=\"col\">Organisation</th><th scope=\"col\">Signs with</th>"
	    "<th scope=\"col\">May act for</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < token_client_count; i++) {
		const struct client *c = &token_clients[i];
		const struct pki_party *p = &sb->pki->party[c->owner];

		html_raw(b, "<tr><th scope=\"row\"><code>");
		html_text(b, c->id);
		html_raw(b, "</code></th><td>");
		html_textf(b, "%s %s", p->orgnr, p->name);
		html_raw(b, "</td><td>");
		if (c->kid != NULL)
			html_textf(b, "client-kid.key, kid %s", c->kid);
		else
			html_textf(b, "%s.key, x5c of %s.pem", p->file, p->file);
		html_raw(b, "</td><td>");
		html_text(b, c->acts_for);
		html_raw(b, "</td></tr>\n");
	}
	html_raw(b, "</tbody></table></div>\n");
}

void
page_setup(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	struct buf *b = &ans->body;

	html_begin(b, "Set-up", "/setup");
	setup_addresses(b, sb);
	setup_clients(b, sb);
	html_raw(b, "<h2>Files in the folder</h2>\n<dl class=\"facts\">\n");
	html_fact(b, "trust.pem", "root and intermediate: who to trust");
	html_fact(b, "agency.pem, agency.key",
		  "the agency's certificate with its chain, and its key");
	html_fact(b, "other.*, processor.*",
		  "a second agency and a processor, for what must be refused");
	html_fact(b, "provider-*.pem, provider-*.key", "mailbox and print providers");
	html_fact(b, "persons.json", "the register, for brevdue registry import");
	html_raw(
	    b,
	    "</dl>\n<h2 id=\"problems\">Errors</h2>\n<p>The access point answers with problem "
	    "documents (RFC 7807); <code>detail</code> says what is wrong. 400 malformed or "
	    "mismatching, 401 token missing or expired, 403 scope or agreement missing, 409 the "
	    "id has been used. What the mailbox provider finds wrong comes as a <code>feil</code> "
	    "receipt.</p>\n");
	html_end(req, ans);
}
