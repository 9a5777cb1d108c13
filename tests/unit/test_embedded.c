/* SPDX-License-Identifier: Apache-2.0 */
/* Import files, stored persons, and the embedded register on a real database with real kills. */
#include "config.h"
#include "tests/unit/test.h"

#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/json.h"
#include "lookup/codec.h"
#include "lookup/embedded.h"
#include "lookup/personfile.h"
#include "tests/unit/numbers.h"

#define ID "01819090013"
#define OTHER "41810120035"

static char home[64];

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
setup(void **state)
{
	(void)state;
	snprintf(home, sizeof(home), "/tmp/test_embedded.XXXXXX");
	return mkdtemp(home) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	return nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int
file_of(const void *data, size_t len)
{
	int fd = memfd_create("persons", MFD_CLOEXEC);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Reads all of text, giving the numbers and lines found, "!" for bad, "X" for broken. */
static void
read_all(const char *text, size_t len, char *out, size_t size)
{
	int fd = file_of(text, len);
	struct bd_err e = { 0 };
	struct personfile *f = personfile_new(fd, &e);
	size_t n = 0;

	out[0] = '\0';
	if (f == NULL)
		n += (size_t)snprintf(out, size, "refused: %s", e.cause);
	while (f != NULL) {
		json_t *element;
		unsigned line;
		enum personfile_result result = personfile_next(f, &element, &line, &e);
		const char *id = json_text(element, "personidentifikator");

		if (result == PERSONFILE_END)
			break;
		n += (size_t)snprintf(out + n, size - n, "%u:%s ", line,
				      result == PERSONFILE_BAD      ? "!"
				      : result == PERSONFILE_BROKEN ? "X"
				      : id != NULL                  ? id
								    : "?");
		json_decref(element);
		if (result == PERSONFILE_BROKEN)
			break;
	}
	personfile_free(&f);
	close(fd);
}

#define P(id) "{\"personidentifikator\":\"" id "\"}"

static const struct {
	const char *name, *text, *found;
} files[] = {
	{ "the register's shape", "{\"personer\":[" P("1") "," P("2") "]}", "1:1 1:2 " },
	{ "with white space", "\n { \"personer\" :\n [\n" P("1") "\n,\n" P("2") "\n]\n}\n",
	  "4:1 6:2 " },
	{ "byte order mark", "\xef\xbb\xbf{\"personer\":[" P("1") "]}", "1:1 " },
	{ "no persons", "{\"personer\":[]}", "" },
	{ "array", "[" P("1") "," P("2") "]", "1:1 1:2 " },
	{ "a line each", P("1") "\n" P("2") "\r\n\n" P("3"), "1:1 2:2 4:3 " },
	{ "over several lines", "{\n\"personidentifikator\":\n\"1\"}\n" P("2"), "1:1 4:2 " },
	{ "braces in strings", "{\"a\":\"}{\\\"}\",\"personidentifikator\":\"1\"}\n" P("2"),
	  "1:1 2:2 " },
	{ "nested", "{\"a\":{\"b\":[{}]},\"personidentifikator\":\"1\"}", "1:1 " },
	{ "bad JSON inside one", P("1") "\n{\"a\":}\n" P("2"), "1:1 2:! 3:2 " },
	{ "bad JSON on its third line", "{\n\n\"a\":}\n" P("2"), "3:! 4:2 " },
	{ "a member twice", "{\"a\":1,\"a\":2}", "1:! " },
	{ "ends inside a person", "{\"personer\":[" P("1") ",\n{\"a\":", "1:1 2:X " },
	{ "ends inside personer", "{\"personer\":[" P("1"), "1:1 1:X " },
	{ "no comma", "{\"personer\":[" P("1") " " P("2") "]}", "1:1 1:X " },
	{ "trailing comma", "{\"personer\":[" P("1") ",]}", "1:1 1:X " },
	{ "text behind", "{\"personer\":[" P("1") "]} x", "1:1 1:X " },
	{ "members behind", "{\"personer\":[" P("1") "],\"a\":1}", "1:1 1:X " },
	{ "not closed", "{\"personer\":[" P("1") "]", "1:1 1:X " },
	{ "numbers for persons", "[1,2]", "1:X " },
	{ "empty", "", "refused: the file is empty" },
	{ "blank", " \n \n", "refused: the file is empty" },
	{ "CSV", "personidentifikator;status\n1;AKTIV\n2;\n", "2:1 3:2 " },
	{ "CSV with CRLF and blank lines", "personidentifikator,status\r\n\r\n1,AKTIV\r\n2,",
	  "3:1 4:2 " },
	{ "CSV quoted", "\"personidentifikator\",\"epostadresse\"\n\"1\",\"a,\"\"b\"\"\"\n",
	  "2:1 " },
	{ "CSV, one column", "personidentifikator\n1\n", "2:1 " },
	{ "CSV, unknown column", "personidentifikator,fødselsnummer\n1,2\n",
	  "refused: line 1, column 2, is not a member of the register's answer" },
	{ "CSV, column twice", "status,status\n", "refused: line 1 names status twice" },
	{ "CSV, too few", "personidentifikator,status\n1\n2,AKTIV\n", "2:! 3:2 " },
	{ "CSV, too many", "personidentifikator,status\n1,AKTIV,x\n2,AKTIV\n", "2:! 3:2 " },
	{ "CSV, open quotes", "personidentifikator,status\n\"1,AKTIV\n2,AKTIV\n", "2:! 3:2 " },
	{ "CSV, text behind quotes", "personidentifikator,status\n\"1\"x,AKTIV\n", "2:! " },
	{ "CSV, Latin-1", "personidentifikator,poststed\n1,Troms\xf8\n2,Troms\xc3\xb8\n",
	  "2:! 3:2 " },
	{ "neither", "hello world\n",
	  "refused: line 1, column 1, is not a member of the register's answer" },
};

static void
test_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char found[256];

		print_message("  %s\n", files[i].name);
		read_all(files[i].text, strlen(files[i].text), found, sizeof(found));
		assert_string_equal(found, files[i].found);
	}
}

