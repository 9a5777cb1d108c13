/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that holds the private keys. It signs 32-byte digests by label and counts them; it
 * parses nothing else, opens nothing after its keys, and never gives a key away. One thread: a
 * signature takes a millisecond, and what waits in a socket is answered in turn.
 */
#include "config.h"
#include "common/signer.h"

#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/privs.h"
#include "common/rsa.h"
#include "common/signer_private.h"
#include "common/sock.h"

#define CONNECTIONS_MAX 64

struct held_key {
	const char *label;
	EVP_PKEY *key;
	unsigned long count;
};

struct child {
	struct held_key *keys;
	size_t key_count;
	struct pollfd fds[1 + CONNECTIONS_MAX]; /* the server's first */
	nfds_t fd_count;
};

static int
keys_load(struct child *c, const struct signer_key *keys, size_t count, struct bd_err *e)
{
	if ((c->keys = calloc(count + 1, sizeof(*c->keys))) == NULL)
		return bd_fail(e, BD_E_MEMORY, "out of memory");
	for (size_t i = 0; i < count; i++) {
		struct held_key *held = &c->keys[i];

		if (strlen(keys[i].label) > SIGNER_LABEL_BYTES)
			return bd_fail(e, BD_E_CONFIG, "key label \"%s\" is too long",
				       keys[i].label);
		held->label = keys[i].label;
		if ((held->key = rsa_key_load(keys[i].path, e)) == NULL)
			return bd_wrap(e, "key of \"%s\"", keys[i].label);
		c->key_count++;
	}
	return 0;
}

static void
child_clear(struct child *c)
{
	for (size_t i = 0; i < c->key_count; i++)
		EVP_PKEY_free(c->keys[i].key);
	free(c->keys);
	for (nfds_t i = 1; i < c->fd_count; i++)
		close(c->fds[i].fd);
}

static struct held_key *
key_find(struct child *c, const char *label, size_t len)
{
	for (size_t i = 0; i < c->key_count; i++)
		if (strlen(c->keys[i].label) == len && memcmp(c->keys[i].label, label, len) == 0)
			return &c->keys[i];
	return NULL;
}

/* Signs or says why not, into answer. */
static void
answer_make(struct child *c, const char *request, size_t len, struct buf *answer)
{
	struct bd_err e = { 0 };
	size_t label_len = (unsigned char)request[0];
	struct held_key *held;
	uint8_t digest[SHA256_BYTES];

	buf_addc(answer, SIGNER_OK);
	if (len != 1 + label_len + SHA256_BYTES) {
		bd_fail(&e, BD_E_SEAL, "signer: malformed question");
	} else if ((held = key_find(c, request + 1, label_len)) == NULL) {
		bd_fail(&e, BD_E_SEAL, "signer: no key \"%.*s\"", (int)label_len, request + 1);
	} else {
		memcpy(digest, request + 1 + label_len, sizeof(digest));
		if (rsa_sign(held->key, digest, answer, &e) == 0) {
			held->count++;
			return;
		}
	}
	buf_clear(answer);
	buf_addf(answer, "%c%s", SIGNER_FAILED, e.cause);
}

/* Answers one question; -1 when the connection is to be closed. */
static int
serve(struct child *c, int fd)
{
	char request[SIGNER_REQUEST_BYTES];
	struct buf answer = { 0 };
	struct bd_err e = { 0 };
	size_t none = 0;
	ssize_t len = sock_recv_fds(fd, request, sizeof(request), NULL, &none, 0, &e);
	ssize_t sent = -1;

	if (len <= 0)
		return -1;
	answer_make(c, request, (size_t)len, &answer);
	/* never waits: who does not read answers is cut off */
	if (answer.len > 0)
		sent = send(fd, answer.data, answer.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	buf_free(&answer);
	return sent == -1 ? -1 : 0;
}

/* A connection from the fork server; -1 when the server is gone. */
static int
take_connection(struct child *c)
{
	struct bd_err e = { 0 };
	char what;
	int fd = -1;
	size_t count = 1;
	ssize_t len = sock_recv_fds(c->fds[0].fd, &what, 1, &fd, &count, 0, &e);

	if (len <= 0)
		return -1;
	if (count == 1 && c->fd_count == 1 + CONNECTIONS_MAX) {
		/* the oldest one's owner reconnects */
		close(c->fds[1].fd);
		c->fd_count--;
		memmove(&c->fds[1], &c->fds[2], (c->fd_count - 1) * sizeof(c->fds[0]));
	}
	if (count == 1)
		c->fds[c->fd_count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	what = SIGNER_OK;
	return sock_send_fds(c->fds[0].fd, &what, 1, NULL, 0, &e);
}

static void
run(struct child *c)
{
	for (;;) {
		if (poll(c->fds, c->fd_count, -1) == -1) {
			if (errno == EINTR)
				continue;
			return;
		}
		/* downwards, so that removing one does not skip another */
		for (nfds_t i = c->fd_count - 1; i > 0; i--) {
			if (c->fds[i].revents == 0 || serve(c, c->fds[i].fd) == 0)
				continue;
			close(c->fds[i].fd);
			c->fds[i] = c->fds[--c->fd_count];
		}
		if (c->fds[0].revents != 0 && take_connection(c) == -1)
			return;
	}
}

int
signer_main(int fd, const char *user, const struct signer_key *keys, size_t count, struct bd_err *e)
{
	struct child c = { .fds[0] = { .fd = fd, .events = POLLIN }, .fd_count = 1 };
	char ready = SIGNER_OK;
	int rc = -1;

	if (keys_load(&c, keys, count, e) == -1 || privs_drop(user, e) == -1)
		goto out;
	if (sock_send_fds(fd, &ready, 1, NULL, 0, e) == -1)
		goto out;
	run(&c);
	for (size_t i = 0; i < c.key_count; i++)
		log_info("signer: key=%s signatures=%lu", c.keys[i].label, c.keys[i].count);
	rc = 0;
out:
	child_clear(&c);
	return rc;
}
