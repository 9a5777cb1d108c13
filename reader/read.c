/* SPDX-License-Identifier: Apache-2.0 */
/* The order of reading: size, strict pass, headers, kinds, GMime, parts, documents. */
#include "config.h"
#include "reader/read.h"

#include <stdlib.h>

#include "reader/documents.h"
#include "reader/headers.h"
#include "reader/mime.h"
#include "reader/parts.h"
#include "reader/strict.h"

int
reader_read(struct types *types, const void *mail, size_t len, const struct reader_options *o,
	    struct reading *r, struct bd_err *e)
{
	struct strict_mail strict = { 0 };
	struct mime *mime = NULL;
	struct parts parts = { 0 };
	int rc = -1;

	*r = (struct reading){ 0 };
	if (len > o->message_size) {
		bd_fail(e, BD_E_TOO_BIG, "a mail over %zu bytes", o->message_size);
		goto out;
	}
	if ((r->letter = calloc(1, sizeof(*r->letter))) == NULL) {
		bd_fail(e, BD_E_MEMORY, "a letter");
		goto out;
	}
	/* Kinds first: "a meeting request" says more than that it also is a reply. */
	if (strict_read(mail, len, &strict, e) == -1 || parts_refuse(&strict, e) == -1 ||
	    headers_read(&strict, o, r->letter, e) == -1)
		goto out;
	if ((mime = mime_open(&strict, e)) == NULL)
		goto out;
	if (parts_open(&parts, &strict, mime, e) == -1 ||
	    parts_digest(&parts, r->letter->digest, e) == -1)
		goto out;
	rc = documents_make(types, &parts, o, r, e);
out:
	parts_clear(&parts);
	mime_close(&mime);
	strict_clear(&strict);
	return rc;
}

void
reading_clear(struct reading *r)
{
	for (size_t i = 0; i < r->count; i++)
		buf_free(&r->data[i]);
	free(r->data);
	letter_free(&r->letter);
	*r = (struct reading){ 0 };
}
