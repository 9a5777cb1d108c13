/* SPDX-License-Identifier: Apache-2.0 */
/* Hex, base64, digests and UUIDs. Hashing is OpenSSL's; the base64 here is strict, which OpenSSL's
 * is not. */
#include "config.h"
#include "common/encode.h"

#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet_std[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
hex_encode(char *out, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *in = data;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
	out[2 * len] = '\0';
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
hex_decode(uint8_t *out, size_t len, const char *text)
{
	for (size_t i = 0; i < len; i++) {
		int high = hex_value(text[2 * i]);
		int low = high == -1 ? -1 : hex_value(text[2 * i + 1]);

		if (low == -1)
			return -1;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return text[2 * len] == '\0' ? 0 : -1;
}

static int
encode(struct buf *out, const char *alphabet, bool padded, const uint8_t *in, size_t len)
{
	char *to;

	if (len > SIZE_MAX / 2 || buf_reserve(out, (len + 2) / 3 * 4) == -1)
		return -1;
	to = (char *)out->data + out->len;
	for (size_t i = 0; i < len; i += 3) {
		uint32_t word = (uint32_t)in[i] << 16;
		size_t left = len - i;

		if (left > 1)
			word |= (uint32_t)in[i + 1] << 8;
		if (left > 2)
			word |= in[i + 2];
		*to++ = alphabet[word >> 18];
		*to++ = alphabet[word >> 12 & 63];
		if (left > 1)
			*to++ = alphabet[word >> 6 & 63];
		else if (padded)
			*to++ = '=';
		if (left > 2)
			*to++ = alphabet[word & 63];
		else if (padded)
			*to++ = '=';
	}
	*to = '\0';
	out->len = (size_t)(to - (char *)out->data);
	return 0;
}

int
base64_encode(struct buf *out, const void *data, size_t len)
{
	return encode(out, alphabet_std, true, data, len);
}

int
base64url_encode(struct buf *out, const void *data, size_t len)
{
	return encode(out, alphabet_url, false, data, len);
}

/* 0..63 for a digit, 64 for padding, 65 for white space, -1 for anything else. */
static int
digit_value(unsigned char c, bool url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (url ? '-' : '+'))
		return 62;
	if (c == (url ? '_' : '/'))
		return 63;
	if (c == '=')
		return 64;
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return 65;
	return -1;
}

/* Digits of the standard alphabet plus one, 0 for anything else. */
static const uint8_t digits_std[256] = {
	['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,
	['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14,
	['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21,
	['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,
	['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35,
	['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
	['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49,
	['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
	['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63,
	['/'] = 64
};

/* Whole groups of four digits, up to the first that is none: packages of 50 MB are decoded here.
 * Returns the characters taken; out has room. */
static size_t
decode_groups(struct buf *out, const char *text, size_t len)
{
	const unsigned char *in = (const unsigned char *)text;
	uint8_t *to = out->data + out->len;
	size_t i = 0;

	for (; len - i >= 4; i += 4) {
		uint32_t a = digits_std[in[i]], b = digits_std[in[i + 1]];
		uint32_t c = digits_std[in[i + 2]], d = digits_std[in[i + 3]], word;

		if (a == 0 || b == 0 || c == 0 || d == 0)
			break;
		word = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
		*to++ = (uint8_t)(word >> 16);
		*to++ = (uint8_t)(word >> 8);
		*to++ = (uint8_t)word;
	}
	out->len = (size_t)(to - out->data);
	return i;
}

static int
decode(struct buf *out, const char *text, size_t len, bool url, bool white_space)
{
	size_t start = out->len, digits = 0, padding = 0;
	uint32_t word = 0;

	if (buf_reserve(out, len / 4 * 3 + 3) == -1)
		return -1;
	for (size_t i = 0; i < len; i++) {
		int v;

		if (!url && digits % 4 == 0 && padding == 0 &&
		    (i += decode_groups(out, text + i, len - i)) == len)
			break;
		v = digit_value((unsigned char)text[i], url);
		if (v == 65 && white_space)
			continue;
		if (v == 64 && !url) {
			padding++;
			continue;
		}
		if (v < 0 || v > 63 || padding > 0)
			goto bad;
		word = word << 6 | (uint32_t)v;
		if (++digits % 4 == 0) {
			out->data[out->len++] = (uint8_t)(word >> 16);
			out->data[out->len++] = (uint8_t)(word >> 8);
			out->data[out->len++] = (uint8_t)word;
			word = 0;
		}
	}
	switch (digits % 4) {
	case 0:
		if (padding != 0)
			goto bad;
		break;
	case 2:
		if ((!url && padding != 2) || (word & 0x0f) != 0)
			goto bad;
		out->data[out->len++] = (uint8_t)(word >> 4);
		break;
	case 3:
		if ((!url && padding != 1) || (word & 0x03) != 0)
			goto bad;
		out->data[out->len++] = (uint8_t)(word >> 10);
		out->data[out->len++] = (uint8_t)(word >> 2);
		break;
	default:
		goto bad;
	}
	out->data[out->len] = '\0';
	return 0;
bad:
	out->len = start;
	out->data[start] = '\0';
	return -1;
}

int
base64_decode(struct buf *out, const char *text, size_t len, int white_space)
{
	return decode(out, text, len, false, white_space != 0);
}

int
base64url_decode(struct buf *out, const char *text, size_t len)
{
	return decode(out, text, len, true, false);
}

void
sha256(uint8_t out[SHA256_BYTES], const void *data, size_t len)
{
	if (EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) != 1)
		abort(); /* cannot fail with the default provider; a wrong digest would be worse */
}

void
hmac_parts(uint8_t out[SHA256_BYTES], const void *key, size_t key_len,
	   const struct hmac_part *parts, size_t count)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string("digest", digest, 0),
		OSSL_PARAM_construct_end(),
	};
	size_t len = 0;
	int ok = ctx != NULL && EVP_MAC_init(ctx, key, key_len, params) == 1;

	for (size_t i = 0; ok && i < count; i++) {
		uint8_t prefix[8];
		uint64_t n = parts[i].len;

		for (int b = 7; b >= 0; b--, n >>= 8)
			prefix[b] = (uint8_t)n;
		ok = EVP_MAC_update(ctx, prefix, sizeof(prefix)) == 1 &&
		     EVP_MAC_update(ctx, parts[i].data, parts[i].len) == 1;
	}
	if (!ok || EVP_MAC_final(ctx, out, &len, SHA256_BYTES) != 1 || len != SHA256_BYTES)
		abort(); /* as sha256: only out of memory, and ids must never be guessed */
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
}

static void
uuid_write(char out[UUID_CHARS], const uint8_t bytes[16], unsigned version)
{
	uint8_t b[16];

	memcpy(b, bytes, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0fu) | version << 4);
	b[8] = (uint8_t)((b[8] & 0x3fu) | 0x80u);
	snprintf(out, UUID_CHARS,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}

void
uuid_from_bytes(char out[UUID_CHARS], const uint8_t bytes[16])
{
	uuid_write(out, bytes, 8);
}

int
uuid_random(char out[UUID_CHARS])
{
	uint8_t bytes[16];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return -1;
	uuid_write(out, bytes, 4);
	return 0;
}
