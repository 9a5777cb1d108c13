/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the parts of a document package together, and takes them apart with everything verified. */
#include "config.h"
#include "envelope/package.h"

#include <stdlib.h>
#include <string.h>

#include "envelope/asice.h"
#include "envelope/cms.h"
#include "envelope/manifest.h"
#include "envelope/xades.h"

/* Whether the limit counts the container or the CMS, and which MB, is not confirmed: both stay
 * below the smaller (spec/dpi.md 1.4). */
#define PACKAGE_MAX_BYTES ((size_t)50 * 1000 * 1000)
/* Manifest, signature with its certificates, zip headers of 201 documents, what deflate adds to
 * what does not shrink, CMS around it: all far below. */
#define OVERHEAD_BYTES ((size_t)500 * 1000)

static int
size_check(const struct buf *b, struct bd_err *e)
{
	return b->len < PACKAGE_MAX_BYTES
		   ? 0
		   : bd_fail(e, BD_E_TOO_BIG, "package of %zu bytes", b->len);
}

int
package_check(const struct letter *l, const char *mailbox, const char *language,
	      const struct package_sender *s, struct bd_err *e)
{
	struct buf manifest = { 0 };
	size_t total = OVERHEAD_BYTES;
	int rc = manifest_make(l, mailbox, language, s, &manifest, e);

	buf_free(&manifest);
	if (rc == -1)
		return -1;
	/* as if nothing could be compressed, so that the answer does not depend on luck */
	for (size_t i = 0; i < l->document_count; i++) {
		if (l->documents[i].len > PACKAGE_MAX_BYTES ||
		    (total += l->documents[i].len) > PACKAGE_MAX_BYTES)
			return bd_fail(e, BD_E_TOO_BIG, "documents of more than %zu bytes",
				       PACKAGE_MAX_BYTES - OVERHEAD_BYTES);
	}
	return 0;
}

static int
container_make(const struct letter *l, const struct buf *manifest, const struct package_sender *s,
	       struct signer *signer, struct buf *asice, struct bd_err *e)
{
	size_t count = l->document_count + 1; /* and manifest.xml; signatures.xml comes after */
	struct asice_entry *entries = calloc(count + 1, sizeof(*entries));
	struct buf signatures = { 0 };
	int rc = -1;

	if (entries == NULL)
		return bd_fail(e, BD_E_MEMORY, "no memory for a package");
	entries[0] = (struct asice_entry){ ASICE_MANIFEST, "application/xml", manifest->data,
					   manifest->len };
	for (size_t i = 0; i < l->document_count; i++) {
		const struct document *d = &l->documents[i];

		entries[i + 1] = (struct asice_entry){ d->href, d->mime, d->data, d->len };
	}
	if (xades_make(entries, count, s->chain, signer, s->label, &signatures, e) == -1)
		goto out;
	entries[count] = (struct asice_entry){ ASICE_SIGNATURES, "application/xml", signatures.data,
					       signatures.len };
	rc = asice_write(entries, count + 1, asice, e);
out:
	buf_free(&signatures);
	free(entries);
	return rc;
}

int
package_make(const struct letter *l, const char *mailbox, const char *language,
	     const struct package_sender *s, struct signer *signer, struct buf *asice,
	     struct bd_err *e)
{
	struct buf manifest = { 0 }, made = { 0 };
	int rc = -1;

	if (package_check(l, mailbox, language, s, e) == -1 ||
	    manifest_make(l, mailbox, language, s, &manifest, e) == -1 ||
	    container_make(l, &manifest, s, signer, &made, e) == -1 || size_check(&made, e) == -1)
		goto out;
	if (asice->len == 0) { /* no second copy of up to 50 MB */
		buf_free(asice);
		*asice = made;
		made = (struct buf){ 0 };
	} else if (buf_add(asice, made.data, made.len) == -1) {
		bd_fail(e, BD_E_MEMORY, "no memory for a package");
		goto out;
	}
	rc = 0;
out:
	buf_free(&manifest);
	buf_free(&made);
	return rc;
}

int
package_encrypt(const struct buf *asice, X509 *recipient, struct buf *cms, struct bd_err *e)
{
	if (cms_encrypt(asice->data, asice->len, recipient, cms, e) == -1)
		return -1;
	return size_check(cms, e);
}

