/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the access point's answers. Sends nothing. */
#include "config.h"
#include "transport/dpi_answer.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"

#define PROBLEM_MAX_BYTES ((size_t)64 << 10)
#define STATUSES_MAX_BYTES ((size_t)256 << 10)

/* Texts that real senders match, because the interface has no field for them (1.12). */
#define OLD_DUPLICATE "duplicate key value violates unique constraint \"unique_message_uuid\""
#define DIGEST_MISMATCH "Upload was not accepted, SHA-256 digest of dokumentpakke was"

/* New reference or NULL; *detail_r is borrowed from it, NULL when there is none. */
static json_t *
problem_read(const void *body, size_t len, const char **detail_r)
{
	struct bd_err ignored;
	json_t *problem = len > 0 ? json_parse(body, len, PROBLEM_MAX_BYTES, &ignored) : NULL;

	*detail_r = json_text(problem, "detail");
	return problem;
}

static enum dpi_class
class_of_400(const void *body, size_t len)
{
	const char *detail;
	json_t *problem = problem_read(body, len, &detail);
	enum dpi_class class = DPI_REFUSED;

	if (detail != NULL && strstr(detail, OLD_DUPLICATE) != NULL)
		class = DPI_DUPLICATE;
	else if (detail != NULL && strstr(detail, DIGEST_MISMATCH) != NULL)
		class = DPI_NOT_NOW; /* damaged on the way: send again */
	json_decref(problem);
	return class;
}

enum dpi_class
dpi_answer_class(int status, const void *body, size_t len)
{
	if (status >= 200 && status < 300)
		return DPI_ACCEPTED;
	switch (status) {
	case 400:
		return class_of_400(body, len);
	case 401:
		return DPI_TOKEN;
	case 403:
		return DPI_FORBIDDEN;
	case 404: /* the address is wrong, or what stands there is no access point */
	case 405:
		return DPI_FORBIDDEN;
	case 408:
		return DPI_IN_DOUBT;
	case 409:
		return DPI_DUPLICATE;
	case 425:
	case 429:
		return DPI_NOT_NOW;
	default:
		break;
	}
	/* A 5xx may come from a proxy after the access point took the letter. Redirects are not
	 * followed: somebody must change the address. */
	if (status >= 500)
		return DPI_IN_DOUBT;
	return status >= 400 ? DPI_REFUSED : DPI_IN_DOUBT;
}

const char *
dpi_answer_reason(enum dpi_class class, int status)
{
	switch (class) {
	case DPI_FORBIDDEN:
		return status == 403 ? "scope or agreement missing" : "no access point there";
	case DPI_REFUSED:
		return status == 400   ? "validation error"
		       : status == 413 ? "too big for the access point"
				       : "refused";
	case DPI_TOKEN:
		return "token refused twice";
	case DPI_NOT_NOW:
		return status == 400 ? "upload was damaged" : "asked to wait";
	case DPI_IN_DOUBT:
		return "access point has a problem";
	case DPI_ACCEPTED:
	case DPI_DUPLICATE:
		break;
	}
	return "";
}

/* Only words of lower-case letters, codes in capitals and short numbers are let through. A word in
 * quotes or with a capital inside a sentence may be a name. */
static bool
word_is_harmless(const char *word, size_t len, bool first)
{
	static const char lower[] = "abcdefghijklmnopqrstuvwxyz_-",
			  upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-", digits[] = "0123456789";
	size_t n = len;

	while (n > 0 && strchr(".,:;", word[n - 1]) != NULL)
		n--;
	if (n == 0)
		return true;
	if (strspn(word, lower) >= n || (n <= 12 && strspn(word, upper) >= n && n > 1) ||
	    (n <= 6 && strspn(word, digits) >= n))
		return true;
	return first && strchr(upper, word[0]) != NULL && strspn(word + 1, lower) >= n - 1;
}

void
dpi_answer_detail(const void *body, size_t len, char *out, size_t size)
{
	const char *detail;
	json_t *problem = problem_read(body, len, &detail);
	size_t used = 0;
	bool first = true;

	out[0] = '\0';
	while (detail != NULL && *detail != '\0' && used + 1 < size) {
		size_t n = strcspn(detail, " "), blanks = strspn(detail + n, " ");

		if (n > 0) {
			bool shown = word_is_harmless(detail, n, first);
			int wrote = snprintf(out + used, size - used, "%s%.*s", used > 0 ? " " : "",
					     shown ? (int)n : 1, shown ? detail : "*");

			if (wrote < 0 || (size_t)wrote >= size - used)
				break;
			used += (size_t)wrote;
			first = false;
		}
		detail += n + blanks;
	}
	json_decref(problem);
}

enum driver_found
dpi_answer_statuses(const void *body, size_t len, struct driver_note *note_r, struct bd_err *e)
{
	json_t *list = json_parse(body, len, STATUSES_MAX_BYTES, e), *item;
	const char *best = NULL;
	size_t i;

	if (!json_is_array(list)) {
		json_decref(list);
		bd_fail(e, BD_E_AWAY, "the status list is no JSON array");
		return DRIVER_UNKNOWN;
	}
	json_array_foreach(list, i, item)
	{
		const char *status = json_text(item, "status");

		if (status == NULL)
			continue;
		if (strcmp(status, "SENDT") == 0)
			best = "SENDT";
		else if (strcmp(status, "FEILET") == 0 &&
			 (best == NULL || strcmp(best, "SENDT") != 0))
			best = "FEILET";
		else if (best == NULL) /* OPPRETTET, or one we do not know: it is there */
			best = "OPPRETTET";
	}
	json_decref(list);
	if (best == NULL)
		return DRIVER_ABSENT; /* 1.13: an empty list means not yet */
	snprintf(note_r->status, sizeof(note_r->status), "%s", best);
	note_r->final = strcmp(best, "OPPRETTET") != 0;
	return strcmp(best, "FEILET") == 0 ? DRIVER_GAVE_UP : DRIVER_THERE;
}