static void
test_csv_makes_the_registers_shape(void **state)
{
	static const char text[] =
	    "personidentifikator;status;reservasjon;varslingsstatus;epostadresse;"
	    "epostadresse_oppdatert;postkasseadresse;postkasseleverandoeradresse;sertifikat;"
	    "adresselinje1;adresselinje2;postnummer;poststed;etternavn\n" ID
	    ";AKTIV;NEI;KAN_VARSLES;a@example.org;2025-06-01T08:00:00+02;kari#9YDT;984661185;"
	    "MIIB;Storgata 1;\"Oppgang; B\";0155;OSLO;Nordmann\n";
	static const char expected[] =
	    "{\"digital_post\":{\"postkasseadresse\":\"kari#9YDT\","
	    "\"postkasseleverandoeradresse\":\"984661185\"},"
	    "\"kontaktinformasjon\":{\"epostadresse\":\"a@example.org\","
	    "\"epostadresse_oppdatert\":\"2025-06-01T08:00:00+02\"},"
	    "\"navn\":{\"etternavn\":\"Nordmann\"},\"personidentifikator\":\"" ID "\","
	    "\"postadresse\":{\"adresselinje\":[\"Storgata 1\",\"Oppgang; B\"],"
	    "\"postnummer\":\"0155\",\"poststed\":\"OSLO\"},\"reservasjon\":\"NEI\","
	    "\"sertifikat\":\"MIIB\",\"status\":\"AKTIV\",\"varslingsstatus\":\"KAN_VARSLES\"}";
	int fd = file_of(text, sizeof(text) - 1);
	struct bd_err e = { 0 };
	struct personfile *f = personfile_new(fd, &e);
	struct buf out = { 0 };
	json_t *element;
	unsigned line;

	(void)state;
	assert_non_null(f);
	assert_int_equal(personfile_next(f, &element, &line, &e), PERSONFILE_PERSON);
	assert_int_equal(json_write(element, 1, &out, &e), 0);
	assert_string_equal(buf_str(&out), expected);
	json_decref(element);
	buf_free(&out);
	personfile_free(&f);
	close(fd);
}

static int64_t
one_cert(void *arg, const char *text, struct bd_err *e)
{
	(void)e;
	snprintf(arg, 64, "%s", text);
	return 300;
}

