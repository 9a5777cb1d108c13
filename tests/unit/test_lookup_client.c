/* SPDX-License-Identifier: Apache-2.0 */
/* The question to the lookup daemon that is collected long after it was asked. The daemon is a
 * thread that does one thing after the other, so that each case is exact. */
#include "config.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "lookup/client.h"

#define ID "01819090013"
#define SHORT_MS 200        /* when it is to run out */
#define LONG_MS 10000       /* when it is not, on a busy machine either */
#define LARGE_BYTES 1000000 /* five times a socket's buffer */

static char folder[] = "/tmp/brevdue-client-XXXXXX";
static char path[64];

/* What the daemon does with a connection after it has read the question. */
enum deed {
	DEED_ANSWER, /* whole, however long the client takes */
	DEED_HALF, /* as much as the buffer takes, then it closes, as for a client that is stuck */
	DEED_CLOSE,
	DEED_SILENT, /* until the client leaves */
};

static const struct step {
	const char *name;
	enum deed deeds[2]; /* of the first and the second connection */
	unsigned connections;
	size_t answer_bytes;
	int timeout_ms;
	unsigned wait_ms; /* the upload, after the daemon has done its first deed */
	bool dies;        /* nobody listens after the first connection */
	int rc;
} cases[] = {
	{ "at once", { DEED_ANSWER }, 1, 100, LONG_MS, 0, false, 0 },
	{ "the upload takes longer than the timeout",
	  { DEED_ANSWER },
	  1,
	  100,
	  SHORT_MS,
	  SHORT_MS + 100,
	  false,
	  0 },
	{ "an answer above the buffer", { DEED_ANSWER }, 1, LARGE_BYTES, LONG_MS, 0, false, 0 },
	{ "an answer above the buffer, dropped while nobody reads",
	  { DEED_HALF, DEED_ANSWER },
	  2,
	  LARGE_BYTES,
	  LONG_MS,
	  0,
	  false,
	  0 },
	{ "a daemon that was restarted",
	  { DEED_CLOSE, DEED_ANSWER },
	  2,
	  100,
	  LONG_MS,
	  0,
	  false,
	  0 },
	{ "a daemon that is gone", { DEED_CLOSE }, 1, 100, LONG_MS, 0, true, -1 },
	{ "a daemon that closes again", { DEED_CLOSE, DEED_CLOSE }, 2, 100, LONG_MS, 0, false, -1 },
	{ "silence", { DEED_SILENT }, 1, 100, SHORT_MS, 0, false, -1 },
	{ "dropped, then silence",
	  { DEED_HALF, DEED_SILENT },
	  2,
	  LARGE_BYTES,
	  SHORT_MS,
	  0,
	  false,
	  -1 },
};

struct daemon {
	const struct step *step;
	int fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool first_done; /* the first deed, or as much of it as goes without the client; lock */
};

static void
note_first(struct daemon *d)
{
	pthread_mutex_lock(&d->lock);
	d->first_done = true;
	pthread_cond_signal(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

static void
make_answer(struct buf *out, size_t bytes)
{
	char padding[10000];
	struct buf text = { 0 };

	memset(padding, 'x', sizeof(padding));
	buf_adds(&text, "OK {\"personer\":[{\"personidentifikator\":\"" ID "\",\"x\":\"");
	while (text.len < bytes)
		buf_add(&text, padding, sizeof(padding));
	buf_adds(&text, "\"}]}");
	buf_addf(out, "%zu:%s,", text.len, buf_str(&text));
	buf_free(&text);
}

static void
do_deed(struct daemon *d, int fd, enum deed deed)
{
	char question[1000];
	struct buf answer = { 0 };
	size_t done = 0;
	ssize_t n;

	if (recv(fd, question, sizeof(question), 0) <= 0)
		abort();
	make_answer(&answer, d->step->answer_bytes);
	if (deed == DEED_HALF || deed == DEED_ANSWER)
		while (done < answer.len && (n = send(fd, answer.data + done, answer.len - done,
						      MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
			done += (size_t)n;
	if (deed == DEED_CLOSE || deed == DEED_HALF)
		close(fd);
	if (d->step->dies)
		unlink(path);
	note_first(d);
	if (deed == DEED_ANSWER)
		while (done < answer.len &&
		       (n = send(fd, answer.data + done, answer.len - done, MSG_NOSIGNAL)) > 0)
			done += (size_t)n;
	buf_free(&answer);
	if (deed == DEED_SILENT)
		while (recv(fd, question, sizeof(question), 0) > 0)
			;
	if (deed == DEED_ANSWER || deed == DEED_SILENT)
		close(fd);
}

static void *
serve(void *arg)
{
	struct daemon *d = arg;

	for (unsigned i = 0; i < d->step->connections; i++) {
		int fd = accept(d->fd, NULL, NULL);

		if (fd == -1)
			return NULL;
		do_deed(d, fd, d->step->deeds[i]);
	}
	return NULL;
}

static void
daemon_start(struct daemon *d, const struct step *step)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	*d = (struct daemon){ .step = step };
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->changed, NULL);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	unlink(path);
	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(d->fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(d->fd, 5), 0);
	assert_int_equal(pthread_create(&d->thread, NULL, serve, d), 0);
}

static void
daemon_stop(struct daemon *d)
{
	shutdown(d->fd, SHUT_RDWR);
	pthread_join(d->thread, NULL);
	close(d->fd);
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->lock);
	unlink(path);
}

static void
test_collected_late(void **state)
{
	static const char *const ids[] = { ID };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct daemon d;
		struct person p = { 0 };
		struct bd_err e = { 0 };
		struct lookup_question *q;
		int64_t begun;
		int rc;

		print_message("  %s\n", cases[i].name);
		daemon_start(&d, &cases[i]);
		q = lookup_ask(path, "etat", ids, 1, cases[i].timeout_ms, &e);
		assert_non_null(q);
		pthread_mutex_lock(&d.lock);
		while (!d.first_done)
			pthread_cond_wait(&d.changed, &d.lock);
		pthread_mutex_unlock(&d.lock);
		usleep((useconds_t)cases[i].wait_ms * 1000);
		begun = clock_ms();
		rc = lookup_collect(q, &p, 1, &e);
		if (rc != cases[i].rc)
			fail_msg("%s: %d %s", cases[i].name, rc, e.cause);
		if (rc == 0)
			assert_string_equal(p.id, ID);
		else
			assert_int_equal(e.kind, BD_E_REGISTER);
		assert_in_range(clock_ms() - begun, 0, LONG_MS / 2);
		person_clear(&p);
		lookup_question_free(&q);
		daemon_stop(&d);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_collected_late),
	};
	int rc;

	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/s", folder);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return rc;
}
