/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_DOCTYPE_H
#define BD_ENVELOPE_DOCTYPE_H

/*
 * The document types a mailbox takes (spec/dpi.md 1.4), with the extension we give them inside the
 * package. The one place that knows the list. Thread safe.
 */

#include <stdbool.h>
#include <stddef.h>

enum doctype_use {
	DOCTYPE_PRINTABLE, /* can go to paper: every recipient and the fallback can have it */
	DOCTYPE_MAILBOX,   /* mailboxes only */
	DOCTYPE_MAIN_ONLY, /* an EHF invoice: main document, one in a letter */
	DOCTYPE_DATA       /* data documents of the DPI extensions: never made from a mail */
};

struct doctype {
	const char *extension; /* lower case, without the dot */
	const char *mime;
	enum doctype_use use;
};

/* Row for a media type in lower case without parameters, NULL when mailboxes do not take it. */
const struct doctype *doctype_by_mime(const char *mime);
/* Row for an extension without its dot, any case ("jpg" and "jpeg" are equal), NULL. */
const struct doctype *doctype_by_extension(const char *extension);

#endif