#define FULL                                                                                    \
	"{\"kontaktinformasjon\":{\"epostadresse\":\"a@example.org\","                          \
	"\"epostadresse_duplisert\":\"NEI\",\"epostadresse_oppdatert\":"                        \
	"\"2025-06-01T06:00:00.000Z\",\"epostadresse_sist_verifisert\":"                        \
	"\"1969-12-31T23:59:00.000Z\",\"mobiltelefonnummer\":\"+4799999999\"},"                 \
	"\"digital_post\":{\"postkasseadresse\":\"kari#9YDT\","                                 \
	"\"postkasseleverandoeradresse\":\"984661185\"},\"navn\":{\"fornavn\":\"K\\u00e5re\"}," \
	"\"personidentifikator\":\"" ID "\",\"personstatus\":\"bosatt\","                       \
	"\"postadresse\":{\"adresselinje\":[\"Storgata 1\"],\"poststed\":\"OSLO\"},"            \
	"\"reservasjon\":\"NEI\",\"spraak\":\"nn\",\"status\":\"AKTIV\","                       \
	"\"varslingsstatus\":\"KAN_VARSLES\"}"

static void
test_stored_person_comes_back(void **state)
{
	json_t *element = json_loads(FULL, 0, NULL), *back;
	struct buf bytes = { 0 };
	struct bd_err e = { 0 };
	char id[NATIONALID_CHARS], cert[64] = "";
	const char *unknown = "";
	int64_t index;

	(void)state;
	assert_non_null(element);
	json_object_set_new(element, "sertifikat", json_string("MIIB"));
	assert_int_equal(codec_encode(element, true, id, one_cert, cert, &bytes, &unknown, &e), 0);
	assert_string_equal(id, ID);
	assert_string_equal(cert, "MIIB");
	assert_null(unknown);
	json_object_del(element, "sertifikat");
	assert_true(bytes.len < 250);
	back = codec_decode(id, bytes.data, bytes.len, &index, &e);
	assert_non_null(back);
	assert_int_equal(index, 300);
	assert_true(json_equal(element, back));
	json_decref(back);
	/* every shortened or changed form is refused or another person's data, never a crash */
	for (size_t len = 0; len < bytes.len; len++) {
		unsigned char *copy = malloc(len + 1);

		assert_non_null(copy);
		memcpy(copy, bytes.data, len);
		json_decref(codec_decode(id, copy, len, &index, &e));
		free(copy);
	}
	bytes.data[0] = CODEC_VERSION + 1;
	assert_null(codec_decode(id, bytes.data, bytes.len, &index, &e));
	assert_int_equal(e.kind, BD_E_DAMAGED);
	json_decref(element);
	buf_free(&bytes);
}

static const struct {
	const char *json, *words;
} refused[] = {
	{ "{}", "personidentifikator is missing" },
	{ "{\"personidentifikator\":\"01819090014\",\"status\":\"AKTIV\"}", "not a valid number" },
	{ "{\"personidentifikator\":\"" ID "\"}", "status is missing" },
	{ "{\"personidentifikator\":\"" ID "\",\"status\":\"AKTIV\",\"reservasjon\":true}",
	  "reservasjon is not a string" },
	{ "{\"personidentifikator\":\"" ID "\",\"status\":\"AKTIV\",\"kontaktinformasjon\":"
	  "{\"epostadresse\":\"a@example.org\",\"epostadresse_oppdatert\":\"i går\"}}",
	  "epostadresse_oppdatert is not a date" },
	{ "{\"personidentifikator\":\"" ID "\",\"status\":\"AKTIV\",\"postadresse\":\"Storgata\"}",
	  "postadresse is not an object" },
};

static void
test_unusable_persons_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		json_t *element = json_loads(refused[i].json, 0, NULL);
		struct buf bytes = { 0 };
		struct bd_err e = { 0 };
		char id[NATIONALID_CHARS], cert[64];
		const char *unknown;

		assert_non_null(element);
		assert_int_equal(
		    codec_encode(element, true, id, one_cert, cert, &bytes, &unknown, &e), -1);
		assert_int_equal(e.kind, BD_E_CONTENT);
		assert_non_null(strstr(e.cause, refused[i].words));
		json_decref(element);
		buf_free(&bytes);
	}
}

struct told {
	char problems[512];
	uint64_t persons;
	int stop;
};

