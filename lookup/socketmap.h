/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_SOCKETMAP_H
#define BD_LOOKUP_SOCKETMAP_H

/*
 * Postfix's socketmap protocol (socketmap_table(5)) as pure functions: netstrings in and out. A
 * request is "<length>:<map> <key>,", an answer "<length>:<status> <data>,". Thread safe.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

/* Postfix sends at most 100 000 bytes; our batch question keeps to 64 kB. */
#define SOCKETMAP_REQUEST_MAX_BYTES 100000
#define SOCKETMAP_MAP_CHARS 32 /* with NUL */

enum socketmap_result {
	SOCKETMAP_MORE,    /* not whole yet */
	SOCKETMAP_REQUEST, /* one request; used bytes belong to it */
	SOCKETMAP_REFUSED, /* framed well, but not acceptable: answer PERM; used is set */
	SOCKETMAP_BROKEN   /* no netstring: the connection cannot go on */
};

struct socketmap_request {
	char map[SOCKETMAP_MAP_CHARS];
	const char *key; /* points into the data, without NUL at its end; may be empty */
	size_t key_len;
};

/* Looks for one request at the start of data. CR, LF and NUL are refused everywhere. */
enum socketmap_result socketmap_parse(const void *data, size_t len, struct socketmap_request *r,
				      size_t *used_r);

/* Looks for one netstring of at most max bytes at the start of data: for the client. */
enum socketmap_result socketmap_netstring(const void *data, size_t len, size_t max,
					  const char **text_r, size_t *text_len_r, size_t *used_r);

/* Appends an answer, or a request: word, space, data, as one netstring. 0, or -1 out of memory. */
int socketmap_write(struct buf *out, const char *word, const void *data, size_t len);

#endif
