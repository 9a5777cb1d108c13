/* SPDX-License-Identifier: Apache-2.0 */
/* Finds " id XXXX;" in the first Received header. */
#include "config.h"
#include "transport/queueid.h"

#include <string.h>
#include <strings.h>

#define LOOK_MAX_BYTES ((size_t)8 << 10)

static const char *
header_end(const char *at, const char *end)
{
	for (; at < end; at++) /* a line end that no blank continues */
		if (*at == '\n' && (at + 1 == end || (at[1] != ' ' && at[1] != '\t')))
			return at;
	return end;
}

void
queue_id_read(const char *message, size_t len, char out[QUEUE_ID_CHARS])
{
	static const char letters[] =
	    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const char *end, *at, *stop;

	out[0] = '\0';
	if (message == NULL || len == 0)
		return;
	end = message + (len < LOOK_MAX_BYTES ? len : LOOK_MAX_BYTES);
	for (at = message; at < end && *at != '\n' && *at != '\r'; at = stop + 1) {
		stop = header_end(at, end);
		if (stop - at < 9 || strncasecmp(at, "Received:", 9) != 0) {
			if (stop == end)
				return;
			continue;
		}
		for (; at + 4 < stop; at++) {
			size_t n = 0;

			if ((*at != ' ' && *at != '\t') || memcmp(at + 1, "id ", 3) != 0)
				continue;
			while (at + 4 + n < stop && at[4 + n] != '\0' &&
			       strchr(letters, at[4 + n]) != NULL)
				n++;
			if (n > 0 && n < QUEUE_ID_CHARS) {
				memcpy(out, at + 4, n);
				out[n] = '\0';
			}
			return;
		}
		return;
	}
}
