/* SPDX-License-Identifier: Apache-2.0 */
/* Runs programs without a shell and collects what they say. Judges nothing but their exit status.
 */
#include "config.h"
#include "cli/tool.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MAX_BYTES ((size_t)16 << 20)
/* Debian's /sbin programs are not in every operator's PATH. */
#define TOOL_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static pid_t
start(const char *const *argv, int in, int out, int err)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if ((in != -1 && dup2(in, STDIN_FILENO) == -1) ||
	    (out != -1 && dup2(out, STDOUT_FILENO) == -1) ||
	    (err != -1 && dup2(err, STDERR_FILENO) == -1))
		_exit(127);
	for (int fd = 3; fd < 64; fd++)
		close(fd);
	if (setenv("PATH", TOOL_PATH, 1) == -1 || setenv("LC_ALL", "C.UTF-8", 1) == -1)
		_exit(127);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int
reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
drain(int fd, struct buf *output)
{
	char chunk[8192];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (output->len < OUTPUT_MAX_BYTES)
			buf_add(output, chunk, (size_t)n);
	}
	return 0;
}

/* The last line of what it said, for the complaint. */
static const char *
last_words(struct buf *said)
{
	char *text, *line;

	while (said->len > 0 && said->data[said->len - 1] == '\n')
		said->data[--said->len] = '\0';
	if (said->len == 0)
		return "no word why";
	text = (char *)said->data;
	line = strrchr(text, '\n');
	return line == NULL ? text : line + 1;
}

int
tool_run(const char *const *argv, struct buf *output, struct bd_err *e)
{
	struct buf said = { 0 };
	int out[2], status;
	FILE *err = NULL;
	pid_t pid;
	int rc = -1;

	if (pipe(out) == -1)
		return bd_fail_errno(e, BD_E_INTERNAL, "running %s", argv[0]);
	if ((err = tmpfile()) == NULL || (pid = start(argv, -1, out[1], fileno(err))) == -1) {
		bd_fail_errno(e, BD_E_INTERNAL, "running %s", argv[0]);
		close(out[1]);
		goto out;
	}
	close(out[1]);
	drain(out[0], output == NULL ? &said : output);
	if ((status = reap(pid)) != 0) {
		struct buf why = { 0 };

		rewind(err);
		drain(fileno(err), &why);
		bd_fail(e, BD_E_CONFIG, "%s ended with %d: %s", argv[0], status, last_words(&why));
		buf_free(&why);
		goto out;
	}
	rc = 0;
out:
	close(out[0]);
	if (err != NULL)
		fclose(err);
	buf_free(&said);
	return rc;
}

int
tool_feed(const char *const *argv, const void *data, size_t len, FILE *out)
{
	int in[2];
	size_t done = 0;
	pid_t pid;

	fflush(out);
	if (pipe(in) == -1)
		return -1;
	if ((pid = start(argv, in[0], fileno(out), -1)) == -1) {
		close(in[0]);
		close(in[1]);
		return -1;
	}
	close(in[0]);
	while (done < len) {
		ssize_t n = write(in[1], (const char *)data + done, len - done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			break;
		done += (size_t)n;
	}
	close(in[1]);
	return reap(pid);
}
