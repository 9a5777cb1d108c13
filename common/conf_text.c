/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the configuration's text and blanks its comments out. libconfuse 3.3 counts a comment line
 * as three and takes a section that is never closed for complete; both would break the promise of
 * file and line. Knows quotes, comments and braces, nothing else.
 */
#include "config.h"
#include "common/conf_private.h"

#include <stdlib.h>
#include <string.h>
#include <stdio.h>

#define FILE_MAX_BYTES ((size_t)4 << 20)
#define BRACES_MAX 16

struct scan {
	const char *file;
	char *p;
	int line;
	size_t depth;
	int opened[BRACES_MAX]; /* lines of the braces that are open */
	struct bd_err *e;
};

static int
fail_line(struct scan *s, int line, const char *words)
{
	return bd_fail(s->e, BD_E_CONFIG, "%s:%d: %s", s->file, line, words);
}

static void
blank(struct scan *s)
{
	if (*s->p == '\n')
		s->line++;
	else
		*s->p = ' ';
	s->p++;
}

static int
scan_quoted(struct scan *s)
{
	char quote = *s->p++;
	int start = s->line;

	while (*s->p != quote) {
		if (*s->p == '\\' && s->p[1] != '\0') {
			s->p++;
		}
		if (*s->p == '\0')
			return fail_line(s, start, "a quote is opened here and never closed");
		if (*s->p++ == '\n')
			s->line++;
	}
	s->p++;
	return 0;
}

static int
scan_block_comment(struct scan *s)
{
	int start = s->line;

	while (*s->p != '\0' && strncmp(s->p, "*/", 2) != 0)
		blank(s);
	if (*s->p == '\0')
		return fail_line(s, start, "a comment is opened here and never closed");
	blank(s);
	blank(s);
	return 0;
}

static int
scan_brace(struct scan *s)
{
	if (*s->p == '{') {
		if (s->depth == BRACES_MAX)
			return fail_line(s, s->line, "braces are nested too deep");
		s->opened[s->depth++] = s->line;
	} else if (s->depth-- == 0) {
		return fail_line(s, s->line, "a brace is closed that was never opened");
	}
	s->p++;
	return 0;
}

static int
scan_text(struct scan *s)
{
	bool in_word = false; /* "https://x" holds no comment, "a#b" does, as in libconfuse */

	while (*s->p != '\0') {
		int rc = 0;

		if (*s->p == '#' || (!in_word && strncmp(s->p, "//", 2) == 0)) {
			while (*s->p != '\0' && *s->p != '\n')
				blank(s);
		} else if (!in_word && strncmp(s->p, "/*", 2) == 0) {
			rc = scan_block_comment(s);
		} else if (*s->p == '"' || *s->p == '\'') {
			rc = scan_quoted(s);
			in_word = false;
		} else if (*s->p == '{' || *s->p == '}') {
			rc = scan_brace(s);
			in_word = false;
		} else {
			in_word = strchr(" \t\r\n=,+()", *s->p) == NULL;
			if (*s->p++ == '\n')
				s->line++;
		}
		if (rc == -1)
			return -1;
	}
	if (s->depth > 0)
		return fail_line(s, s->opened[s->depth - 1],
				 "a brace is opened here and never closed");
	return 0;
}

char *
conf_text_read(const char *file, struct bd_err *e)
{
	FILE *in = fopen(file, "re");
	char *text = NULL;
	struct scan scan = { .file = file, .line = 1, .e = e };
	size_t len;

	if (in == NULL) {
		bd_fail_errno(e, BD_E_CONFIG, "%s", file);
		return NULL;
	}
	if ((text = malloc(FILE_MAX_BYTES + 1)) == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		goto fail;
	}
	len = fread(text, 1, FILE_MAX_BYTES + 1, in);
	if (ferror(in)) {
		bd_fail_errno(e, BD_E_CONFIG, "%s", file);
		goto fail;
	}
	if (len > FILE_MAX_BYTES || memchr(text, '\0', len) != NULL) {
		bd_fail(e, BD_E_CONFIG, "%s: is no text file, or too big", file);
		goto fail;
	}
	text[len] = '\0';
	scan.p = text;
	if (scan_text(&scan) == -1)
		goto fail;
	fclose(in);
	return text;
fail:
	free(text);
	fclose(in);
	return NULL;
}
