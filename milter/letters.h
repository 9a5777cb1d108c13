/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_LETTERS_H
#define BD_MILTER_LETTERS_H

/*
 * From one read mail and the register's answers to its sealed messages: who gets a letter, in which
 * order, with what control record (design promises 2 and 3). Planning does everything that can be
 * refused for good, for every letter; sealing one can then only fail for a time. No MTA, no
 * session.
 */

#include <stddef.h>
#include <stdint.h>
#include <openssl/x509.h>

#include "common/buf.h"
#include "envelope/letter.h"
#include "envelope/sealed.h"
#include "lookup/person.h"
#include "milter/gate.h"
#include "milter/message.h"
#include "milter/options.h"

struct letters_mail { /* what they are made from; all borrowed */
	struct gate *gate;
	const struct conf_client *client;
	const struct conf_agency *agency;
	const struct conf_sender *sender;
	const struct message *message;
	const struct letter *letter;
	const struct person *persons; /* one for each recipient of message, in its order */
};

struct planned {
	struct control_record *record;
	X509 *certificate; /* of the mailbox */
	char pseudonym[17];
	char to[128]; /* RCPT of the sealed message */
};

struct letters {
	struct planned *planned;
	size_t count;
};

/* The letters of a mail. -1: the whole mail is refused; *position_r is then the recipient's
 * position in the mail, or 0 when it is about all. A temporary reason is given only when there
 * is no permanent one. */
int letters_plan(const struct letters_mail *mail, struct letters *out, unsigned *position_r,
		 struct bd_err *e);
/* Signs, encrypts and seals letter n; message is appended to. Failures are temporary: SEAL,
 * MEMORY. */
int letters_seal(const struct letters_mail *mail, const struct letters *letters, size_t n,
		 struct buf *message, struct bd_err *e);
void letters_clear(struct letters *letters);

/* Bytes of memory that sealing one letter needs at most, for the account. */
size_t letters_seal_bytes(const struct letter *l);

#endif
