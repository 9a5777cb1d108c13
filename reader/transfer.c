/* SPDX-License-Identifier: Apache-2.0 */
/* Checks transfer encodings (RFC 2045 6.7 and 6.8); decodes nothing. */
#include "config.h"
#include "reader/transfer.h"

#include <ctype.h>

#include "reader/strict.h"

void
transfer_init(struct transfer *t, int cte)
{
	*t = (struct transfer){ .cte = cte };
}

static int
base64_line(struct transfer *t, const char *line, size_t len, const char **why_r)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		if (c == ' ' || c == '\t')
			continue;
		if (c == '=') {
			t->padding++;
		} else if (!(c < 0x80 && isalnum(c)) && c != '+' && c != '/') {
			*why_r = "junk in base64";
			return -1;
		} else if (t->padding > 0) {
			*why_r = "base64 that goes on after its end";
			return -1;
		}
		t->digits++;
	}
	return 0;
}

static int
qp_line(struct transfer *t, const char *line, size_t len, const char **why_r)
{
	t->soft = false;
	for (size_t i = 0; i < len; i++) {
		if (line[i] != '=')
			continue;
		if (i + 1 == len) {
			t->soft = true;
			return 0;
		}
		if (i + 2 >= len || !isxdigit((unsigned char)line[i + 1]) ||
		    !isxdigit((unsigned char)line[i + 2])) {
			*why_r = "junk in quoted-printable";
			return -1;
		}
		i += 2;
	}
	return 0;
}

int
transfer_line(struct transfer *t, const char *line, size_t len, const char **why_r)
{
	if (t->cte == CTE_BASE64)
		return base64_line(t, line, len, why_r);
	if (t->cte == CTE_QUOTED_PRINTABLE)
		return qp_line(t, line, len, why_r);
	return 0;
}

int
transfer_end(const struct transfer *t, const char **why_r)
{
	if (t->cte == CTE_BASE64 && (t->digits % 4 != 0 || t->padding > 2)) {
		*why_r = "base64 without its end";
		return -1;
	}
	return 0;
}
