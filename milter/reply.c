/* SPDX-License-Identifier: Apache-2.0 */
/* Words and codes of every refusal. Sends nothing. */
#include "config.h"
#include "milter/reply.h"

#include <stdio.h>
#include <string.h>

static void
keep_printable(char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

void
reply_from_error(struct reply *r, const struct bd_err *e, const char *language, unsigned position)
{
	const char *text = bd_kind_text(e->kind, language);
	const char *word =
	    language != NULL && strcmp(language, "nb") == 0 ? "Mottaker" : "Recipient";
	char prefix[32] = "";

	r->code = bd_kind_code(e->kind);
	snprintf(r->status, sizeof(r->status), "%s", bd_kind_status(e->kind));
	if (position > 0)
		snprintf(prefix, sizeof(prefix), "%s %u: ", word, position);
	if (e->detail[0] != '\0')
		snprintf(r->text, sizeof(r->text), "%s%s (%s)", prefix, text, e->detail);
	else
		snprintf(r->text, sizeof(r->text), "%s%s", prefix, text);
	keep_printable(r->text);
	r->verdict = r->code / 100 == 5 ? VERDICT_REJECT : VERDICT_TEMPFAIL;
}

void
reply_from_answer(struct reply *r, int code, const char *status, const char *text)
{
	if (code / 100 != 4 && code / 100 != 5)
		code = 451;
	if (code == 421)
		code = 451;
	r->code = code;
	/* libmilter drops a reply whose enhanced code is of another class than its code. */
	if (status[0] - '0' == code / 100 && strlen(status) < sizeof(r->status))
		snprintf(r->status, sizeof(r->status), "%s", status);
	else
		snprintf(r->status, sizeof(r->status), "%d.0.0", code / 100);
	snprintf(r->text, sizeof(r->text), "%s", text[0] != '\0' ? text : "refused");
	keep_printable(r->text);
	r->verdict = code / 100 == 5 ? VERDICT_REJECT : VERDICT_TEMPFAIL;
}

void
reply_double_percent(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n + 3 <= size; text++) {
		out[n++] = *text;
		if (*text == '%')
			out[n++] = '%';
	}
	out[n] = '\0';
}
