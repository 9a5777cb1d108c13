/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures, directly and from the signer child: right by the public key, also after the child was
 * killed; keys that cannot be used are named at the start. */
#include "config.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/procs.h"
#include "common/signer.h"

#define PATIENT_MS 20000
#define AGENCIES 2

static char folder[64];
static EVP_PKEY *keys[AGENCIES];
static char paths[AGENCIES][96];
static char labels[AGENCIES][8] = { "a", "b" };
static struct signer_key signer_keys[AGENCIES];
static struct procs_conf conf = { .keys = signer_keys, .key_count = AGENCIES };

static void
write_key(const char *path, EVP_PKEY *key, mode_t mode)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_int_equal(PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(out);
	assert_int_equal(chmod(path, mode), 0);
}

static int
make_keys(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/brevdue-signer-XXXXXX");
	assert_non_null(mkdtemp(folder));
	for (int i = 0; i < AGENCIES; i++) {
		keys[i] = EVP_RSA_gen(2048);
		assert_non_null(keys[i]);
		snprintf(paths[i], sizeof(paths[i]), "%s/%d.key", folder, i);
		write_key(paths[i], keys[i], 0600);
		signer_keys[i] = (struct signer_key){ labels[i], paths[i] };
	}
	return 0;
}

static int
remove_keys(void **state)
{
	(void)state;
	for (int i = 0; i < AGENCIES; i++) {
		EVP_PKEY_free(keys[i]);
		unlink(paths[i]);
	}
	rmdir(folder);
	return 0;
}

static int
verifies(EVP_PKEY *key, const uint8_t digest[SHA256_BYTES], const struct buf *sig)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	int rc;

	assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()), 1);
	rc = EVP_PKEY_verify(ctx, sig->data, sig->len, digest, SHA256_BYTES);
	EVP_PKEY_CTX_free(ctx);
	return rc == 1;
}

/* Signs with the label and lets OpenSSL verify with the public key. */
static void
must_sign(struct signer *s, int agency, const char *text)
{
	uint8_t digest[SHA256_BYTES];
	struct buf sig = { 0 };
	struct bd_err e = { 0 };

	sha256(digest, text, strlen(text));
	if (signer_sign(s, labels[agency], digest, &sig, &e) == -1)
		fail_msg("%s", e.cause);
	assert_true(verifies(keys[agency], digest, &sig));
	assert_false(verifies(keys[1 - agency], digest, &sig));
	buf_free(&sig);
}

static struct procs *
start(void)
{
	struct bd_err e = { 0 };
	struct procs *p = procs_start(&conf, &e);

	if (p == NULL)
		fail_msg("%s", e.cause);
	return p;
}

/* The process of this name below a process of ours; 0 when there is none. */
static pid_t
find_process(const char *name)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	assert_non_null(proc);
	while (found == 0 && (entry = readdir(proc)) != NULL) {
		char path[300], text[256], comm[64] = "", state = ' ';
		int pid = atoi(entry->d_name), parent = 0, grand = 0;
		FILE *in;

		if (pid == 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		if ((in = fopen(path, "r")) == NULL)
			continue;
		if (fgets(text, sizeof(text), in) != NULL)
			sscanf(text, "%*d (%63[^)]) %c %d", comm, &state, &parent);
		fclose(in);
		if (strcmp(comm, name) != 0 || state == 'Z')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/stat", parent);
		if ((in = fopen(path, "r")) == NULL)
			continue;
		if (fgets(text, sizeof(text), in) != NULL)
			sscanf(text, "%*d (%*[^)]) %*c %d", &grand);
		fclose(in);
		if (grand == getpid())
			found = pid;
	}
	closedir(proc);
	return found;
}

static void
test_direct_signs(void **state)
{
	struct signer *s = signer_direct(keys[0]);

	(void)state;
	must_sign(s, 0, "text");
	signer_free(&s);
	assert_null(s);
	signer_free(&s);
}

static void
test_child_signs_by_label(void **state)
{
	struct procs *p = start();
	struct signer *s = signer_new(p);

	(void)state;
	must_sign(s, 0, "one");
	must_sign(s, 1, "two");
	must_sign(s, 0, "");
	signer_free(&s);
	procs_stop(&p);
	assert_null(p);
	assert_int_equal(find_process("brevdue-signer"), 0);
}

