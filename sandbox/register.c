/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The register: persons from a file, dates made fresh, answered by scope. Members whose name begins
 * with _ are notes for people and never leave in an answer.
 */
#include "config.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/json.h"
#include "envelope/nationalid.h"
#include "sandbox/persons_json.h"
#include "sandbox/register.h"
#include "sandbox/token.h"

#define PERSONS_MAX_BYTES ((size_t)64 << 20)
#define ASKED_MAX 1000

/* The members each scope gives (spec/krr.md 3 and 6); the rest always comes. */
static const char *const contact_members[] = { "varslingsstatus", "kontaktinformasjon", "spraak",
					       "spraak_oppdatert", NULL };
static const char *const mailbox_members[] = { "digital_post", "sertifikat", NULL };

/* "now", "now-30d", "now-19mo", "now+1d" as the date-time form the register answers most often. */
static json_t *
relative_date(const char *text, struct bd_err *e)
{
	char out[40], *end;
	struct tm tm;
	time_t when = clock_wall();
	long n;

	if (text[3] != '\0') {
		n = strtol(text + 3, &end, 10);
		if ((text[3] != '-' && text[3] != '+') || end == text + 4 || labs(n) > 100000) {
			bd_fail(e, BD_E_CONFIG, "date \"%.20s\" is not understood", text);
			return NULL;
		}
		if (strcmp(end, "d") == 0)
			when += n * 86400;
		else if (strcmp(end, "mo") == 0 && n <= 0)
			when = clock_months_before(when, (int)-n);
		else {
			bd_fail(e, BD_E_CONFIG, "date \"%.20s\" is not understood", text);
			return NULL;
		}
	}
	gmtime_r(&when, &tm);
	strftime(out, sizeof(out), "%Y-%m-%dT%H:%M:%S+00", &tm);
	return json_string(out);
}

static int
make_dates(json_t *object, struct bd_err *e)
{
	const char *name;
	json_t *value, *date;

	json_object_foreach(object, name, value)
	{
		const char *text = json_string_value(value);

		if (json_is_object(value) && make_dates(value, e) == -1)
			return -1;
		if (text == NULL || strncmp(text, "now", 3) != 0 ||
		    (text[3] != '\0' && text[3] != '-' && text[3] != '+'))
			continue;
		if ((date = relative_date(text, e)) == NULL)
			return -1;
		json_object_set_new(object, name, date);
	}
	return 0;
}

static int
fill_certificate(struct sandbox *sb, json_t *person, struct bd_err *e)
{
	const char *word = json_text(person, "sertifikat");
	const struct pki_party *p;
	struct buf text = { 0 };
	char orgnr[ORGNR_CHARS];
	int rc = 0;

	if (word == NULL || strspn(word, "0123456789") != 9 ||
	    (word[9] != '\0' && strcmp(word + 9, ":expired") != 0))
		return 0;
	snprintf(orgnr, sizeof(orgnr), "%.9s", word);
	if ((p = pki_find(sb->pki, orgnr)) == NULL || !p->provider)
		return bd_fail(e, BD_E_CONFIG, "the sandbox has no provider %s", orgnr);
	if (pki_cert_text(word[9] == '\0' ? p->cert : p->expired, &text) == -1)
		rc = bd_fail(e, BD_E_MEMORY, "out of memory");
	else
		json_object_set_new(person, "sertifikat", json_string(buf_str(&text)));
	buf_free(&text);
	return rc;
}

/* Without the notes for people. */
static json_t *
public_person(const json_t *person)
{
	json_t *copy = json_deep_copy(person);
	const char *name;
	json_t *value;
	void *next;

	json_object_foreach_safe(copy, next, name, value) if (name[0] == '_')
	    json_object_del(copy, name);
	return copy;
}

