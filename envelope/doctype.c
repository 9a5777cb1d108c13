/* SPDX-License-Identifier: Apache-2.0 */
/* The table of document types; decides nothing about content. */
#include "config.h"
#include "envelope/doctype.h"

#include <string.h>
#include <strings.h>

#define ODF "application/vnd.oasis.opendocument."
#define OOXML "application/vnd.openxmlformats-officedocument."

static const struct doctype types[] = {
	{ "pdf", "application/pdf", DOCTYPE_PRINTABLE },
	{ "html", "text/html", DOCTYPE_PRINTABLE },
	{ "txt", "text/plain", DOCTYPE_PRINTABLE },
	{ "gif", "image/gif", DOCTYPE_PRINTABLE },
	{ "jpeg", "image/jpeg", DOCTYPE_PRINTABLE },
	{ "png", "image/png", DOCTYPE_PRINTABLE },
	{ "odf", ODF "formula", DOCTYPE_MAILBOX },
	{ "odt", ODF "text", DOCTYPE_MAILBOX },
	{ "fods", ODF "spreadsheet", DOCTYPE_MAILBOX },
	{ "fodp", ODF "presentation", DOCTYPE_MAILBOX },
	{ "fodg", ODF "graphics", DOCTYPE_MAILBOX },
	{ "doc", "application/msword", DOCTYPE_MAILBOX },
	{ "docx", OOXML "wordprocessingml.document", DOCTYPE_MAILBOX },
	{ "xlsx", OOXML "spreadsheetml.sheet", DOCTYPE_MAILBOX },
	{ "pptx", OOXML "presentationml.presentation", DOCTYPE_MAILBOX },
	{ "zip", "application/octet-stream", DOCTYPE_MAILBOX },
	{ "xml", "application/ehf+xml", DOCTYPE_MAIN_ONLY },
	{ "xml", "application/vnd.difi.dpi.bevis+xml", DOCTYPE_DATA },
	{ "xml", "application/vnd.difi.dpi.lenke+xml", DOCTYPE_DATA },
	{ "xml", "application/vnd.difi.dpi.arrangement+xml", DOCTYPE_DATA },
};

/* Other spellings of the same extension. */
static const struct {
	const char *other, *ours;
} aliases[] = {
	{ "jpg", "jpeg" },
	{ "jpe", "jpeg" },
	{ "htm", "html" },
	{ "text", "txt" },
};

const struct doctype *
doctype_by_mime(const char *mime)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].mime, mime) == 0)
			return &types[i];
	return NULL;
}

const struct doctype *
doctype_by_extension(const char *extension)
{
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (strcasecmp(aliases[i].other, extension) == 0)
			extension = aliases[i].ours;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcasecmp(types[i].extension, extension) == 0)
			return &types[i];
	return NULL;
}
