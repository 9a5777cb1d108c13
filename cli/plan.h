/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_CLI_PLAN_H
#define BD_CLI_PLAN_H

/*
 * A list of changes to this machine that is shown before it is made and can be taken back: folders,
 * files, FIFOs, RAM disks and groups. What apply makes is written to a record file, one line each,
 * before the thing itself is made; undo reads that file and removes those things only. Single
 * threaded; strings are copied.
 */

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/err.h"

struct plan;

/* record: the file that remembers what was made, itself inside a folder of the plan. */
struct plan *plan_new(const char *record);
void plan_free(struct plan **p);

/* Items, in the order in which they are made. owner and group are names; NULL means root. */
int plan_dir(struct plan *p, const char *path, const char *owner, const char *group, mode_t mode,
	     struct bd_err *e);
/* A folder whose whole content belongs to what runs in it, so that undo removes it all. */
int plan_tree(struct plan *p, const char *path, const char *owner, const char *group, mode_t mode,
	      struct bd_err *e);
/* Refuses, when shown or applied, a file that exists and was not made by the plan's record. */
int plan_file(struct plan *p, const char *path, const char *owner, const char *group, mode_t mode,
	      const void *data, size_t len, struct bd_err *e);
/* A copy of a system file (root, 0644), shown by name only; a copy that differs is renewed. */
int plan_copy(struct plan *p, const char *path, const void *data, size_t len, struct bd_err *e);
int plan_fifo(struct plan *p, const char *path, mode_t mode, struct bd_err *e);
/* A tmpfs on a folder planned before; nothing to do when one is there. */
int plan_tmpfs(struct plan *p, const char *path, size_t size_bytes, struct bd_err *e);
/* A group with this member. */
int plan_group(struct plan *p, const char *group, const char *member, struct bd_err *e);

/* Number of items that would change something, after printing each to out (NULL: only counts); -1
 * when the plan must be refused. */
int plan_show(struct plan *p, FILE *out, struct bd_err *e);
int plan_apply(struct plan *p, struct bd_err *e);

/* What the record holds: prints each thing that would go; 0 things is fine. */
int plan_undo_show(const char *record, FILE *out, struct bd_err *e);
int plan_undo(const char *record, struct bd_err *e);

#endif
