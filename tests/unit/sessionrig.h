/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TESTS_UNIT_SESSIONRIG_H
#define BD_TESTS_UNIT_SESSIONRIG_H

/*
 * What the session tests run a session in: an MTA that records, and a gate whose register, reader
 * and queue are functions here. Certificates, keys, sealing and opening are the real ones.
 */

#include <stdbool.h>

#include "common/conf.h"
#include "milter/session.h"

#define RIG_DOMAIN "innbygger.example.no"
#define RIG_CLERK "<kari@etat.example>"
#define RIG_PROVIDER "984661185"
#define RIG_PEOPLE 1000
#define RIG_SUBMITTED 1100

enum rig_fate {
	FATE_DIGITAL,
	FATE_OPTED_OUT,
	FATE_UNKNOWN,
	FATE_OTHER_PERSON,
	FATE_BAD_CERTIFICATE,
	FATE_OTHERS_CERTIFICATE, /* good, but of another provider */
	FATE_UNTRUSTED_ROOT      /* of the provider's number, issued by somebody else */
};

struct rig_submitted {
	char from[128], to[128], args[64], ident[64];
	unsigned char *data;
	size_t len;
};

struct rig {
	struct conf conf;
	struct gate gate;
	struct session *s;
	/* the MTA */
	const char *queue_id, *login, *tls, *listener; /* macros; NULL: not sent */
	bool is_gone;
	struct reply reply; /* the last */
	unsigned replies, ticks;
	/* the register */
	char people[RIG_PEOPLE][12]; /* valid synthetic numbers */
	enum rig_fate fate[RIG_PEOPLE];
	bool register_down, ask_fails, collect_fails;
	int collect_ms;
	unsigned reached, asked, open_questions;
	/* the reader */
	struct letter_option options[4];
	size_t option_count;
	bool is_reply, private_mark;
	const char *message_id;
	enum bd_kind read_fails; /* 0: it does not */
	size_t document_bytes;
	char *read; /* the mail as the reader got it */
	size_t read_len;
	char reader_options[512];
	/* the queue */
	struct rig_submitted submitted[RIG_SUBMITTED];
	size_t submitted_count;
	size_t submit_fails_at;    /* number of the submission, from 1; 0: never */
	enum bd_kind submit_fails; /* with this; 0: BD_E_QUEUE */
	/* keys of the mailbox, to open what was sealed */
	EVP_PKEY *mailbox_key;
	X509 *mailbox_cert;
	char *mailbox_pem, *others_pem, *untrusted_pem;
};

struct rig *rig_new(void);
void rig_free(struct rig **r);
/* A new session from 127.0.0.1. */
void rig_connect(struct rig *r);

/* Events in short form. */
enum verdict rig_mail(struct rig *r, const char *from);
enum verdict rig_rcpt(struct rig *r, const char *to);
enum verdict rig_rcpt_person(struct rig *r, size_t person); /* people[person]@RIG_DOMAIN */
enum verdict rig_content(struct rig *r);                    /* DATA to the body's end */
enum verdict rig_eom(struct rig *r);
/* A whole mail of the clerk to people[person]. */
enum verdict rig_letter(struct rig *r, size_t person);

/* Opens submission n with the real code: record (the caller's) and the document's text. */
struct control_record *rig_open(struct rig *r, size_t n, char *text, size_t size);

#endif
