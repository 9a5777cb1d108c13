/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_MANIFEST_H
#define BD_ENVELOPE_MANIFEST_H

/* manifest.xml of the document package (spec/dpi.md 1.4, 1.5). Thread safe. */

#include "common/buf.h"
#include "common/err.h"
#include "envelope/letter.h"
#include "envelope/package.h"

#define MANIFEST_ATTACHMENTS_MAX 200

/* Appends the manifest, after checking what the schema and the mailboxes demand of names, types,
 * titles and sender. mailbox NULL: print, no mottaker. Kind CONTENT where the letter breaks a rule,
 * CONFIG where sender or language does. */
int manifest_make(const struct letter *l, const char *mailbox, const char *language,
		  const struct package_sender *s, struct buf *out, struct bd_err *e);

struct manifest_document {
	char *href, *mime, *title; /* title NULL when absent */
	char *data_href;           /* extension file, NULL */
};
struct manifest {
	char *mailbox;      /* NULL for print */
	char *sender_orgnr; /* without the prefix */
	char *unit;
	struct manifest_document *documents; /* [0] main */
	size_t document_count;
};
/* Kind DAMAGED. Clear what was filled with manifest_clear. */
int manifest_read(const void *data, size_t len, struct manifest *m_r, struct bd_err *e);
void manifest_clear(struct manifest *m);

/* Safe as a file name everywhere (spec/dpi.md 1.4): 4 to 100 of [A-Za-z0-9._-], no leading dot, not
 * a name the container uses. */
bool manifest_href_is_safe(const char *href);

#endif