static void
on_problem(void *arg, unsigned line, const char *words)
{
	struct told *t = arg;
	size_t len = strlen(t->problems);

	snprintf(t->problems + len, sizeof(t->problems) - len, "%u:%s|", line, words);
}

static void
on_warning(void *arg, unsigned line, const char *words)
{
	on_problem(arg, line + 1000, words);
}

static int
on_progress(void *arg, uint64_t persons, uint64_t bytes)
{
	struct told *t = arg;

	(void)bytes;
	t->persons = persons;
	return t->stop;
}

static int
import_text(struct embedded *r, const char *text, struct told *told, struct bd_err *e)
{
	struct embedded_import import = {
		.arg = told, .problem = on_problem, .warning = on_warning, .progress = on_progress
	};
	int fd = file_of(text, strlen(text)), rc;

	rc = embedded_import(r, fd, &import, e);
	close(fd);
	return rc;
}

static struct embedded *
open_register(void)
{
	struct bd_err e = { 0 };
	struct embedded *r = embedded_open(home, true, &e);

	if (r == NULL)
		print_message("%s\n", e.cause);
	assert_non_null(r);
	return r;
}

/* A member of one person as the register answers. */
static void
expect(struct embedded *r, const char *id, const char *member, const char *value)
{
	struct registry reg = embedded_registry(r);
	json_t *persons = json_array(), *person;
	struct bd_err e = { 0 };

	assert_int_equal(reg.ops->persons(reg.self, &id, 1, persons, &e), 0);
	person = json_array_get(persons, 0);
	assert_string_equal(json_text(person, "personidentifikator"), id);
	if (value == NULL)
		assert_null(json_text(person, member));
	else
		assert_string_equal(json_text(person, member), value);
	json_decref(persons);
}

#define ACTIVE(id, cert)                                                       \
	"{\"personidentifikator\":\"" id                                       \
	"\",\"status\":\"AKTIV\",\"reservasjon\":\"NEI\",\"varslingsstatus\":" \
	"\"KAN_VARSLES\",\"sertifikat\":\"" cert "\"}\n"

static uint64_t
count(struct embedded *r, uint32_t *generation_r)
{
	struct embedded_info info;
	struct bd_err e = { 0 };

	assert_int_equal(embedded_info(r, &info, &e), 0);
	if (generation_r != NULL)
		*generation_r = info.generation;
	return info.persons;
}

static void
test_import_replaces_the_register(void **state)
{
	struct embedded *r = open_register();
	struct told told = { 0 };
	struct bd_err e = { 0 };

	(void)state;
	expect(r, ID, "status", "IKKE_REGISTRERT");
	assert_int_equal(import_text(r, ACTIVE(ID, "AAAA") ACTIVE(OTHER, "BBBB"), &told, &e), 0);
	expect(r, ID, "sertifikat", "AAAA");
	expect(r, OTHER, "sertifikat", "BBBB");
	assert_int_equal(count(r, NULL), 2);
	assert_int_equal(import_text(r, ACTIVE(OTHER, "CCCC"), &told, &e), 0);
	expect(r, ID, "status", "IKKE_REGISTRERT");
	expect(r, OTHER, "sertifikat", "CCCC");
	embedded_close(&r);
	r = open_register();
	expect(r, OTHER, "sertifikat", "CCCC");
	assert_int_equal(count(r, NULL), 1);
	embedded_close(&r);
}

static void
test_mistakes_refuse_the_whole_file(void **state)
{
	struct embedded *r = open_register();
	struct told told = { 0 };
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(import_text(r, ACTIVE(ID, "AAAA"), &told, &e), 0);
	assert_int_equal(
	    import_text(r,
			ACTIVE(OTHER, "BBBB") "{\"personidentifikator\":\"1\"}\n{]\n" ACTIVE(
			    ID, "BBBB") ACTIVE(OTHER, "BBBB"),
			&told, &e),
	    -1);
	assert_int_equal(e.kind, BD_E_CONTENT);
	assert_non_null(strstr(told.problems, "2:personidentifikator is not a valid number|"));
	assert_non_null(strstr(told.problems, "3:not valid JSON|"));
	expect(r, ID, "sertifikat", "AAAA");
	expect(r, OTHER, "status", "IKKE_REGISTRERT");
	/* a person twice is found when there are no other mistakes */
	told = (struct told){ 0 };
	assert_int_equal(
	    import_text(r, ACTIVE(OTHER, "B") ACTIVE(ID, "B") ACTIVE(OTHER, "B"), &told, &e), -1);
	assert_non_null(strstr(told.problems, "this person stands twice"));
	assert_null(strstr(told.problems, OTHER));
	expect(r, ID, "sertifikat", "AAAA");
	/* and nothing of it is left over */
	assert_int_equal(import_text(r, ACTIVE(OTHER, "DDDD"), &told, &e), 0);
	expect(r, ID, "status", "IKKE_REGISTRERT");
	embedded_close(&r);
}

