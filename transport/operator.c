/* SPDX-License-Identifier: Apache-2.0 */
/* Answers the operator from the letter records. Holds nothing a record does not hold. */
#include "config.h"
#include "transport/operator.h"

#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "spool/sets.h"

#define CLAIM_WAIT_MS 5000

struct answering {
	control_send *reply;
	void *conn;
	const char *state; /* only letters in this one, or NULL */
};

static void
time_set(json_t *object, const char *member, int64_t wall_ms)
{
	char text[RFC3339_CHARS];

	if (wall_ms == 0)
		return;
	clock_rfc3339(text, wall_ms);
	json_object_set_new(object, member, json_string(text));
}

static json_t *
view_json(const char *letter_id, const struct view *v)
{
	json_t *o = json_pack("{s:s, s:s, s:i, s:i, s:s, s:s}", "letter", letter_id, "state",
			      view_state_name(v->state), "generation", (int)v->generation, "events",
			      (int)v->events, "agency", v->agency, "provider", v->provider);

	if (o == NULL)
		return NULL;
	time_set(o, "first", v->first_ms);
	time_set(o, "ended", v->ended_ms);
	if (v->status[0] != '\0')
		json_object_set_new(o, "status", json_string(v->status));
	if (v->instance[0] != '\0')
		json_object_set_new(o, "instance", json_string(v->instance));
	if (v->conversation[0] != '\0')
		json_object_set_new(o, "conversation", json_string(v->conversation));
	return o;
}

static int
on_letter(void *arg, const char *letter_id, const struct view *v)
{
	struct answering *a = arg;

	if (a->state != NULL && strcmp(a->state, view_state_name(v->state)) != 0)
		return 0;
	return a->reply(a->conn, view_json(letter_id, v)) == -1 ? 1 : 0;
}

static int
on_set(void *arg, const struct set *s)
{
	struct answering *a = arg;
	json_t *o = json_pack("{s:s, s:i, s:i}", "mail", s->mail, "arrived", (int)s->arrived,
			      "count", (int)s->count);

	if (o == NULL)
		return 1;
	time_set(o, "first", s->first_ms);
	return a->reply(a->conn, o) == -1 ? 1 : 0;
}

static int
verb_letters(void *arg, const struct control_peer *peer, json_t *request, control_send *reply,
	     void *conn, struct bd_err *e)
{
	struct deliver *d = arg;
	struct answering a = { reply, conn, json_text(request, "state") };

	log_info("control: user %s lists letters", peer->user);
	if (a.state != NULL && strcmp(a.state, "incomplete") == 0)
		return sets_incomplete(records_store(d->records), on_set, &a, e) == -1 ? -1 : 0;
	return records_each(d->records, on_letter, &a, e) == -1 ? -1 : 0;
}

static int
on_event(void *arg, const json_t *event)
{
	struct answering *a = arg;
	json_t *line = json_deep_copy(event);

	if (line == NULL)
		return 1;
	time_set(line, "time", json_integer_value(json_object_get(event, "t")));
	json_object_del(line, "t");
	json_object_del(line, "v");
	return a->reply(a->conn, line) == -1 ? 1 : 0;
}

static int
verb_letter(void *arg, const struct control_peer *peer, json_t *request, control_send *reply,
	    void *conn, struct bd_err *e)
{
	struct deliver *d = arg;
	struct answering a = { reply, conn, NULL };
	const char *id = json_text(request, "id");
	struct view v;
	int rc;

	if (id == NULL)
		return bd_fail(e, BD_E_INTERNAL, "no letter id");
	log_info("control: user %s asks for letter id=%s", peer->user, id);
	if ((rc = records_view(d->records, id, NULL, &v, e)) == 1) {
		on_letter(&a, id, &v);
		rc = records_events(d->records, id, on_event, &a, e);
	}
	return rc == 0 ? bd_fail(e, BD_E_INTERNAL, "no such letter") : rc == -1 ? -1 : 0;
}

static int
verb_release(void *arg, const struct control_peer *peer, json_t *request, control_send *reply,
	     void *conn, struct bd_err *e)
{
	struct deliver *d = arg;
	const char *id = json_text(request, "id");
	struct view v;
	int rc;

	(void)reply;
	(void)conn;
	if (id == NULL)
		return bd_fail(e, BD_E_INTERNAL, "no letter id");
	if (claims_take(d->claims, id, CLAIM_WAIT_MS, e) == -1)
		return -1;
	rc = records_view(d->records, id, NULL, &v, e);
	if (rc == 0 || (rc == 1 && v.state != VIEW_PARKED))
		rc = bd_fail(e, BD_E_INTERNAL, "that letter is not parked");
	else if (rc == 1)
		rc = records_add(d->records, id, "released", NULL, e);
	claims_release(d->claims, id);
	if (rc == 0)
		log_warn("control: user %s releases letter id=%s", peer->user, id);
	return rc;
}

const struct control_verb operator_verbs[] = {
	{ "letters", verb_letters, 0 },
	{ "letter", verb_letter, 0 },
	{ "release", verb_release, 0 },
	{ NULL, NULL, 0 },
};
