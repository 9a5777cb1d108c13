/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets with deadlines and descriptors, and what guards files: locks, secrets, failpoints.
 */
#include "config.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/privs.h"
#include "common/sock.h"

#define PATIENT_MS 20000

static char folder[64], path[128];

static int
make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/brevdue-sock-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/in/socket", folder);
	return 0;
}

static int
remove_folder(void **state)
{
	char inner[80];

	(void)state;
	unlink(path);
	snprintf(inner, sizeof(inner), "%s/in", folder);
	rmdir(inner);
	return rmdir(folder);
}

static mode_t
mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	return st.st_mode & 07777;
}

static void
test_listen_makes_folder_and_modes(void **state)
{
	char inner[80];
	struct bd_err e = { 0 };
	uid_t uid = 99;
	gid_t gid = 99;
	int l, c, s;

	(void)state;
	l = sock_listen(path, NULL, NULL, 0660, &e);
	if (l == -1)
		fail_msg("%s", e.cause);
	snprintf(inner, sizeof(inner), "%s/in", folder);
	assert_int_equal(mode_of(inner), 0750);
	assert_int_equal(mode_of(path), 0660);
	assert_true((fcntl(l, F_GETFD) & FD_CLOEXEC) != 0);
	c = sock_connect(path, PATIENT_MS, &e);
	assert_true(c >= 0);
	s = accept(l, NULL, NULL);
	assert_int_equal(sock_peer(s, &uid, &gid), 0);
	assert_int_equal(uid, geteuid());
	assert_int_equal(gid, getegid());
	close(s);
	close(c);
	close(l);
}

static void
test_stale_socket_is_replaced_and_live_one_refused(void **state)
{
	struct bd_err e = { 0 };
	int first, second, file;

	(void)state;
	first = sock_listen(path, NULL, NULL, 0600, &e); /* the test before left its socket */
	if (first == -1)
		fail_msg("%s", e.cause);
	assert_int_equal(sock_listen(path, NULL, NULL, 0600, &e), -1);
	assert_non_null(strstr(e.cause, "another process listens there already"));
	close(first);
	second = sock_listen(path, NULL, NULL, 0600, &e);
	assert_true(second >= 0);
	close(second);
	unlink(path);
	file = open(path, O_WRONLY | O_CREAT, 0600);
	close(file);
	assert_int_equal(sock_listen(path, NULL, NULL, 0600, &e), -1);
	assert_non_null(strstr(e.cause, "is in the way and no socket"));
	assert_int_equal(access(path, F_OK), 0);
}

