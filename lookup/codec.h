/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_LOOKUP_CODEC_H
#define BD_LOOKUP_CODEC_H

/*
 * A person of the embedded register as stored bytes: a version byte, then fields of tag and value,
 * about 150 bytes a person. Certificates are the mailbox suppliers', so only a number of theirs is
 * stored with the person (spec/krr.md 8). What goes in and comes out has the register's own shape
 * (spec/krr.md 3), with the postal members postadresse and navn as the population register's
 * gateway gives them (spec/krr.md 10) and personstatus. Pure, thread safe.
 */

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "common/buf.h"
#include "common/err.h"
#include "envelope/nationalid.h"

#define CODEC_VERSION 1

/* Appends a person's bytes. id_r gets the number. cert_index gives the number under which a
 * certificate's text is kept, or -1 on failure. An element with a missing or malformed value is
 * refused (kind CONTENT) with words that name the member, never the person. *unknown_r names a
 * member with a value we do not know, else NULL: it is kept as it is. */
int codec_encode(const json_t *element, bool allow_synthetic, char id_r[NATIONALID_CHARS],
		 int64_t (*cert_index)(void *arg, const char *text, struct bd_err *e), void *arg,
		 struct buf *out, const char **unknown_r, struct bd_err *e);

/* The person as the register's JSON; a new reference, NULL with kind DAMAGED for bytes that are not
 * a person of this version. *cert_r is the certificate's number, -1 when the person has none; the
 * caller adds "sertifikat". */
json_t *codec_decode(const char *id, const void *data, size_t len, int64_t *cert_r,
		     struct bd_err *e);

/* A person that the register does not know: IKKE_REGISTRERT. New reference or NULL. */
json_t *codec_unknown(const char *id);

/* For the CSV reader: the place of a leaf member, "epostadresse" gives "kontaktinformasjon". NULL
 * when there is no such member; "" for the person itself. */
const char *codec_parent(const char *member);

#endif
