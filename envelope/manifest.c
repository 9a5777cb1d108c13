/* SPDX-License-Identifier: Apache-2.0 */
/* Writes and reads manifest.xml. Titles pass as text; file names are ours, and anything else than a
 * safe name is refused, never repaired. */
#include "config.h"
#include "envelope/manifest.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "envelope/xml.h"

#define NS "http://begrep.difi.no/sdp/schema_v10"
#define TITLE_MAX 255
#define MAILBOX_MAX 200
#define UNIT_MAX 100
#define INVOICE_MAX 40
#define MIME_MAX 100

bool
manifest_href_is_safe(const char *href)
{
	size_t len = strlen(href);

	return len >= 4 && len <= 100 && href[0] != '.' &&
	       strspn(href, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
		   len &&
	       strcasecmp(href, "manifest.xml") != 0 && strcasecmp(href, "mimetype") != 0 &&
	       strcasecmp(href, "META-INF") != 0;
}

static bool
is_length(const char *text, long min, long max)
{
	long chars = xml_chars(text);

	return chars >= min && chars <= max;
}

static int
document_check(const struct letter *l, size_t at, struct bd_err *e)
{
	const struct document *d = &l->documents[at];

	if (!manifest_href_is_safe(d->href))
		return bd_fail(e, BD_E_INTERNAL, "document %zu: unsafe file name", at + 1);
	for (size_t i = 0; i < at; i++)
		if (strcasecmp(l->documents[i].href, d->href) == 0)
			return bd_fail(e, BD_E_INTERNAL, "document %zu: file name used twice",
				       at + 1);
	if (!is_length(d->mime, 1, MIME_MAX))
		return bd_fail(e, BD_E_CONTENT, "document %zu: media type", at + 1);
	if (!is_length(d->title, 1, TITLE_MAX))
		return bd_fail(e, BD_E_CONTENT, "document %zu: title is not 1 to %d characters",
			       at + 1, TITLE_MAX);
	return 0;
}

static int
sender_check(const char *mailbox, const char *language, const struct package_sender *s,
	     struct bd_err *e)
{
	if (strlen(s->orgnr) != 9 || strspn(s->orgnr, "0123456789") != 9)
		return bd_fail(e, BD_E_CONFIG, "sender's organisation number");
	if (strlen(language) != 2 || strspn(language, "abcdefghijklmnopqrstuvwxyz") != 2)
		return bd_fail(e, BD_E_CONFIG, "language is not two letters");
	if (s->unit != NULL && !is_length(s->unit, 1, UNIT_MAX))
		return bd_fail(e, BD_E_CONTENT, "unit is not 1 to %d characters", UNIT_MAX);
	if (s->invoice_reference != NULL && !is_length(s->invoice_reference, 1, INVOICE_MAX))
		return bd_fail(e, BD_E_CONTENT, "invoice reference is not 1 to %d characters",
			       INVOICE_MAX);
	/* it must be the very same string in the SBD, so nothing may be replaced in it */
	if (mailbox != NULL && (!is_length(mailbox, 1, MAILBOX_MAX) || xml_changes(mailbox)))
		return bd_fail(e, BD_E_REGISTER, "mailbox address");
	return 0;
}

/* "<name>text</name>", nothing for NULL. */
static int
element_add(struct buf *out, const char *name, const char *text, struct bd_err *e)
{
	if (text == NULL)
		return 0;
	if (buf_addf(out, "<%s>", name) == -1)
		return bd_fail(e, BD_E_MEMORY, "no memory for a manifest");
	if (xml_add(out, text, e) == -1)
		return bd_wrap(e, "manifest");
	if (buf_addf(out, "</%s>", name) == -1)
		return bd_fail(e, BD_E_MEMORY, "no memory for a manifest");
	return 0;
}

static int
document_add(struct buf *out, const char *name, const struct document *d, const char *language,
	     struct bd_err *e)
{
	if (buf_addf(out, "<%s href=\"%s\" mime=\"", name, d->href) == -1 ||
	    xml_add(out, d->mime, e) == -1 ||
	    buf_addf(out, "\"><tittel lang=\"%s\">", language) == -1 ||
	    xml_add(out, d->title, e) == -1 || buf_addf(out, "</tittel></%s>", name) == -1)
		return bd_fail(e, BD_E_CONTENT, "manifest: a title or type is not UTF-8");
	return 0;
}

int
manifest_make(const struct letter *l, const char *mailbox, const char *language,
	      const struct package_sender *s, struct buf *out, struct bd_err *e)
{
	if (l->document_count == 0 || l->document_count > MANIFEST_ATTACHMENTS_MAX + 1)
		return bd_fail(e, BD_E_CONTENT, "%zu documents, 1 to %d can be sent",
			       l->document_count, MANIFEST_ATTACHMENTS_MAX + 1);
	if (sender_check(mailbox, language, s, e) == -1)
		return -1;
	for (size_t i = 0; i < l->document_count; i++)
		if (document_check(l, i, e) == -1)
			return -1;
	if (buf_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n"
			  "<manifest xmlns=\"" NS "\">") == -1)
		goto memory;
	if (mailbox != NULL && (buf_adds(out, "<mottaker><person>") == -1 ||
				element_add(out, "postkasseadresse", mailbox, e) == -1 ||
				buf_adds(out, "</person></mottaker>") == -1))
		return bd_fail(e, BD_E_REGISTER, "mailbox address cannot be written");
	if (buf_addf(out,
		     "<avsender><organisasjon authority=\"iso6523-actorid-upis\">0192:%s"
		     "</organisasjon>",
		     s->orgnr) == -1)
		goto memory;
	if (element_add(out, "avsenderidentifikator", s->unit, e) == -1 ||
	    element_add(out, "fakturaReferanse", s->invoice_reference, e) == -1)
		return -1;
	if (buf_adds(out, "</avsender>") == -1)
		goto memory;
	for (size_t i = 0; i < l->document_count; i++)
		if (document_add(out, i == 0 ? "hoveddokument" : "vedlegg", &l->documents[i],
				 language, e) == -1)
			return -1;
	if (buf_adds(out, "</manifest>") == -1)
		goto memory;
	return 0;
memory:
	return bd_fail(e, BD_E_MEMORY, "no memory for a manifest");
}

