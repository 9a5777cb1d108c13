/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of the control socket, over real sockets. */
#include "config.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pwd.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/control.h"
#include "common/json.h"
#include "common/sock.h"

#define NOBODY 65534

static char folder[64], path[96];
static struct control *control;
static sem_t hold;         /* a verb waits here */
static atomic_int holding; /* verbs that wait */
static atomic_int lost;    /* verbs that saw their client leave */

static int
verb_count(void *arg, const struct control_peer *peer, json_t *request, control_send *reply,
	   void *conn, struct bd_err *e)
{
	json_int_t of = json_integer_value(json_object_get(request, "of"));

	(void)arg;
	(void)e;
	for (json_int_t i = 1; i <= of; i++)
		if (reply(conn, json_pack("{s:I, s:I, s:s}", "progress", i, "of", of, "user",
					  peer->user)) == -1) {
			atomic_fetch_add(&lost, 1);
			return -1;
		}
	return 0;
}

static int
verb_fail(void *arg, const struct control_peer *peer, json_t *request, control_send *reply,
	  void *conn, struct bd_err *e)
{
	(void)arg;
	(void)peer;
	(void)request;
	(void)reply;
	(void)conn;
	return bd_fail(e, BD_E_CONTENT, "it did not work");
}

static int
verb_read(void *arg, const struct control_peer *peer, json_t *request, control_send *reply,
	  void *conn, struct bd_err *e)
{
	char text[64] = "";

	(void)arg;
	(void)request;
	if (peer->fd == -1)
		return bd_fail(e, BD_E_CONTENT, "no file");
	if (read(peer->fd, text, sizeof(text) - 1) == -1)
		return bd_fail_errno(e, BD_E_CONTENT, "read");
	return reply(conn, json_pack("{s:s}", "text", text));
}

static int
verb_hold(void *arg, const struct control_peer *peer, json_t *request, control_send *reply,
	  void *conn, struct bd_err *e)
{
	(void)arg;
	(void)peer;
	(void)request;
	(void)reply;
	(void)conn;
	(void)e;
	atomic_fetch_add(&holding, 1);
	sem_wait(&hold);
	return 0;
}

static const struct control_verb verbs[] = {
	{ "count", verb_count, 0 }, { "fail", verb_fail, 0 }, { "read", verb_read, 0 },
	{ "hold", verb_hold, 0 },   { "root", verb_fail, 1 }, { NULL, NULL, 0 },
};

static char nobody[64];
static const char *users[] = { nobody, NULL };

static int
setup(const char *const *listed)
{
	struct bd_err e = { 0 };
	const struct passwd *pw = getpwuid(NOBODY);
	int fd;

	snprintf(nobody, sizeof(nobody), "%s", pw != NULL ? pw->pw_name : "nobody");
	snprintf(folder, sizeof(folder), "/tmp/test_control.XXXXXX");
	if (mkdtemp(folder) == NULL || chmod(folder, 0755) == -1)
		return -1;
	snprintf(path, sizeof(path), "%s/run/control", folder);
	if ((fd = sock_listen(path, NULL, NULL, 0666, &e)) == -1) {
		print_message("%s\n", e.cause);
		return -1;
	}
	/* so that another user can get there */
	snprintf(path, sizeof(path), "%s/run", folder);
	chmod(path, 0755);
	snprintf(path, sizeof(path), "%s/run/control", folder);
	sem_init(&hold, 0, 0);
	atomic_store(&holding, 0);
	atomic_store(&lost, 0);
	control = control_start(fd, verbs, listed, NULL, &e);
	return control == NULL;
}

static int
setup_open(void **state)
{
	(void)state;
	return setup(NULL);
}

static int
setup_users(void **state)
{
	(void)state;
	return setup(users);
}

static int
remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

static int
teardown(void **state)
{
	(void)state;
	control_stop(&control);
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

struct seen {
	int lines;
	int stop_at;
	json_int_t last;
	char text[64];
};

static int
see(void *arg, json_t *answer)
{
	struct seen *s = arg;
	const char *text = json_text(answer, "text");

	s->lines++;
	s->last = json_integer_value(json_object_get(answer, "progress"));
	if (text != NULL)
		snprintf(s->text, sizeof(s->text), "%s", text);
	return s->lines == s->stop_at;
}

static int
call(const char *verb, int of, struct seen *s, struct bd_err *e)
{
	json_t *request = json_pack("{s:s, s:i}", "verb", verb, "of", of);
	int rc = control_call(path, request, see, s, 5000, e);

	json_decref(request);
	return rc;
}

static void
test_progress_in_order(void **state)
{
	struct seen s = { 0 };
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(call("count", 2000, &s, &e), 0);
	assert_int_equal(s.lines, 2000);
	assert_int_equal(s.last, 2000);
	assert_int_equal(call("count", 0, &s, &e), 0);
}

static void
test_words_of_a_failure(void **state)
{
	struct seen s = { 0 };
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(call("fail", 0, &s, &e), -1);
	assert_string_equal(e.cause, "it did not work");
	assert_int_equal(call("dance", 0, &s, &e), -1);
	assert_non_null(strstr(e.cause, "no such request"));
}

static void
test_an_open_file_travels(void **state)
{
	struct seen s = { 0 };
	struct bd_err e = { 0 };
	json_t *request = json_pack("{s:s}", "verb", "read");
	int fd = memfd_create("file", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(write(fd, "content", 7), 7);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(control_call_fd(path, request, fd, see, &s, 5000, &e), 0);
	assert_string_equal(s.text, "content");
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC); /* ours is still open */
	assert_int_equal(control_call_fd(path, request, -1, see, &s, 5000, &e), -1);
	assert_string_equal(e.cause, "no file");
	json_decref(request);
	close(fd);
}

/* Runs one call as nobody; 0 when it ended as the words say. */
static int
as_nobody(const char *verb, const char *words)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct seen s = { 0 };
		struct bd_err e = { 0 };

		if (setgid(NOBODY) == -1 || setuid(NOBODY) == -1)
			_exit(3);
		if (call(verb, 1, &s, &e) == 0)
			_exit(words == NULL ? 0 : 1);
		_exit(words != NULL && strstr(e.cause, words) != NULL ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
test_others_may_not(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("  skipped: only root can become another user\n");
		skip();
	}
	assert_int_equal(as_nobody("count", "may not do this"), 0);
	assert_int_equal(as_nobody("root", "may not do this"), 0);
}

static void
test_listed_users_may_but_not_what_is_roots(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("  skipped: only root can become another user\n");
		skip();
	}
	assert_int_equal(as_nobody("count", NULL), 0);
	assert_int_equal(as_nobody("root", "may not do this"), 0);
}

