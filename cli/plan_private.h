/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_CLI_PLAN_PRIVATE_H
#define BD_CLI_PLAN_PRIVATE_H

/* Shared by plan.c (shows and makes) and plan_undo.c (remembers and takes back). */

#include "cli/plan.h"

enum plan_kind { PLAN_DIR, PLAN_TREE, PLAN_FILE, PLAN_COPY, PLAN_FIFO, PLAN_TMPFS, PLAN_GROUP };

struct plan_item {
	enum plan_kind kind;
	char *path;  /* PLAN_GROUP: its name */
	char *owner; /* PLAN_GROUP: the member */
	char *group;
	mode_t mode;
	size_t size_bytes; /* PLAN_TMPFS */
	struct buf content;
};

struct plan {
	char *record;
	struct plan_item *items;
	size_t count;
};

bool plan_is_tmpfs(const char *path);
/* Is the record file directly inside this folder? */
bool plan_holds_record(const struct plan *p, const struct plan_item *item);
/* Appends a line, durably. */
int plan_remember(const char *record, const struct plan_item *item, struct bd_err *e);
/* 1 when the record says we made it, else 0. */
int plan_recorded(const char *record, const struct plan_item *item);

#endif
