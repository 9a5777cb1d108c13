/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_XML_H
#define BD_ENVELOPE_XML_H

/*
 * The one encoder for text in XML and the one parser for foreign XML (threats.md A6, A9): no DTD,
 * no entities but the five, no network, bounded depth and size. Thread safe.
 */

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

#define XML_MAX_BYTES ((size_t)1 << 20)

/* Appends UTF-8 text, good for element content and for attribute values in double quotes. What XML
 * 1.0 cannot hold and control characters, line ends and tabs among them, become a space. -1: not
 * UTF-8 (kind CONTENT) or out of memory. */
int xml_add(struct buf *out, const char *text, struct bd_err *e);
/* True when xml_add would replace or refuse something. */
bool xml_changes(const char *text);
/* Characters of valid UTF-8, or -1. */
long xml_chars(const char *text);

/* Parses foreign XML; what names it in errors. Comments, processing instructions, CDATA and
 * mixed content below the root are refused, so that text is text. NULL with kind DAMAGED. Free with
 * xmlFreeDoc. */
xmlDoc *xml_parse(const void *data, size_t len, const char *what, struct bd_err *e);

bool xml_is(const xmlNode *node, const char *ns, const char *name); /* false for NULL */
xmlNode *xml_child(const xmlNode *node); /* first element child or NULL */
xmlNode *xml_next(const xmlNode *node);  /* next element sibling or NULL */
/* The text of an element without element children, "" when empty; NULL when it has some. Borrowed.
 */
const char *xml_value(const xmlNode *node);
const char *xml_attribute(const xmlNode *node, const char *name); /* NULL when absent. Borrowed. */

/* Inclusive C14N 1.0 without comments of one element where it stands, appended to out. */
int xml_c14n(xmlNode *node, struct buf *out, struct bd_err *e);

#endif
