/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the Brevdue-* headers. Does not know recipients, agencies or the register. */
#include "config.h"
#include "milter/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/publictext.h"

#define DAY_SEC 86400
#define INVOICE_CHARS 40 /* fakturaReferanse, spec/dpi.md 1.9 */
#define UNIT_CHARS 100   /* avsenderidentifikator */

typedef int option_reader(const char *value, time_t now, struct options *o, const char **why);

static size_t
utf8_chars(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static bool
has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

static int
short_text(const char *value, size_t max, const char **out, const char **why)
{
	if (*value == '\0' || has_control(value) || utf8_chars(value) > max) {
		*why = "empty, too long or with control characters";
		return -1;
	}
	*out = value;
	return 0;
}

static int
public_text(const char *value, size_t max, const char **out, const char **why)
{
	struct bd_err ignored = { 0 };

	if (publictext_check(value, max, &ignored) == -1) {
		*why = "empty, too long, or with a number or link";
		return -1;
	}
	*out = value;
	return 0;
}

static int
read_public_title(const char *value, time_t now, struct options *o, const char **why)
{
	(void)now;
	return public_text(value, PUBLICTEXT_TITLE_CHARS, &o->public_title, why);
}

static int
read_sms_text(const char *value, time_t now, struct options *o, const char **why)
{
	(void)now;
	return public_text(value, PUBLICTEXT_SMS_CHARS, &o->sms_text, why);
}

static int
read_email_text(const char *value, time_t now, struct options *o, const char **why)
{
	(void)now;
	return public_text(value, PUBLICTEXT_EMAIL_CHARS, &o->email_text, why);
}

static int
read_invoice_reference(const char *value, time_t now, struct options *o, const char **why)
{
	(void)now;
	return short_text(value, INVOICE_CHARS, &o->invoice_reference, why);
}

static int
read_unit(const char *value, time_t now, struct options *o, const char **why)
{
	(void)now;
	return short_text(value, UNIT_CHARS, &o->unit, why);
}

static int
read_security_level(const char *value, time_t now, struct options *o, const char **why)
{
	(void)now;
	if (strcmp(value, "3") != 0 && strcmp(value, "4") != 0) {
		*why = "3 or 4";
		return -1;
	}
	o->level = value[0] - '0';
	return 0;
}

static int
read_kind(const char *value, time_t now, struct options *o, const char **why)
{
	(void)now;
	o->has_kind = true;
	if (strcasecmp(value, "important") == 0) {
		o->kind = CONF_KIND_IMPORTANT;
	} else if (strcasecmp(value, "service") == 0) {
		o->kind = CONF_KIND_SERVICE;
	} else {
		*why = "important or service";
		return -1;
	}
	return 0;
}

static int
read_language(const char *value, time_t now, struct options *o, const char **why)
{
	static const char *const known[] = { "nb", "nn", "no", "en", "se" };

	(void)now;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasecmp(value, known[i]) == 0) {
			o->language = known[i];
			return 0;
		}
	*why = "nb, nn, no, en or se";
	return -1;
}

/* The day of the month of the last Sunday in March or October, both of 31 days. */
static int
last_sunday(int year, int month)
{
	struct tm tm = {
		.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = 31, .tm_hour = 12
	};

	(void)timegm(&tm);
	return 31 - tm.tm_wday;
}

int
options_norwegian_midnight(const char *date, time_t *when_r)
{
	struct tm tm = { 0 }, back;
	int year, month, day, len = 0;
	bool summer;
	time_t utc;

	if (sscanf(date, "%4d-%2d-%2d%n", &year, &month, &day, &len) != 3 || len != 10 ||
	    date[10] != '\0')
		return -1;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	back = tm;
	utc = timegm(&back);
	if (back.tm_mday != day || back.tm_mon != month - 1)
		return -1; /* no such day */
	/* Summer time begins at 2 and ends at 3 in the night (2000/84/EC): on the Sunday itself
	 * midnight is still in the old time. */
	summer = (month > 3 && month < 10) || (month == 3 && day > last_sunday(year, 3)) ||
		 (month == 10 && day <= last_sunday(year, 10));
	*when_r = utc - (summer ? 2 : 1) * 3600;
	return 0;
}

