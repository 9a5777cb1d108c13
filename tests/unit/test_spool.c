/* SPDX-License-Identifier: Apache-2.0 */
/* Letter records: what events mean, and that every step survives a kill. */
#include "config.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "spool/claims.h"
#include "spool/records.h"
#include "spool/sets.h"

#define ID "0123456789abcdef0123456789abcdef"
#define WINDOW_MS 5000
#define NOW 100000

struct view_case {
	const char *name;
	const char *events; /* "kind[:package or status][@t] ..." */
	const char *package;
	enum view_state state;
	enum view_verdict verdict;
	unsigned generation;
};

static const struct view_case view_cases[] = {
	{ "never seen", "", "A", VIEW_NONE, VIEW_SEND, 0 },
	{ "died after the intent", "queued intent:A", "A", VIEW_UNSURE, VIEW_ASK, 0 },
	{ "certainly not sent", "queued intent:A later", "A", VIEW_OPEN, VIEW_SEND, 0 },
	{ "certainly not sent, then a copy", "queued intent:A later", "B", VIEW_OPEN, VIEW_SEND,
	  0 },
	{ "no answer", "queued intent:A unsure", "A", VIEW_UNSURE, VIEW_ASK, 0 },
	{ "no answer, then a copy asks first", "queued intent:A unsure", "B", VIEW_UNSURE, VIEW_ASK,
	  0 },
	{ "third death", "queued intent:A intent:A intent:A", "A", VIEW_UNSURE, VIEW_PARK, 0 },
	{ "deaths with an outcome between", "queued intent:A intent:A later intent:A", "A",
	  VIEW_UNSURE, VIEW_ASK, 0 },
	{ "parked", "queued intent:A intent:A intent:A parked", "A", VIEW_PARKED, VIEW_STAY_PARKED,
	  0 },
	{ "a copy of a parked one", "queued intent:A parked", "B", VIEW_PARKED, VIEW_STAY_PARKED,
	  0 },
	{ "released", "queued intent:A intent:A intent:A parked released", "A", VIEW_UNSURE,
	  VIEW_ASK, 0 },
	{ "sent, and the same message again", "queued intent:A sent@99000", "A", VIEW_SENT,
	  VIEW_AGAIN, 0 },
	{ "sent, and a copy", "queued intent:A sent@99000", "B", VIEW_SENT, VIEW_COPY, 0 },
	{ "a copy at the window's end", "queued intent:A sent@95000", "B", VIEW_SENT, VIEW_COPY,
	  0 },
	{ "an equal letter after the window", "queued intent:A sent@94999", "B", VIEW_SENT,
	  VIEW_SEND, 1 },
	{ "the same message after the window", "queued intent:A sent@1", "A", VIEW_SENT, VIEW_AGAIN,
	  0 },
	{ "failed, and the same message again", "queued intent:A failed@99000", "A", VIEW_FAILED,
	  VIEW_AGAIN, 0 },
	{ "failed, and sent anew", "queued intent:A failed@99000", "B", VIEW_FAILED, VIEW_SEND, 1 },
	{ "the access point gave up", "queued intent:A sent@99000 status:FEILET@99500", "B",
	  VIEW_FAILED, VIEW_SEND, 1 },
	{ "confirmed stays sent", "queued intent:A sent@99000 status:SENDT@99500", "B", VIEW_SENT,
	  VIEW_COPY, 0 },
	{ "a failed letter's old message after its resend",
	  "queued intent:A failed@99000 queued/1 intent:B/1 failed@99100", "A", VIEW_FAILED,
	  VIEW_AGAIN, 1 },
	{ "a late status of an older generation",
	  "queued intent:A failed@99000 queued/1 intent:B/1 sent@99100 status:FEILET@99200", "B",
	  VIEW_SENT, VIEW_AGAIN, 1 },
	{ "third generation", "queued intent:A failed queued/1 intent:B/1 failed@99000", "C",
	  VIEW_FAILED, VIEW_SEND, 2 },
	{ "bounced unsent", "queued intent:A later bounce@99000", "B", VIEW_FAILED, VIEW_SEND, 1 },
	{ "bounced in doubt keeps the ids", "queued intent:A unsure bounce@99000", "B", VIEW_UNSURE,
	  VIEW_ASK, 0 },
	{ "bounced in doubt, long ago", "queued intent:A unsure bounce@1", "B", VIEW_UNSURE,
	  VIEW_SEND, 1 },
	{ "a bounce after all changes nothing", "queued intent:A sent@99000 bounce@99500", "B",
	  VIEW_SENT, VIEW_COPY, 0 },
	{ "bounced before it was ever seen", "bounce@99000", "A", VIEW_FAILED, VIEW_SEND, 1 },
	{ "came after its bounce", "bounce@99000 queued/1 intent:A/1 sent@99500", "A", VIEW_SENT,
	  VIEW_AGAIN, 1 },
	{ "a delay notice changes nothing", "queued intent:A later delay@99500", "A", VIEW_OPEN,
	  VIEW_SEND, 0 },
};