int
package_decrypt(const void *cms, size_t len, X509 *recipient, EVP_PKEY *key, struct buf *asice,
		struct bd_err *e)
{
	return cms_decrypt(cms, len, recipient, key, asice, e);
}

/* The file's bytes move into the entry. */
static int
document_take(struct asice *a, const char *href, struct package_entry *to, struct bd_err *e)
{
	struct asice_file *file = NULL;

	for (size_t i = 0; i < a->count && file == NULL; i++)
		if (strcmp(a->files[i].name, href) == 0)
			file = &a->files[i];
	if (file == NULL || strncmp(href, ASICE_META, strlen(ASICE_META)) == 0 ||
	    strcmp(href, ASICE_MANIFEST) == 0 || strcmp(href, ASICE_MIMETYPE) == 0)
		return bd_fail(e, BD_E_DAMAGED, "manifest: a document is not in the container");
	if (to == NULL) /* extension data: there, that is all */
		return 0;
	if (file->data.max == 1)
		return bd_fail(e, BD_E_DAMAGED, "manifest: two documents of one file");
	to->data = file->data;
	file->data = (struct buf){ .max = 1 }; /* taken */
	return 0;
}

static size_t
content_files(const struct asice *a)
{
	size_t count = 0;

	for (size_t i = 0; i < a->count; i++)
		if (strncmp(a->files[i].name, ASICE_META, strlen(ASICE_META)) != 0 &&
		    strcmp(a->files[i].name, ASICE_MIMETYPE) != 0)
			count++;
	return count;
}

static int
documents_take(struct asice *a, struct manifest *m, struct package_open *o, struct bd_err *e)
{
	size_t named = 1; /* manifest.xml itself */

	o->documents = calloc(m->document_count, sizeof(*o->documents));
	if (o->documents == NULL)
		return bd_fail(e, BD_E_MEMORY, "no memory for documents");
	for (size_t i = 0; i < m->document_count; i++) {
		struct manifest_document *d = &m->documents[i];
		struct package_entry *to = &o->documents[o->document_count++];

		to->href = d->href;
		to->mime = d->mime;
		to->title = d->title;
		d->href = d->mime = d->title = NULL;
		if (document_take(a, to->href, to, e) == -1 ||
		    (d->data_href != NULL && document_take(a, d->data_href, NULL, e) == -1))
			return -1;
		named += d->data_href != NULL ? 2 : 1;
	}
	if (named != content_files(a))
		return bd_fail(e, BD_E_DAMAGED, "container: a file is not in the manifest");
	return 0;
}

int
package_verify(const void *asice, size_t len, X509_STORE *roots, struct package_open *open_r,
	       struct bd_err *e)
{
	struct package_open o = { 0 };
	struct asice a = { NULL, 0 };
	struct manifest m = { 0 };
	const struct asice_file *file;
	int rc = -1;

	if (asice_read(asice, len, &a, e) == -1 || xades_verify(&a, roots, &o.signer, e) == -1)
		goto out;
	if ((file = asice_find(&a, ASICE_MANIFEST)) == NULL) {
		bd_fail(e, BD_E_DAMAGED, "container without manifest.xml");
		goto out;
	}
	if (manifest_read(file->data.data, file->data.len, &m, e) == -1 ||
	    documents_take(&a, &m, &o, e) == -1)
		goto out;
	o.mailbox = m.mailbox;
	o.sender_orgnr = m.sender_orgnr;
	o.unit = m.unit;
	m.mailbox = m.sender_orgnr = m.unit = NULL;
	*open_r = o;
	o = (struct package_open){ 0 };
	rc = 0;
out:
	package_open_clear(&o);
	manifest_clear(&m);
	asice_clear(&a);
	return rc;
}

void
package_open_clear(struct package_open *o)
{
	for (size_t i = 0; i < o->document_count; i++) {
		free(o->documents[i].href);
		free(o->documents[i].mime);
		free(o->documents[i].title);
		buf_free(&o->documents[i].data);
	}
	free(o->documents);
	free(o->mailbox);
	free(o->sender_orgnr);
	free(o->unit);
	X509_free(o->signer);
	*o = (struct package_open){ 0 };
}
