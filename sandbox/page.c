/* SPDX-License-Identifier: Apache-2.0 */
/* Overview, register and mailboxes, the stylesheet, and the table of the page's addresses. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "sandbox/html.h"
#include "sandbox/page.h"
#include "sandbox/style_css.h"

#define FRESH_MONTHS 18

const char *
page_provider_name(const struct sandbox *sb, const char *orgnr)
{
	const struct pki_party *p = orgnr != NULL ? pki_find(sb->pki, orgnr) : NULL;

	if (p == NULL)
		return orgnr != NULL ? orgnr : "";
	return p == &sb->pki->party[PKI_DIGIPOST] ? "Digipost"
	       : p == &sb->pki->party[PKI_EBOKS]  ? "e-Boks"
	       : p == &sb->pki->party[PKI_PRINT]  ? "Print"
						  : p->name;
}

static void
card(struct buf *b, const char *address, size_t number, const char *words)
{
	buf_addf(b, "<li><a href=\"%s\"><strong>%zu</strong> <span>%s</span></a></li>\n", address,
		 number, words);
}

static size_t
count_with(const json_t *object, const char *member)
{
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)(uintptr_t)object, key, value) n +=
	    json_object_get(value, member) != NULL;
	return n;
}

static size_t
count_unread(const json_t *receipts)
{
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)(uintptr_t)receipts, key, value) n +=
	    !json_is_true(json_object_get(value, "read"));
	return n;
}

static bool
any_fault(const struct faults *f)
{
	for (size_t i = 0; i < fault_row_count; i++)
		if (strcmp(fault_rows[i].name, "fail_status") != 0 &&
		    faults_get(f, &fault_rows[i]) != 0)
			return true;
	return false;
}

static void
overview(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	struct buf *b = &ans->body;
	size_t failures;

	html_begin(b, "Overview", "/");
	pthread_mutex_lock(&sb->lock);
	failures = count_with(sb->messages, "failure");
	if (any_fault(&sb->faults))
		html_raw(b, "<p class=\"notice\"><strong>Fault switches are on.</strong> "
			    "<a href=\"/faults\">See which</a></p>\n");
	html_raw(b, "<ul class=\"cards\">\n");
	card(b, "/register", json_array_size(sb->persons), "persons in the register");
	card(b, "/mailboxes", json_object_size(sb->by_mailbox), "mailboxes");
	card(b, "/letters", json_object_size(sb->messages) - failures, "letters delivered");
	card(b, "/letters", failures, "not delivered");
	card(b, "/receipts", count_unread(sb->receipts), "receipts waiting");
	html_raw(
	    b,
	    "</ul>\n<section aria-labelledby=\"latest\"><h2 id=\"latest\">Latest letters</h2>\n");
	if (page_letter_table(b, sb, NULL, NULL, 10) == 0)
		html_raw(
		    b,
		    "<p class=\"empty\">No letter has come in yet. The <a href=\"/setup\">set-up "
		    "page</a> tells where to send one.</p>\n");
	html_raw(b, "</section>\n");
	pthread_mutex_unlock(&sb->lock);
	html_end(req, ans);
}

/* One channel: address and whether it is fresh (spec/krr.md 4). */
static void
channel_line(struct buf *b, const json_t *contact, const char *name, time_t limit)
{
	char member[64];
	const char *address = json_text(contact, name), *text;
	bool fresh = false;
	time_t when;

	if (address == NULL)
		return;
	for (int i = 0; i < 2; i++) {
		snprintf(member, sizeof(member), "%s_%s", name,
			 i == 0 ? "oppdatert" : "sist_verifisert");
		text = json_text(contact, member);
		fresh |= text != NULL && clock_parse(text, &when) == 0 && when >= limit;
	}
	html_raw(b, "<li>");
	html_text(b, address);
	html_raw(b, " ");
	html_badge(b, fresh ? "good" : "plain", fresh ? "fresh" : "expired");
	snprintf(member, sizeof(member), "%s_duplisert", name);
	if (json_text(contact, member) != NULL)
		html_badge(b, "wait", "shared");
	html_raw(b, "</li>");
}