static void
apply(struct view *v, char *word, const char *package)
{
	char *at = strchr(word, '@'), *gen, *value;
	json_t *ev = json_object();

	if (at != NULL)
		*at++ = '\0';
	json_object_set_new(ev, "t", json_integer(at != NULL ? atoll(at) : 1000));
	if ((gen = strchr(word, '/')) != NULL)
		*gen++ = '\0';
	json_object_set_new(ev, "gen", json_integer(gen != NULL ? atoi(gen) : 0));
	if ((value = strchr(word, ':')) != NULL) {
		*value++ = '\0';
		json_object_set_new(ev, strcmp(word, "status") == 0 ? "status" : "package",
				    json_string(value));
	}
	json_object_set_new(ev, "kind", json_string(word));
	view_apply(v, ev, package);
	json_decref(ev);
}

static void
test_view(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(view_cases) / sizeof(view_cases[0]); i++) {
		const struct view_case *c = &view_cases[i];
		char *text = strdup(c->events), *at = NULL;
		struct view v = { 0 };
		unsigned generation;
		enum view_verdict verdict;

		for (char *w = strtok_r(text, " ", &at); w != NULL; w = strtok_r(NULL, " ", &at))
			apply(&v, w, c->package);
		verdict = view_decide(&v, NOW, WINDOW_MS, &generation);
		if (v.state != c->state || verdict != c->verdict || generation != c->generation)
			fail_msg("%s: state %s, verdict %d, generation %u", c->name,
				 view_state_name(v.state), (int)verdict, generation);
		free(text);
	}
}

static char dir[64];
static const uint8_t secret[32] = "a secret of exactly 32 bytes....";

static struct records *
open_records(void)
{
	struct bd_err e = { 0 };
	struct records *r = records_open(dir, secret, 3600000, &e);

	if (r == NULL)
		fail_msg("%s", e.cause);
	return r;
}

static int
setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/brevdue-spool-XXXXXX");
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

static struct control_record control = {
	.letter_id = ID, .index = 1, .count = 2, .sealed_at = 1000
};
static struct control_addressee addressee;

static struct records_letter
letter(uint8_t package)
{
	static char mail[] = "mail-1", route[] = "digital", agency[] = "testkommune",
		    kind[] = "important", front[] = "FRONT1", provider[] = "984661185",
		    title[] = "a very secret title", number[] = "01819090013";

	addressee.provider = provider;
	addressee.national_id = number;
	control.title = title;
	control.mail_id = mail;
	control.route = route;
	control.agency = agency;
	control.kind = kind;
	control.front_queue_id = front;
	control.addressees = &addressee;
	control.addressee_count = 1;
	memset(control.package_sha256, package, SHA256_BYTES);
	return (struct records_letter){ .control = &control,
					.queue = "Q1",
					.driver = "dpi",
					.sealed = "sealed bytes",
					.sealed_len = 12 };
}

static int
count_kinds(void *arg, const json_t *ev)
{
	strcat(arg, json_string_value(json_object_get(ev, "kind")));
	strcat(arg, " ");
	return 0;
}

static int
no_content(void *arg, const json_t *ev)
{
	char *text = json_dumps(ev, 0);

	(void)arg;
	assert_null(strstr(text, "secret"));
	assert_null(strstr(text, "01819090013"));
	free(text);
	return 0;
}

static int
count_waiting(void *arg, const char *letter_id, unsigned generation)
{
	assert_string_equal(letter_id, ID);
	*(unsigned *)arg += 1 + 10 * generation;
	return 0;
}

static int
count_letters(void *arg, const char *letter_id, const struct view *v)
{
	(void)letter_id;
	(void)v;
	++*(int *)arg;
	return 0;
}

