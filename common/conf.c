/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads brevdue.conf into struct conf: libconfuse parses, conf_table.c says what there is. The only
 * file that includes confuse.h. Opens no file but the configuration.
 */
#include "config.h"
#include "common/conf_private.h"

#include <confuse.h>
#include <stdint.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define OPTIONS_MAX 64 /* in one section */

struct mark { /* the line of a setting or section that the file has */
	const cfg_opt_t *opt;
	int line;
};

struct conf_load {
	const char *file;
	cfg_t *cfg;
	struct mark *marks;
	size_t mark_count, mark_room;
	bool failed;
	struct bd_err *e;
};

/* libconfuse's callbacks carry no argument of ours. */
static _Thread_local struct conf_load *loading;

static void fail_line(struct conf_load *l, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The first error is the one that is told. */
static void
fail_line(struct conf_load *l, int line, const char *fmt, ...)
{
	char words[192];
	va_list ap;

	if (l->failed)
		return;
	l->failed = true;
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	bd_fail(l->e, BD_E_CONFIG, "%s:%d: %s", l->file, line, words);
}

static int
line_of(const struct conf_load *l, const cfg_opt_t *opt)
{
	for (size_t i = 0; i < l->mark_count; i++)
		if (l->marks[i].opt == opt)
			return l->marks[i].line;
	return 0;
}

static enum conf_section_id
section_of(const cfg_t *cfg)
{
	for (int s = CONF_TOP + 1; s < CONF_SECTION_COUNT; s++)
		if (strcmp(conf_sections[s].name, cfg->name) == 0)
			return (enum conf_section_id)s;
	return CONF_TOP;
}

static int
on_set(cfg_t *cfg, cfg_opt_t *opt)
{
	struct conf_load *l = loading;
	int before = line_of(l, opt);
	bool may_repeat = (opt->flags & (CFGF_LIST | CFGF_MULTI)) != 0;

	if (before != 0 && !may_repeat) {
		fail_line(l, cfg->line, "\"%s\" stands twice, first in line %d", opt->name, before);
		return -1;
	}
	if (before != 0)
		return 0;
	if (l->mark_count == l->mark_room) {
		size_t room = l->mark_room * 2 + 64;
		struct mark *more = reallocarray(l->marks, room, sizeof(*more));

		if (more == NULL) {
			fail_line(l, cfg->line, "out of memory");
			return -1;
		}
		l->marks = more;
		l->mark_room = room;
	}
	l->marks[l->mark_count++] = (struct mark){ opt, cfg->line };
	return 0;
}

/* Characters to insert, remove or change; more than two are not a slip of the keyboard. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[48], len = strlen(b);

	if (len >= sizeof(row) / sizeof(row[0]))
		return SIZE_MAX;
	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= len; j++) {
			size_t above = row[j], best = diagonal + (a[i - 1] != b[j - 1]);

			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = above;
			row[j] = best;
		}
	}
	return row[len];
}

static void
fail_unknown(struct conf_load *l, const cfg_t *cfg, const char *name)
{
	enum conf_section_id here = section_of(cfg);

	for (size_t i = 0; i < conf_row_count; i++)
		if (conf_rows[i].section == here && distance(name, conf_rows[i].name) <= 2)
			fail_line(l, cfg->line, "unknown setting \"%s\", is \"%s\" meant?", name,
				  conf_rows[i].name);
	for (size_t i = 0; i < conf_row_count; i++)
		if (strcmp(name, conf_rows[i].name) == 0)
			fail_line(l, cfg->line, "\"%s\" does not stand here but in section \"%s\"",
				  name, conf_sections[conf_rows[i].section].path);
	fail_line(l, cfg->line, "unknown setting or section \"%s\"", name);
}

static void on_error(cfg_t *cfg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	static const char unknown[] = "no such option '", twice[] = "found duplicate title '";
	char words[192];
	size_t len;

	vsnprintf(words, sizeof(words), fmt, ap);
	len = strlen(words);
	if (len > 0 && words[len - 1] == '\'')
		words[len - 1] = '\0';
	if (strncmp(words, unknown, sizeof(unknown) - 1) == 0)
		fail_unknown(loading, cfg, words + sizeof(unknown) - 1);
	else if (strncmp(words, twice, sizeof(twice) - 1) == 0)
		fail_line(loading, cfg->line, "there is a section titled \"%s\" already",
			  words + sizeof(twice) - 1);
	else if (len > 0 && words[len - 1] == '\0')
		fail_line(loading, cfg->line, "%s'", words);
	else
		fail_line(loading, cfg->line, "%s", words);
}

/* Fills opts with what the section may hold; ends it. */
static void
options_of(enum conf_section_id section, cfg_opt_t *opts, cfg_opt_t *senders)
{
	size_t n = 0;

	for (size_t i = 0; i < conf_row_count; i++) {
		const struct conf_row *row = &conf_rows[i];

		if (row->section != section)
			continue;
		if (conf_type_is_list(row->type))
			opts[n] = (cfg_opt_t)CFG_STR_LIST(row->name, NULL, CFGF_NONE);
		else
			opts[n] = (cfg_opt_t)CFG_STR(row->name, NULL, CFGF_NONE);
		opts[n++].validcb = on_set;
	}
	if (section == CONF_AGENCY) {
		opts[n] = (cfg_opt_t)CFG_SEC("sender", senders,
					     CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
		opts[n++].validcb = on_set;
	}
	opts[n] = (cfg_opt_t)CFG_END();
}

static int
parse(struct conf_load *l, const char *text)
{
	cfg_opt_t(*subs)[OPTIONS_MAX] = calloc(CONF_SECTION_COUNT, sizeof(*subs));
	cfg_opt_t top[OPTIONS_MAX];
	size_t n = 0;
	int rc = -1;

	if (subs == NULL)
		return bd_fail(l->e, BD_E_MEMORY, "out of memory");
	for (int s = CONF_TOP; s < CONF_SECTION_COUNT; s++)
		options_of((enum conf_section_id)s, subs[s], subs[CONF_SENDER]);
	memcpy(top, subs[CONF_TOP], sizeof(top));
	while (top[n].name != NULL)
		n++;
	for (int s = CONF_TOP + 1; s < CONF_SECTION_COUNT; s++) {
		cfg_flag_t flags = conf_sections[s].titled == NULL
				       ? CFGF_NONE
				       : CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;

		if (s == CONF_SENDER)
			continue;
		top[n] = (cfg_opt_t)CFG_SEC(conf_sections[s].name, subs[s], flags);
		top[n++].validcb = on_set;
	}
	top[n] = (cfg_opt_t)CFG_END();
	if ((l->cfg = cfg_init(top, CFGF_NONE)) == NULL) {
		bd_fail(l->e, BD_E_MEMORY, "out of memory");
		goto out;
	}
	cfg_set_error_function(l->cfg, on_error);
	loading = l;
	if (cfg_parse_buf(l->cfg, text) != CFG_SUCCESS)
		fail_line(l, l->cfg->line, "cannot be understood");
	loading = NULL;
	rc = l->failed ? -1 : 0;
out:
	free(subs);
	return rc;
}

/* Stores all settings of one section into base. */
static int
fill(struct conf_load *l, enum conf_section_id section, cfg_t *sec, void *base)
{
	for (size_t i = 0; i < conf_row_count; i++) {
		const struct conf_row *row = &conf_rows[i];
		cfg_opt_t *opt = row->section == section ? cfg_getopt(sec, row->name) : NULL;
		unsigned count = 0;
		const char **values;
		struct bd_err why = { 0 };
		int line = opt == NULL ? 0 : line_of(l, opt), rc;

		if (opt == NULL)
			continue;
		if (line != 0)
			count = cfg_opt_size(opt);
		if (line == 0 && row->required &&
		    (conf_sections[section].titled != NULL || conf_has_section(l, section))) {
			fail_line(l, sec->line, "section %s \"%s\" ends here without \"%s\" (%s)",
				  conf_sections[section].name,
				  cfg_title(sec) == NULL ? "" : cfg_title(sec), row->name,
				  row->help);
			return -1;
		}
		if ((values = calloc(count + 1, sizeof(*values))) == NULL)
			return bd_fail(l->e, BD_E_MEMORY, "out of memory");
		for (unsigned k = 0; k < count; k++)
			values[k] = cfg_opt_getnstr(opt, k);
		rc = conf_value_store(row, base, values, count, &why);
		free(values);
		if (rc == -1) {
			fail_line(l, line, "%s %s", row->name, why.cause);
			return -1;
		}
	}
	return 0;
}

static int fill_titled(struct conf_load *l, enum conf_section_id section, cfg_t *parent,
		       void *owner);

static int
fill_element(struct conf_load *l, enum conf_section_id section, cfg_t *sec, char *element)
{
	struct bd_err why = { 0 };
	const char *title = cfg_title(sec);

	if (conf_title_check(section, title, &why) == -1) {
		fail_line(l, sec->line, "section %s, which ends here: its title \"%s\" %s",
			  conf_sections[section].name, title, why.cause);
		return -1;
	}
	/* the title is the first member of every such struct */
	if ((*(char **)(void *)element = strdup(title)) == NULL)
		return bd_fail(l->e, BD_E_MEMORY, "out of memory");
	if (fill(l, section, sec, element) == -1)
		return -1;
	return section == CONF_AGENCY ? fill_titled(l, CONF_SENDER, sec, element) : 0;
}

static int
fill_titled(struct conf_load *l, enum conf_section_id section, cfg_t *parent, void *owner)
{
	const struct conf_section_row *row = &conf_sections[section];
	unsigned count = cfg_size(parent, row->name);
	char *array = calloc((size_t)count + 1, row->size);

	if (array == NULL)
		return bd_fail(l->e, BD_E_MEMORY, "out of memory");
	*(char **)(void *)((char *)owner + row->array) = array;
	*(size_t *)(void *)((char *)owner + row->count) = count;
	for (unsigned i = 0; i < count; i++)
		if (fill_element(l, section, cfg_getnsec(parent, row->name, i),
				 array + i * row->size) == -1)
			return -1;
	return 0;
}

static int
fill_all(struct conf_load *l, struct conf *c)
{
	if (fill(l, CONF_TOP, l->cfg, c) == -1)
		return -1;
	for (int s = CONF_TOP + 1; s < CONF_SECTION_COUNT; s++) {
		enum conf_section_id section = (enum conf_section_id)s;

		if (s == CONF_SENDER)
			continue;
		if (conf_sections[s].titled != NULL) {
			if (fill_titled(l, section, l->cfg, c) == -1)
				return -1;
		} else if (fill(l, section, cfg_getsec(l->cfg, conf_sections[s].name), c) == -1) {
			return -1;
		}
	}
	return 0;
}

bool
conf_has_section(const struct conf_load *l, enum conf_section_id section)
{
	const char *name = conf_sections[section].name;

	return section == CONF_TOP || line_of(l, cfg_getopt(l->cfg, name)) != 0;
}

int
conf_fail_at(const struct conf_load *l, struct bd_err *e, enum conf_section_id section,
	     size_t index, const char *name, const char *fmt, ...)
{
	cfg_t *sec = section == CONF_TOP ? l->cfg
		     : conf_has_section(l, section)
			 ? cfg_getnsec(l->cfg, conf_sections[section].name, (unsigned)index)
			 : NULL;
	int line = sec == NULL ? 0 : name == NULL ? sec->line : line_of(l, cfg_getopt(sec, name));
	char words[192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	/* no line: the setting is a default, the fault lies in another one's value */
	if (line == 0)
		return bd_fail(e, BD_E_CONFIG, "%s: %s", l->file, words);
	return bd_fail(e, BD_E_CONFIG, "%s:%d: %s", l->file, line, words);
}

struct conf *
conf_load(const char *file, struct bd_err *e)
{
	struct conf_load l = { .file = file, .e = e };
	struct conf *c = NULL;
	char *text = conf_text_read(file, e);

	if (text == NULL)
		return NULL;
	if (parse(&l, text) == -1)
		goto out;
	if ((c = calloc(1, sizeof(*c))) == NULL || (c->file = strdup(file)) == NULL) {
		bd_fail(e, BD_E_MEMORY, "out of memory");
		conf_free(&c);
		goto out;
	}
	if (fill_all(&l, c) == -1 || conf_check(c, &l, e) == -1)
		conf_free(&c);
out:
	if (l.cfg != NULL)
		cfg_free(l.cfg);
	free(l.marks);
	free(text);
	return c;
}

static void
free_section(enum conf_section_id section, void *base)
{
	for (size_t i = 0; i < conf_row_count; i++) {
		const struct conf_row *row = &conf_rows[i];
		char *at = (char *)base + row->offset;

		if (row->section != section || row->type == CONF_KINDS)
			continue;
		if (conf_type_is_list(row->type)) {
			char **list = *(char ***)(void *)at;

			for (size_t k = 0; list != NULL && list[k] != NULL; k++)
				free(list[k]);
			free(list);
		} else if (conf_type_is_text(row->type)) {
			free(*(char **)(void *)at);
		}
	}
}

static void
free_titled(enum conf_section_id section, void *owner)
{
	const struct conf_section_row *row = &conf_sections[section];
	char *array = *(char **)(void *)((char *)owner + row->array);
	size_t count = *(size_t *)(void *)((char *)owner + row->count);

	for (size_t i = 0; i < count; i++) {
		char *element = array + i * row->size;

		if (section == CONF_AGENCY)
			free_titled(CONF_SENDER, element);
		free_section(section, element);
		free(*(char **)(void *)element);
	}
	free(array);
}

void
conf_free(struct conf **c)
{
	if (*c == NULL)
		return;
	for (int s = CONF_TOP; s < CONF_SECTION_COUNT; s++) {
		if (s == CONF_SENDER)
			continue;
		if (conf_sections[s].titled != NULL)
			free_titled((enum conf_section_id)s, *c);
		else
			free_section((enum conf_section_id)s, *c);
	}
	free((*c)->file);
	free(*c);
	*c = NULL;
}

const struct conf_agency *
conf_agency(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->agency_count; i++)
		if (strcmp(c->agencies[i].name, name) == 0)
			return &c->agencies[i];
	return NULL;
}

const struct conf_domain *
conf_domain(const struct conf *c, const char *domain)
{
	for (size_t i = 0; i < c->domain_count; i++)
		if (strcasecmp(c->domains[i].name, domain) == 0)
			return &c->domains[i];
	return NULL;
}