/* A value of tomorrow's register is stored as it is and warned of. */
static void
test_unknown_values_are_kept(void **state)
{
	struct embedded *r = open_register();
	struct told told = { 0 };
	struct bd_err e = { 0 };

	(void)state;
	assert_int_equal(import_text(r,
				     ACTIVE(ID, "A") "{\"personidentifikator\":\"" OTHER
						     "\",\"status\":\"UNDER_ARBEID\"}",
				     &told, &e),
			 0);
	assert_string_equal(told.problems,
			    "1002:status has a value that is not known; letters will wait|");
	expect(r, OTHER, "status", "UNDER_ARBEID");
	embedded_close(&r);
}

static void
test_real_numbers_only(void **state)
{
	struct bd_err e = { 0 };
	struct embedded *r = embedded_open(home, false, &e);
	struct told told = { 0 };

	(void)state;
	assert_non_null(r);
	assert_int_equal(import_text(r, ACTIVE(ID, "AAAA"), &told, &e), -1);
	assert_non_null(strstr(told.problems, "1:personidentifikator is synthetic"));
	embedded_close(&r);
}

static int
collect_id(void *arg, json_t *person)
{
	char *out = arg;

	strcat(out, json_text(person, "personidentifikator"));
	strcat(out, json_text(person, "sertifikat"));
	strcat(out, " ");
	return 0;
}

static void
test_list_and_remove(void **state)
{
	struct embedded *r = open_register();
	struct told told = { 0 };
	struct bd_err e = { 0 };
	char listed[128] = "";

	(void)state;
	assert_int_equal(import_text(r, ACTIVE(OTHER, "B") ACTIVE(ID, "A"), &told, &e), 0);
	assert_int_equal(embedded_list(r, collect_id, listed, &e), 0);
	assert_string_equal(listed, ID "A " OTHER "B ");
	assert_int_equal(embedded_remove(r, ID, &e), 1);
	assert_int_equal(embedded_remove(r, ID, &e), 0);
	expect(r, ID, "status", "IKKE_REGISTRERT");
	expect(r, OTHER, "status", "AKTIV");
	assert_int_equal(count(r, NULL), 1);
	embedded_close(&r);
}

/* persons of the generation given; each person's certificate names the generation */
static char *
many(unsigned persons, unsigned generation)
{
	size_t size = (size_t)persons * 200 + 1, len = 0;
	char *text = malloc(size);

	assert_non_null(text);
	for (unsigned n = 0; n < persons; n++) {
		char id[NATIONALID_CHARS];

		number_synthetic(n, id);
		len += (size_t)snprintf(text + len, size - len,
					"{\"personidentifikator\":\"%s\",\"status\":\"AKTIV\","
					"\"sertifikat\":\"%u\"}\n",
					id, generation);
	}
	return text;
}

struct reader {
	struct embedded *r;
	atomic_bool stop;
	unsigned long asked;
	bool wrong;
};

/* Asks without end: each answer must be of one whole generation and about the person asked. */
static void *
reader_run(void *arg)
{
	struct reader *reader = arg;
	struct registry reg = embedded_registry(reader->r);

	for (unsigned n = 0; !atomic_load(&reader->stop); n = (n + 37) % 3000) {
		char id[NATIONALID_CHARS];
		const char *ids = id;
		json_t *persons = json_array(), *person;
		struct bd_err e = { 0 };

		number_synthetic(n, id);
		if (reg.ops->persons(reg.self, &ids, 1, persons, &e) != 0)
			reader->wrong = true;
		person = json_array_get(persons, 0);
		if (person == NULL || strcmp(json_text(person, "personidentifikator"), id) != 0 ||
		    strcmp(json_text(person, "status"), "AKTIV") != 0 ||
		    json_text(person, "sertifikat") == NULL)
			reader->wrong = true;
		json_decref(persons);
		reader->asked++;
	}
	return NULL;
}