static void
test_a_letters_life(void **state)
{
	struct records *r = open_records();
	struct records_letter l = letter('A');
	struct records_attempt a, b;
	struct bd_err e = { 0 };
	char kinds[200] = "", found[LETTER_ID_CHARS] = "", other[LETTER_ID_CHARS];
	struct buf sealed = { 0 };
	unsigned waiting = 0;
	int letters = 0;

	(void)state;
	assert_int_equal(records_begin(r, &l, &a, &e), 0);
	assert_int_equal(a.verdict, VIEW_SEND);
	assert_true(a.first);
	assert_int_equal(records_find(r, "dpi", "instance", a.instance, found, &e), 1);
	assert_string_equal(found, ID);
	assert_int_equal(records_find(r, "dpi", "conversation", a.conversation, found, &e), 1);
	assert_int_equal(records_find(r, "other", "instance", a.instance, other, &e), 0);
	assert_int_equal(records_add(r, ID, "unsure", NULL, &e), 0);
	assert_int_equal(records_begin(r, &l, &b, &e), 0);
	assert_int_equal(b.verdict, VIEW_ASK);
	assert_string_equal(a.instance, b.instance);
	assert_int_equal(records_add(r, ID, "sent", json_pack("{s:i}", "code", 201), &e), 0);
	assert_int_equal(records_waiting(r, count_waiting, &waiting, &e), 0);
	assert_int_equal(waiting, 1);
	assert_int_equal(records_begin(r, &l, &b, &e), 0);
	assert_int_equal(b.verdict, VIEW_AGAIN);
	assert_int_equal(
	    records_add(r, ID, "status", json_pack("{s:i, s:s}", "gen", 0, "status", "FEILET"), &e),
	    0);
	assert_int_equal(records_waiting(r, count_waiting, &waiting, &e), 0);
	assert_int_equal(waiting, 1); /* none was added */
	l = letter('B');
	assert_int_equal(records_begin(r, &l, &b, &e), 0);
	assert_int_equal(b.verdict, VIEW_SEND);
	assert_int_equal(b.generation, 1);
	assert_string_not_equal(a.instance, b.instance);
	assert_string_not_equal(a.conversation, b.conversation);
	assert_int_equal(records_events(r, ID, count_kinds, kinds, &e), 1);
	assert_string_equal(kinds, "queued intent unsure intent sent again status queued intent ");
	assert_int_equal(records_events(r, ID, no_content, NULL, &e), 1);
	assert_int_equal(records_sealed(r, ID, 0, &sealed, &e), 1);
	assert_string_equal(buf_str(&sealed), "sealed bytes");
	assert_int_equal(records_each(r, count_letters, &letters, &e), 0);
	assert_int_equal(letters, 1);
	assert_int_equal(
	    records_events(r, "ffffffffffffffffffffffffffffffff", count_kinds, kinds, &e), 0);
	assert_int_equal(records_add(r, "../../etc/passwd", "sent", NULL, &e), -1);
	buf_free(&sealed);
	records_close(&r);
}

/* Copies of one letter are sealed with different keys and nonces: what is kept is the first one's,
 * so that an old copy, or one made later, cannot change what a report says (threats.md 2a). */
static void
test_first_sealed_record_stays(void **state)
{
	static const char *const copies[] = { "copy one", "another copy" };

	(void)state;
	for (size_t first = 0; first < 2; first++) {
		struct records *r = open_records();
		struct buf kept = { 0 };
		struct bd_err e = { 0 };

		control.letter_id[0] = (char)('a' + first);
		for (size_t i = 0; i < 2; i++) {
			struct records_letter l = letter((uint8_t)('A' + i));
			struct records_attempt a;

			l.sealed = copies[(first + i) % 2];
			l.sealed_len = strlen(l.sealed);
			assert_int_equal(records_begin(r, &l, &a, &e), 0);
			assert_int_equal(a.generation, 0);
			assert_int_equal(records_add(r, control.letter_id, "later", NULL, &e), 0);
		}
		assert_int_equal(records_sealed(r, control.letter_id, 0, &kept, &e), 1);
		assert_string_equal(buf_str(&kept), copies[first]);
		buf_free(&kept);
		records_close(&r);
	}
	control.letter_id[0] = ID[0];
}

/* A child does the first steps and kills itself; then the parent looks at what is left. */
static void
test_kill_between_steps(void **state)
{
	static const char *const kinds_after[] = { "queued intent ", "queued intent intent ",
						   "queued intent intent intent ",
						   "queued intent intent intent parked " };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		char kinds[200] = "";
		struct bd_err e = { 0 };
		struct records *r;
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			struct records_letter l = letter('A');
			struct records_attempt a;

			r = records_open(dir, secret, 3600000, &e);
			if (r == NULL || records_begin(r, &l, &a, &e) == -1)
				_exit(1);
			kill(getpid(), SIGKILL);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		r = open_records();
		assert_int_equal(records_events(r, ID, count_kinds, kinds, &e), 1);
		assert_string_equal(kinds, kinds_after[i]);
		records_close(&r);
	}
}

