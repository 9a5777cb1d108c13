/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_DER_H
#define BD_ENVELOPE_DER_H

/*
 * Walks over BER and DER elements, for the structure checks that OpenSSL's CMS interface has no
 * accessors for. It reads headers only and copies nothing. Pure, thread safe.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct der {
	const uint8_t *at;
	size_t len;
};

struct der_item {
	int tag;      /* number within its class */
	int tagclass; /* V_ASN1_UNIVERSAL, V_ASN1_CONTEXT_SPECIFIC, ... */
	bool constructed;
	bool indefinite; /* BER only */
	struct der content;
};

/* Takes the next element: 0, or -1 at the end or when the bytes are no element. */
int der_next(struct der *in, struct der_item *item_r);
/* The next element must have this tag. A constructed string is not a primitive one. */
int der_take(struct der *in, int tagclass, int tag, bool constructed, struct der *content_r);
#define der_sequence(in, content_r) der_take(in, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, true, content_r)
/* The next element is the object identifier nid. */
int der_oid(struct der *in, int nid);
/* The next element is this small integer. */
int der_integer(struct der *in, long value);
/* The next element is a primitive OCTET STRING of len bytes. */
int der_octets(struct der *in, size_t len, struct der *content_r);

#endif
