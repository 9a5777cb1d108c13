/* SPDX-License-Identifier: Apache-2.0 */
/* Text into XML, foreign XML into a tree, a tree into canonical form. It knows no document type. */
#include "config.h"
#include "envelope/xml.h"

#include <libxml/c14n.h>
#include <libxml/parser.h>
#include <libxml/xmlerror.h>
#include <limits.h>
#include <string.h>

/* The code point at *text, which moves past it; -1 when it is no UTF-8 (RFC 3629). */
static long
utf8_next(const unsigned char **text)
{
	static const long least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *at = *text;
	int len = *at < 0x80 ? 1 : *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : *at >= 0xc2 ? 2 : 0;
	long code = len == 1 ? *at : len == 0 ? -1 : *at & (0xff >> (len + 1));

	for (int i = 1; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80) /* the closing NUL stops here too */
			return -1;
		code = code << 6 | (at[i] & 0x3f);
	}
	if (len == 0 || code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return -1;
	*text = at + len;
	return code;
}

/* Not in XML 1.0's Char, or a control character, or a direction override that would let a title
 * read otherwise than it is. */
static bool
is_unwanted(long code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
	       (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
	       (code & 0xfffe) == 0xfffe;
}

int
xml_add(struct buf *out, const char *text, struct bd_err *e)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t before = out->len;
	int rc = 0;

	while (*at != '\0' && rc == 0) {
		const unsigned char *start = at;
		long code = utf8_next(&at);

		if (code == -1) {
			out->len = before;
			return bd_fail(e, BD_E_CONTENT, "text is not UTF-8");
		}
		if (code == '&')
			rc = buf_adds(out, "&amp;");
		else if (code == '<')
			rc = buf_adds(out, "&lt;");
		else if (code == '>')
			rc = buf_adds(out, "&gt;");
		else if (code == '"')
			rc = buf_adds(out, "&quot;");
		else if (is_unwanted(code))
			rc = buf_addc(out, ' ');
		else
			rc = buf_add(out, start, (size_t)(at - start));
	}
	return rc == 0 ? 0 : bd_fail(e, BD_E_MEMORY, "no memory for XML");
}

bool
xml_changes(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at != '\0') {
		long code = utf8_next(&at);

		if (code == -1 || is_unwanted(code))
			return true;
	}
	return false;
}

long
xml_chars(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	long count = 0;

	while (*at != '\0') {
		if (utf8_next(&at) == -1)
			return -1;
		count++;
	}
	return count;
}

/* Called at <!DOCTYPE, before any declaration is read: nothing is ever declared or expanded. */
static void
doctype_refuse(void *arg, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
	xmlParserCtxt *ctxt = arg;

	(void)name;
	(void)external;
	(void)system;
	ctxt->wellFormed = 0;
	xmlStopParser(ctxt);
}

/* libxml2 would write some errors to stderr, with bytes of the text in them. Our own say enough. */
static void
error_ignore(void *arg, xmlError *error)
{
	(void)arg;
	(void)error;
}

/* Elements, or text: both beside each other are in no document we read. */
static bool
is_plain(const xmlNode *node)
{
	bool has_elements = false, has_text = false;

	for (; node != NULL; node = node->next) {
		if (node->type == XML_ELEMENT_NODE) {
			has_elements = true;
			if (!is_plain(node->children)) /* the parser bounds the depth at 256 */
				return false;
		} else if (node->type == XML_TEXT_NODE) {
			has_text = has_text || !xmlIsBlankNode(node);
		} else {
			return false;
		}
	}
	return !(has_elements && has_text);
}

xmlDoc *
xml_parse(const void *data, size_t len, const char *what, struct bd_err *e)
{
	xmlParserCtxt *ctxt;
	xmlDoc *doc;

	if (len > XML_MAX_BYTES) {
		bd_fail(e, BD_E_DAMAGED, "%s of %zu bytes", what, len);
		return NULL;
	}
	if ((ctxt = xmlNewParserCtxt()) == NULL) {
		bd_fail(e, BD_E_MEMORY, "%s: no memory for a parser", what);
		return NULL;
	}
	xmlSetStructuredErrorFunc(NULL, error_ignore); /* of this thread */
	ctxt->sax->internalSubset = doctype_refuse;
	/* UTF-8 whatever the text claims: one reading for every reader */
	doc = xmlCtxtReadMemory(ctxt, data, (int)len, NULL, "UTF-8",
				XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	xmlFreeParserCtxt(ctxt);
	if (doc == NULL) {
		bd_fail(e, BD_E_DAMAGED, "%s is not well-formed XML without a DTD", what);
	} else if (xmlGetIntSubset(doc) != NULL || xmlDocGetRootElement(doc) == NULL ||
		   !is_plain(xmlDocGetRootElement(doc)->children)) {
		bd_fail(e, BD_E_DAMAGED, "%s has more in it than elements or text", what);
		xmlFreeDoc(doc);
		doc = NULL;
	}
	return doc;
}

bool
xml_is(const xmlNode *node, const char *ns, const char *name)
{
	return node != NULL && node->ns != NULL && strcmp((const char *)node->ns->href, ns) == 0 &&
	       strcmp((const char *)node->name, name) == 0;
}

xmlNode *
xml_child(const xmlNode *node)
{
	xmlNode *child = node->children;

	return child != NULL && child->type != XML_ELEMENT_NODE ? xml_next(child) : child;
}

xmlNode *
xml_next(const xmlNode *node)
{
	xmlNode *next = node->next;

	while (next != NULL && next->type != XML_ELEMENT_NODE)
		next = next->next;
	return next;
}

const char *
xml_value(const xmlNode *node)
{
	const xmlNode *child = node->children;

	if (child == NULL)
		return "";
	/* the parser joins text and character references into one node */
	return child->type == XML_TEXT_NODE && child->next == NULL ? (const char *)child->content
								   : NULL;
}

const char *
xml_attribute(const xmlNode *node, const char *name)
{
	for (const xmlAttr *attr = node->properties; attr != NULL; attr = attr->next) {
		if (attr->ns != NULL || strcmp((const char *)attr->name, name) != 0)
			continue;
		if (attr->children == NULL)
			return "";
		return attr->children->next == NULL ? (const char *)attr->children->content : NULL;
	}
	return NULL;
}

/* Visible: the element, what is in it, and the namespaces in scope there. */
static int
is_below(void *top, xmlNode *node, xmlNode *parent)
{
	if (node->type == XML_NAMESPACE_DECL || node->type == XML_ATTRIBUTE_NODE)
		node = parent;
	for (; node != NULL; node = node->parent)
		if (node == top)
			return 1;
	return 0;
}

int
xml_c14n(xmlNode *node, struct buf *out, struct bd_err *e)
{
	xmlOutputBuffer *to = xmlAllocOutputBuffer(NULL);
	int rc = -1;

	if (to == NULL ||
	    xmlC14NExecute(node->doc, is_below, node, XML_C14N_1_0, NULL, 0, to) < 0) {
		bd_fail(e, BD_E_SEAL, "canonical XML");
		goto out;
	}
	if (buf_add(out, xmlOutputBufferGetContent(to), xmlOutputBufferGetSize(to)) == -1) {
		bd_fail(e, BD_E_MEMORY, "no memory for canonical XML");
		goto out;
	}
	rc = 0;
out:
	if (to != NULL)
		xmlOutputBufferClose(to);
	return rc;
}
