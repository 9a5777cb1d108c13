/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_ASICE_H
#define BD_ENVELOPE_ASICE_H

/* The ASiC-E container as a zip (spec/dpi.md 1.6.1). What is in the files is not its business.
 * Thread safe. */

#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

#define ASICE_MIME "application/vnd.etsi.asic-e+zip"
#define ASICE_MIMETYPE "mimetype"
#define ASICE_MANIFEST "manifest.xml"
#define ASICE_META "META-INF/"
#define ASICE_SIGNATURES "META-INF/signatures.xml"
#define ASICE_ODF_MANIFEST "META-INF/manifest.xml"
#define ASICE_FILES_MAX 300
#define ASICE_TOTAL_MAX ((size_t)128 << 20)

struct asice_entry { /* to write; all borrowed */
	const char *name;
	const char *mime;
	const void *data;
	size_t len;
};
/* mimetype first and stored, then the entries in their order. The same input gives the same bytes:
 * no clock is in it. */
int asice_write(const struct asice_entry *entries, size_t count, struct buf *out, struct bd_err *e);

struct asice_file {
	char *name;
	struct buf data;
};
struct asice {
	struct asice_file *files; /* in the order of the archive, with mimetype where it is there */
	size_t count;
};
/* Kind DAMAGED for a foreign form, twice the same name, more than the limits, wrong CRC. */
int asice_read(const void *zip, size_t len, struct asice *a_r, struct bd_err *e);
const struct asice_file *asice_find(const struct asice *a, const char *name); /* NULL */
void asice_clear(struct asice *a);

#endif
