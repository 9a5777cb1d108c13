/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_PUBLICTEXT_H
#define BD_COMMON_PUBLICTEXT_H

/*
 * The rules for texts that are seen before login or travel unencrypted: public title and notices
 * (design section 4: a number or a link in them is refused). One place for the configuration's
 * defaults and for what a mail's headers ask for. Pure, thread safe.
 */

#include <stddef.h>

#include "common/err.h"

#define PUBLICTEXT_TITLE_CHARS 255 /* ikkesensitivtittel, spec/dpi.md 1.9 */
#define PUBLICTEXT_EMAIL_CHARS 500 /* epostvarsel.varslingstekst */
#define PUBLICTEXT_SMS_CHARS 160   /* smsvarsel.varslingstekst */

/*
 * text must be UTF-8, 1 to max_chars characters, without control characters, links, e-mail
 * addresses, and runs of eleven digits or more (also with blanks, dots or dashes between). 0, or -1
 * with kind CONTENT and the reason as cause; the text itself is not in it.
 */
int publictext_check(const char *text, size_t max_chars, struct bd_err *e);

#endif
