/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Letter ids, outward ids and pseudonyms (design.md, promises 3 and 6). All are HMACs under the
 * agency's secret, each with a word of its own first, so that one kind can never equal another. It
 * never uses chance or time: a retry must make the same letter.
 */
#include "config.h"
#include "envelope/sealed.h"

#include <string.h>

#define TEXT(t)                \
	{                      \
		(t), strlen(t) \
	}

void
letter_id_make(char out[LETTER_ID_CHARS], const uint8_t secret[32], const char *agency,
	       const char *national_id, const char *message_id, const uint8_t digest[SHA256_BYTES],
	       const char *title)
{
	const struct hmac_part parts[] = {
		TEXT("letter"),           TEXT(agency),
		TEXT(national_id),        TEXT(message_id != NULL ? message_id : ""),
		{ digest, SHA256_BYTES }, TEXT(title != NULL ? title : ""),
	};
	uint8_t mac[SHA256_BYTES];

	hmac_parts(mac, secret, 32, parts, sizeof(parts) / sizeof(parts[0]));
	hex_encode(out, mac, (LETTER_ID_CHARS - 1) / 2);
}

void
outward_id_make(char out[UUID_CHARS], const uint8_t secret[32], const char *letter_id,
		unsigned generation, char what)
{
	const uint8_t number[4] = { (uint8_t)(generation >> 24), (uint8_t)(generation >> 16),
				    (uint8_t)(generation >> 8), (uint8_t)generation };
	const struct hmac_part parts[] = {
		TEXT("outward"),
		TEXT(letter_id),
		{ number, sizeof(number) },
		{ &what, 1 },
	};
	uint8_t mac[SHA256_BYTES];

	hmac_parts(mac, secret, 32, parts, sizeof(parts) / sizeof(parts[0]));
	uuid_from_bytes(out, mac);
}

void
pseudonym_make(char out[17], const uint8_t secret[32], const char *national_id)
{
	const struct hmac_part parts[] = { TEXT("person"), TEXT(national_id) };
	uint8_t mac[SHA256_BYTES];

	hmac_parts(mac, secret, 32, parts, sizeof(parts) / sizeof(parts[0]));
	hex_encode(out, mac, 8);
}
