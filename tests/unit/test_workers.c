/* SPDX-License-Identifier: Apache-2.0 */
/* The fork server and the pool of readers, with real processes: a reader that dies, hangs or eats
 * costs one call, and nothing outlives the daemon. */
#include "config.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/procs.h"
#include "common/workers.h"

#define PATIENT_MS 20000
#define MB ((size_t)1 << 20)

static struct procs_conf conf = { .reader = READER_STUB,
				  .reader_memory_bytes = 256 * MB,
				  .reader_cpu_sec = 20 };

struct pool {
	struct procs *procs;
	struct workers *workers;
};

static void
pool_open(struct pool *p, size_t size, unsigned uses)
{
	struct bd_err e = { 0 };

	p->procs = procs_start(&conf, &e);
	if (p->procs == NULL)
		fail_msg("%s", e.cause);
	p->workers = workers_new(p->procs, size, uses);
	assert_non_null(p->workers);
}

static void
pool_close(struct pool *p)
{
	workers_free(&p->workers);
	procs_stop(&p->procs);
}

static int
message(const char *text)
{
	int fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	return fd;
}

/* Calls with the text; the answer into out (NUL-ended). */
static int
call(struct pool *p, const char *text, const char *options, char out[4096], int timeout_ms,
     struct bd_err *e)
{
	int in = message(text), fd = -1;
	int rc = workers_call(p->workers, in, options, &fd, timeout_ms, e);

	close(in);
	if (rc == 0) {
		ssize_t len = pread(fd, out, 4095, 0);

		assert_true(len >= 0);
		out[len] = '\0';
		close(fd);
	}
	return rc;
}

static void
must_work(struct pool *p)
{
	char out[4096];
	struct bd_err e = { 0 };

	if (call(p, "letter", "go", out, PATIENT_MS, &e) == -1)
		fail_msg("%s", e.cause);
	assert_string_equal(out, "LETTER");
}

struct bad_case {
	const char *options;
	int timeout_ms;
};

static const struct bad_case bad_cases[] = {
	{ "die", PATIENT_MS },      { "abort", PATIENT_MS }, { "hang", 200 }, { "spin", 200 },
	{ "give-up", PATIENT_MS },
#ifndef BD_SANITIZERS /* they replace the limit of memory */
	{ "eat", PATIENT_MS },
#endif
	{ "unsealed", PATIENT_MS },
};

static void
test_bad_message_costs_one_call(void **state)
{
	struct pool p;
	char out[4096];

	(void)state;
	pool_open(&p, 1, 100);
	must_work(&p);
	for (size_t i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
		struct bd_err e = { 0 };

		if (call(&p, "x", bad_cases[i].options, out, bad_cases[i].timeout_ms, &e) != -1)
			fail_msg("%s was answered", bad_cases[i].options);
		assert_int_equal(e.kind, BD_E_READER);
		must_work(&p);
	}
	pool_close(&p);
}

static void
test_processor_time_ends_a_reader(void **state)
{
	struct procs_conf saved = conf;
	struct pool p;
	struct bd_err e = { 0 };
	char out[4096];

	(void)state;
	conf.reader_cpu_sec = 1;
	pool_open(&p, 1, 100);
	assert_int_equal(call(&p, "x", "spin", out, PATIENT_MS, &e), -1);
	assert_non_null(strstr(e.cause, "died"));
	must_work(&p);
	pool_close(&p);
	conf = saved;
}

static long
reader_pid(struct pool *p)
{
	char out[4096];
	struct bd_err e = { 0 };

	assert_int_equal(call(p, "x", "pid", out, PATIENT_MS, &e), 0);
	return atol(out);
}

static void
test_reader_is_replaced_after_its_uses(void **state)
{
	struct pool p;
	long first, third;

	(void)state;
	pool_open(&p, 1, 2);
	first = reader_pid(&p);
	assert_int_equal(reader_pid(&p), first);
	third = reader_pid(&p);
	assert_int_not_equal(third, first);
	assert_int_equal(reader_pid(&p), third);
	pool_close(&p);
}

