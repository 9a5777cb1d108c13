/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sealed message to one recipient: the only place where records, driver and reply meet, and the
 * only one that logs what became of an attempt. Knows no sockets and no protocol of any service.
 */
#include "config.h"
#include "transport/deliver.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "transport/dsn_read.h"
#include "transport/queueid.h"
#include "transport/recheck.h"

#define ATTEMPT_MAX_MS 120000 /* whatever is configured: Postfix waits 600 s (threats.md 4) */
#define CLAIM_WAIT_MS 30000
#define RECHECK_TIMEOUT_MS 10000

struct work { /* one attempt */
	struct deliver *d;
	const struct target *target;
	struct control_record *control;
	struct buf package;
	struct records_attempt attempt;
	char queue[QUEUE_ID_CHARS];
	int64_t began_ms, deadline_ms;
	struct driver_note note;
	const char *result; /* for the log */
	bool alarm;         /* somebody must act */
};

static void
reply_error(const struct deliver *d, const struct bd_err *e, struct lmtp_reply *reply)
{
	lmtp_reply_set(reply, bd_kind_code(e->kind), "%s %s", bd_kind_status(e->kind),
		       bd_kind_text(e->kind, d->conf->reply_language));
}

/* The line that joins both queue ids; one per letter and attempt. */
static void
attempt_log(const struct work *w, const struct lmtp_reply *reply, const struct bd_err *e)
{
	const struct control_record *c = w->control;
	char line[900];

	snprintf(line, sizeof(line),
		 "letter id=%s queue=%s front=%s agency=%s provider=%s result=%s dsn=%.5s code=%d "
		 "generation=%u instance=%s conversation=%s ms=%lld%s%s%s%s",
		 c->letter_id, w->queue[0] != '\0' ? w->queue : "-",
		 c->front_queue_id != NULL ? c->front_queue_id : "-", c->agency,
		 w->target->provider, w->result, reply->text, w->note.code, w->attempt.generation,
		 w->attempt.instance, w->attempt.conversation,
		 (long long)(clock_ms() - w->began_ms), w->note.reason[0] != '\0' ? " reason=" : "",
		 w->note.reason, e->cause[0] != '\0' ? " cause=" : "", e->cause);
	if (w->alarm)
		log_error("%s", line);
	else if (reply->code != 250 || strcmp(w->result, "failed") == 0)
		log_warn("%s", line);
	else
		log_info("%s", line);
}

/* why is the kind of an error, never its cause: that is for the log. */
static json_t *
outcome_data(const struct work *w, const char *why)
{
	return json_pack("{s:i, s:i, s:b, s:s*, s:s*, s:s*, s:I}", "gen",
			 (int)w->attempt.generation, "code", w->note.code, "duplicate",
			 w->note.duplicate, "reason",
			 w->note.reason[0] != '\0' ? w->note.reason : NULL, "why", why, "status",
			 w->note.status[0] != '\0' ? w->note.status : NULL, "ms",
			 (json_int_t)(clock_ms() - w->began_ms));
}

/* Stores the outcome. When that fails the letter's intent stays open, so the next attempt asks. */
static int
outcome_store(struct work *w, const char *kind, const char *why, struct bd_err *e)
{
	struct bd_err failed = { 0 };

	if (records_add(w->d->records, w->control->letter_id, kind, outcome_data(w, why),
			&failed) == 0) {
		failpoint("transport.after-outcome");
		return 0;
	}
	*e = failed;
	w->alarm = true;
	return bd_wrap(e, "the outcome \"%s\" was not stored", kind);
}

static void
end_sent(struct work *w, const char *result, struct lmtp_reply *reply, struct bd_err *e)
{
	w->result = result;
	e->cause[0] = '\0';
	if (outcome_store(w, "sent", NULL, e) == -1) {
		reply_error(w->d, e, reply);
		return;
	}
	lmtp_reply_set(reply, 250, "2.0.0 letter sent, instance %s", w->attempt.instance);
	w->d->sent(w->d->sent_arg, w->control->letter_id, w->attempt.generation);
}

/* A letter that can never go is recorded, reported by us and answered 250 (design section 10). */
static void
end_failed(struct work *w, struct lmtp_reply *reply, struct bd_err *e)
{
	w->result = "failed";
	if (outcome_store(w, "failed", NULL, e) == -1)
		reply_error(w->d, e, reply);
	else
		lmtp_reply_set(reply, 250, "2.0.0 letter cannot be sent, recorded");
}

