/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TRANSPORT_QUEUEID_H
#define BD_TRANSPORT_QUEUEID_H

/* Postfix's queue id, which LMTP does not carry: from the topmost Received line of the message, by
 * which Postfix took it in. For log and record only; nothing is decided by it. Pure. */

#include <stddef.h>

#define QUEUE_ID_CHARS 24

/* "" when there is none. */
void queue_id_read(const char *message, size_t len, char out[QUEUE_ID_CHARS]);

#endif
