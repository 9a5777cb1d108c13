/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_ENCODE_H
#define BD_COMMON_ENCODE_H

/* Hex, base64 (RFC 4648 sections 4 and 5) and digests in the forms the wire formats ask for. Thread
 * safe. */

#include <stdint.h>
#include <stddef.h>

#include "common/buf.h"

#define SHA256_BYTES 32
#define UUID_CHARS 37 /* with NUL */

/* out must hold 2 * len + 1 bytes; lower case. */
void hex_encode(char *out, const void *data, size_t len);
/* 0, or -1 when text is not exactly 2 * len hex digits. */
int hex_decode(uint8_t *out, size_t len, const char *text);

/* Append to out; 0, or -1 out of memory. Standard alphabet with padding, one line. */
int base64_encode(struct buf *out, const void *data, size_t len);
/* URL alphabet without padding. */
int base64url_encode(struct buf *out, const void *data, size_t len);
/* Strict: -1 on foreign characters, wrong padding or non-zero trailing bits. white_space allows CR
 * LF TAB SP. */
int base64_decode(struct buf *out, const char *text, size_t len, int white_space);
int base64url_decode(struct buf *out, const char *text, size_t len);

void sha256(uint8_t out[SHA256_BYTES], const void *data, size_t len);
/* HMAC-SHA-256 over the parts, each preceded by its length as 8 bytes big-endian, so that no two
 * lists of parts collide. */
struct hmac_part {
	const void *data;
	size_t len;
};
void hmac_parts(uint8_t out[SHA256_BYTES], const void *key, size_t key_len,
		const struct hmac_part *parts, size_t count);
/* A version 8 UUID (RFC 9562 5.8) from the first 16 bytes given. */
void uuid_from_bytes(char out[UUID_CHARS], const uint8_t bytes[16]);
/* A random version 4 UUID. 0 or -1. */
int uuid_random(char out[UUID_CHARS]);

#endif