/* kind "later": certainly not sent; "unsure": ask before the next attempt. */
static void
end_temporary(struct work *w, const char *kind, struct lmtp_reply *reply, struct bd_err *e)
{
	w->result = kind;
	w->alarm = w->alarm || e->kind == BD_E_CONFIG;
	outcome_store(w, kind, bd_kind_name(e->kind), e);
	reply_error(w->d, e, reply);
}

/* true: the earlier attempt is settled as not done, go on. */
static bool
ask_first(struct work *w, struct lmtp_reply *reply, struct bd_err *e)
{
	const struct driver_query q = { .agency = w->control->agency,
					.instance = w->attempt.instance,
					.deadline_ms = w->deadline_ms };

	switch (w->d->driver->query(w->d->driver_self, &q, &w->note, e)) {
	case DRIVER_ABSENT:
		w->note = (struct driver_note){ 0 };
		return true;
	case DRIVER_THERE:
		end_sent(w, "sent-before", reply, e);
		return false;
	case DRIVER_GAVE_UP:
		snprintf(w->note.reason, sizeof(w->note.reason), "access point gave up");
		end_failed(w, reply, e);
		return false;
	case DRIVER_UNKNOWN:
		break;
	}
	end_temporary(w, "unsure", reply, e);
	return false;
}

/* true: the register still says what it said, or it is too early to ask. */
static bool
still_right(struct work *w, struct lmtp_reply *reply, struct bd_err *e)
{
	if (clock_wall() - w->control->sealed_at <= w->d->conf->transport.recheck_sec)
		return true;
	switch (recheck(w->d->conf, w->control, RECHECK_TIMEOUT_MS, e)) {
	case 1:
		return true;
	case 0:
		snprintf(w->note.reason, sizeof(w->note.reason), "send again");
		end_failed(w, reply, e);
		return false;
	default:
		end_temporary(w, "later", reply, e);
		return false;
	}
}

static void
send_letter(struct work *w, struct lmtp_reply *reply, struct bd_err *e)
{
	const struct driver_letter l = { .control = w->control,
					 .package = &w->package,
					 .instance = w->attempt.instance,
					 .conversation = w->attempt.conversation,
					 .first = w->attempt.verdict == VIEW_SEND,
					 .deadline_ms = w->deadline_ms };

	failpoint("transport.after-intent");
	if ((w->attempt.verdict == VIEW_ASK && !ask_first(w, reply, e)) ||
	    !still_right(w, reply, e))
		return;
	switch (w->d->driver->send(w->d->driver_self, &l, &w->note, e)) {
	case DRIVER_DONE:
		end_sent(w, w->note.duplicate ? "sent-duplicate" : "sent", reply, e);
		break;
	case DRIVER_LATER:
		end_temporary(w, "later", reply, e);
		break;
	case DRIVER_NEVER:
		end_failed(w, reply, e);
		break;
	case DRIVER_UNSURE:
		end_temporary(w, "unsure", reply, e);
		break;
	}
}

/* The claim is held. */
static void
attempt(struct work *w, const struct records_letter *l, struct lmtp_reply *reply, struct bd_err *e)
{
	if (records_begin(w->d->records, l, &w->attempt, e) == -1) {
		w->result = "not-recorded";
		w->alarm = true;
		reply_error(w->d, e, reply);
		return;
	}
	switch (w->attempt.verdict) {
	case VIEW_SEND:
	case VIEW_ASK:
		send_letter(w, reply, e);
		return;
	case VIEW_COPY:
		w->result = "copy";
		lmtp_reply_set(reply, 250, "2.0.0 copy of a letter that was sent");
		return;
	case VIEW_AGAIN:
		w->result = "again";
		lmtp_reply_set(reply, 250, "2.0.0 dealt with before");
		return;
	case VIEW_PARK:
	case VIEW_STAY_PARKED:
		w->result = "parked";
		w->alarm = true;
		bd_fail(
		    e, BD_E_INTERNAL,
		    "%u processes ended on this letter; \"brevdue letter release ID\" lets it go",
		    VIEW_DEATHS_MAX);
		reply_error(w->d, e, reply);
		return;
	}
}

/* The record's own words must fit the way the message came. */
static int
addressed_right(const struct control_record *c, const struct target *t, struct bd_err *e)
{
	if (c->addressee_count != 1 || c->route == NULL || strcmp(c->route, "digital") != 0 ||
	    c->addressees[0].provider == NULL ||
	    strcmp(c->addressees[0].provider, t->provider) != 0)
		return bd_fail(e, BD_E_NOT_SEALED, "sealed for another way than it came");
	return 0;
}