/* Waits until the process is gone (a zombie of the fork server is gone too). */
static void
wait_gone(pid_t pid)
{
	static const struct timespec pause = { .tv_nsec = 5000000 };
	int64_t end = clock_ms() + PATIENT_MS;
	char path[64], stat[256];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	while (clock_ms() < end) {
		FILE *in = fopen(path, "r");
		char *state = NULL;

		if (in == NULL)
			return;
		if (fgets(stat, sizeof(stat), in) != NULL)
			state = strrchr(stat, ')');
		fclose(in);
		if (state == NULL || state[2] == 'Z')
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("process %d is still there", (int)pid);
}

static void
test_reader_that_died_idle_costs_nothing(void **state)
{
	struct pool p;
	pid_t pid;

	(void)state;
	pool_open(&p, 1, 100);
	pid = (pid_t)reader_pid(&p);
	assert_int_equal(kill(pid, SIGKILL), 0);
	wait_gone(pid);
	must_work(&p);
	pool_close(&p);
	wait_gone(pid);
}

static void
test_reader_may_do_little(void **state)
{
	static const char *const forbidden[] = { "socket", "unix-socket", "socketpair", "exec",
						 "kill",   "write-file",  "write-null", "unlink",
						 "setuid", "code-page",
#ifndef BD_SANITIZERS /* the leak check needs these two */
						 "fork",   "ptrace"
#endif
	};
	char out[4096], line[64];
	struct bd_err e = { 0 };
	struct pool p;

	(void)state;
	pool_open(&p, 1, 100);
	if (call(&p, "x", "acts", out, PATIENT_MS, &e) == -1)
		fail_msg("%s", e.cause);
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		snprintf(line, sizeof(line), "%s=EPERM\n", forbidden[i]);
		if (strstr(out, line) == NULL)
			fail_msg("no %s in\n%s", line, out);
	}
	assert_non_null(strstr(out, "read-file=done\n"));
	assert_non_null(strstr(out, "iconv=done\n"));
	pool_close(&p);
}

static void
test_reader_starts_bare(void **state)
{
	char out[4096];
	struct bd_err e = { 0 };
	struct pool p;
	int leaked;

	(void)state;
	leaked = open("/dev/null", O_RDWR); /* not close-on-exec: must not get through */
	assert_true(leaked >= 0);
	pool_open(&p, 1, 100);
	assert_int_equal(call(&p, "x", "describe", out, PATIENT_MS, &e), 0);
	assert_non_null(strstr(out, "environment=empty\n"));
	assert_non_null(strstr(out, "core=0\nfd3=1\n"));
	/* ".", "..", 0 to 3, the message and the folder itself */
	assert_non_null(strstr(out, "descriptors=8\n"));
	pool_close(&p);
	close(leaked);
}

/* The checkout may lie in root's home folder. */
static bool
open_to_others(const char *file)
{
	char path[4096];
	struct stat st;

	snprintf(path, sizeof(path), "%s", file);
	do {
		if (stat(path, &st) == -1 || (st.st_mode & S_IXOTH) == 0)
			return false;
		*strrchr(path, '/') = '\0';
	} while (path[0] != '\0');
	return true;
}

static void
test_root_becomes_the_user(void **state)
{
	char out[4096];
	struct bd_err e = { 0 };
	struct pool p;
	struct stat st;
	char path[64];

	(void)state;
	(void)st;
	(void)path;
	if (geteuid() != 0 || !open_to_others(READER_STUB)) {
		print_message("not root, or its users cannot reach the build folder: the change of "
			      "user is not tried\n");
		skip();
	}
	conf.user = "nobody";
	pool_open(&p, 1, 100);
	conf.user = NULL;
	if (call(&p, "x", "describe", out, PATIENT_MS, &e) == -1)
		fail_msg("%s", e.cause);
	assert_non_null(strstr(out, "uid=65534\n"));
#ifndef BD_SANITIZERS
	/* proc(5): what belongs to root there is not dumpable, others of the same user cannot trace
	 * it */
	snprintf(path, sizeof(path), "/proc/%ld/mem", reader_pid(&p));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 0);
