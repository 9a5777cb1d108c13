/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The corpus of tests/data/mail through the real reader as the milter runs it: forked, confined,
 * several mails to a process. Answers must be those of tests/wire/test_reader.py, which look
 * deeper.
 */
#include "config.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <jansson.h>

#include "common/procs.h"
#include "common/workers.h"
#include "envelope/letter.h"

#define TIMEOUT_MS 30000
#define USES 7 /* so that readers are replaced on the way */

static int
mail_open(const char *path)
{
	int fd = memfd_create("mail", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	FILE *file = fopen(path, "rb");
	char chunk[65536];
	size_t n;

	assert_true(fd >= 0);
	assert_non_null(file);
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		assert_int_equal(write(fd, chunk, n), (ssize_t)n);
	fclose(file);
	assert_int_equal(
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL), 0);
	return fd;
}

static void
check(struct workers *w, const char *name)
{
	char path[512], *options = NULL;
	struct bd_err e = { 0 };
	struct letter *l = NULL;
	json_t *want, *refusal, *docs;
	int in, out = -1, rc;

	snprintf(path, sizeof(path), MAIL_DATA "/%s.json", name);
	want = json_load_file(path, 0, NULL);
	assert_non_null(want);
	if (json_object_get(want, "options") != NULL)
		options = json_dumps(json_object_get(want, "options"), 0);
	snprintf(path, sizeof(path), MAIL_DATA "/%s.eml", name);
	in = mail_open(path);
	if (workers_call(w, in, options != NULL ? options : "{}", &out, TIMEOUT_MS, &e) == -1)
		fail_msg("%s: %s", name, e.cause);
	rc = letter_read(out, &l, &e);
	refusal = json_object_get(want, "refusal");
	if ((rc == -1) != (refusal != NULL))
		fail_msg("%s: %d %s", name, rc, e.cause);
	if (refusal != NULL) {
		const char *kind = json_string_value(json_object_get(refusal, "kind"));
		const char *detail = json_string_value(json_object_get(refusal, "detail"));

		if (strcmp(bd_kind_name(e.kind), kind) != 0 || strcmp(e.detail, detail) != 0)
			fail_msg("%s: %s \"%s\"", name, bd_kind_name(e.kind), e.detail);
	} else {
		docs = json_object_get(json_object_get(want, "letter"), "documents");
		assert_int_equal(l->document_count, json_array_size(docs));
		for (size_t i = 0; i < l->document_count; i++) {
			json_t *row = json_array_get(docs, i);

			assert_string_equal(l->documents[i].href,
					    json_string_value(json_array_get(row, 0)));
			assert_string_equal(l->documents[i].mime,
					    json_string_value(json_array_get(row, 1)));
			assert_string_equal(l->documents[i].title,
					    json_string_value(json_array_get(row, 2)));
		}
	}
	letter_free(&l);
	close(in);
	close(out);
	free(options);
	json_decref(want);
}

static void
test_corpus_through_the_pool(void **state)
{
	const struct procs_conf conf = { .reader = READER,
					 .reader_memory_bytes = (size_t)1 << 30,
					 .reader_cpu_sec = 60 };
	struct bd_err e = { 0 };
	struct procs *procs = procs_start(&conf, &e);
	struct workers *w;
	struct dirent *entry;
	DIR *dir = opendir(MAIL_DATA);
	size_t count = 0;

	(void)state;
	if (procs == NULL)
		fail_msg("%s", e.cause);
	w = workers_new(procs, 1, USES);
	assert_non_null(w);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char name[256];
		size_t len = strlen(entry->d_name);

		if (len < 5 || strcmp(entry->d_name + len - 4, ".eml") != 0)
			continue;
		memcpy(name, entry->d_name, len - 4);
		name[len - 4] = '\0';
		check(w, name);
		count++;
	}
	assert_true(count > 25);
	closedir(dir);
	workers_free(&w);
	procs_stop(&procs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_corpus_through_the_pool) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
