/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `brevdue setup keys DIR`: makes the secret and a first seal key where there are none. Never
 * overwrites one: a lost secret makes copies of letters, a lost seal key loses queued letters.
 */
#include "config.h"
#include "cli/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "common/clock.h"

#define KEY_BYTES 32

/* 1 made, 0 was there, -1. */
static int
key_make(const char *path, struct bd_err *e)
{
	unsigned char key[KEY_BYTES];
	int fd, rc = -1;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
	if (fd == -1) {
		if (errno == EEXIST)
			return 0;
		return bd_fail_errno(e, BD_E_CONFIG, "writing %s", path);
	}
	if (RAND_priv_bytes(key, sizeof(key)) != 1)
		bd_fail(e, BD_E_CONFIG, "no random numbers");
	else if (write(fd, key, sizeof(key)) != (ssize_t)sizeof(key) || fsync(fd) == -1)
		bd_fail_errno(e, BD_E_CONFIG, "writing %s", path);
	else
		rc = 1;
	OPENSSL_cleanse(key, sizeof(key));
	close(fd);
	if (rc == -1)
		unlink(path);
	return rc;
}

int
setup_keys(struct cli *cli, int argc, char **argv)
{
	char path[2][4096], month[16];
	time_t now = clock_wall();
	struct bd_err e = { 0 };
	struct tm tm;

	(void)cli;
	if (argc != 2 || argv[1][0] != '/')
		return cli_usage("setup keys DIR (an absolute folder)");
	if (mkdir(argv[1], 0755) == -1 && errno != EEXIST) {
		bd_fail_errno(&e, BD_E_CONFIG, "making the folder %s", argv[1]);
		return cli_fail("setup keys", &e);
	}
	gmtime_r(&now, &tm);
	strftime(month, sizeof(month), "%Y-%m", &tm);
	snprintf(path[0], sizeof(path[0]), "%s/secret", argv[1]);
	snprintf(path[1], sizeof(path[1]), "%s/seal-%s", argv[1], month);
	for (int i = 0; i < 2; i++) {
		int made = key_make(path[i], &e);

		if (made == -1)
			return cli_fail("setup keys", &e);
		printf("%s %s\n", made ? "made" : "kept", path[i]);
	}
	printf("\nIn brevdue.conf, the same on every gateway:\n"
	       "  secret = \"%s\"\n  seal-key \"%s\" { file = \"%s\" }\n",
	       path[0], month, path[1]);
	return CLI_OK;
}
