/* SPDX-License-Identifier: Apache-2.0 */
/* Reads citizen addresses. Does not know whether the person exists. */
#include "config.h"
#include "lookup/address.h"

#include <string.h>
#include <strings.h>

#define ID_DIGITS (NATIONALID_CHARS - 1)
#define ADDRESS_MAX_BYTES 1024
#define SHAPE "eleven digits, or a name, a full stop and eleven digits"

static bool
word_is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && strncasecmp(text, word, len) == 0;
}

/* 1 known, 0 not an option, -1 contradicts one read before. */
static int
option_read(const char *text, size_t len, struct citizen *out)
{
	enum decide_force force = DECIDE_ANY;

	if (word_is(text, len, "print"))
		force = DECIDE_PRINT;
	else if (word_is(text, len, "digital"))
		force = DECIDE_DIGITAL;
	else if (word_is(text, len, "info"))
		out->service = true;
	else if (word_is(text, len, "level3"))
		out->level3 = true;
	else
		return 0;
	if (force == DECIDE_ANY)
		return 1;
	if (out->force != DECIDE_ANY && out->force != force)
		return -1;
	out->force = force;
	return 1;
}

static bool
digits_end(const char *text, size_t len)
{
	if (len < ID_DIGITS)
		return false;
	for (size_t i = len - ID_DIGITS; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return true;
}

/* The detail tells the sender which part to mend; it never repeats what was written. */
static int
refuse(struct bd_err *e, const char *detail, const char *cause)
{
	bd_fail(e, BD_E_BAD_NUMBER, "%s", cause);
	bd_detail(e, "%s", detail);
	return -1;
}

int
citizen_parse(const char *local_part, bool allow_synthetic, struct citizen *out, struct bd_err *e)
{
	size_t len = strnlen(local_part, ADDRESS_MAX_BYTES);
	const char *number;

	*out = (struct citizen){ 0 };
	/* Options stand last, so they are taken off the end; a name before the number may hold a
	 * plus sign of its own. */
	for (;;) {
		const char *plus = memrchr(local_part, '+', len);
		int known;

		if (plus == NULL)
			break;
		known = option_read(plus + 1, len - (size_t)(plus + 1 - local_part), out);
		if (known == -1)
			return refuse(e, "print and digital exclude each other",
				      "address asks for paper and for digital only");
		if (known == 0 && digits_end(local_part, (size_t)(plus - local_part)))
			return refuse(e, "behind + stand print, digital, info or level3",
				      "unknown option behind the number");
		if (known == 0)
			break;
		len = (size_t)(plus - local_part);
	}
	if (!digits_end(local_part, len))
		return refuse(e, SHAPE, "local part does not end in eleven digits");
	number = local_part + len - ID_DIGITS;
	/* "Kari.01819090013": a dot and at least one character of the name before it */
	if (len > ID_DIGITS && (len == ID_DIGITS + 1 || number[-1] != '.'))
		return refuse(e, SHAPE, "local part does not end in a dot and eleven digits");
	memcpy(out->id, number, ID_DIGITS);
	out->id[ID_DIGITS] = '\0';
	if (!nationalid_is_valid(out->id, allow_synthetic)) {
		out->id[0] = '\0';
		return bd_fail(e, BD_E_BAD_NUMBER, "no valid national number in the local part");
	}
	return 0;
}

/* Copies a local part without quoting (RFC 5321 4.1.2). -1 when it does not fit. */
static int
local_copy(const char *from, size_t len, char *to, size_t size)
{
	bool quoted = len >= 2 && from[0] == '"' && from[len - 1] == '"';
	size_t n = 0;

	if (quoted) {
		from++;
		len -= 2;
	}
	for (size_t i = 0; i < len; i++) {
		if (quoted && from[i] == '\\' && i + 1 < len)
			i++;
		if (n + 1 >= size)
			return -1;
		to[n++] = from[i];
	}
	to[n] = '\0';
	return 0;
}

const struct conf_domain *
citizen_domain(const struct conf *c, const char *address, char *local, size_t local_size)
{
	size_t len = strlen(address);
	const char *at;
	char domain[256];
	size_t domain_len;
	const struct conf_domain *found;

	local[0] = '\0';
	if (len >= 2 && address[0] == '<' && address[len - 1] == '>') {
		address++;
		len -= 2;
	}
	if ((at = memrchr(address, '@', len)) == NULL)
		return NULL;
	domain_len = len - (size_t)(at + 1 - address);
	if (domain_len > 0 && at[domain_len] == '.')
		domain_len--; /* the root's dot names the same domain */
	if (domain_len == 0 || domain_len >= sizeof(domain))
		return NULL;
	memcpy(domain, at + 1, domain_len);
	domain[domain_len] = '\0';
	if ((found = conf_domain(c, domain)) == NULL)
		return NULL;
	/* Ours, so it may never pass as ordinary mail: what does not fit is no valid number. */
	if (local_copy(address, (size_t)(at - address), local, local_size) == -1)
		local[0] = '\0';
	return found;
}

bool
address_holds_number(const char *text)
{
	bool found = false;

	while (!found && *(text += strcspn(text, "0123456789")) != '\0') {
		size_t len = strspn(text, "0123456789");
		char digits[NATIONALID_CHARS];

		if (len == ID_DIGITS) {
			memcpy(digits, text, ID_DIGITS);
			digits[ID_DIGITS] = '\0';
			found = nationalid_is_valid(digits, true);
			explicit_bzero(digits, sizeof(digits));
		}
		text += len;
	}
	return found;
}
