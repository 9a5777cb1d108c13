/* SPDX-License-Identifier: Apache-2.0 */
/* What operators may ask of the lookup daemon. Only words and order; the work is elsewhere. */
#include "config.h"
#include "lookup/operator.h"

#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "lookup/audit.h"
#include "lookup/question.h"

#define PROGRESS_MS 500

struct answering {
	control_send *reply;
	void *conn;
};

/* The number of a request, noted in the audit log. */
static int
id_get(const struct operator_desk *desk, const struct control_peer *peer, const json_t *request,
       char id[NATIONALID_CHARS], struct bd_err *e)
{
	const char *text = json_text(request, "id"), *agency = json_text(request, "agency");
	char ids[1][NATIONALID_CHARS];

	if (text == NULL || !nationalid_is_valid(text, desk->conf->synthetic))
		return bd_fail(e, BD_E_CONTENT,
			       desk->conf->synthetic
				   ? "not a valid national number"
				   : "not a valid national number (synthetic ones are refused by "
				     "national-numbers = \"real\")");
	memcpy(id, text, NATIONALID_CHARS);
	memcpy(ids[0], text, NATIONALID_CHARS);
	audit_log(desk->secret, peer->user, json_text(request, "verb"), "operator",
		  agency != NULL ? agency : "", ids, 1);
	return 0;
}

static int
info_reply(const struct operator_desk *desk, control_send *reply, void *conn, struct bd_err *e)
{
	struct embedded_info info;
	char imported[RFC3339_CHARS];

	if (embedded_info(desk->embedded, &info, e) == -1)
		return -1;
	clock_rfc3339(imported, 1000 * (int64_t)info.imported);
	if (reply(conn, json_pack("{s:I, s:I, s:s*}", "persons", (json_int_t)info.persons,
				  "generation", (json_int_t)info.generation, "imported",
				  info.generation != 0 ? imported : NULL)) == -1)
		return bd_fail(e, BD_E_BUSY, "the operator has left");
	return 0;
}

static int
verb_info(void *arg, const struct control_peer *peer, json_t *request, control_send *reply,
	  void *conn, struct bd_err *e)
{
	(void)peer;
	(void)request;
	return info_reply(arg, reply, conn, e);
}

struct importing {
	struct answering a;
	json_int_t size;
	int64_t next_ms;
	bool gone;
};

static void
import_problem(void *arg, unsigned line, const char *words)
{
	struct importing *i = arg;

	if (i->a.reply(i->a.conn, json_pack("{s:s, s:i}", "problem", words, "line", (int)line)) ==
	    -1)
		i->gone = true;
}

static void
import_warning(void *arg, unsigned line, const char *words)
{
	struct importing *i = arg;

	if (i->a.reply(i->a.conn, json_pack("{s:s, s:i}", "warning", words, "line", (int)line)) ==
	    -1)
		i->gone = true;
}

static int
import_progress(void *arg, uint64_t persons, uint64_t bytes)
{
	struct importing *i = arg;

	if (!i->gone && clock_ms() >= i->next_ms) {
		i->next_ms = clock_ms() + PROGRESS_MS;
		if (i->a.reply(i->a.conn,
			       json_pack("{s:I, s:I, s:I}", "progress", (json_int_t)bytes, "of",
					 i->size, "persons", (json_int_t)persons)) == -1)
			i->gone = true;
	}
	return i->gone;
}

static int
verb_import(void *arg, const struct control_peer *peer, json_t *request, control_send *reply,
	    void *conn, struct bd_err *e)
{
	const struct operator_desk *desk = arg;
	struct importing i = { .a = { reply, conn }, .next_ms = clock_ms() + PROGRESS_MS };
	struct embedded_import import = { .arg = &i,
					  .problem = import_problem,
					  .warning = import_warning,
					  .progress = import_progress };
	int64_t start = clock_ms();
	struct stat st;

	(void)request;
	if (peer->fd == -1)
		return bd_fail(e, BD_E_CONTENT, "no open file came with the request");
	if (fstat(peer->fd, &st) == 0 && S_ISREG(st.st_mode))
		i.size = (json_int_t)st.st_size;
	log_info("registry user=%s import begins", peer->user);
	if (embedded_import(desk->embedded, peer->fd, &import, e) == -1) {
		log_warn("registry user=%s import result=%s problems=%llu: %s", peer->user,
			 bd_kind_name(e->kind), (unsigned long long)import.problems, e->cause);
		return -1;
	}
	log_info("registry user=%s import result=ok persons=%llu ms=%lld", peer->user,
		 (unsigned long long)import.persons, (long long)(clock_ms() - start));
	return info_reply(desk, reply, conn, e);
}