static void
mailbox_link(struct buf *b, const struct sandbox *sb, const char *provider, const char *address)
{
	html_raw(b, "<a href=\"/mailbox?provider=");
	html_url(b, provider);
	html_raw(b, "&amp;address=");
	html_url(b, address);
	html_raw(b, "\">");
	html_text(b, page_provider_name(sb, provider));
	html_raw(b, " <code>");
	html_text(b, address);
	html_raw(b, "</code></a>");
}

static void
person_row(struct buf *b, const struct sandbox *sb, const json_t *p, time_t limit)
{
	const char *status = json_text(p, "status"), *reserved = json_text(p, "reservasjon"),
		   *notify = json_text(p, "varslingsstatus"), *name = json_text(p, "_name"),
		   *note = json_text(p, "_note");
	const json_t *contact = json_object_get(p, "kontaktinformasjon"),
		     *post = json_object_get(p, "digital_post");
	const char *address = json_text(post, "postkasseadresse"),
		   *provider = json_text(post, "postkasseleverandoeradresse");

	html_raw(b, "<tr><th scope=\"row\"><code>");
	html_text(b, json_text(p, "personidentifikator"));
	html_raw(b, "</code>");
	if (name != NULL) {
		html_raw(b, "<br>");
		html_text(b, name);
	}
	if (note != NULL) {
		html_raw(b, "<br><span class=\"note\">");
		html_text(b, note);
		html_raw(b, "</span>");
	}
	html_raw(b, "</th><td>");
	if (status != NULL)
		html_badge(b, strcmp(status, "AKTIV") == 0 ? "good" : "wait", status);
	if (reserved != NULL && strcmp(reserved, "NEI") != 0)
		html_badge(b, "bad", "opted out");
	if (notify == NULL || strcmp(notify, "KAN_VARSLES") != 0)
		html_badge(b, "wait", notify != NULL ? notify : "no varslingsstatus");
	html_raw(b, "</td><td><ul class=\"lines\">");
	channel_line(b, contact, "epostadresse", limit);
	channel_line(b, contact, "mobiltelefonnummer", limit);
	html_raw(b, "</ul></td><td class=\"whole\">");
	if (address != NULL && provider != NULL)
		mailbox_link(b, sb, provider, address);
	html_raw(b, "</td></tr>\n");
}

static void
register_page(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	struct buf *b = &ans->body;
	time_t limit = clock_months_before(clock_wall(), FRESH_MONTHS);
	json_t *person;
	size_t i;

	html_begin(b, "Register", "/register");
	html_raw(
	    b,
	    "<p>What <code>POST /rest/v2/personer</code> answers from. A channel is fresh when it "
	    "was updated or confirmed within 18 months.</p>\n<div class=\"wide\" tabindex=\"0\" "
	    "role=\"region\" aria-label=\"Persons\"><table><thead><tr>"
	    "<th scope=\"col\">Person</th><th scope=\"col\">Status</th>"
	    "<th scope=\"col\">Contact</th>"
	    "<th scope=\"col\">Mailbox</th></tr></thead><tbody>\n");
	json_array_foreach(sb->persons, i, person) person_row(b, sb, person, limit);
	html_raw(b, "</tbody></table></div>\n");
	html_end(req, ans);
}

static size_t
letters_in(const struct sandbox *sb, const char *provider, const char *address, size_t *unopened)
{
	const char *id;
	json_t *m;
	size_t n = 0;

	*unopened = 0;
	json_object_foreach(sb->messages, id, m)
	{
		const char *p = json_text(m, "provider"), *a = json_text(m, "mailbox");

		if (a == NULL || strcmp(a, address) != 0 || strcmp(p, provider) != 0 ||
		    json_object_get(m, "failure") != NULL)
			continue;
		n++;
		*unopened += json_object_get(m, "opened") == NULL;
	}
	return n;
}

