/* SPDX-License-Identifier: Apache-2.0 */
/* Cleans titles, tells extensions, keeps titles apart. Opens no file and knows no mail. */
#include "config.h"
#include "reader/names.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <glib.h>

#define CUT_BACK_CHARS ((size_t)30) /* how far back a word's end is worth a shorter title */

/* Characters that change how others are shown, or show nothing. ZWNJ and ZWJ stay: Persian and
 * Indic words need them. */
static bool
is_invisible(gunichar c)
{
	return c == 0xad || c == 0x61c || c == 0x180e || c == 0x200b || c == 0x200e ||
	       c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
	       c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff) ||
	       (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef);
}

static bool
is_white(gunichar c)
{
	return c < ' ' || (c >= 0x7f && c <= 0x9f) || g_unichar_isspace(c) || c == 0x2028 ||
	       c == 0x2029;
}

/* Cuts s, of more than 255 characters, to 254 and "…". */
static void
cut(GString *s)
{
	const char *end = g_utf8_offset_to_pointer(s->str, (glong)NAMES_TITLE_MAX_CHARS - 1);
	const char *word = end;

	for (size_t back = 0; back < CUT_BACK_CHARS && *word != ' '; back++)
		word = g_utf8_prev_char(word);
	if (*word == ' ')
		end = word;
	else /* no mark may lose its letter */
		while (g_unichar_ismark(g_utf8_get_char(end)) && end > s->str)
			end = g_utf8_prev_char(end);
	g_string_truncate(s, (gsize)(end - s->str));
	g_string_append(s, "…");
}

char *
names_clean(const char *text)
{
	char *valid = g_utf8_make_valid(text, -1);
	char *nfc = g_utf8_normalize(valid, -1, G_NORMALIZE_NFC);
	GString *s = g_string_new(NULL);
	bool gap = false;
	char *out;

	for (char *p = nfc != NULL ? nfc : valid; *p != '\0'; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);

		if (is_invisible(c))
			continue;
		if (is_white(c)) {
			gap = true;
			continue;
		}
		if (gap && s->len > 0)
			g_string_append_c(s, ' ');
		gap = false;
		g_string_append_unichar(s, c);
	}
	if (g_utf8_strlen(s->str, -1) > (glong)NAMES_TITLE_MAX_CHARS)
		cut(s);
	out = strdup(s->str);
	g_string_free(s, TRUE);
	g_free(nfc);
	g_free(valid);
	return out;
}

/* The last element of a path of any system. */
static const char *
base_name(const char *name)
{
	const char *base = name;

	for (; *name != '\0'; name++)
		if (*name == '/' || *name == '\\')
			base = name + 1;
	return base;
}

/* Where the extension's dot is, NULL when there is none; *end_r is after the extension. */
static const char *
extension_dot(const char *base, const char **end_r)
{
	const char *end = base + strlen(base), *p;
	bool letter = false;

	while (end > base && (end[-1] == '.' || (unsigned char)end[-1] <= ' '))
		end--;
	for (p = end; p > base && isalnum((unsigned char)p[-1]); p--)
		letter |= !isdigit((unsigned char)p[-1]);
	*end_r = end;
	if (p == base || p[-1] != '.' || !letter || end == p ||
	    (size_t)(end - p) >= NAMES_EXTENSION_SIZE)
		return NULL;
	return p - 1;
}

void
names_extension(const char *file_name, char out[NAMES_EXTENSION_SIZE])
{
	char *clean = names_clean(base_name(file_name));
	const char *end, *dot = clean != NULL ? extension_dot(clean, &end) : NULL;
	size_t len = 0;

	if (dot != NULL)
		for (dot++; dot < end; dot++)
			out[len++] = (char)tolower((unsigned char)*dot);
	out[len] = '\0';
	free(clean);
}

char *
names_title(const char *file_name, bool strip)
{
	char *clean = names_clean(base_name(file_name)), *dot;
	const char *end;

	if (clean == NULL)
		return NULL;
	if (strip && (dot = (char *)(uintptr_t)extension_dot(clean, &end)) != NULL)
		*dot = '\0';
	for (size_t len = strlen(clean);
	     len > 0 && (clean[len - 1] == '.' || clean[len - 1] == ' ');)
		clean[--len] = '\0';
	return clean;
}

static char *
fold(const char *title)
{
	char *normal = g_utf8_normalize(title, -1, G_NORMALIZE_ALL);
	char *folded = normal != NULL ? g_utf8_casefold(normal, -1) : g_strdup(title);

	g_free(normal);
	return folded;
}

int
names_unique(char **title, const char *const *before, size_t count)
{
	char **folded = g_new0(char *, count + 1);
	char *candidate = strdup(*title);
	bool clash = true;

	for (size_t i = 0; i < count; i++)
		folded[i] = fold(before[i]);
	/* With count titles before, one of count + 1 candidates is free. */
	for (size_t n = 2; clash && candidate != NULL; n++) {
		char *mine = fold(candidate), tail[32];
		size_t keep, bytes;

		clash = false;
		for (size_t i = 0; i < count && !clash; i++)
			clash = strcmp(mine, folded[i]) == 0;
		g_free(mine);
		if (!clash)
			break;
		snprintf(tail, sizeof(tail), " (%zu)", n);
		keep = (size_t)g_utf8_strlen(*title, -1);
		if (keep + strlen(tail) > NAMES_TITLE_MAX_CHARS)
			keep = NAMES_TITLE_MAX_CHARS - strlen(tail);
		bytes = (size_t)(g_utf8_offset_to_pointer(*title, (glong)keep) - *title);
		free(candidate);
		if ((candidate = malloc(bytes + sizeof(tail))) == NULL)
			break;
		memcpy(candidate, *title, bytes);
		strcpy(candidate + bytes, tail);
	}
	g_strfreev(folded);
	if (candidate == NULL)
		return -1;
	free(*title);
	*title = candidate;
	return 0;
}

/* "word", then optionally a counter "[2]" or "(2)", then a colon. */
static bool
begins(const char *subject, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(words[i]);
		const char *p = subject + len;

		if (strncasecmp(subject, words[i], len) != 0)
			continue;
		if (*p == '[' || *p == '(') {
			p++;
			while (isdigit((unsigned char)*p))
				p++;
			if (*p != ']' && *p != ')')
				continue;
			p++;
		}
		while (*p == ' ')
			p++;
		if (*p == ':')
			return true;
	}
	return false;
}

bool
names_is_reply(const char *subject)
{
	/* English, Norwegian and Swedish SV and VS, VB, Finnish VL, German, French, Danish. */
	static const char *const words[] = { "Re", "SV", "VS", "Fwd", "FW",   "VB",
					     "VL", "AW", "WG", "TR",  "Svar", "Videresendt" };

	return begins(subject, words, sizeof(words) / sizeof(words[0]));
}

bool
names_is_recall(const char *subject)
{
	static const char *const words[] = { "Recall", "Tilbakekall", "Tilbakekalling" };

	return begins(subject, words, sizeof(words) / sizeof(words[0]));
}

bool
names_is_auto_reply(const char *subject)
{
	static const char *const words[] = { "Automatic reply", "Automatisk svar", "Autosvar",
					     "Out of office",   "Auto-Reply",      "Autoreply" };

	return begins(subject, words, sizeof(words) / sizeof(words[0]));
}
