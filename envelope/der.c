/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over BER and DER elements with OpenSSL's header reader. */
#include "config.h"
#include "envelope/der.h"

#include <limits.h>
#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

#define DEPTH_MAX 16

static int element(struct der *in, struct der_item *item, int depth);

/* Finds where an element of indefinite length ends, by skipping what is in it. */
static int
indefinite_end(struct der *in, struct der_item *item, int depth)
{
	struct der rest = *in;

	for (;;) {
		struct der_item inner;

		if (rest.len >= 2 && rest.at[0] == 0 && rest.at[1] == 0)
			break;
		if (element(&rest, &inner, depth + 1) == -1)
			return -1;
	}
	item->content = (struct der){ in->at, (size_t)(rest.at - in->at) };
	in->at = rest.at + 2;
	in->len = rest.len - 2;
	return 0;
}

static int
element(struct der *in, struct der_item *item, int depth)
{
	const unsigned char *at = in->at;
	long len = 0;
	int flags;

	if (depth > DEPTH_MAX || in->len == 0 || in->len > LONG_MAX)
		return -1;
	flags = ASN1_get_object(&at, &len, &item->tag, &item->tagclass, (long)in->len);
	if ((flags & 0x80) != 0) {
		ERR_clear_error();
		return -1;
	}
	in->len -= (size_t)(at - in->at);
	in->at = at;
	item->constructed = (flags & V_ASN1_CONSTRUCTED) != 0;
	item->indefinite = (flags & 1) != 0;
	if (item->indefinite)
		return indefinite_end(in, item, depth);
	item->content = (struct der){ at, (size_t)len };
	in->at += len;
	in->len -= (size_t)len;
	return 0;
}

int
der_next(struct der *in, struct der_item *item_r)
{
	return element(in, item_r, 0);
}

int
der_take(struct der *in, int tagclass, int tag, bool constructed, struct der *content_r)
{
	struct der_item item;

	if (der_next(in, &item) == -1 || item.tagclass != tagclass || item.tag != tag ||
	    item.constructed != constructed)
		return -1;
	*content_r = item.content;
	return 0;
}

int
der_oid(struct der *in, int nid)
{
	const ASN1_OBJECT *object = OBJ_nid2obj(nid);
	struct der content;

	if (der_take(in, V_ASN1_UNIVERSAL, V_ASN1_OBJECT, false, &content) == -1)
		return -1;
	return content.len == OBJ_length(object) &&
		       memcmp(content.at, OBJ_get0_data(object), content.len) == 0
		   ? 0
		   : -1;
}

int
der_integer(struct der *in, long value)
{
	struct der content;

	/* one byte is all that versions and tag lengths need */
	if (der_take(in, V_ASN1_UNIVERSAL, V_ASN1_INTEGER, false, &content) == -1 ||
	    content.len != 1)
		return -1;
	return content.at[0] == value ? 0 : -1;
}

int
der_octets(struct der *in, size_t len, struct der *content_r)
{
	if (der_take(in, V_ASN1_UNIVERSAL, V_ASN1_OCTET_STRING, false, content_r) == -1)
		return -1;
	return content_r->len == len ? 0 : -1;
}