static int
write_import_file(const struct sandbox *sb, struct bd_err *e)
{
	json_t *all = json_array(), *top = json_object(), *person;
	char path[PATH_MAX];
	size_t i;
	int fd, rc = 0;

	json_array_foreach(sb->persons, i, person)
	    json_array_append_new(all, public_person(person));
	json_object_set_new(top, "personer", all);
	snprintf(path, sizeof(path), "%s/persons.json", sb->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd == -1)
		rc = bd_fail_errno(e, BD_E_CONFIG, "writing %s", path);
	else {
		if (json_dumpfd(top, fd, JSON_INDENT(1)) == -1)
			rc = bd_fail(e, BD_E_CONFIG, "writing %s failed", path);
		if (close(fd) == -1 && rc == 0)
			rc = bd_fail_errno(e, BD_E_CONFIG, "writing %s", path);
	}
	json_decref(top);
	return rc;
}

/* "984661185/kari.test#1ABC", "" without a whole address. */
static void
mailbox_key(char *out, size_t size, const json_t *post)
{
	const char *address = json_text(post, "postkasseadresse"),
		   *provider = json_text(post, "postkasseleverandoeradresse");

	out[0] = '\0';
	if (address != NULL && provider != NULL)
		snprintf(out, size, "%s/%s", provider, address);
}

static int
take_person(struct sandbox *sb, json_t *person, struct bd_err *e)
{
	const char *id = json_text(person, "personidentifikator");
	char key[300];

	/* Only made-up people live here. */
	if (id == NULL || !nationalid_is_valid(id, true) || !nationalid_is_synthetic(id))
		return bd_fail(e, BD_E_CONFIG,
			       "personidentifikator is not a valid synthetic number");
	if (make_dates(person, e) == -1 || fill_certificate(sb, person, e) == -1)
		return -1;
	if (json_object_get(sb->by_id, id) != NULL)
		return bd_fail(e, BD_E_CONFIG, "personidentifikator occurs twice");
	mailbox_key(key, sizeof(key), json_object_get(person, "digital_post"));
	if (key[0] != '\0')
		json_object_set(sb->by_mailbox, key, person);
	json_object_set(sb->by_id, id, person);
	return json_array_append(sb->persons, person);
}

static int
read_file(const char *file, struct buf *out, struct bd_err *e)
{
	FILE *f = fopen(file, "re");
	char piece[8192];
	size_t n;
	int rc = 0;

	if (f == NULL)
		return bd_fail_errno(e, BD_E_CONFIG, "%s", file);
	while (rc == 0 && (n = fread(piece, 1, sizeof(piece), f)) > 0)
		rc = buf_add(out, piece, n);
	if (rc == -1 || ferror(f))
		rc = bd_fail(e, BD_E_CONFIG, "%s could not be read", file);
	fclose(f);
	return rc;
}

int
register_open(struct sandbox *sb, const char *file, struct bd_err *e)
{
	struct buf text = { .max = PERSONS_MAX_BYTES };
	json_t *top = NULL, *person;
	size_t i;
	int rc = -1;

	sb->persons = json_array();
	sb->by_id = json_object();
	sb->by_mailbox = json_object();
	if (file != NULL) {
		if (read_file(file, &text, e) == -1)
			goto out;
	} else {
		file = "the built-in register";
		buf_adds(&text, persons_json);
	}
	if ((top = json_parse(text.data, text.len, PERSONS_MAX_BYTES, e)) == NULL) {
		bd_wrap(e, "%s", file);
		goto out;
	}
	if (!json_is_array(json_object_get(top, "personer"))) {
		bd_fail(e, BD_E_CONFIG, "%s has no array \"personer\"", file);
		goto out;
	}
	json_array_foreach(json_object_get(top, "personer"), i, person)
	{
		if (take_person(sb, person, e) == -1) {
			bd_wrap(e, "%s, person %zu", file, i + 1);
			goto out;
		}
	}
	rc = write_import_file(sb, e);
out:
	json_decref(top);
	buf_free(&text);
	return rc;
}

bool
register_has_mailbox(const struct sandbox *sb, const char *provider, const char *address)
{
	char key[300];

	snprintf(key, sizeof(key), "%s/%s", provider, address);
	return json_object_get(sb->by_mailbox, key) != NULL;
}

static void
leave_out(json_t *person, const char *const *members)
{
	for (; *members != NULL; members++)
		json_object_del(person, *members);
}

