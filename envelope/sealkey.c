/* SPDX-License-Identifier: Apache-2.0 */
/* Seal keys from their files: 32 bytes each, nothing else in the file, not readable by others. */
#include "config.h"
#include "envelope/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
key_read(const char *file, uint8_t key[SEAL_KEY_BYTES], struct bd_err *e)
{
	uint8_t bytes[SEAL_KEY_BYTES + 1];
	size_t have = 0;
	struct stat st;
	int fd, rc = -1;

	if ((fd = open(file, O_RDONLY | O_CLOEXEC)) == -1)
		return bd_fail_errno(e, BD_E_CONFIG, "%s", file);
	if (fstat(fd, &st) == -1) {
		bd_fail_errno(e, BD_E_CONFIG, "%s", file);
		goto out;
	}
	if (!S_ISREG(st.st_mode) || (st.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) != 0) {
		bd_fail(e, BD_E_CONFIG,
			"%s: a seal key must be a file that only its owner writes and that others "
			"cannot read",
			file);
		goto out;
	}
	while (have < sizeof(bytes)) {
		ssize_t n = read(fd, bytes + have, sizeof(bytes) - have);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			bd_fail_errno(e, BD_E_CONFIG, "%s", file);
			goto out;
		}
		if (n == 0)
			break;
		have += (size_t)n;
	}
	if (have != SEAL_KEY_BYTES) {
		bd_fail(e, BD_E_CONFIG, "%s: a seal key has exactly %d bytes", file,
			SEAL_KEY_BYTES);
		goto out;
	}
	memcpy(key, bytes, SEAL_KEY_BYTES);
	rc = 0;
out:
	OPENSSL_cleanse(bytes, sizeof(bytes));
	close(fd);
	return rc;
}

int
seal_keys_load(const struct conf_seal_key *list, size_t count, struct seal_keys *keys_r,
	       struct bd_err *e)
{
	struct seal_keys keys = { NULL, 0 };

	if (count == 0)
		return bd_fail(e, BD_E_CONFIG, "no seal key configured");
	if ((keys.keys = calloc(count, sizeof(*keys.keys))) == NULL)
		return bd_fail(e, BD_E_MEMORY, "no memory for seal keys");
	for (size_t i = 0; i < count; i++) {
		struct seal_key *key = &keys.keys[i];

		keys.count = i + 1;
		if (*list[i].id == '\0' || (key->id = strdup(list[i].id)) == NULL) {
			bd_fail(e, BD_E_CONFIG, "seal key without a name, or no memory");
			goto bad;
		}
		for (size_t k = 0; k < i; k++) {
			if (strcmp(keys.keys[k].id, key->id) == 0) {
				bd_fail(e, BD_E_CONFIG, "two seal keys named %s", key->id);
				goto bad;
			}
		}
		if (key_read(list[i].file, key->key, e) == -1)
			goto bad;
	}
	*keys_r = keys;
	return 0;
bad:
	seal_keys_clear(&keys);
	return -1;
}

void
seal_keys_clear(struct seal_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		free(keys->keys[i].id);
	if (keys->keys != NULL)
		OPENSSL_cleanse(keys->keys, keys->count * sizeof(*keys->keys));
	free(keys->keys);
	keys->keys = NULL;
	keys->count = 0;
}
