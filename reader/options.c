/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's options from JSON; knows nothing of mail. */
#include "config.h"
#include "reader/options.h"

#include <string.h>
#include <strings.h>

#include "common/json.h"

#define OPTIONS_MAX_BYTES ((size_t)4096)
#define MESSAGE_SIZE_DEFAULT ((size_t)75000000)
#define SIZE_LIMIT_DEFAULT ((size_t)50000000)
#define ATTACHMENTS_MAX ((size_t)200)

int
reader_main_parse(const char *word, enum reader_main *main_r)
{
	static const char *const words[] = { "auto", "body", "attachment" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(words[i], word) == 0) {
			*main_r = (enum reader_main)i;
			return 0;
		}
	return -1;
}

static int
size_take(const json_t *value, size_t max, size_t *out)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value) || n < 0)
		return -1;
	*out = (size_t)n < max ? (size_t)n : max;
	return 0;
}

static int
text_take(const char *text, char *out, size_t size)
{
	if (text == NULL || strlen(text) >= size)
		return -1;
	strcpy(out, text);
	return 0;
}

static int
member_take(const char *name, const json_t *value, struct reader_options *o)
{
	const char *text = json_string_value(value);

	if (strcmp(name, "main") == 0)
		return text == NULL ? -1 : reader_main_parse(text, &o->main);
	if (strcmp(name, "formats") == 0) {
		o->mailbox = text != NULL && strcmp(text, "mailbox") == 0;
		return o->mailbox || (text != NULL && strcmp(text, "printable") == 0) ? 0 : -1;
	}
	if (strcmp(name, "replies") == 0) {
		o->replies = json_is_true(value);
		return json_is_boolean(value) ? 0 : -1;
	}
	if (strcmp(name, "language") == 0)
		return text_take(text, o->language, sizeof(o->language));
	if (strcmp(name, "queue_id") == 0)
		return json_is_null(value) ? 0 : text_take(text, o->queue_id, sizeof(o->queue_id));
	if (strcmp(name, "message_size") == 0)
		return size_take(value, BUF_MAX_BYTES / 2, &o->message_size);
	if (strcmp(name, "size_limit") == 0)
		return size_take(value, BUF_MAX_BYTES / 2, &o->size_limit);
	if (strcmp(name, "attachments") == 0)
		return size_take(value, ATTACHMENTS_MAX, &o->attachments);
	return -1;
}

int
reader_options_parse(const char *json, struct reader_options *o, struct bd_err *e)
{
	json_t *object;
	const char *name;
	json_t *value;
	int rc = 0;

	*o = (struct reader_options){
		.language = "nb",
		.message_size = MESSAGE_SIZE_DEFAULT,
		.size_limit = SIZE_LIMIT_DEFAULT,
		.attachments = ATTACHMENTS_MAX,
	};
	if (json == NULL || *json == '\0')
		return 0;
	if ((object = json_parse(json, strlen(json), OPTIONS_MAX_BYTES, e)) == NULL) {
		e->kind = BD_E_INTERNAL;
		return bd_wrap(e, "the reader's options");
	}
	if (!json_is_object(object))
		rc = bd_fail(e, BD_E_INTERNAL, "the reader's options are no object");
	json_object_foreach(object, name, value) if (rc == 0 && member_take(name, value, o) == -1)
	    rc = bd_fail(e, BD_E_INTERNAL, "the reader's option \"%s\"", name);
	json_decref(object);
	return rc;
}