static void
test_listen_names_what_is_wrong(void **state)
{
	char far[128], open_folder[80], longer[300];
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(sock_listen(path, "no-such-user-x", NULL, 0600, &e), -1);
	assert_string_equal(e.cause, "there is no user \"no-such-user-x\"");
	assert_int_equal(sock_listen(path, NULL, "no-such-group-x", 0600, &e), -1);
	assert_string_equal(e.cause, "there is no group \"no-such-group-x\"");
	snprintf(far, sizeof(far), "%s/a/b/socket", folder);
	assert_int_equal(sock_listen(far, NULL, NULL, 0600, &e), -1);
	assert_non_null(strstr(e.cause, "making folder"));
	memset(longer, 'a', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(sock_listen(longer, NULL, NULL, 0600, &e), -1);
	assert_int_equal(sock_connect(longer, 10, &e), -1);
	snprintf(open_folder, sizeof(open_folder), "%s/open", folder);
	assert_int_equal(mkdir(open_folder, 0700), 0);
	assert_int_equal(chmod(open_folder, 0777), 0);
	snprintf(far, sizeof(far), "%s/socket", open_folder);
	assert_int_equal(sock_listen(far, NULL, NULL, 0600, &e), -1);
	assert_non_null(strstr(e.cause, "is writable by everybody"));
	rmdir(open_folder);
}

static void
test_connect_ends_in_time(void **state)
{
	struct bd_err e = { 0 };
	int fds[400], l, got = 0;
	int64_t start;

	(void)state;
	unlink(path);
	assert_int_equal(sock_connect(path, PATIENT_MS, &e), -1);
	assert_non_null(strstr(e.cause, "No such file or directory"));
	l = sock_listen(path, NULL, NULL, 0600, &e);
	/* nobody accepts: once the backlog is full, connecting must end by itself */
	start = clock_ms();
	for (; got < 400; got++)
		if ((fds[got] = sock_connect(path, 100, &e)) == -1)
			break;
	assert_in_range(got, 1, 399);
	assert_non_null(strstr(e.cause, "timed out"));
	assert_true(clock_ms() - start < PATIENT_MS);
	while (got > 0)
		close(fds[--got]);
	close(l);
}

static void
test_whole_reads_and_writes(void **state)
{
	static char sent[1 << 20], received[1 << 20];
	struct bd_err e = { 0 };
	int pair[2], status;
	pid_t child;

	(void)state;
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (char)(i * 7);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	if ((child = fork()) == 0) {
		close(pair[0]);
		_exit(sock_write(pair[1], sent, sizeof(sent), PATIENT_MS, &e) == 0 ? 0 : 1);
	}
	close(pair[1]);
	assert_int_equal(sock_read(pair[0], received, sizeof(received), PATIENT_MS, &e), 0);
	assert_memory_equal(sent, received, sizeof(sent));
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(sock_read(pair[0], received, 1, PATIENT_MS, &e), -1);
	assert_string_equal(e.cause, "connection closed by the other end");
	assert_int_equal(sock_write(pair[0], "x", 1, PATIENT_MS, &e), -1); /* and no SIGPIPE */
	close(pair[0]);
}

static void
test_reads_and_writes_end_in_time(void **state)
{
	static char much[8 << 20];
	struct bd_err e = { 0 };
	int64_t start = clock_ms();
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(write(pair[1], "abc", 3), 3);
	assert_int_equal(sock_read(pair[0], much, 4, 50, &e), -1);
	assert_string_equal(e.cause, "no answer in time");
	assert_int_equal(sock_write(pair[0], much, sizeof(much), 50, &e), -1);
	assert_string_equal(e.cause, "no answer in time");
	assert_true(clock_ms() - start >= 100);
	assert_true(clock_ms() - start < PATIENT_MS);
	close(pair[0]);
	close(pair[1]);
}

static void
test_descriptors_pass(void **state)
{
	struct bd_err e = { 0 };
	int pair[2], pipes[2], got[4];
	size_t count = 4;
	char data[8], c;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(sock_send_fds(pair[0], "hello", 5, pipes, 2, &e), 0);
	assert_int_equal(sock_recv_fds(pair[1], data, sizeof(data), got, &count, PATIENT_MS, &e),
			 5);
	assert_int_equal(count, 2);
	assert_memory_equal(data, "hello", 5);
	assert_true((fcntl(got[0], F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(write(got[1], "x", 1), 1);
	assert_int_equal(read(pipes[0], &c, 1), 1);
	close(got[0]);
	close(got[1]);
	/* more than there is room for: refused, and none is left open */
	assert_int_equal(sock_send_fds(pair[0], "hello", 5, pipes, 2, &e), 0);
	close(pipes[1]);
	count = 1;
	assert_int_equal(sock_recv_fds(pair[1], data, sizeof(data), got, &count, PATIENT_MS, &e),
			 -1);
	assert_int_equal(count, 0);
	assert_int_equal(read(pipes[0], &c, 1), 0); /* end of file: no writer is left */
	/* a message that is too long is not taken for a shorter one */
	assert_int_equal(sock_send_fds(pair[0], "hello world", 11, NULL, 0, &e), 0);
	count = 4;
	assert_int_equal(sock_recv_fds(pair[1], data, sizeof(data), got, &count, PATIENT_MS, &e),
			 -1);
	count = 4;
	assert_int_equal(sock_recv_fds(pair[1], data, sizeof(data), got, &count, 30, &e), -1);
	assert_string_equal(e.cause, "no answer in time");
	close(pair[0]);
	count = 4;
	assert_int_equal(sock_recv_fds(pair[1], data, sizeof(data), got, &count, PATIENT_MS, &e),
			 0);
	close(pair[1]);
	close(pipes[0]);
}

static void
test_one_process_holds_a_lock(void **state)
{
	char lock[128];
	struct bd_err e = { 0 };
	int status;
	pid_t child;

	(void)state;
	snprintf(lock, sizeof(lock), "%s/lock", folder);
	assert_int_equal(privs_lock(lock, &e), 0);
	assert_int_equal(mode_of(lock), 0600);
	if ((child = fork()) == 0) {
		char words[64];

		snprintf(words, sizeof(words), "process %d holds the lock", (int)getppid());
		if (privs_lock(lock, &e) == -1 && strstr(e.cause, words) != NULL)
			_exit(0);
		_exit(1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	unlink(lock);
}

struct secret_case {
	const char *name;
	mode_t mode;
	size_t len;
	long result;
};

static const struct secret_case secret_cases[] = {
	{ "owner", 0600, 32, 32 },        { "owner reads", 0400, 32, 32 },
	{ "group reads", 0640, 32, 32 },  { "short", 0600, 5, 5 },
	{ "world reads", 0644, 32, -1 },  { "world writes", 0602, 32, -1 },
	{ "group writes", 0660, 32, -1 }, { "too long", 0600, 33, -1 },
	{ "empty", 0600, 0, -1 },
};

static void
test_secret_files(void **state)
{
	char file[128], bytes[64] = "0123456789", out[32];
	struct bd_err e = { 0 };

	(void)state;
	snprintf(file, sizeof(file), "%s/secret", folder);
	for (size_t i = 0; i < sizeof(secret_cases) / sizeof(secret_cases[0]); i++) {
		const struct secret_case *t = &secret_cases[i];
		int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		assert_int_equal(write(fd, bytes, t->len), t->len);
		fchmod(fd, t->mode);
		close(fd);
		if (privs_read_secret(file, out, sizeof(out), &e) != t->result)
			fail_msg("%s: %s", t->name, e.cause);
		unlink(file);
	}
	assert_int_equal(privs_read_secret(file, out, sizeof(out), &e), -1);
	assert_non_null(strstr(e.cause, "No such file"));
	assert_int_equal(privs_read_secret(folder, out, sizeof(out), &e), -1);
	assert_non_null(strstr(e.cause, "is not a plain file"));
}

static void
test_drop_is_final(void **state)
{
	struct bd_err e = { 0 };
	int status;
	pid_t child;

	(void)state;
	if (geteuid() != 0) {
		print_message("not root: the change of user is not tried\n");
		skip();
	}
	if ((child = fork()) == 0) {
		if (privs_drop("root", &e) != -1 || privs_drop("no-such-user-x", &e) != -1)
			_exit(1);
		if (privs_drop("nobody", &e) == -1 || geteuid() != 65534 || setuid(0) == 0)
			_exit(2);
		if (getgroups(0, NULL) > 1)
			_exit(3);
		/* a second time: already there; another user: refused in words */
		if (privs_drop("nobody", &e) == -1 || privs_drop(NULL, &e) == -1)
			_exit(4);
		if (privs_drop("daemon", &e) != -1 || strstr(e.cause, "start as root") == NULL)
			_exit(5);
		_exit(0);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

#ifdef BD_FAILPOINTS
static char points[128];

static void
write_points(const char *text)
{
	int fd = open(points, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
test_failpoints_stop_the_process_once(void **state)
{
	char left[128];
	int status, fd, pipefd[2];
	pid_t child;
	char c;

	(void)state;
	snprintf(points, sizeof(points), "%s/points", folder);
	setenv("BREVDUE_FAILPOINT", points, 1);
	write_points("a.b kill\na.c exit\na.bc kill\n");
	if ((child = fork()) == 0) {
		failpoint("a");
		failpoint("a.b");
		_exit(1);
	}
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	if ((child = fork()) == 0) {
		failpoint("a.b"); /* the line is gone */
		failpoint("a.c");
		_exit(1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 75);
	fd = open(points, O_RDONLY);
	memset(left, 0, sizeof(left));
	assert_int_equal(read(fd, left, sizeof(left)), 10);
	assert_string_equal(left, "a.bc kill\n");
	close(fd);

	write_points("a.b wait\n");
	assert_int_equal(pipe(pipefd), 0);
	if ((child = fork()) == 0) {
		failpoint("a.b");
		_exit(write(pipefd[1], "x", 1) == 1 ? 0 : 1);
	}
	assert_int_equal(poll(&(struct pollfd){ .fd = pipefd[0], .events = POLLIN }, 1, 100), 0);
	write_points("");
	assert_int_equal(read(pipefd[0], &c, 1), 1);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	unlink(points);
	close(pipefd[0]);
	close(pipefd[1]);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listen_makes_folder_and_modes),
		cmocka_unit_test(test_stale_socket_is_replaced_and_live_one_refused),
		cmocka_unit_test(test_listen_names_what_is_wrong),
		cmocka_unit_test(test_connect_ends_in_time),
		cmocka_unit_test(test_whole_reads_and_writes),
		cmocka_unit_test(test_reads_and_writes_end_in_time),
		cmocka_unit_test(test_descriptors_pass),
		cmocka_unit_test(test_one_process_holds_a_lock),
		cmocka_unit_test(test_secret_files),
		cmocka_unit_test(test_drop_is_final),
#ifdef BD_FAILPOINTS
		cmocka_unit_test(test_failpoints_stop_the_process_once),
#endif
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