static void
test_questions_during_imports(void **state)
{
	struct embedded *r = open_register();
	struct reader readers[2] = { { .r = r }, { .r = r } };
	pthread_t threads[2];
	struct told told = { 0 };
	struct bd_err e = { 0 };

	(void)state;
	for (unsigned generation = 1; generation <= 6; generation++) {
		char *text = many(3000, generation);

		assert_int_equal(import_text(r, text, &told, &e), 0);
		free(text);
		for (int i = 0; generation == 1 && i < 2; i++)
			pthread_create(&threads[i], NULL, reader_run, &readers[i]);
	}
	for (int i = 0; i < 2; i++) {
		atomic_store(&readers[i].stop, true);
		pthread_join(threads[i], NULL);
		assert_false(readers[i].wrong);
		assert_true(readers[i].asked > 100);
	}
	embedded_close(&r);
}

static void
test_stopped_import_changes_nothing(void **state)
{
	struct embedded *r = open_register();
	struct told told = { .stop = 1 };
	struct bd_err e = { 0 };
	char *text = many(2500, 2);

	(void)state;
	assert_int_equal(import_text(r, ACTIVE(ID, "AAAA"), &(struct told){ 0 }, &e), 0);
	assert_int_equal(import_text(r, text, &told, &e), -1);
	expect(r, ID, "sertifikat", "AAAA");
	assert_int_equal(count(r, NULL), 1);
	free(text);
	embedded_close(&r);
}

/* Imports 2000 persons of generation, killed after some of the progress calls. */
static void
import_and_die(unsigned generation, int pipe_fd)
{
	struct bd_err e = { 0 };
	struct embedded *r = embedded_open(home, true, &e);
	char *text = many(6000, generation);
	struct told told = { 0 };

	if (r == NULL || write(pipe_fd, "o", 1) != 1 || import_text(r, text, &told, &e) == -1)
		_exit(1);
	embedded_close(&r);
	_exit(0);
}

static int
same_generation(void *arg, json_t *person)
{
	char *generation = arg;
	const char *mine = json_text(person, "sertifikat");

	if (generation[0] == '\0')
		snprintf(generation, 16, "%s", mine);
	assert_string_equal(mine, generation);
	return 0;
}

static void
test_kill_in_an_import_leaves_one_whole_generation(void **state)
{
	unsigned killed = 0;

	(void)state;
	for (unsigned generation = 1; generation <= 12; generation++) {
		struct bd_err e = { 0 };
		struct embedded *r;
		char found[16] = "", byte;
		int fds[2], status;
		uint64_t persons;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		if ((pid = fork()) == 0)
			import_and_die(generation, fds[1]);
		assert_int_equal(read(fds[0], &byte, 1), 1);
		/* the first runs through, the others are cut off ever later */
		if (generation > 1) {
			usleep(generation * generation * 1000);
			kill(pid, SIGKILL);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		killed += WIFSIGNALED(status) ? 1U : 0U;
		close(fds[0]);
		close(fds[1]);
		r = open_register();
		persons = count(r, NULL);
		assert_int_equal(persons, 6000);
		assert_int_equal(embedded_list(r, same_generation, found, &e), 0);
		assert_true(atoi(found) >= 1 && atoi(found) <= (int)generation);
		embedded_close(&r);
	}
	assert_true(killed > 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_csv_makes_the_registers_shape),
		cmocka_unit_test(test_stored_person_comes_back),
		cmocka_unit_test(test_unusable_persons_are_refused),
		T(test_import_replaces_the_register),
		T(test_mistakes_refuse_the_whole_file),
		T(test_unknown_values_are_kept),
		T(test_real_numbers_only),
		T(test_list_and_remove),
		T(test_questions_during_imports),
		T(test_stopped_import_changes_nothing),
		T(test_kill_in_an_import_leaves_one_whole_generation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