static void
test_unknown_label_is_refused(void **state)
{
	static const char *const unknown[] = {
		"c", "", "aa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	};
	struct procs *p = start();
	struct signer *s = signer_new(p);
	uint8_t digest[SHA256_BYTES] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		struct buf sig = { 0 };
		struct bd_err e = { 0 };

		assert_int_equal(signer_sign(s, unknown[i], digest, &sig, &e), -1);
		assert_int_equal(e.kind, BD_E_SEAL);
		assert_int_equal(sig.len, 0);
	}
	must_sign(s, 0, "and goes on");
	signer_free(&s);
	procs_stop(&p);
}

static void
test_killed_child_is_started_again(void **state)
{
	struct procs *p = start();
	struct signer *s = signer_new(p);
	pid_t before = 0;

	(void)state;
	for (int i = 0; i < 5; i++) {
		pid_t now = find_process("brevdue-signer");

		assert_true(now > 0 && now != before);
		must_sign(s, i % 2, "before");
		assert_int_equal(kill(now, SIGKILL), 0);
		must_sign(s, i % 2, "after");
		before = now;
	}
	signer_free(&s);
	procs_stop(&p);
}

static void
test_hanging_child_is_replaced(void **state)
{
	struct procs *p = start();
	struct signer *s = signer_new(p);
	struct bd_err e = { 0 };
	pid_t child = find_process("brevdue-signer");
	int fd;

	(void)state;
	assert_int_equal(kill(child, SIGSTOP), 0);
	fd = procs_signer(p, &e); /* not over an old connection: those have patience */
	assert_true(fd >= 0);
	close(fd);
	assert_int_not_equal(find_process("brevdue-signer"), child);
	must_sign(s, 0, "after");
	signer_free(&s);
	procs_stop(&p);
}

static void
test_child_without_its_key_file_cannot_come_back(void **state)
{
	struct procs *p = start();
	struct signer *s = signer_new(p);
	struct buf sig = { 0 };
	struct bd_err e = { 0 };
	uint8_t digest[SHA256_BYTES] = { 0 };

	(void)state;
	must_sign(s, 0, "key in memory");
	assert_int_equal(unlink(paths[0]), 0);
	must_sign(s, 0, "still in memory");
	assert_int_equal(kill(find_process("brevdue-signer"), SIGKILL), 0);
	assert_int_equal(signer_sign(s, "a", digest, &sig, &e), -1);
	assert_int_equal(e.kind, BD_E_SEAL);
	assert_non_null(strstr(e.cause, "No such file or directory"));
	write_key(paths[0], keys[0], 0600);
	must_sign(s, 0, "key is back");
	signer_free(&s);
	procs_stop(&p);
}

static void
must_not_start(const char *words)
{
	struct bd_err e = { 0 };
	char whole[256];

	assert_null(procs_start(&conf, &e));
	assert_int_equal(e.kind, BD_E_CONFIG);
	snprintf(whole, sizeof(whole), "key of \"b\": %s: %s", paths[1], words);
	assert_string_equal(e.cause, whole);
}

static void
test_bad_key_files_are_named_at_start(void **state)
{
	EVP_PKEY *other;
	FILE *out;

	(void)state;
	unlink(paths[1]);
	must_not_start("No such file or directory");
	write_key(paths[1], keys[1], 0644);
	must_not_start("its mode is 0644: others than owner and group may use it");
	assert_int_equal(chmod(paths[1], 0620), 0);
	must_not_start("its mode is 0620: others than owner and group may use it");
	assert_int_equal(truncate(paths[1], 100), 0);
	assert_int_equal(chmod(paths[1], 0600), 0);
	must_not_start("holds no unencrypted PEM private key");
	assert_int_equal(truncate(paths[1], 0), 0);
	must_not_start("is empty");
	out = fopen(paths[1], "w");
	assert_int_equal(PEM_write_PrivateKey(out, keys[1], EVP_aes_128_cbc(),
					      (const unsigned char *)"secret", 6, NULL, NULL),
			 1);
	fclose(out);
	must_not_start("holds no unencrypted PEM private key");
	other = EVP_EC_gen("P-256");
	write_key(paths[1], other, 0600);
	EVP_PKEY_free(other);
	must_not_start("must be an RSA key of 2048 to 8192 bits");
	write_key(paths[1], keys[1], 0640);
}

