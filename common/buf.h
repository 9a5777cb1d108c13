/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_BUF_H
#define BD_COMMON_BUF_H

/*
 * A byte buffer that grows up to a maximum. { 0 } is an empty buffer with BUF_MAX_BYTES; whoever
 * declares it frees it. The data is always followed by a NUL that len does not count, so text may
 * be read as a string. Freed memory is wiped: buffers hold plain text of letters. Not thread safe.
 */

#include <stddef.h>

#define BUF_MAX_BYTES ((size_t)256 << 20)

struct buf {
	unsigned char *data;
	size_t len;
	size_t cap;
	size_t max; /* 0 means BUF_MAX_BYTES */
};

/* All return 0, or -1 when the maximum is reached or memory is out; the buffer is then unchanged.
 */
int buf_add(struct buf *b, const void *data, size_t len);
int buf_adds(struct buf *b, const char *text);
int buf_addc(struct buf *b, char c);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_reserve(struct buf *b, size_t more); /* room for more bytes past len */

const char *buf_str(const struct buf *b); /* "" for an empty buffer; owned by b */
void buf_clear(struct buf *b);            /* length 0, memory kept but wiped */
void buf_free(struct buf *b);             /* wipes, frees, leaves an empty buffer; NULL is fine */

#endif
