/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SANDBOX_PAGE_H
#define BD_SANDBOX_PAGE_H

/* The web page: one handler for each address, split over page.c, page_letter.c and page_tools.c. */

#include "sandbox/web.h"

web_handler page_letters, page_letter, page_letter_open, page_letter_receipt, page_document;
web_handler page_receipts, page_faults, page_faults_set, page_calls, page_setup;

/* The table of letters that fit; provider and mailbox NULL: all. Newest first. Lock held. Returns
 * how many. */
size_t page_letter_table(struct buf *b, const struct sandbox *sb, const char *provider,
			 const char *mailbox, size_t most);
const char *page_provider_name(const struct sandbox *sb, const char *orgnr);

#endif
