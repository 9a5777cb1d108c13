/* SPDX-License-Identifier: Apache-2.0 */
/* Stops the process at named points for the fault tests. Empty in builds without
 * --enable-failpoints. */
#include "config.h"
#include "common/failpoint.h"

#ifdef BD_FAILPOINTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define FILE_MAX_BYTES 4096
#define EXIT_STATUS 75 /* EX_TEMPFAIL */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char *file;

static void
find_file(void)
{
	const char *name = getenv("BREVDUE_FAILPOINT");

	file = name == NULL || *name == '\0' ? NULL : strdup(name);
}

/* Whether the file holds the line; takes it out when asked. */
static bool
line_find(const char *line, bool take)
{
	char text[FILE_MAX_BYTES + 2] = "\n", wanted[160];
	int fd = open(file, O_RDWR | O_CLOEXEC);
	ssize_t len;
	char *at = NULL;

	if (fd == -1)
		return false;
	snprintf(wanted, sizeof(wanted), "\n%s\n", line);
	if (flock(fd, LOCK_EX) == 0 && (len = read(fd, text + 1, FILE_MAX_BYTES)) > 0) {
		text[len + 1] = '\0';
		at = strstr(text, wanted);
		if (at != NULL && take) {
			char *rest = at + strlen(wanted) - 1;

			memmove(at, rest, strlen(rest) + 1);
			len = (ssize_t)strlen(text + 1);
			if (pwrite(fd, text + 1, (size_t)len, 0) != len || ftruncate(fd, len) == -1)
				abort(); /* or the restarted daemon would end here again */
		}
	}
	close(fd);
	return at != NULL;
}

void
failpoint(const char *point)
{
	static const struct timespec pause = { .tv_nsec = 20000000 };
	char line[128];

	pthread_once(&once, find_file);
	if (file == NULL)
		return;
	snprintf(line, sizeof(line), "%s kill", point);
	if (line_find(line, true))
		kill(getpid(), SIGKILL);
	snprintf(line, sizeof(line), "%s exit", point);
	if (line_find(line, true))
		_exit(EXIT_STATUS);
	snprintf(line, sizeof(line), "%s wait", point);
	while (line_find(line, false))
		nanosleep(&pause, NULL);
}

#endif
