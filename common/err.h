/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_ERR_H
#define BD_COMMON_ERR_H

/*
 * The error record every function that can fail fills (style: 0 or -1, look-ups 1/0/-1, error
 * last). The kind decides the SMTP or LMTP answer, in the one table below; the public texts stand
 * in texts_<language>.def, one line per kind. The cause is for the operator's log and may never be
 * shown to a sender. Nothing here allocates, so it works out of memory. Thread safe.
 */

#include <stddef.h>

/* kind, SMTP code, RFC 3463 enhanced status */
#define BD_ERR_KINDS(X)                                                                            \
	X(INTERNAL, 451, "4.3.0") /* anything unforeseen; zero, so forgetting to set it is safe */ \
	X(CONFIG, 451, "4.3.5")   /* our configuration cannot serve this */                        \
	X(MEMORY, 451, "4.3.1")   /* total-memory limit or allocation */                           \
	X(QUEUE, 451, "4.3.0")    /* sealed message not queued by the sending instance */          \
	X(BUSY, 451, "4.3.2")     /* shutting down, pools full */                                  \
	X(REGISTER, 451, "4.4.3") /* register or lookup daemon did not answer usably */            \
	X(SEAL, 451, "4.7.5")     /* certificate unusable, signing or encryption failed */         \
	X(RATE, 451, "4.7.0")     /* more letters than the sender may send now */                  \
	X(READER, 451, "4.3.0")   /* the reader died or exceeded its limits on this mail */        \
	X(MAIL_WORK, 452, "4.5.3")        /* recipients x size above mail-work */                  \
	X(BAD_NUMBER, 550, "5.1.3")       /* local part is not a valid national number */          \
	X(NUMBER_ELSEWHERE, 550, "5.1.2") /* in an address that is not a citizen's */              \
	X(NOT_AUTHORISED, 550, "5.7.1")                                                            \
	X(NO_TLS, 550, "5.7.10")                                                                   \
	X(MIXED, 550, "5.7.1")            /* citizens together with other recipients */            \
	X(NOT_FOR_CITIZENS, 550, "5.7.1") /* ordinary mail where ordinary = refuse */              \
	X(NO_REPORTS, 550, "5.7.1")       /* null sender and no reports-to */                      \
	X(NO_WAY, 550, "5.3.3")           /* no way to this person: one text for every reason */   \
	X(TOO_BIG, 552, "5.3.4")                                                                   \
	X(CONTENT, 550, "5.6.0") /* something in the mail cannot be sent; detail says where */     \
	X(CONTENT_TYPE, 550, "5.6.1")   /* a part of a type that cannot be sent */                 \
	X(READER_GAVE_UP, 554, "5.6.0") /* third death of a reader on the same mail */             \
	X(AWAY, 451, "4.4.1")           /* transport: provider away */                             \
	X(STORE_FULL, 452, "4.3.1")     /* transport: disk full */                                 \
	X(NOT_SEALED, 451, "4.7.0")     /* transport: not sealed by our milter; alarm */           \
	X(DAMAGED, 554, "5.6.0")        /* transport: sealed by us but damaged */

enum bd_kind {
#define X(kind, code, status) BD_E_##kind,
	BD_ERR_KINDS(X)
#undef X
	    BD_E_COUNT
};

struct bd_err {
	enum bd_kind kind;
	char detail[96]; /* public addition to the text: positions and media types only, ASCII */
	char cause[256]; /* log only, outermost context first */
};

/* Sets kind and cause, clears detail. Always returns -1. errno is untouched. */
int bd_fail(struct bd_err *e, enum bd_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As bd_fail, and appends ": strerror(errno)". */
int bd_fail_errno(struct bd_err *e, enum bd_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the cause. Always returns -1. */
int bd_wrap(struct bd_err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sets the public detail, for example "part 3, image/tiff". Control and non-ASCII bytes become '?'.
 */
void bd_detail(struct bd_err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int bd_kind_code(enum bd_kind kind);           /* 451 */
const char *bd_kind_status(enum bd_kind kind); /* "4.3.0" */
const char *bd_kind_name(enum bd_kind kind);   /* "INTERNAL", for logs and tests */
/* The public sentence in "en" or "nb"; an unknown language gives English. */
const char *bd_kind_text(enum bd_kind kind, const char *language);

#endif
