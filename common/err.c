/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fills and words error records. Holds the table from kind to SMTP code, enhanced status and public
 * text; decides nothing else and logs nothing.
 */
#include "config.h"
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct kind_row {
	int code;
	const char *status;
	const char *name;
};

static const struct kind_row kinds[BD_E_COUNT] = {
#define X(kind, code, status) [BD_E_##kind] = { code, status, #kind },
	BD_ERR_KINDS(X)
#undef X
};

#define T(kind, text) [BD_E_##kind] = text,
static const char *const texts_en[BD_E_COUNT] = {
#include "common/texts_en.def"
};
static const char *const texts_nb[BD_E_COUNT] = {
#include "common/texts_nb.def"
};
#undef T

static void cause_set(struct bd_err *e, enum bd_kind kind, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void
cause_set(struct bd_err *e, enum bd_kind kind, const char *fmt, va_list ap)
{
	e->kind = kind;
	e->detail[0] = '\0';
	vsnprintf(e->cause, sizeof(e->cause), fmt, ap);
}

int
bd_fail(struct bd_err *e, enum bd_kind kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cause_set(e, kind, fmt, ap);
	va_end(ap);
	return -1;
}

int
bd_fail_errno(struct bd_err *e, enum bd_kind kind, const char *fmt, ...)
{
	int saved = errno;
	char reason[80];
	size_t len;
	va_list ap;

	va_start(ap, fmt);
	cause_set(e, kind, fmt, ap);
	va_end(ap);
	len = strlen(e->cause);
	snprintf(e->cause + len, sizeof(e->cause) - len, ": %s",
		 strerror_r(saved, reason, sizeof(reason)));
	errno = saved;
	return -1;
}

int
bd_wrap(struct bd_err *e, const char *fmt, ...)
{
	char inner[sizeof(e->cause)];
	size_t len;
	va_list ap;

	memcpy(inner, e->cause, sizeof(inner));
	va_start(ap, fmt);
	vsnprintf(e->cause, sizeof(e->cause), fmt, ap);
	va_end(ap);
	len = strlen(e->cause);
	snprintf(e->cause + len, sizeof(e->cause) - len, ": %s", inner);
	return -1;
}

void
bd_detail(struct bd_err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->detail, sizeof(e->detail), fmt, ap);
	va_end(ap);
	for (char *p = e->detail; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

int
bd_kind_code(enum bd_kind kind)
{
	return kinds[kind].code;
}

const char *
bd_kind_status(enum bd_kind kind)
{
	return kinds[kind].status;
}

const char *
bd_kind_name(enum bd_kind kind)
{
	return kinds[kind].name;
}

const char *
bd_kind_text(enum bd_kind kind, const char *language)
{
	if (language != NULL && strcmp(language, "nb") == 0)
		return texts_nb[kind];
	return texts_en[kind];
}
