/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small worker executable for the tests of the pool: does what the options say with the message,
 * under the same limits and the same system-call filter as the real reader. It answers with the
 * message in capitals, or with lines about what it could do.
 */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/privs.h"
#include "common/workers.h"

extern char **environ;
static char acts[4096];

static void
act(const char *name, int rc)
{
	size_t len = strlen(acts);

	snprintf(acts + len, sizeof(acts) - len, "%s=%s\n", name,
		 rc != -1         ? "done"
		 : errno == EPERM ? "EPERM"
				  : strerror(errno));
}

/* What a reader may not, and a few things that it must be able to do (threats.md A18). */
static void
try_acts(void)
{
	char *argv[] = { NULL };
	int fds[2];
	iconv_t conv;

	acts[0] = '\0';
	act("socket", socket(AF_INET, SOCK_STREAM, 0));
	act("unix-socket", socket(AF_UNIX, SOCK_STREAM, 0));
	act("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	act("exec", execv("/bin/true", argv));
#ifndef BD_SANITIZERS /* the leak check needs these two */
	act("fork", (int)fork());
	act("ptrace", (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
#endif
	act("kill", kill(getppid(), 0));
	act("write-file", open("/tmp/brevdue-reader-stub", O_WRONLY | O_CREAT, 0600));
	act("write-null", open("/dev/null", O_RDWR));
	act("unlink", unlink("/tmp/brevdue-reader-stub"));
	act("setuid", setuid(0));
	act("code-page", mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
			     ? -1
			     : 0);
	act("read-file", open("/etc/passwd", O_RDONLY));
	conv = iconv_open("UTF-8", "ISO-2022-JP"); /* loads a table late */
	act("iconv", conv == (iconv_t)-1 ? -1 : 0);
	if (conv != (iconv_t)-1)
		iconv_close(conv);
}

static void
describe(void)
{
	struct rlimit limit;
	size_t files = 0, len;
	char net[64];
	ssize_t net_len;
	DIR *dir = opendir("/proc/self/fd");

	while (dir != NULL && readdir(dir) != NULL)
		files++;
	if (dir != NULL)
		closedir(dir);
	acts[0] = '\0';
	snprintf(acts, sizeof(acts), "uid=%d\nenvironment=%s\ndescriptors=%zu\n", (int)getuid(),
		 environ == NULL || environ[0] == NULL ? "empty" : environ[0], files);
	len = strlen(acts);
	net_len = readlink("/proc/self/ns/net", net, sizeof(net) - 1);
	snprintf(acts + len, sizeof(acts) - len, "network=%.*s\n", net_len > 0 ? (int)net_len : 0,
		 net);
	len = strlen(acts);
	getrlimit(RLIMIT_CORE, &limit);
	snprintf(acts + len, sizeof(acts) - len, "core=%lu\nfd3=%d\n",
		 (unsigned long)limit.rlim_cur, fcntl(3, F_GETFD) != -1);
}

static int
answer(const char *text, size_t len)
{
	int fd = memfd_create("answer", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1 || write(fd, text, len) != (ssize_t)len)
		return -1;
	return fd;
}

static int
handle(int in_fd, const char *options)
{
	static char text[65536];
	ssize_t len = pread(in_fd, text, sizeof(text), 0);

	if (len < 0)
		return -1;
	if (strcmp(options, "die") == 0)
		kill(getpid(), SIGKILL);
	if (strcmp(options, "die") == 0 || strcmp(options, "abort") == 0)
		abort(); /* the filter forbids kill */
	if (strcmp(options, "hang") == 0)
		for (;;)
			pause();
	if (strcmp(options, "spin") == 0)
		for (volatile unsigned i = 0;; i++)
			;
	if (strcmp(options, "give-up") == 0)
		return -1;
	if (strcmp(options, "eat") == 0) {
		for (;;) {
			char *p = malloc(1 << 20);

			if (p == NULL)
				abort(); /* as GLib does */
			memset(p, 1, 1 << 20);
		}
	}
	if (strcmp(options, "unsealed") == 0)
		return open("/etc/passwd", O_RDONLY);
	if (strcmp(options, "acts") == 0) {
		try_acts();
		return answer(acts, strlen(acts));
	}
	if (strcmp(options, "describe") == 0) {
		describe();
		return answer(acts, strlen(acts));
	}
	if (strcmp(options, "pid") == 0)
		return answer(acts, (size_t)snprintf(acts, sizeof(acts), "%d", (int)getpid()));
	for (ssize_t i = 0; i < len; i++)
		text[i] = (char)toupper((unsigned char)text[i]);
	return answer(text, (size_t)len);
}

int
main(void)
{
	struct bd_err e = { 0 };

	if (privs_confine_reader(&e) == -1) {
		fprintf(stderr, "%s\n", e.cause);
		return 1;
	}
	return workers_serve(3, handle) == 0 ? 0 : 1;
}
