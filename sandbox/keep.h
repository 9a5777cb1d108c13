/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_SANDBOX_KEEP_H
#define BD_SANDBOX_KEEP_H

/* Files of the sandbox's folder: JSON objects with an "id" and a "sequence", and bytes. Complete or
 * not there: written under another name first. A test tool, so nothing is fsynced. */

#include "sandbox/sandbox.h"

/* data to name inside the open folder. */
int keep_bytes(int folder, const char *name, const void *data, size_t len, struct bd_err *e);
int keep_json(const char *folder, const char *name, const json_t *value, struct bd_err *e);
/* Reads folder/<uuid><suffix> of an earlier run into target by id, in their old order, and raises
 * sb->sequence. Makes the folder (0700) when missing, clears what was half written. */
int keep_load(struct sandbox *sb, const char *folder, const char *suffix, json_t *target,
	      struct bd_err *e);
void keep_remove_folder(const char *path);

#endif