static void
test_without_keys_there_is_no_signer(void **state)
{
	struct procs_conf none = { 0 };
	struct bd_err e = { 0 };
	struct buf sig = { 0 };
	uint8_t digest[SHA256_BYTES] = { 0 };
	struct procs *p = procs_start(&none, &e);
	struct signer *s = signer_new(p);

	(void)state;
	assert_int_equal(find_process("brevdue-signer"), 0);
	assert_int_equal(signer_sign(s, "a", digest, &sig, &e), -1);
	assert_int_equal(e.kind, BD_E_SEAL);
	signer_free(&s);
	procs_stop(&p);
}

struct signing {
	struct signer *s;
	int number;
	int failed;
};

static void *
sign_many(void *arg)
{
	struct signing *t = arg;

	for (int i = 0; i < 30; i++) {
		uint8_t digest[SHA256_BYTES];
		struct buf sig = { 0 };
		struct bd_err e = { 0 };
		char text[32];

		snprintf(text, sizeof(text), "%d/%d", t->number, i);
		sha256(digest, text, strlen(text));
		if (signer_sign(t->s, labels[t->number % 2], digest, &sig, &e) == -1 ||
		    !verifies(keys[t->number % 2], digest, &sig))
			t->failed++;
		buf_free(&sig);
	}
	return NULL;
}

/* Threads get their own signatures, also while the child is killed under them. A call may fail when
 * the child was killed twice within it, which two kills cannot do to more than two. */
static void
test_many_threads_sign(void **state)
{
	struct procs *p = start();
	struct signer *s = signer_new(p);
	struct signing threads[4];
	pthread_t ids[4];
	int failed = 0;
	pid_t child;

	(void)state;
	for (int i = 0; i < 4; i++) {
		threads[i] = (struct signing){ .s = s, .number = i };
		assert_int_equal(pthread_create(&ids[i], NULL, sign_many, &threads[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		if ((child = find_process("brevdue-signer")) > 0)
			kill(child, SIGKILL);
	for (int i = 0; i < 4; i++) {
		pthread_join(ids[i], NULL);
		failed += threads[i].failed;
	}
	assert_in_range(failed, 0, 2);
	must_sign(s, 0, "after all");
	signer_free(&s);
	procs_stop(&p);
}

#ifndef BD_SANITIZERS
/* A signer that forgets its user would keep root's rights beside its keys. */
static void
test_child_is_the_user_and_not_dumpable(void **state)
{
	char path[64], line[128];
	struct stat st;
	struct procs *p;
	struct signer *s;
	int uid = -1, privs = -1;
	FILE *in;

	(void)state;
	if (geteuid() != 0) {
		print_message("not root: the change of user is not tried\n");
		skip();
	}
	conf.user = "nobody";
	p = start();
	conf.user = NULL;
	s = signer_new(p);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)find_process("brevdue-signer"));
	in = fopen(path, "r");
	assert_non_null(in);
	while (fgets(line, sizeof(line), in) != NULL) {
		sscanf(line, "Uid: %d", &uid);
		sscanf(line, "NoNewPrivs: %d", &privs);
	}
	fclose(in);
	assert_int_equal(uid, 65534);
	assert_int_equal(privs, 1);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)find_process("brevdue-signer"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 0); /* proc(5): not dumpable */
	must_sign(s, 1, "as nobody, with a key of root's");
	/* started again it reads the key as root, too */
	assert_int_equal(kill(find_process("brevdue-signer"), SIGKILL), 0);
	must_sign(s, 1, "again");
	signer_free(&s);
	procs_stop(&p);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct_signs),
		cmocka_unit_test(test_child_signs_by_label),
		cmocka_unit_test(test_unknown_label_is_refused),
		cmocka_unit_test(test_killed_child_is_started_again),
		cmocka_unit_test(test_hanging_child_is_replaced),
		cmocka_unit_test(test_child_without_its_key_file_cannot_come_back),
		cmocka_unit_test(test_bad_key_files_are_named_at_start),
		cmocka_unit_test(test_without_keys_there_is_no_signer),
		cmocka_unit_test(test_many_threads_sign),
#ifndef BD_SANITIZERS
		cmocka_unit_test(test_child_is_the_user_and_not_dumpable),
#endif
	};

	return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
