/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brevdue-sandbox: options, start, stop. A tool for trying a set-up against stand-ins of the
 * national services; it must never see a real person or a real key.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/privs.h"
#include "sandbox/mailbox.h"
#include "sandbox/receipts.h"
#include "sandbox/register.h"
#include "sandbox/token.h"
#include "sandbox/web.h"

#define LISTEN_DEFAULT "127.0.0.1:8081"
#define TOKEN_LIFE_SEC 120
#define OPENERS 2

struct options {
	const char *dir, *listen, *persons;
	unsigned token_life_sec;
};

json_t *
sandbox_now(void)
{
	char text[RFC3339_CHARS];

	clock_rfc3339(text, clock_wall_ms());
	return json_string(text);
}

bool
sandbox_is_uuid(const char *text)
{
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (text[i] == '\0' ||
		    (dash ? text[i] != '-' : strchr("0123456789abcdefABCDEF", text[i]) == NULL))
			return false;
	}
	return text[36] == '\0';
}

void
sandbox_sleep_ms(int ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (ms > 0 && nanosleep(&left, &left) == -1 && errno == EINTR)
		;
}

static void
usage(FILE *to)
{
	fputs("usage: brevdue-sandbox --dir DIR [--listen ADDRESS:PORT] [--persons FILE]\n"
	      "                       [--token-life SECONDS]\n"
	      "Stand-ins for Maskinporten, the contact register, the access point and the "
	      "mailboxes.\n"
	      "  --dir DIR          certificates, keys and letters; made when missing\n"
	      "  --listen A:P       default " LISTEN_DEFAULT "; port 0 takes a free one\n"
	      "  --persons FILE     {\"personer\":[...]}; default: a few made-up persons\n"
	      "  --token-life N     seconds a token lives, 5 to 7200, default 120\n",
	      to);
}

static int
options_read(int argc, char **argv, struct options *o)
{
	static const struct option known[] = { { "dir", required_argument, NULL, 'd' },
					       { "listen", required_argument, NULL, 'l' },
					       { "persons", required_argument, NULL, 'p' },
					       { "token-life", required_argument, NULL, 't' },
					       { "help", no_argument, NULL, 'h' },
					       { "version", no_argument, NULL, 'V' },
					       { NULL, 0, NULL, 0 } };
	char *end;
	long n;
	int c;

	*o = (struct options){ .listen = LISTEN_DEFAULT, .token_life_sec = TOKEN_LIFE_SEC };
	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'd':
			o->dir = optarg;
			break;
		case 'l':
			o->listen = optarg;
			break;
		case 'p':
			o->persons = optarg;
			break;
		case 't':
			n = strtol(optarg, &end, 10);
			if (*end != '\0' || n < 5 || n > 7200) {
				fprintf(stderr, "brevdue-sandbox: --token-life wants 5 to 7200\n");
				return -1;
			}
			o->token_life_sec = (unsigned)n;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		case 'V':
			puts(PACKAGE_STRING);
			exit(0);
		default:
			usage(stderr);
			return -1;
		}
	}
	if (o->dir == NULL || optind != argc) {
		usage(stderr);
		return -1;
	}
	return 0;
}

static int
folder_open(const char *dir, char path[PATH_MAX], struct bd_err *e)
{
	char lock[PATH_MAX];

	if (mkdir(dir, 0755) == -1 && errno != EEXIST)
		return bd_fail_errno(e, BD_E_CONFIG, "making %s", dir);
	if (realpath(dir, path) == NULL)
		return bd_fail_errno(e, BD_E_CONFIG, "%s", dir);
	if (strlen(path) > PATH_MAX - 200)
		return bd_fail(e, BD_E_CONFIG, "the name of the folder is too long");
	snprintf(lock, sizeof(lock), "%s/lock", path);
	return privs_lock(lock, e);
}

static void
say_ready(const struct sandbox *sb)
{
	printf("page          %s/\n"
	       "token         %s/token  (issuer and audience %s)\n"
	       "register      %s/rest/v2/personer  (%zu persons, for brevdue registry import: "
	       "%s/persons.json)\n"
	       "access point  %s/dpi\n",
	       sb->url, sb->url, sb->issuer, sb->url, json_array_size(sb->persons), sb->dir,
	       sb->url);
	for (size_t i = 0; i < token_client_count; i++)
		printf("client        %s  (%s%s)\n", token_clients[i].id,
		       sb->pki->party[token_clients[i].owner].file,
		       token_clients[i].kid != NULL ? ", signs with client-kid.key" : "");
	puts("ready");
	fflush(stdout);
	log_info("ready");
}

static int
serve(const struct options *o, struct bd_err *e)
{
	static char dir[PATH_MAX];
	struct sandbox sb = { .lock = PTHREAD_MUTEX_INITIALIZER,
			      .dir = dir,
			      .token_life_sec = o->token_life_sec };
	struct web *web = NULL;
	sigset_t ends;
	int signal_number, rc = -1;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL); /* before threads: they inherit it */
	signal(SIGPIPE, SIG_IGN);
	sem_init(&sb.openers, 0, OPENERS);
	faults_clear(&sb.faults);
	sb.used_jti = json_object();
	sb.messages = json_object();
	sb.in_progress = json_object();
	sb.receipts = json_object();
	sb.calls = json_array();
	sb.counts = json_object();
	if (folder_open(o->dir, dir, e) == -1 || (sb.pki = pki_open(dir, true, e)) == NULL ||
	    register_open(&sb, o->persons, e) == -1 || mailbox_open(&sb, e) == -1 ||
	    receipts_open(&sb, e) == -1 || receipts_repair(&sb, e) == -1 ||
	    (web = web_start(&sb, o->listen, e)) == NULL)
		goto out;
	say_ready(&sb);
	sigwait(&ends, &signal_number);
	log_info("ending");
	rc = 0;
out:
	web_stop(&web);
	pki_free(&sb.pki);
	json_decref(sb.persons);
	json_decref(sb.by_id);
	json_decref(sb.by_mailbox);
	json_decref(sb.used_jti);
	json_decref(sb.messages);
	json_decref(sb.in_progress);
	json_decref(sb.receipts);
	json_decref(sb.calls);
	json_decref(sb.counts);
	sem_destroy(&sb.openers);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options o;
	struct bd_err e = { .kind = BD_E_INTERNAL };

	if (options_read(argc, argv, &o) == -1)
		return 64;
	umask(022);
	log_open("brevdue-sandbox", false, false);
	if (serve(&o, &e) == -1) {
		log_error("%s", e.cause);
		return 1;
	}
	return 0;
}