static json_t *
answer_person(const struct sandbox *sb, const char *id, const json_t *claims)
{
	const json_t *person = json_object_get(sb->by_id, id);
	json_t *out;

	if (person != NULL)
		out = public_person(person);
	else
		out = json_pack("{s:s, s:s, s:s, s:s}", "personidentifikator", id, "reservasjon",
				"NEI", "status", "IKKE_REGISTRERT", "varslingsstatus",
				"KAN_IKKE_VARSLES");
	if (!token_has_scope(claims, SCOPE_CONTACT))
		leave_out(out, contact_members);
	if (!token_has_scope(claims, SCOPE_MAILBOX))
		leave_out(out, mailbox_members);
	return out;
}

static void
answer_persons(struct web_request *req, struct web_answer *ans, const json_t *claims)
{
	struct bd_err e;
	json_t *body = json_parse(req->body.data, req->body.len, (size_t)1 << 20, &e), *asked, *id,
	       *all = NULL;
	size_t i;

	asked = json_object_get(body, "personidentifikatorer");
	if (!json_is_array(asked) || json_object_size(body) != 1 || json_array_size(asked) == 0 ||
	    json_array_size(asked) > ASKED_MAX) {
		web_problem(req, ans, 400, "BAD REQUEST",
			    "An object with personidentifikatorer, 1 to %d of them, is wanted",
			    ASKED_MAX);
		goto out;
	}
	all = json_array();
	json_array_foreach(asked, i, id)
	{
		const char *text = json_string_value(id);

		if (text == NULL || !nationalid_is_valid(text, true)) {
			web_problem(req, ans, 400, "BAD REQUEST",
				    "Entry %zu is not a valid personidentifikator", i + 1);
			goto out;
		}
		json_array_append_new(all, answer_person(req->sb, text, claims));
	}
	web_json(ans, 200, json_pack("{s:O}", "personer", all));
out:
	json_decref(all);
	json_decref(body);
}

/* 1 when the register is switched off, and has answered so. */
static int
register_is_down(struct web_request *req, struct web_answer *ans)
{
	struct sandbox *sb = req->sb;
	int down, delay;

	pthread_mutex_lock(&sb->lock);
	down = sb->faults.register_down;
	delay = sb->faults.register_delay_ms;
	pthread_mutex_unlock(&sb->lock);
	sandbox_sleep_ms(delay);
	if (down)
		web_problem(req, ans, 503, "SERVICE UNAVAILABLE", "The register is down");
	return down;
}

static void
register_persons(struct web_request *req, struct web_answer *ans)
{
	const char *token;
	char why[300];
	json_t *claims;

	if (register_is_down(req, ans))
		return;
	if ((claims = token_bearer(req, &token, why, sizeof(why))) == NULL) {
		web_problem(req, ans, 401, "UNAUTHORIZED", "%s", why);
		return;
	}
	if (!token_has_scope(claims, SCOPE_CONTACT) && !token_has_scope(claims, SCOPE_MAILBOX))
		web_problem(req, ans, 403, "FORBIDDEN",
			    "The token has none of the register's scopes");
	else
		answer_persons(req, ans, claims);
	json_decref(claims);
}

/* Answers with or without a token: eFormidling sends none (spec/dpi.md 1.2.3). */
static void
register_print_certificate(struct web_request *req, struct web_answer *ans)
{
	const struct pki_party *p = &req->sb->pki->party[PKI_PRINT];
	struct buf text = { 0 };

	if (register_is_down(req, ans))
		return;
	if (pki_cert_text(p->cert, &text) == -1)
		web_problem(req, ans, 500, "INTERNAL SERVER ERROR", "Out of memory");
	else
		web_json(ans, 200,
			 json_pack("{s:s, s:s}", "postkasseleverandoerAdresse", p->orgnr,
				   "x509Sertifikat", buf_str(&text)));
	buf_free(&text);
}

const struct web_route register_routes[] = {
	{ "POST", "/rest/v1/personer", register_persons },
	{ "POST", "/rest/v2/personer", register_persons },
	{ "GET", "/rest/v1/printSertifikat", register_print_certificate },
	{ "GET", "/rest/v2/printSertifikat", register_print_certificate },
	{ NULL, NULL, NULL },
};
