/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_DSN_READ_H
#define BD_TRANSPORT_DSN_READ_H

/*
 * What Postfix says about a sealed message in its own bounces and delay notices (RFC 3464 in RFC
 * 6522). Strict and bounded: anything unexpected is "not understood", never a guess. Takes action,
 * status and queue id and nothing of the words. Pure, thread safe.
 */

#include <stddef.h>

struct dsn_notice {
	char action[16]; /* failed, delayed, delivered, relayed, expanded */
	char status[12]; /* 5.4.7 */
};

/* message is a whole mail with CRLF or LF line ends. recipient is the local part the notice must be
 * about. 0, or -1 when it holds no such notice. */
int dsn_read(const char *message, size_t len, const char *recipient, struct dsn_notice *notice_r);

#endif
