/* SPDX-License-Identifier: Apache-2.0 */
/* Header words. Values are foreign: causes and details name headers, never values. */
#include "config.h"
#include "reader/headers.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "reader/mime.h"
#include "reader/names.h"
#include "reader/types.h"

#define OPTION_MAX_BYTES ((size_t)4096)
#define PREFIX "Brevdue-"

static const char *const option_names[] = {
	"public-title", "security-level", "effective", "language",  "kind",
	"sms-text",     "email-text",     "repeat",    "main",      "invoice-reference",
	"unit",         "address",        "colour",    "return",    "post-class",
	"case",         "document",       "officer",   "exemption",
};
#define OPTION_NAMES (sizeof(option_names) / sizeof(option_names[0]))

static int
refuse(struct bd_err *e, const char *why)
{
	bd_fail(e, BD_E_CONTENT, "%s", why);
	bd_detail(e, "%s", why);
	return -1;
}

static int
memory(struct bd_err *e)
{
	return bd_fail(e, BD_E_MEMORY, "headers of a mail");
}

/* The decoded, cleaned value of a header; NULL with rc 0 when absent or blank. */
static int
value_of(const struct strict_mail *m, const char *name, char **value_r, struct bd_err *e)
{
	struct buf raw = { 0 };
	char *words = NULL;
	int rc = strict_header(m, name, &raw);

	*value_r = NULL;
	if (rc == 1 && mime_words_hold_nul(buf_str(&raw))) {
		buf_free(&raw);
		return refuse(e, "a NUL in a header");
	}
	if (rc == 1 && raw.len > 0 && (words = mime_words(buf_str(&raw))) == NULL)
		rc = -1;
	buf_free(&raw);
	if (words != NULL) {
		*value_r = names_clean(words);
		free(words);
		if (*value_r == NULL)
			rc = -1;
		else if (**value_r == '\0') {
			free(*value_r);
			*value_r = NULL;
		}
	}
	return rc == -1 ? memory(e) : 0;
}

static int
has_value(const struct strict_mail *m, const char *name, bool *has_r, struct bd_err *e)
{
	char *value;

	if (value_of(m, name, &value, e) == -1)
		return -1;
	*has_r = value != NULL;
	free(value);
	return 0;
}

/* First word, up to a space, ";" or "(", in lower case. */
static void
first_word(char *value)
{
	char *p = value;

	for (; *p != '\0' && strchr(" ;(,", *p) == NULL; p++)
		*p = (char)tolower((unsigned char)*p);
	*p = '\0';
}

/* Mails that programs make about other mails. What a case system sends by itself may well say
 * "Auto-Submitted: auto-generated" (RFC 3834 section 5) and is a letter. */
static int
refuse_automatic(const struct strict_mail *m, struct bd_err *e)
{
	static const struct {
		const char *header, *good, *also_good, *bad, *why;
	} rules[] = {
		{ "Auto-Submitted", "no", "auto-generated", NULL,
		  "an automatic mail (Auto-Submitted)" },
		{ "X-Autoreply", "no", "no", NULL, "an automatic answer" },
		{ "X-Autorespond", "no", "no", NULL, "an automatic answer" },
		{ "Precedence", NULL, NULL, "auto_reply", "an automatic answer" },
		{ "Content-Class", "urn:content-classes:message", "urn:content-classes:message",
		  NULL, "a recall, meeting, task or other item that is no letter" },
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		char *value;
		bool bad;

		if (value_of(m, rules[i].header, &value, e) == -1)
			return -1;
		if (value == NULL)
			continue;
		first_word(value);
		bad = rules[i].bad != NULL ? strcmp(value, rules[i].bad) == 0
					   : strcmp(value, rules[i].good) != 0 &&
						 strcmp(value, rules[i].also_good) != 0;
		free(value);
		if (bad)
			return refuse(e, rules[i].why);
	}
	return 0;
}

static int
read_subject(const struct strict_mail *m, const struct reader_options *o, struct letter *l,
	     struct bd_err *e)
{
	bool reply_to, references;

	if (value_of(m, "Subject", &l->title, e) == -1 ||
	    has_value(m, "In-Reply-To", &reply_to, e) == -1 ||
	    has_value(m, "References", &references, e) == -1)
		return -1;
	if (l->title == NULL)
		return refuse(e, "the mail has no subject");
	if (names_is_recall(l->title))
		return refuse(e, "a recall of a mail");
	if (names_is_auto_reply(l->title))
		return refuse(e, "an automatic answer");
	l->is_reply = reply_to || references || names_is_reply(l->title);
	if (l->is_reply && !o->replies)
		return refuse(e, "a reply or forward");
	return 0;
}

static int
read_message_id(const struct strict_mail *m, const struct reader_options *o, struct letter *l,
		struct bd_err *e)
{
	char *id;
	size_t len;

	if (value_of(m, "Message-ID", &id, e) == -1)
		return -1;
	/* One that holds the current queue id was added by Postfix: a retry would have another. */
	if (id == NULL || (o->queue_id[0] != '\0' && strstr(id, o->queue_id) != NULL)) {
		free(id);
		return 0;
	}
	len = strlen(id);
	if (len > 2 && id[0] == '<' && id[len - 1] == '>') {
		memmove(id, id + 1, len - 2);
		id[len - 2] = '\0';
	}
	l->message_id = id;
	return 0;
}