static void
mailboxes(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	struct buf *b = &ans->body;
	const char *key;
	json_t *person;

	html_begin(b, "Mailboxes", "/mailboxes");
	html_raw(
	    b,
	    "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Mailboxes\"><table>"
	    "<thead><tr><th scope=\"col\">Mailbox</th><th scope=\"col\">Owner</th>"
	    "<th scope=\"col\" class=\"n\">Letters</th><th scope=\"col\" class=\"n\">Unopened</th>"
	    "</tr></thead><tbody>\n");
	pthread_mutex_lock(&sb->lock);
	json_object_foreach(sb->by_mailbox, key, person)
	{
		const json_t *post = json_object_get(person, "digital_post");
		const char *address = json_text(post, "postkasseadresse"),
			   *provider = json_text(post, "postkasseleverandoeradresse");
		size_t unopened, n = letters_in(sb, provider, address, &unopened);

		html_raw(b, "<tr><th scope=\"row\">");
		mailbox_link(b, sb, provider, address);
		html_raw(b, "</th><td>");
		html_text(b, json_text(person, "_name"));
		buf_addf(b, "</td><td class=\"n\">%zu</td><td class=\"n\">%zu</td></tr>\n", n,
			 unopened);
	}
	pthread_mutex_unlock(&sb->lock);
	html_raw(b, "</tbody></table></div>\n");
	html_end(req, ans);
}

static void
mailbox(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	struct buf *b = &ans->body;
	const char *provider = web_query(req, "provider"), *address = web_query(req, "address");
	char key[300], title[360];
	const json_t *person;

	snprintf(key, sizeof(key), "%s/%s", provider != NULL ? provider : "",
		 address != NULL ? address : "");
	if ((person = json_object_get(sb->by_mailbox, key)) == NULL) {
		html_message(req, ans, 404, "No such mailbox", "Nobody in the register has it.");
		return;
	}
	snprintf(title, sizeof(title), "Mailbox %s", address);
	html_begin(b, title, "/mailboxes");
	html_raw(b, "<p class=\"crumbs\"><a href=\"/mailboxes\">Mailboxes</a> / ");
	html_text(b, page_provider_name(sb, provider));
	html_raw(b, " / ");
	html_text(b, json_text(person, "_name"));
	html_raw(b, "</p>\n");
	pthread_mutex_lock(&sb->lock);
	if (page_letter_table(b, sb, provider, address, 1000) == 0)
		html_raw(b, "<p class=\"empty\">The mailbox is empty.</p>\n");
	pthread_mutex_unlock(&sb->lock);
	html_end(req, ans);
}

static void
style(struct web_request *req, struct web_answer *ans)
{
	(void)req;
	ans->status = 200;
	ans->type = "text/css; charset=utf-8";
	buf_adds(&ans->body, style_css);
}

static void
icon(struct web_request *req, struct web_answer *ans)
{
	(void)req;
	ans->status = 200;
	ans->type = "image/svg+xml";
	ans->policy = "default-src 'none'";
	buf_adds(&ans->body, icon_svg);
}

const struct web_route page_routes[] = {
	{ "GET", "/", overview },
	{ "GET", "/register", register_page },
	{ "GET", "/mailboxes", mailboxes },
	{ "GET", "/mailbox", mailbox },
	{ "GET", "/letters", page_letters },
	{ "GET", "/letters/{}", page_letter },
	{ "POST", "/letters/{}/open", page_letter_open },
	{ "POST", "/letters/{}/receipt", page_letter_receipt },
	{ "GET", "/letters/{}/documents/{}", page_document },
	{ "GET", "/receipts", page_receipts },
	{ "GET", "/faults", page_faults },
	{ "POST", "/faults", page_faults_set },
	{ "GET", "/calls", page_calls },
	{ "GET", "/setup", page_setup },
	{ "GET", "/style.css", style },
	{ "GET", "/icon.svg", icon },
	{ NULL, NULL, NULL },
};