void
deliver_sealed(struct deliver *d, const struct target *t, const struct buf *message,
	       struct lmtp_reply *reply)
{
	struct work w = { .d = d, .target = t, .began_ms = clock_ms() };
	struct bd_err e = { 0 };
	struct records_letter l = { .driver = d->driver->name, .queue = w.queue };
	int timeout_ms = d->conf->transport.provider_timeout_ms;

	w.deadline_ms = w.began_ms + (timeout_ms < ATTEMPT_MAX_MS ? timeout_ms : ATTEMPT_MAX_MS);
	queue_id_read((const char *)message->data, message->len, w.queue);
	if (sealed_open(message->data, message->len, d->keys, t->letter_id, &w.control, &w.package,
			&e) == -1 ||
	    addressed_right(w.control, t, &e) == -1) {
		/* not authenticated: nothing of it is believed, nothing is stored */
		log_error("sealed message refused: rcpt=%s queue=%s kind=%s cause=%s", t->letter_id,
			  w.queue, bd_kind_name(e.kind), e.cause);
		reply_error(d, &e, reply);
		goto out;
	}
	failpoint("transport.after-open");
	l.control = w.control;
	sealed_record(message->data, message->len, &l.sealed, &l.sealed_len);
	if (claims_take(d->claims, t->letter_id, CLAIM_WAIT_MS, &e) == -1) {
		w.result = "busy";
		reply_error(d, &e, reply);
	} else {
		attempt(&w, &l, reply, &e);
		claims_release(d->claims, t->letter_id);
	}
	attempt_log(&w, reply, &e);
out:
	buf_free(&w.package);
	control_free(&w.control);
}

/* state is the one before the notice, NULL for a letter that was never seen. */
static void
notice_log(const char *id, const char *kind, const struct dsn_notice *n, const char *state)
{
	if (state != NULL)
		log_warn("letter id=%s queue notice: %s action=%s dsn=%s state=%s", id, kind,
			 n->action, n->status, state);
	else if (strcmp(kind, "bounce") == 0)
		log_error("letter id=%s queue notice: %s action=%s dsn=%s: it never came to this "
			  "transport and is recorded as failed",
			  id, kind, n->action, n->status);
	else
		log_warn("notice about an unknown letter id=%s action=%s dsn=%s", id, n->action,
			 n->status);
}

void
deliver_notice(struct deliver *d, const struct target *t, const struct buf *message,
	       struct lmtp_reply *reply)
{
	struct dsn_notice n = { .action = "", .status = "" };
	struct bd_err e = { 0 };
	struct view v;
	const char *kind;
	bool bounce;
	int known;

	if (dsn_read((const char *)message->data, message->len, t->letter_id, &n) == -1)
		log_warn("notice about letter id=%s is not understood", t->letter_id);
	/* only a bounce ends a letter; what is not understood must not */
	bounce = strcmp(n.action, "failed") == 0;
	kind = bounce ? "bounce" : strcmp(n.action, "delayed") == 0 ? "delay" : "notice";
	if (claims_take(d->claims, t->letter_id, CLAIM_WAIT_MS, &e) == -1) {
		reply_error(d, &e, reply);
		return;
	}
	/* The end of a letter that was never seen gets a record too: its client has been told 250.
	 * Nothing else about such a letter is an end. */
	known = records_view(d->records, t->letter_id, NULL, &v, &e);
	if ((known == 1 || (known == 0 && bounce)) &&
	    records_add(d->records, t->letter_id, kind,
			json_pack("{s:i, s:s, s:s}", "gen", (int)v.generation, "action", n.action,
				  "dsn", n.status),
			&e) == -1)
		known = -1;
	claims_release(d->claims, t->letter_id);
	if (known == -1) {
		log_error("notice about letter id=%s not stored: %s", t->letter_id, e.cause);
		reply_error(d, &e, reply);
		return;
	}
	notice_log(t->letter_id, kind, &n, known == 1 ? view_state_name(v.state) : NULL);
	lmtp_reply_set(reply, 250, "2.0.0 recorded");
}

int
deliver_status(struct deliver *d, const char *letter_id, unsigned generation, const char *status,
	       struct bd_err *e)
{
	if (records_add(d->records, letter_id, "status",
			json_pack("{s:i, s:s}", "gen", (int)generation, "status", status), e) == -1)
		return -1;
	if (strcmp(status, "FEILET") == 0)
		log_error("letter id=%s generation=%u status=%s: the access point gave up",
			  letter_id, generation, status);
	else
		log_info("letter id=%s generation=%u status=%s", letter_id, generation, status);
	return 0;
}