static int
read_from(const struct strict_mail *m, struct letter *l, struct bd_err *e)
{
	struct buf raw = { 0 };
	int rc = strict_header(m, "From", &raw);

	if (rc == 1)
		rc = mime_one_address(buf_str(&raw), &l->from);
	else if (rc == 0)
		rc = 1; /* without From: who may send is not decided by it */
	buf_free(&raw);
	if (rc == 0)
		return refuse(e, "From is not one address");
	return rc == -1 ? memory(e) : 0;
}

static int
read_wishes(const struct strict_mail *m, struct letter *l, struct bd_err *e)
{
	char *value;

	if (has_value(m, "Disposition-Notification-To", &l->wants_open_receipt, e) == -1 ||
	    has_value(m, "Return-Receipt-To", &l->wants_delivery, e) == -1 ||
	    value_of(m, "Sensitivity", &value, e) == -1)
		return -1;
	if (value != NULL) {
		first_word(value);
		l->private_mark = strcmp(value, "personal") == 0 || strcmp(value, "private") == 0 ||
				  strcmp(value, "company-confidential") == 0;
		free(value);
	}
	if (value_of(m, "Content-Language", &value, e) == -1)
		return -1;
	if (value != NULL) {
		first_word(value);
		if (*value != '\0' &&
		    strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(value))
			l->in_language = value;
		else
			free(value);
	}
	if (value_of(m, "Deferred-Delivery", &value, e) == -1)
		return -1;
	if (value != NULL)
		l->deferred = mime_date(value); /* one that is no date says nothing */
	free(value);
	return 0;
}

static int
option_refuse(struct bd_err *e, const char *why, const char *name)
{
	char shown[40];

	types_show(name, shown, sizeof(shown));
	bd_fail(e, BD_E_CONTENT, "%s %s%s", why, PREFIX, shown);
	bd_detail(e, "%s %s%s", why, PREFIX, shown);
	return -1;
}

static int
option_take(const struct strict_mail *m, const struct strict_header *h, const char *name,
	    struct letter *l, struct bd_err *e)
{
	struct letter_option *o = &l->options[l->option_count];
	struct buf raw = { 0 };
	char *words = NULL, *start;
	int rc = -1;

	if (h->value_len > OPTION_MAX_BYTES) {
		option_refuse(e, "an overlong header", name);
		goto out;
	}
	if (strict_unfold(m, h, &raw) == -1 || (words = mime_words(buf_str(&raw))) == NULL) {
		memory(e);
		goto out;
	}
	if (mime_words_hold_nul(buf_str(&raw))) {
		option_refuse(e, "a control character in", name);
		goto out;
	}
	for (char *p = words; *p != '\0'; p++)
		if (*p == '\t')
			*p = ' ';
		else if ((unsigned char)*p < ' ' || *p == 0x7f) {
			option_refuse(e, "a control character in", name);
			goto out;
		}
	start = words + strspn(words, " ");
	for (size_t len = strlen(start); len > 0 && start[len - 1] == ' ';)
		start[--len] = '\0';
	o->name = strdup(name);
	o->value = strdup(start);
	l->option_count++;
	if (o->name == NULL || o->value == NULL) {
		memory(e);
		goto out;
	}
	rc = 0;
out:
	free(words);
	buf_free(&raw);
	return rc;
}

static int
read_options(const struct strict_mail *m, struct letter *l, struct bd_err *e)
{
	if ((l->options = calloc(OPTION_NAMES, sizeof(*l->options))) == NULL)
		return memory(e);
	for (size_t i = 0; i < m->header_count; i++) {
		const struct strict_header *h = &m->headers[i];
		const char *header = (const char *)m->data + h->name;
		size_t len = strlen(PREFIX), k;
		char name[40];

		if (h->name_len < len || strncasecmp(header, PREFIX, len) != 0)
			continue;
		for (k = 0; k < h->name_len - len && k + 1 < sizeof(name); k++)
			name[k] = (char)tolower((unsigned char)header[len + k]);
		name[k] = '\0';
		for (k = 0; k < OPTION_NAMES && strcmp(option_names[k], name) != 0; k++)
			;
		if (k == OPTION_NAMES || h->name_len - len != strlen(name))
			return option_refuse(e, "unknown header", name);
		if (letter_option(l, name) != NULL)
			return option_refuse(e, "two headers", name);
		if (option_take(m, h, name, l, e) == -1)
			return -1;
	}
	return 0;
}

int
headers_read(const struct strict_mail *m, const struct reader_options *o, struct letter *l,
	     struct bd_err *e)
{
	struct buf version = { 0 };
	int rc;

	/* RFC 2045 4; comments may stand around it. */
	rc = strict_header(m, "MIME-Version", &version);
	if (rc == 1 && version.len > 0 && strstr(buf_str(&version), "1.0") == NULL)
		rc = refuse(e, "an unknown MIME-Version");
	else if (rc == -1)
		memory(e);
	buf_free(&version);
	if (rc == -1)
		return -1;
	if (refuse_automatic(m, e) == -1 || read_subject(m, o, l, e) == -1 ||
	    read_message_id(m, o, l, e) == -1 || read_from(m, l, e) == -1 ||
	    read_wishes(m, l, e) == -1)
		return -1;
	return read_options(m, l, e);
}