static int
read_effective(const char *value, time_t now, struct options *o, const char **why)
{
	time_t when;

	if (options_norwegian_midnight(value, &when) == -1 && clock_parse(value, &when) == -1) {
		*why = "2030-01-31 or 2030-01-31T08:00:00+01:00";
		return -1;
	}
	if (when > now + (time_t)366 * DAY_SEC) {
		*why = "more than a year ahead";
		return -1;
	}
	if (when > now) /* a retry may come after it */
		clock_rfc3339(o->effective, (int64_t)when * 1000);
	return 0;
}

static int
read_repeat(const char *value, time_t now, struct options *o, const char **why)
{
	const char *p = value;

	(void)now;
	*why = "up to ten different days from 0 to 25: 0,7";
	for (;;) {
		char *end;
		long day;

		while (*p == ' ')
			p++;
		day = strtol(p, &end, 10);
		if (end == p || *p < '0' || *p > '9' || day > 25 ||
		    o->repeat_count == OPTIONS_REPEATS)
			return -1;
		for (size_t i = 0; i < o->repeat_count; i++)
			if (o->repeats[i] == (int)day)
				return -1;
		o->repeats[o->repeat_count++] = (int)day;
		for (p = end; *p == ' '; p++)
			;
		if (*p == '\0')
			return 0;
		if (*p++ != ',')
			return -1;
	}
}

static int
read_main(const char *value, time_t now, struct options *o, const char **why)
{
	(void)now;
	(void)o; /* the reader has done as it says */
	if (strcasecmp(value, "body") == 0 || strcasecmp(value, "attachment") == 0 ||
	    strcasecmp(value, "auto") == 0)
		return 0;
	*why = "body, attachment or auto";
	return -1;
}

static int
not_yet(const char *value, time_t now, struct options *o, const char **why)
{
	(void)value;
	(void)now;
	(void)o;
	*why = "not available here";
	return -1;
}

static const struct option_row {
	const char *name;   /* as letter_option has it */
	const char *header; /* as senders write it */
	option_reader *read;
} rows[] = {
	{ "public-title", "Brevdue-Public-Title", read_public_title },
	{ "security-level", "Brevdue-Security-Level", read_security_level },
	{ "kind", "Brevdue-Kind", read_kind },
	{ "language", "Brevdue-Language", read_language },
	{ "effective", "Brevdue-Effective", read_effective },
	{ "sms-text", "Brevdue-Sms-Text", read_sms_text },
	{ "email-text", "Brevdue-Email-Text", read_email_text },
	{ "repeat", "Brevdue-Repeat", read_repeat },
	{ "main", "Brevdue-Main", read_main },
	{ "invoice-reference", "Brevdue-Invoice-Reference", read_invoice_reference },
	{ "unit", "Brevdue-Unit", read_unit },
	{ "address", "Brevdue-Address", not_yet },
	{ "colour", "Brevdue-Colour", not_yet },
	{ "return", "Brevdue-Return", not_yet },
	{ "post-class", "Brevdue-Post-Class", not_yet },
	{ "case", "Brevdue-Case", not_yet },
	{ "document", "Brevdue-Document", not_yet },
	{ "officer", "Brevdue-Officer", not_yet },
	{ "exemption", "Brevdue-Exemption", not_yet },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static int
refuse(struct bd_err *e, const char *header, const char *why)
{
	bd_fail(e, BD_E_CONTENT, "%s: %s", header, why);
	bd_detail(e, "%s: %s", header, why);
	return -1;
}

int
options_read(const struct letter *l, time_t now, struct options *o, struct bd_err *e)
{
	bool seen[ROW_COUNT] = { false };

	*o = (struct options){ 0 };
	for (size_t i = 0; i < l->option_count; i++) {
		const struct letter_option *given = &l->options[i];
		const char *why = "";
		size_t row = 0;

		while (row < ROW_COUNT && strcmp(rows[row].name, given->name) != 0)
			row++;
		if (row == ROW_COUNT)
			return refuse(e, "Brevdue-", "unknown header of that name");
		if (seen[row])
			return refuse(e, rows[row].header, "given twice");
		seen[row] = true;
		if (rows[row].read(given->value, now, o, &why) == -1)
			return refuse(e, rows[row].header, why);
	}
	return 0;
}
