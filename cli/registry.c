/* SPDX-License-Identifier: Apache-2.0 */
/* brevdue registry: the embedded register, through brevdue-lookup's control socket. What comes back
 * goes to the operator's terminal only. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "common/control.h"
#include "common/json.h"

#define TIMEOUT_MS 600000 /* the end of a big import is silent: the old register is removed */

static const char usage[] = "registry import FILE     replaces the register (JSON or CSV; - is "
			    "standard input)\n"
			    "       brevdue registry list [--json]   everybody in it\n"
			    "       brevdue registry show NUMBER     one person\n"
			    "       brevdue registry remove NUMBER\n"
			    "       brevdue registry info            how many, and since when";

struct import_view {
	const char *file;
	bool terminal;
	bool progress; /* a progress line stands on the terminal */
	json_int_t persons;
};

static void
progress_end(struct import_view *v)
{
	if (v->progress)
		fprintf(stderr, "\r\033[K");
	v->progress = false;
}

static int
import_line(void *arg, json_t *answer)
{
	struct import_view *v = arg;
	const char *words = json_text(answer, "problem"), *warning = json_text(answer, "warning");
	json_int_t of = json_integer_value(json_object_get(answer, "of"));
	json_int_t at = json_integer_value(json_object_get(answer, "progress"));
	json_t *persons = json_object_get(answer, "persons");

	if (words != NULL || warning != NULL) {
		progress_end(v);
		fprintf(stderr, "%s:%lld: %s%s\n", v->file,
			(long long)json_integer_value(json_object_get(answer, "line")),
			words != NULL ? "" : "warning: ", words != NULL ? words : warning);
	} else if (json_object_get(answer, "progress") == NULL) {
		v->persons = json_integer_value(persons);
	} else if (v->terminal) {
		fprintf(stderr, "\r\033[K%lld persons", (long long)json_integer_value(persons));
		if (of > 0)
			fprintf(stderr, ", %lld %%", (long long)(100 * (at < of ? at : of) / of));
		fflush(stderr);
		v->progress = true;
	}
	return 0;
}

static int
registry_import(const char *socket, const char *file)
{
	struct import_view v = { .file = file, .terminal = isatty(STDERR_FILENO) == 1 };
	json_t *request = json_pack("{s:s}", "verb", "registry-import");
	struct bd_err e = { 0 };
	int fd = strcmp(file, "-") == 0 ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	int rc = -1;

	/* The daemon's user may not be allowed to read it: it gets the open file from us. */
	if (fd == -1)
		bd_fail_errno(&e, BD_E_CONFIG, "%s", file);
	else
		rc = control_call_fd(socket, request, fd, import_line, &v, TIMEOUT_MS, &e);
	json_decref(request);
	if (fd > STDIN_FILENO)
		close(fd);
	progress_end(&v);
	if (rc == -1)
		return cli_fail("registry import", &e);
	printf("%lld person%s in the register\n", (long long)v.persons, v.persons == 1 ? "" : "s");
	return CLI_OK;
}

static int
list_line_json(void *arg, json_t *answer)
{
	(void)arg;
	if (json_dumpf(json_object_get(answer, "person"), stdout, JSON_COMPACT) == -1 ||
	    putchar('\n') == EOF)
		return -1;
	return 0;
}

static const char *
or_dash(const char *text)
{
	return text != NULL ? text : "-";
}

static int
list_line(void *arg, json_t *answer)
{
	const json_t *person = json_object_get(answer, "person");
	const json_t *mailbox = json_object_get(person, "digital_post");

	(void)arg;
	return printf("%s  %-15s  reservasjon %-3s  %-16s  %s\n",
		      or_dash(json_text(person, "personidentifikator")),
		      or_dash(json_text(person, "status")),
		      or_dash(json_text(person, "reservasjon")),
		      or_dash(json_text(person, "varslingsstatus")),
		      or_dash(json_text(mailbox, "postkasseleverandoeradresse"))) < 0;
}

struct found {
	json_t *answer;
};

static int
keep_answer(void *arg, json_t *answer)
{
	struct found *f = arg;

	json_decref(f->answer);
	f->answer = json_incref(answer);
	return 0;
}

static int
registry_one(const char *socket, const char *verb, const char *id)
{
	json_t *request = json_pack("{s:s, s:s}", "verb", verb, "id", id);
	struct found f = { 0 };
	struct bd_err e = { 0 };
	int rc = control_call(socket, request, keep_answer, &f, TIMEOUT_MS, &e);
	const json_t *person = json_object_get(f.answer, "person");
	const char *status = json_text(person, "status");

	json_decref(request);
	if (rc == -1) {
		rc = cli_fail("registry", &e);
	} else if (person != NULL && (status == NULL || strcmp(status, "IKKE_REGISTRERT") != 0)) {
		json_dumpf(person, stdout, JSON_INDENT(2));
		putchar('\n');
		rc = CLI_OK;
	} else if (json_is_true(json_object_get(f.answer, "removed"))) {
		puts("removed");
		rc = CLI_OK;
	} else {
		fprintf(stderr, "brevdue registry: this person is not in the register\n");
		rc = CLI_FAILED;
	}
	json_decref(f.answer);
	return rc;
}

static int
registry_list(const char *socket, bool as_json)
{
	json_t *request = json_pack("{s:s}", "verb", "registry-list");
	struct bd_err e = { 0 };
	int rc = control_call(socket, request, as_json ? list_line_json : list_line, NULL,
			      TIMEOUT_MS, &e);

	json_decref(request);
	return rc == 0 ? CLI_OK : cli_fail("registry list", &e);
}

static int
registry_info(const char *socket)
{
	json_t *request = json_pack("{s:s}", "verb", "registry-info");
	struct found f = { 0 };
	struct bd_err e = { 0 };
	int rc = control_call(socket, request, keep_answer, &f, TIMEOUT_MS, &e);
	const char *imported = json_text(f.answer, "imported");

	json_decref(request);
	if (rc == 0 && imported == NULL)
		puts("nothing was imported yet");
	else if (rc == 0)
		printf("persons: %lld\nimported: %s\n",
		       (long long)json_integer_value(json_object_get(f.answer, "persons")),
		       imported);
	json_decref(f.answer);
	return rc == 0 ? CLI_OK : cli_fail("registry info", &e);
}

int
cmd_registry(struct cli *cli, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	const struct conf *conf;
	bool as_json = argc == 3 && strcmp(argv[2], "--json") == 0;

	if (!(argc == 3 && (strcmp(verb, "import") == 0 || strcmp(verb, "show") == 0 ||
			    strcmp(verb, "remove") == 0)) &&
	    !(strcmp(verb, "list") == 0 && (argc == 2 || as_json)) &&
	    !(argc == 2 && strcmp(verb, "info") == 0))
		return cli_usage(usage);
	if ((conf = cli_conf(cli)) == NULL)
		return CLI_FAILED;
	if (strcmp(verb, "import") == 0)
		return registry_import(conf->lookup.control, argv[2]);
	if (strcmp(verb, "show") == 0)
		return registry_one(conf->lookup.control, "registry-show", argv[2]);
	if (strcmp(verb, "remove") == 0)
		return registry_one(conf->lookup.control, "registry-remove", argv[2]);
	if (strcmp(verb, "info") == 0)
		return registry_info(conf->lookup.control);
	return registry_list(conf->lookup.control, as_json);
}
