/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_SEALED_H
#define BD_ENVELOPE_SEALED_H

/*
 * The sealed message (design section 6): multipart/mixed of the sealed control record (S/MIME
 * authEnvelopedData, RFC 8551 3.4 and RFC 5083, AES-256-GCM, one KEKRecipientInfo) and the package
 * (application/cms), both base64. It is secret and proves that a holder of the seal key made it.
 * Thread safe.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/encode.h"
#include "common/err.h"

#define LETTER_ID_CHARS 33 /* 32 hex digits and NUL */
#define SEAL_KEY_BYTES 32
#define CONTROL_VERSION 1

struct seal_key {
	char *id;
	uint8_t key[SEAL_KEY_BYTES];
};
struct seal_keys {
	struct seal_key *keys; /* [0] seals, all open */
	size_t count;
};

struct control_document {
	char *href, *mime;
	size_t size;
	uint8_t sha256[SHA256_BYTES];
};

struct control_addressee { /* one for DPI, several for signing */
	char *national_id;
	char *mailbox;                     /* postkasseadresse */
	char *provider;                    /* organisation number of the mailbox provider */
	uint8_t certificate[SHA256_BYTES]; /* fingerprint of the certificate sealed to */
	char *notice_email;                /* address or NULL */
	char *notice_mobile;
};

struct control_record {
	int version;
	char letter_id[LETTER_ID_CHARS];
	char *mail_id;         /* of the mail: links the set */
	unsigned index, count; /* of the mail's sealed messages, from 1 */
	char *route;           /* "digital" */
	char *agency;          /* name in the configuration */
	char *orgnr;           /* of the agency */
	char *unit;            /* avsenderidentifikator, NULL */
	char *invoice_reference;
	char *kind;  /* "important" or "service" */
	char *title; /* tittel of the letter: for reports to its sender */
	char *public_title;
	char *language; /* spraak */
	int security_level;
	bool open_receipt;
	char *effective; /* virkningstidspunkt RFC 3339 or NULL */
	char *notice_email_text, *notice_sms_text;
	int repeats[10];
	size_t repeat_count;
	char signer[65]; /* hex fingerprint of the certificate that signed the package */
	struct control_addressee *addressees;
	size_t addressee_count;
	struct control_document *documents;
	size_t document_count;
	uint8_t package_sha256[SHA256_BYTES];
	size_t package_size;
	/* for reports */
	char *mail_from; /* "" for the null sender */
	char *reports_to;
	char *envid, *ret, *notify; /* as given in MAIL and RCPT: envid is xtext (RFC 3461) */
	char *recipient, *orcpt;    /* the address of RCPT, and its ORCPT ("rfc822;" and xtext) */
	char *message_id;
	bool wants_delivery;
	char *front_queue_id;
	int64_t sealed_at; /* wall seconds */
};

int control_to_json(const struct control_record *c, struct buf *out, struct bd_err *e);
/* This version and the one before. A newer one, made by a gateway already upgraded, is kind CONFIG:
 * it waits until this program is upgraded too. Anything else is kind DAMAGED. */
int control_from_json(const void *data, size_t len, struct control_record **c_r, struct bd_err *e);
void control_free(struct control_record **c);

/* Letter id (promise 3): HMAC over agency, canonical national number, Message-ID ("" when none),
 * digest of decoded parts, title. */
void letter_id_make(char out[LETTER_ID_CHARS], const uint8_t secret[32], const char *agency,
		    const char *national_id, const char *message_id,
		    const uint8_t digest[SHA256_BYTES], const char *title);
/* Outward ids from letter id and generation: what is 'i' instance or 'c' conversation. */
void outward_id_make(char out[UUID_CHARS], const uint8_t secret[32], const char *letter_id,
		     unsigned generation, char what);
/* Keyed pseudonym of a person for logs: 16 hex digits and NUL. */
void pseudonym_make(char out[17], const uint8_t secret[32], const char *national_id);

/* Appends the whole message, headers and body with CRLF line ends, ready for SMTP DATA before
 * dot-stuffing. c->package_sha256 and _size are set by the call. date is an RFC 5322 date made from
 * c->sealed_at. */
int sealed_make(struct control_record *c, const struct buf *package, const struct seal_keys *keys,
		struct buf *message, struct bd_err *e);
/* Opens a whole message. Structure checked before decrypting, record authenticated, RCPT's letter
 * id (NULL: not compared), then the package's digest. Kind NOT_SEALED: no valid seal of ours;
 * DAMAGED: ours, but broken. */
int sealed_open(const void *message, size_t len, const struct seal_keys *keys,
		const char *letter_id, struct control_record **c_r, struct buf *package,
		struct bd_err *e);

/* The sealed control record of a message that sealed_open has opened, as text: its MIME part with
 * header, which openssl cms opens too. Borrowed from message; length 0 when it is not there. */
void sealed_record(const void *message, size_t len, const void **record_r, size_t *record_len_r);

/* Reads the key files of brevdue.conf, 32 raw bytes each, not readable by others. Kind CONFIG. The
 * caller clears. */
int seal_keys_load(const struct conf_seal_key *list, size_t count, struct seal_keys *keys_r,
		   struct bd_err *e);
void seal_keys_clear(struct seal_keys *keys); /* wipes */

#endif
