/* SPDX-License-Identifier: Apache-2.0 */
/* brevdue-lookup: arguments and configuration; the daemon itself is daemon.c. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/log.h"
#include "lookup/daemon.h"

int
main(int argc, char **argv)
{
	const char *file = CONF_DEFAULT_FILE;
	struct lookup_daemon *d;
	struct bd_err e = { 0 };
	struct conf *c;
	int option, rc = EX_OK;

	while ((option = getopt(argc, argv, "c:V")) != -1) {
		switch (option) {
		case 'c':
			file = optarg;
			break;
		case 'V':
			printf("brevdue-lookup %s\n", PACKAGE_VERSION);
			return EX_OK;
		default:
			fprintf(stderr, "usage: brevdue-lookup [-V] [-c FILE]\n");
			return EX_USAGE;
		}
	}
	if ((c = conf_load(file, &e)) == NULL) {
		fprintf(stderr, "brevdue-lookup: %s\n", e.cause);
		return EX_CONFIG;
	}
	log_open("brevdue-lookup", strcmp(c->log, "syslog") == 0, c->debug);
	if ((d = lookup_daemon_open(c, &e)) == NULL || lookup_daemon_run(d, &e) == -1) {
		log_error("%s", e.cause);
		rc = e.kind == BD_E_CONFIG ? EX_CONFIG : EX_TEMPFAIL;
	}
	lookup_daemon_close(&d);
	conf_free(&c);
	return rc;
}