static int
list_row(void *arg, json_t *person)
{
	struct answering *a = arg;

	return a->reply(a->conn, json_pack("{s:O}", "person", person)) == -1 ? 1 : 0;
}

static int
verb_list(void *arg, const struct control_peer *peer, json_t *request, control_send *reply,
	  void *conn, struct bd_err *e)
{
	const struct operator_desk *desk = arg;
	struct answering a = { reply, conn };

	(void)request;
	log_info("registry user=%s list", peer->user);
	switch (embedded_list(desk->embedded, list_row, &a, e)) {
	case 0:
		return 0;
	case 1:
		return bd_fail(e, BD_E_BUSY, "the operator has left");
	default:
		return -1;
	}
}

/* One person as the register answers; new reference or NULL. */
static json_t *
person_get(const struct operator_desk *desk, const char *id, struct bd_err *e)
{
	struct registry r = embedded_registry(desk->embedded);
	json_t *persons = json_array(), *person = NULL;

	if (r.ops->persons(r.self, &id, 1, persons, e) == 0)
		person = json_incref(json_array_get(persons, 0));
	json_decref(persons);
	return person;
}

static int
verb_show(void *arg, const struct control_peer *peer, json_t *request, control_send *reply,
	  void *conn, struct bd_err *e)
{
	const struct operator_desk *desk = arg;
	char id[NATIONALID_CHARS];
	json_t *person;

	if (id_get(desk, peer, request, id, e) == -1 || (person = person_get(desk, id, e)) == NULL)
		return -1;
	if (reply(conn, json_pack("{s:o}", "person", person)) == -1)
		return bd_fail(e, BD_E_BUSY, "the operator has left");
	return 0;
}

static int
verb_remove(void *arg, const struct control_peer *peer, json_t *request, control_send *reply,
	    void *conn, struct bd_err *e)
{
	const struct operator_desk *desk = arg;
	char id[NATIONALID_CHARS];
	int removed;

	if (id_get(desk, peer, request, id, e) == -1 ||
	    (removed = embedded_remove(desk->embedded, id, e)) == -1)
		return -1;
	if (reply(conn, json_pack("{s:b}", "removed", removed)) == -1)
		return bd_fail(e, BD_E_BUSY, "the operator has left");
	return 0;
}

/* The agency asked for, or the only one there is. */
static const struct conf_agency *
agency_get(const struct conf *c, const json_t *request, struct bd_err *e)
{
	const char *name = json_text(request, "agency");
	const struct conf_agency *agency = NULL;

	if (name != NULL)
		agency = conf_agency(c, name);
	else if (c->agency_count == 1)
		agency = &c->agencies[0];
	if (agency == NULL)
		bd_fail(e, BD_E_CONTENT,
			name != NULL ? "there is no such agency"
				     : "there is more than one agency: say for which");
	return agency;
}

static int
verb_decide(void *arg, const struct control_peer *peer, json_t *request, control_send *reply,
	    void *conn, struct bd_err *e)
{
	const struct operator_desk *desk = arg;
	const struct conf_agency *agency = agency_get(desk->conf, request, e);
	json_t *person = NULL, *important = NULL, *service = NULL;
	char id[NATIONALID_CHARS];
	int rc = -1;

	if (agency == NULL || id_get(desk, peer, request, id, e) == -1 ||
	    (person = person_get(desk, id, e)) == NULL)
		goto out;
	important = question_decision(desk->conf, agency->name, CONF_KIND_IMPORTANT, person, e);
	if (important == NULL)
		goto out;
	service = question_decision(desk->conf, agency->name, CONF_KIND_SERVICE, person, e);
	if (service == NULL)
		goto out;
	rc = reply(conn, json_pack("{s:s, s:O, s:O}", "agency", agency->name, "important",
				   important, "service", service));
	if (rc == -1)
		bd_fail(e, BD_E_BUSY, "the operator has left");
out:
	json_decref(person);
	json_decref(important);
	json_decref(service);
	return rc;
}

const struct control_verb operator_verbs[] = {
	{ "registry-info", verb_info, 0 },
	{ "registry-import", verb_import, 0 },
	{ "registry-list", verb_list, 0 },
	{ "registry-show", verb_show, 0 },
	{ "registry-remove", verb_remove, 0 },
	{ "decide", verb_decide, 0 },
	{ NULL, NULL, 0 },
};