#endif
	pool_close(&p);
}

/* Some containers forbid new namespaces even to root; the filter alone must do there. */
static int
can_unshare(void)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(unshare(CLONE_NEWNET) == 0 ? 0 : 1);
	return waitpid(child, &status, 0) == child && status == 0;
}

static void
test_reader_has_a_network_of_its_own(void **state)
{
	char out[4096], ours[64] = "", line[96];
	struct bd_err e = { 0 };
	struct pool p;

	(void)state;
	if (geteuid() != 0 || !can_unshare()) {
		print_message("no right to make network namespaces\n");
		skip();
	}
	assert_true(readlink("/proc/self/ns/net", ours, sizeof(ours) - 1) > 0);
	snprintf(line, sizeof(line), "network=%s\n", ours);
	pool_open(&p, 1, 100);
	assert_int_equal(call(&p, "x", "describe", out, PATIENT_MS, &e), 0);
	assert_non_null(strstr(out, "network=net:"));
	assert_null(strstr(out, line));
	pool_close(&p);
}

static void
test_start_names_what_is_missing(void **state)
{
	struct procs_conf bad = conf;
	struct bd_err e = { 0 };

	(void)state;
	bad.reader = "/nonexistent/reader";
	assert_null(procs_start(&bad, &e));
	assert_string_equal(e.cause, "reader /nonexistent/reader: No such file or directory");
}

struct crowd {
	struct pool *pool;
	int number;
	int failed;
};

static void *
crowd_run(void *arg)
{
	struct crowd *c = arg;

	for (int i = 0; i < 20; i++) {
		struct bd_err e = { 0 };
		char text[32], out[4096];
		int bad = i % 10 == c->number; /* each thread kills two readers on the way */

		snprintf(text, sizeof(text), "LETTER %d/%d", c->number, i);
		if (call(c->pool, text, bad ? "die" : "go", out, PATIENT_MS, &e) == -1)
			c->failed += !bad;
		else
			c->failed += bad || strcmp(out, text) != 0;
	}
	return NULL;
}

static void
test_many_threads_share_few_readers(void **state)
{
	struct crowd crowd[6];
	pthread_t threads[6];
	struct pool p;

	(void)state;
	pool_open(&p, 2, 7);
	for (int i = 0; i < 6; i++) {
		crowd[i] = (struct crowd){ .pool = &p, .number = i };
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_run, &crowd[i]), 0);
	}
	for (int i = 0; i < 6; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(crowd[i].failed, 0);
	}
	pool_close(&p);
}

struct holder {
	struct pool *pool;
	int rc;
};

static void *
hold(void *arg)
{
	struct holder *h = arg;
	struct bd_err e = { 0 };
	char out[4096];

	h->rc = call(h->pool, "x", "hang", out, 1500, &e);
	return NULL;
}

static void
test_who_waits_waits_no_longer_than_its_own_time(void **state)
{
	struct pool p;
	struct holder h = { .pool = &p };
	struct bd_err e = { 0 };
	pthread_t thread;
	char out[4096];
	int64_t start;

	(void)state;
	pool_open(&p, 1, 100);
	assert_int_equal(pthread_create(&thread, NULL, hold, &h), 0);
	/* until the pool is taken, calls work; then one must give up after its 100 ms */
	do
		start = clock_ms();
	while (call(&p, "x", "go", out, 100, &e) == 0);
	assert_int_equal(e.kind, BD_E_BUSY);
	assert_true(clock_ms() - start < 1400);
	pthread_join(thread, NULL);
	assert_int_equal(h.rc, -1);
	must_work(&p);
	pool_close(&p);
}

