/* SPDX-License-Identifier: Apache-2.0 */
/* brevdue-transport: arguments, configuration, signals. */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/http.h"
#include "common/log.h"
#include "transport/transport.h"

static int
usage(void)
{
	fprintf(stderr, "usage: brevdue-transport [-c FILE]\n");
	return EX_USAGE;
}

int
main(int argc, char **argv)
{
	const char *file = CONF_DEFAULT_FILE;
	struct bd_err e = { 0 };
	struct transport *t;
	struct conf *conf;
	sigset_t signals;
	int option, got;

	while ((option = getopt(argc, argv, "c:")) != -1) {
		if (option != 'c')
			return usage();
		file = optarg;
	}
	if (optind != argc)
		return usage();
	log_open("brevdue-transport", false, false);
	if ((conf = conf_load(file, &e)) == NULL) {
		log_error("%s", e.cause);
		return EX_CONFIG;
	}
	log_open("brevdue-transport", strcmp(conf->log, "syslog") == 0, conf->debug);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGPIPE);
	/* before the first thread, so that all inherit it and only sigwait sees them */
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (http_init() == -1) {
		log_error("libcurl does not start");
		return EX_SOFTWARE;
	}
	if ((t = transport_open(conf, &e)) == NULL) {
		log_error("%s", e.cause);
		conf_free(&conf);
		return e.kind == BD_E_CONFIG ? EX_CONFIG : EX_TEMPFAIL;
	}
	log_info("ready: driver %s, socket %s", conf->transport.driver, conf->transport.socket);
	do {
		if (sigwait(&signals, &got) != 0)
			break;
		if (got == SIGHUP)
			log_warn("SIGHUP: a new configuration needs a restart");
	} while (got != SIGTERM && got != SIGINT);
	log_info("ending");
	transport_close(&t);
	conf_free(&conf);
	log_info("ended");
	return 0;
}
