/* SPDX-License-Identifier: Apache-2.0 */
/* Folds a letter's events into its state and decides what an attempt may do. No store, no clock. */
#include "config.h"
#include "spool/view.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"

static void
text_take(char *out, size_t size, const json_t *event, const char *member)
{
	const char *text = json_text(event, member);

	if (text != NULL)
		snprintf(out, size, "%s", text);
}

static void
on_queued(struct view *v, const json_t *ev, int64_t t)
{
	unsigned generation = (unsigned)json_integer_value(json_object_get(ev, "gen"));

	(void)t;
	if (v->state == VIEW_NONE || generation > v->generation) {
		v->state = VIEW_OPEN;
		v->generation = generation;
		v->ended_ms = 0;
		v->deaths = 0;
		v->confirmed = false;
		v->status[0] = '\0';
	}
	text_take(v->agency, sizeof(v->agency), ev, "agency");
	text_take(v->provider, sizeof(v->provider), ev, "provider");
}

/* From here until an outcome is stored nobody knows whether the letter has left. */
static void
on_intent(struct view *v, const json_t *ev, int64_t t)
{
	(void)t;
	v->state = VIEW_UNSURE;
	v->deaths++;
	text_take(v->package, sizeof(v->package), ev, "package");
	text_take(v->instance, sizeof(v->instance), ev, "instance");
	text_take(v->conversation, sizeof(v->conversation), ev, "conversation");
	text_take(v->driver, sizeof(v->driver), ev, "driver");
}

static void
on_later(struct view *v, const json_t *ev, int64_t t)
{
	(void)ev;
	(void)t;
	v->state = VIEW_OPEN;
	v->deaths = 0;
}

static void
on_unsure(struct view *v, const json_t *ev, int64_t t)
{
	(void)ev;
	(void)t;
	v->state = VIEW_UNSURE;
	v->deaths = 0;
}

static void
on_sent(struct view *v, const json_t *ev, int64_t t)
{
	(void)ev;
	v->state = VIEW_SENT;
	v->deaths = 0;
	v->ended_ms = t;
}

static void
on_failed(struct view *v, const json_t *ev, int64_t t)
{
	(void)ev;
	v->state = VIEW_FAILED;
	v->deaths = 0;
	v->ended_ms = t;
}

static void
on_status(struct view *v, const json_t *ev, int64_t t)
{
	/* the poller may report on a generation that is over */
	if ((unsigned)json_integer_value(json_object_get(ev, "gen")) != v->generation)
		return;
	text_take(v->status, sizeof(v->status), ev, "status");
	if (strcmp(v->status, "SENDT") == 0) {
		v->confirmed = true;
	} else if (strcmp(v->status, "FEILET") == 0) {
		v->confirmed = true;
		on_failed(v, ev, t);
	}
}

static void
on_parked(struct view *v, const json_t *ev, int64_t t)
{
	(void)ev;
	(void)t;
	v->state = VIEW_PARKED;
}

/* Postfix gave up. What was never sent, or never even seen, has failed; what may have been sent
 * stays in doubt, so that a resend asks first and uses the same ids. */
static void
on_bounce(struct view *v, const json_t *ev, int64_t t)
{
	(void)ev;
	if (v->state == VIEW_NONE || v->state == VIEW_OPEN)
		v->state = VIEW_FAILED;
	else if (v->state == VIEW_PARKED)
		v->state = VIEW_UNSURE;
	else if (v->state != VIEW_UNSURE)
		return;
	v->deaths = 0;
	v->ended_ms = t;
}

static const struct {
	const char *kind;
	void (*apply)(struct view *v, const json_t *ev, int64_t t);
} rules[] = {
	{ "queued", on_queued }, { "intent", on_intent }, { "later", on_later },
	{ "unsure", on_unsure }, { "sent", on_sent },     { "failed", on_failed },
	{ "status", on_status }, { "parked", on_parked }, { "released", on_unsure },
	{ "bounce", on_bounce },
};

void
view_apply(struct view *v, const json_t *event, const char *package)
{
	const char *kind = json_text(event, "kind"), *of = json_text(event, "package");
	int64_t t = json_integer_value(json_object_get(event, "t"));

	if (v->events++ == 0)
		v->first_ms = t;
	for (size_t i = 0; kind != NULL && i < sizeof(rules) / sizeof(rules[0]); i++)
		if (strcmp(rules[i].kind, kind) == 0)
			rules[i].apply(v, event, t);
	if (package != NULL && of != NULL && strcmp(of, package) == 0) {
		v->has_package = true;
		v->of_package = v->generation;
	}
}

enum view_verdict
view_decide(const struct view *v, int64_t now_ms, int64_t window_ms, unsigned *generation_r)
{
	bool old = v->ended_ms != 0 && now_ms - v->ended_ms > window_ms;
	bool same = v->has_package && v->of_package == v->generation;

	*generation_r = v->generation;
	if (v->has_package && v->of_package < v->generation)
		return VIEW_AGAIN; /* its generation is over */
	switch (v->state) {
	case VIEW_NONE:
	case VIEW_OPEN:
		return VIEW_SEND;
	case VIEW_UNSURE:
		if (old && !same) {
			(*generation_r)++;
			return VIEW_SEND;
		}
		return v->deaths >= VIEW_DEATHS_MAX ? VIEW_PARK : VIEW_ASK;
	case VIEW_SENT:
		if (same)
			return VIEW_AGAIN;
		if (!old)
			return VIEW_COPY;
		(*generation_r)++;
		return VIEW_SEND;
	case VIEW_FAILED:
		if (same)
			return VIEW_AGAIN;
		(*generation_r)++;
		return VIEW_SEND;
	case VIEW_PARKED:
		break;
	}
	return VIEW_STAY_PARKED;
}

const char *
view_state_name(enum view_state s)
{
	static const char *const names[] = {
		[VIEW_NONE] = "none", [VIEW_OPEN] = "open",     [VIEW_UNSURE] = "unsure",
		[VIEW_SENT] = "sent", [VIEW_FAILED] = "failed", [VIEW_PARKED] = "parked"
	};

	return names[s];
}