/* The daemon of this test is a child that starts everything and is killed. */
static void
test_nothing_outlives_the_daemon(void **state)
{
	int pipefd[2], status;
	pid_t daemon, pids[2], readers[2];

	(void)state;
	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	if ((daemon = fork()) == 0) {
		struct pool p;
		char out[4096];
		struct bd_err e = { 0 };
		int in = message("x");
		ssize_t n;

		pool_open(&p, 2, 100);
		pids[0] = (pid_t)reader_pid(&p);
		/* one idle, one that never answers: deaf to end of file */
		if (procs_reader(p.procs, &pids[1], &e) == -1)
			_exit(1);
		n = write(pipefd[1], pids, sizeof(pids));
		call(&p, "x", "hang", out, PATIENT_MS, &e);
		close(in);
		_exit(n == sizeof(pids) ? 0 : 1);
	}
	close(pipefd[1]);
	assert_int_equal(read(pipefd[0], readers, sizeof(readers)), sizeof(readers));
	close(pipefd[0]);
	assert_int_equal(kill(readers[0], 0), 0);
	assert_int_equal(kill(daemon, SIGKILL), 0);
	assert_int_equal(waitpid(daemon, &status, 0), daemon);
	wait_gone(readers[0]);
	wait_gone(readers[1]);
}

static volatile sig_atomic_t terminated;

static void
on_term(int sig)
{
	(void)sig;
	terminated = 1;
}

/* The parent of a reader, from /proc. */
static pid_t
parent_of(pid_t pid)
{
	char path[64], text[256], *after;
	int parent = -1;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	in = fopen(path, "r");
	assert_non_null(in);
	assert_non_null(fgets(text, sizeof(text), in));
	fclose(in);
	after = strrchr(text, ')');
	assert_int_equal(sscanf(after, ") %*c %d", &parent), 1);
	return parent;
}

static void
test_death_of_the_server_ends_the_daemon_in_order(void **state)
{
	struct sigaction act = { .sa_handler = on_term }, old;
	struct bd_err e = { 0 };
	char out[4096];
	struct pool p;
	pid_t reader, server;

	(void)state;
	sigaction(SIGTERM, &act, &old);
	pool_open(&p, 1, 100);
	reader = (pid_t)reader_pid(&p);
	server = parent_of(reader);
	/* a service manager's SIGTERM to all: the server stays until the daemon goes */
	kill(server, SIGTERM);
	kill(reader, SIGTERM);
	must_work(&p);
	assert_int_equal(reader_pid(&p), reader);
	kill(server, SIGKILL);
	wait_gone(server);
	wait_gone(reader);
	assert_false(terminated);
	assert_int_equal(call(&p, "x", "go", out, PATIENT_MS, &e), -1);
	assert_int_equal(e.kind, BD_E_READER);
	assert_true(terminated);
	pool_close(&p);
	sigaction(SIGTERM, &old, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_message_costs_one_call),
		cmocka_unit_test(test_processor_time_ends_a_reader),
		cmocka_unit_test(test_reader_is_replaced_after_its_uses),
		cmocka_unit_test(test_reader_that_died_idle_costs_nothing),
		cmocka_unit_test(test_reader_may_do_little),
		cmocka_unit_test(test_reader_starts_bare),
		cmocka_unit_test(test_root_becomes_the_user),
		cmocka_unit_test(test_reader_has_a_network_of_its_own),
		cmocka_unit_test(test_start_names_what_is_missing),
		cmocka_unit_test(test_many_threads_share_few_readers),
		cmocka_unit_test(test_who_waits_waits_no_longer_than_its_own_time),
		cmocka_unit_test(test_nothing_outlives_the_daemon),
		cmocka_unit_test(test_death_of_the_server_ends_the_daemon_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