static int
foreign(struct bd_err *e, const char *what)
{
	return bd_fail(e, BD_E_DAMAGED, "manifest: %s", what);
}

static int
text_take(const char *value, char **text_r, struct bd_err *e)
{
	if (value == NULL || *text_r != NULL)
		return foreign(e, "an element without text, or given twice");
	if ((*text_r = strdup(value)) == NULL)
		return bd_fail(e, BD_E_MEMORY, "no memory for a manifest");
	return 0;
}

static int
recipient_read(const xmlNode *recipient, struct manifest *m, struct bd_err *e)
{
	const xmlNode *person = xml_child(recipient), *node;

	if (!xml_is(person, NS, "person") || xml_next(person) != NULL)
		return foreign(e, "mottaker is not one person");
	for (node = xml_child(person); node != NULL; node = xml_next(node)) {
		if (xml_is(node, NS, "postkasseadresse")) {
			if (text_take(xml_value(node), &m->mailbox, e) == -1)
				return -1;
		} else if (!xml_is(node, NS, "personidentifikator")) {
			return foreign(e, "unknown element in person");
		}
	}
	return m->mailbox != NULL ? 0 : foreign(e, "no postkasseadresse");
}

static int
sender_read(const xmlNode *sender, struct manifest *m, struct bd_err *e)
{
	for (const xmlNode *node = xml_child(sender); node != NULL; node = xml_next(node)) {
		const char *value = xml_value(node);

		if (xml_is(node, NS, "organisasjon")) {
			if (value == NULL || strlen(value) != 14 ||
			    strspn(value + 5, "0123456789") != 9 ||
			    (strncmp(value, "0192:", 5) != 0 && strncmp(value, "9908:", 5) != 0))
				return foreign(e, "organisasjon");
			if (text_take(value + 5, &m->sender_orgnr, e) == -1)
				return -1;
		} else if (xml_is(node, NS, "avsenderidentifikator")) {
			if (text_take(value, &m->unit, e) == -1)
				return -1;
		} else if (!xml_is(node, NS, "fakturaReferanse")) {
			return foreign(e, "unknown element in avsender");
		}
	}
	return m->sender_orgnr != NULL ? 0 : foreign(e, "no organisasjon");
}

static int
document_read(const xmlNode *node, struct manifest_document *d, struct bd_err *e)
{
	if (text_take(xml_attribute(node, "href"), &d->href, e) == -1 ||
	    text_take(xml_attribute(node, "mime"), &d->mime, e) == -1)
		return -1;
	for (node = xml_child(node); node != NULL; node = xml_next(node)) {
		if (xml_is(node, NS, "tittel")) {
			if (text_take(xml_value(node), &d->title, e) == -1)
				return -1;
		} else if (xml_is(node, NS, "data")) {
			if (text_take(xml_attribute(node, "href"), &d->data_href, e) == -1)
				return -1;
		} else {
			return foreign(e, "unknown element in a document");
		}
	}
	return 0;
}

static int
root_read(const xmlNode *root, struct manifest *m, struct bd_err *e)
{
	const xmlNode *node = xml_child(root);

	if (!xml_is(root, NS, "manifest"))
		return foreign(e, "another root element");
	if (xml_is(node, NS, "mottaker")) {
		if (recipient_read(node, m, e) == -1)
			return -1;
		node = xml_next(node);
	}
	if (!xml_is(node, NS, "avsender"))
		return foreign(e, "no avsender");
	if (sender_read(node, m, e) == -1)
		return -1;
	m->documents = calloc(MANIFEST_ATTACHMENTS_MAX + 1, sizeof(*m->documents));
	if (m->documents == NULL)
		return bd_fail(e, BD_E_MEMORY, "no memory for a manifest");
	while ((node = xml_next(node)) != NULL) {
		const char *name = m->document_count == 0 ? "hoveddokument" : "vedlegg";

		if (m->document_count > 0 && xml_is(node, NS, "lenke") && xml_next(node) == NULL)
			break;
		if (!xml_is(node, NS, name) || m->document_count > MANIFEST_ATTACHMENTS_MAX)
			return foreign(e, "not one hoveddokument and at most 200 vedlegg");
		if (document_read(node, &m->documents[m->document_count++], e) == -1)
			return -1;
	}
	return m->document_count > 0 ? 0 : foreign(e, "no hoveddokument");
}

int
manifest_read(const void *data, size_t len, struct manifest *m_r, struct bd_err *e)
{
	struct manifest m = { 0 };
	xmlDoc *doc = xml_parse(data, len, "manifest.xml", e);
	int rc;

	if (doc == NULL)
		return -1;
	if ((rc = root_read(xmlDocGetRootElement(doc), &m, e)) == 0)
		*m_r = m;
	else
		manifest_clear(&m);
	xmlFreeDoc(doc);
	return rc;
}

void
manifest_clear(struct manifest *m)
{
	for (size_t i = 0; i < m->document_count; i++) {
		free(m->documents[i].href);
		free(m->documents[i].mime);
		free(m->documents[i].title);
		free(m->documents[i].data_href);
	}
	free(m->documents);
	free(m->mailbox);
	free(m->sender_orgnr);
	free(m->unit);
	*m = (struct manifest){ 0 };
}