#define SET_LETTERS 6
#define SET_MAILS 10

struct arriving {
	struct kv *kv;
	unsigned mail, index;
};

static int
arrive(struct kv_txn *t, void *arg, struct bd_err *e)
{
	const struct arriving *a = arg;
	char mail[20];

	snprintf(mail, sizeof(mail), "mail-%u", a->mail);
	return sets_arrived(t, mail, a->index, SET_LETTERS, ID, clock_wall_ms(), e);
}

/* The letter with this number of every mail, one after the other. */
static void *
arrivals_run(void *arg)
{
	struct arriving *a = arg;
	struct bd_err e = { 0 };

	for (a->mail = 0; a->mail < SET_MAILS; a->mail++)
		if (kv_transact(a->kv, arrive, a, &e) == -1)
			return arg;
	return NULL;
}

static void
count_open(void *arg, const struct set *s)
{
	*(int *)arg += s->arrived < s->count ? 1 : -1;
}

static int
count_sets(void *arg, const struct set *s)
{
	assert_int_equal(s->count, SET_LETTERS);
	assert_int_equal(s->arrived, SET_LETTERS - 1);
	++*(int *)arg;
	return 0;
}

/* Letters come on many connections while the sets are judged: none may stay judged wrongly. */
static void
test_sets_judged_while_letters_come(void **state)
{
	struct records *r = open_records();
	struct arriving a[SET_LETTERS];
	pthread_t threads[SET_LETTERS];
	struct bd_err e = { 0 };
	int open = 0, listed = 0;
	void *failed;

	(void)state;
	for (unsigned i = 0; i < SET_LETTERS; i++) {
		a[i] = (struct arriving){ .kv = records_store(r), .index = i + 1 };
		if (i > 0)
			assert_int_equal(pthread_create(&threads[i], NULL, arrivals_run, &a[i]), 0);
	}
	for (unsigned i = 1; i < SET_LETTERS; i++) {
		assert_int_equal(sets_check(a[0].kv, INT64_MAX, count_open, &open, &e), 0);
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(sets_check(a[0].kv, INT64_MAX, count_open, &open, &e), 0);
	assert_int_equal(open, SET_MAILS);
	assert_int_equal(sets_incomplete(a[0].kv, count_sets, &listed, &e), 0);
	assert_int_equal(listed, SET_MAILS);
	assert_null(arrivals_run(&a[0]));
	assert_null(arrivals_run(&a[1])); /* copies */
	assert_int_equal(sets_check(a[0].kv, 0, count_open, &open, &e), 0);
	assert_int_equal(open, SET_MAILS); /* too early to judge */
	assert_int_equal(sets_check(a[0].kv, INT64_MAX, count_open, &open, &e), 0);
	assert_int_equal(open, 0);
	assert_int_equal(sets_incomplete(a[0].kv, count_sets, &listed, &e), 0);
	assert_int_equal(listed, SET_MAILS);
	records_close(&r);
}

struct claimer {
	struct claims *c;
	int wait_ms, rc;
};

static void *
claimer_run(void *arg)
{
	struct claimer *cl = arg;
	struct bd_err e = { 0 };

	cl->rc = claims_take(cl->c, ID, cl->wait_ms, &e);
	if (cl->rc == 0)
		claims_release(cl->c, ID);
	else
		assert_int_equal(e.kind, BD_E_BUSY);
	return NULL;
}

static void
test_one_claim_at_a_time(void **state)
{
	struct claims *c = claims_new();
	struct claimer now = { c, 0, 5 }, soon = { c, 20, 5 }, patient = { c, 60000, 5 };
	struct bd_err e = { 0 };
	pthread_t thread;

	(void)state;
	assert_int_equal(claims_take(c, ID, 0, &e), 0);
	assert_int_equal(claims_take(c, "ffffffffffffffffffffffffffffffff", 0, &e), 0);
	claimer_run(&now);
	assert_int_equal(now.rc, -1);
	claimer_run(&soon);
	assert_int_equal(soon.rc, -1);
	assert_int_equal(pthread_create(&thread, NULL, claimer_run, &patient), 0);
	claims_release(c, ID);
	pthread_join(thread, NULL);
	assert_int_equal(patient.rc, 0);
	claims_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_view),
		cmocka_unit_test_setup_teardown(test_a_letters_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_sealed_record_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill_between_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sets_judged_while_letters_come, setup,
						teardown),
		cmocka_unit_test(test_one_claim_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
