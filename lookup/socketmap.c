/* SPDX-License-Identifier: Apache-2.0 */
/* Netstrings of the socketmap protocol. Bytes to requests and back; no sockets. */
#include "config.h"
#include "lookup/socketmap.h"

#include <string.h>

#define LENGTH_DIGITS_MAX 9

enum socketmap_result
socketmap_netstring(const void *data, size_t len, size_t max, const char **text_r,
		    size_t *text_len_r, size_t *used_r)
{
	const char *p = data;
	size_t digits = 0, size = 0;

	while (digits < len && p[digits] >= '0' && p[digits] <= '9') {
		size = size * 10 + (size_t)(p[digits] - '0');
		if (++digits > LENGTH_DIGITS_MAX || size > max)
			return SOCKETMAP_BROKEN;
	}
	if (digits > 1 && p[0] == '0') /* one way only to write a length */
		return SOCKETMAP_BROKEN;
	if (digits == len)
		return SOCKETMAP_MORE;
	if (digits == 0 || p[digits] != ':')
		return SOCKETMAP_BROKEN;
	if (len - digits - 1 < size + 1)
		return SOCKETMAP_MORE;
	if (p[digits + 1 + size] != ',')
		return SOCKETMAP_BROKEN;
	*text_r = p + digits + 1;
	*text_len_r = size;
	*used_r = digits + 1 + size + 1;
	return SOCKETMAP_REQUEST;
}

static bool
has_control(const char *text, size_t len)
{
	return memchr(text, '\0', len) != NULL || memchr(text, '\r', len) != NULL ||
	       memchr(text, '\n', len) != NULL;
}

enum socketmap_result
socketmap_parse(const void *data, size_t len, struct socketmap_request *r, size_t *used_r)
{
	const char *text, *space;
	size_t text_len, map_len;
	enum socketmap_result result;

	result =
	    socketmap_netstring(data, len, SOCKETMAP_REQUEST_MAX_BYTES, &text, &text_len, used_r);
	if (result != SOCKETMAP_REQUEST)
		return result;
	if (has_control(text, text_len) || (space = memchr(text, ' ', text_len)) == NULL)
		return SOCKETMAP_REFUSED;
	map_len = (size_t)(space - text);
	if (map_len == 0 || map_len >= sizeof(r->map))
		return SOCKETMAP_REFUSED;
	memcpy(r->map, text, map_len);
	r->map[map_len] = '\0';
	r->key = space + 1;
	r->key_len = text_len - map_len - 1;
	return SOCKETMAP_REQUEST;
}

int
socketmap_write(struct buf *out, const char *word, const void *data, size_t len)
{
	size_t word_len = strlen(word), before = out->len;

	if (buf_addf(out, "%zu:%s ", word_len + 1 + len, word) == -1 ||
	    buf_add(out, data, len) == -1 || buf_addc(out, ',') == -1) {
		out->len = before;
		return -1;
	}
	return 0;
}