static void
test_client_that_leaves_ends_the_verb(void **state)
{
	struct seen s = { .stop_at = 1 };
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(call("count", 1000000, &s, &e), -1);
	for (int i = 0; atomic_load(&lost) == 0 && i < 5000; i++)
		poll(NULL, 0, 1);
	assert_int_equal(atomic_load(&lost), 1);
}

/* Sends raw bytes and reads what comes back until the end. */
static void
raw(const char *data, size_t len, char *answer, size_t size)
{
	struct bd_err e = { 0 };
	int fd = sock_connect(path, 5000, &e);
	size_t done = 0;
	ssize_t n;

	assert_int_not_equal(fd, -1);
	while (done < len && (n = send(fd, data + done, len - done, MSG_NOSIGNAL)) > 0)
		done += (size_t)n;
	done = 0;
	while (done < size - 1 && (n = recv(fd, answer + done, size - 1 - done, 0)) > 0)
		done += (size_t)n;
	answer[done] = '\0';
	close(fd);
}

static const struct {
	const char *name, *request, *words;
} bad[] = {
	{ "no JSON", "hello\n", "not valid JSON" },
	{ "no object", "[1]\n", "not a JSON object" },
	{ "no verb", "{}\n", "no such request" },
	{ "verb is a number", "{\"verb\":7}\n", "no such request" },
	{ "empty line", "\n", "not valid JSON" },
};

static void
test_bad_requests(void **state)
{
	static char big[CONTROL_REQUEST_MAX_BYTES + 20000];
	char answer[512];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		print_message("  %s\n", bad[i].name);
		raw(bad[i].request, strlen(bad[i].request), answer, sizeof(answer));
		assert_non_null(strstr(answer, "\"error\""));
		assert_non_null(strstr(answer, bad[i].words));
	}
	memset(big, 'x', sizeof(big));
	raw(big, sizeof(big), answer, sizeof(answer));
	assert_non_null(strstr(answer, "a line of more than 65536 bytes"));
}

static void
test_the_ninth_is_told(void **state)
{
	struct bd_err e = { 0 };
	int fds[CONTROL_CONNECTIONS_MAX];
	struct seen s = { 0 };

	(void)state;
	for (int i = 0; i < CONTROL_CONNECTIONS_MAX; i++) {
		assert_int_not_equal(fds[i] = sock_connect(path, 5000, &e), -1);
		assert_int_equal(sock_write(fds[i], "{\"verb\":\"hold\"}\n", 16, 5000, &e), 0);
	}
	while (atomic_load(&holding) < CONTROL_CONNECTIONS_MAX)
		poll(NULL, 0, 1);
	assert_int_equal(call("count", 1, &s, &e), -1);
	assert_string_equal(e.cause, "busy with other requests");
	for (int i = 0; i < CONTROL_CONNECTIONS_MAX; i++) {
		sem_post(&hold);
		close(fds[i]);
	}
	/* there is room again */
	for (int i = 0; i < 5000 && call("count", 1, &s, &e) == -1; i++)
		poll(NULL, 0, 1);
	assert_int_equal(call("count", 1, &s, &e), 0);
}

static void
test_nobody_there(void **state)
{
	struct bd_err e = { 0 };
	json_t *request = json_pack("{s:s}", "verb", "count");

	(void)state;
	assert_int_equal(control_call("/nonexistent/socket", request, NULL, NULL, 1000, &e), -1);
	json_decref(request);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup_open, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_progress_in_order),
		T(test_words_of_a_failure),
		T(test_an_open_file_travels),
		T(test_others_may_not),
		cmocka_unit_test_setup_teardown(test_listed_users_may_but_not_what_is_roots,
						setup_users, teardown),
		T(test_client_that_leaves_ends_the_verb),
		T(test_bad_requests),
		T(test_the_ninth_is_told),
		cmocka_unit_test(test_nobody_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
