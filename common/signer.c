/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's side of signing: one connection to the signer child under a mutex, or a key of its
 * own for tools and tests. Never sees a key of the child. */
#include "config.h"
#include "common/signer.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/rsa.h"
#include "common/signer_private.h"
#include "common/sock.h"

#define ANSWER_TIMEOUT_MS 10000

struct signer {
	struct procs *procs; /* NULL: direct */
	EVP_PKEY *key;       /* direct only */
	pthread_mutex_t mutex;
	int fd; /* -1: not connected; guarded by mutex */
};

static struct signer *
make(struct procs *p, EVP_PKEY *key)
{
	struct signer *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->procs = p;
	s->fd = -1;
	pthread_mutex_init(&s->mutex, NULL);
	if (key != NULL && EVP_PKEY_up_ref(key) == 1)
		s->key = key;
	return s;
}

struct signer *
signer_new(struct procs *p)
{
	return make(p, NULL);
}

struct signer *
signer_direct(EVP_PKEY *key)
{
	return make(NULL, key);
}

void
signer_free(struct signer **s)
{
	if (*s == NULL)
		return;
	if ((*s)->fd != -1)
		close((*s)->fd);
	EVP_PKEY_free((*s)->key);
	pthread_mutex_destroy(&(*s)->mutex);
	free(*s);
	*s = NULL;
}

static void
disconnect(struct signer *s)
{
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
}

/* Asks once; -1 with the connection closed when the child did not answer. */
static ssize_t
ask(struct signer *s, const struct buf *request, char answer[SIGNER_ANSWER_BYTES], struct bd_err *e)
{
	size_t none = 0;
	ssize_t len;

	if (s->fd == -1 && (s->fd = procs_signer(s->procs, e)) == -1)
		return -1;
	if (sock_send_fds(s->fd, request->data, request->len, NULL, 0, e) == -1) {
		disconnect(s);
		return -1;
	}
	len = sock_recv_fds(s->fd, answer, SIGNER_ANSWER_BYTES, NULL, &none, ANSWER_TIMEOUT_MS, e);
	if (len <= 0)
		disconnect(s); /* a late answer may not be taken for the next one's */
	if (len == 0)
		return bd_fail(e, BD_E_SEAL, "the signer ended");
	return len;
}

static int
ask_child(struct signer *s, const struct buf *request, struct buf *sig, struct bd_err *e)
{
	char answer[SIGNER_ANSWER_BYTES];
	ssize_t len;

	pthread_mutex_lock(&s->mutex);
	len = ask(s, request, answer, e);
	if (len <= 0)
		len = ask(s, request, answer, e); /* signing again does no harm */
	pthread_mutex_unlock(&s->mutex);
	if (len <= 0) {
		e->kind = BD_E_SEAL;
		return bd_wrap(e, "signing");
	}
	if (answer[0] != SIGNER_OK)
		return bd_fail(e, BD_E_SEAL, "%.*s", (int)len - 1, answer + 1);
	if (buf_add(sig, answer + 1, (size_t)len - 1) == -1)
		return bd_fail(e, BD_E_MEMORY, "no memory for a signature");
	return 0;
}

int
signer_sign(struct signer *s, const char *label, const uint8_t digest[SHA256_BYTES],
	    struct buf *sig, struct bd_err *e)
{
	struct buf request = { 0 };
	size_t len = strlen(label);
	int rc;

	if (s->procs == NULL)
		return s->key == NULL ? bd_fail(e, BD_E_SEAL, "there is no key to sign with")
				      : rsa_sign(s->key, digest, sig, e);
	if (len > SIGNER_LABEL_BYTES)
		return bd_fail(e, BD_E_SEAL, "key label is too long");
	if (buf_addc(&request, (char)(unsigned char)len) == -1 ||
	    buf_add(&request, label, len) == -1 || buf_add(&request, digest, SHA256_BYTES) == -1)
		rc = bd_fail(e, BD_E_MEMORY, "no memory for a signature");
	else
		rc = ask_child(s, &request, sig, e);
	buf_free(&request);
	return rc;
}
