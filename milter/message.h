/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_MESSAGE_H
#define BD_MILTER_MESSAGE_H

/*
 * One mail as it comes in: its SMTP transaction and its bytes, which live in a memfd and nowhere
 * else. Decides nothing but limits. One thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/encode.h"
#include "common/err.h"
#include "lookup/address.h"
#include "milter/memory.h"

#define MESSAGE_QUEUE_ID_CHARS 64
#define MESSAGE_HEADER_MAX_BYTES ((size_t)32 << 10)   /* one header (threats.md 2) */
#define MESSAGE_HEADERS_MAX_BYTES ((size_t)256 << 10) /* all of them (threats.md A2) */

struct recipient {
	char *address;        /* as given in RCPT, without <> */
	char *notify, *orcpt; /* as given, NULL when not */
	struct citizen citizen;
	const struct conf_domain *domain;
	unsigned position; /* among the RCPT commands of the mail, from 1 */
};

struct message {
	char *from;      /* without <>, "" is the null sender */
	char *from_args; /* all of MAIL's parameters, joined by spaces */
	char *envid, *ret;
	size_t announced; /* SIZE=, 0 when not given */
	struct recipient *recipients;
	size_t recipient_count;
	unsigned rcpt_commands; /* those to citizens, refused ones too */
	char queue_id[MESSAGE_QUEUE_ID_CHARS];
	int fd; /* memfd, -1 until the first byte */
	size_t size, header_bytes;
	struct buf pending; /* bytes not yet written to fd */
	struct memory_share share;
	int64_t started_ms;
};

/* argv as libmilter gives it: "<address>", then ESMTP parameters. 0, or -1 with kind MEMORY. */
int message_init(struct message *m, struct memory *account, char **argv, struct bd_err *e);
void message_clear(struct message *m); /* wipes; may run twice */

/* The address of argv[0] without <>; the caller's. NULL out of memory. */
char *message_address(const char *arg);
/* The value of parameter name ("NOTIFY") in argv, or NULL. Borrowed from argv. */
const char *message_param(char **argv, const char *name);
/* A letter's recipient; takes copies. The same person again is not added (1 is returned, 0 when
 * added); with other options that is kind CONTENT. */
int message_add_recipient(struct message *m, char **argv, const struct citizen *citizen,
			  const struct conf_domain *domain, struct bd_err *e);

/* Recipients x bytes within mail-work (kind MAIL_WORK) and bytes within message-size (TOO_BIG)? */
int message_fits(const struct conf *c, size_t recipients, size_t bytes, struct bd_err *e);
/* A header as the milter protocol gives it; lead: value holds its leading space. Refuses what is
 * too long or could not be written back as one header (kind CONTENT). */
int message_header(struct message *m, const struct conf *c, const char *name, const char *value,
		   bool lead, struct bd_err *e);
int message_eoh(struct message *m, const struct conf *c, struct bd_err *e);
int message_body(struct message *m, const struct conf *c, const void *data, size_t len,
		 struct bd_err *e);
/* Bytes as they are, under no limit but the memory account's: Postfix has its own for ordinary
 * mail.
 */
int message_add(struct message *m, const void *data, size_t len, struct bd_err *e);
/* Writes out what is pending and seals the memfd against any change. */
int message_finish(struct message *m, struct bd_err *e);
/* SHA-256 of all its bytes, after message_finish. */
int message_digest(const struct message *m, uint8_t digest[SHA256_BYTES], struct bd_err *e);
/* Lets the bytes go when they have been read. */
void message_drop_content(struct message *m);

#endif
