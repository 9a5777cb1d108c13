/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_CLI_INSTANCE_H
#define BD_CLI_INSTANCE_H

/*
 * What stands in main.cf, master.cf and the tables of the two Postfix instances, made from
 * brevdue.conf. Pure: opens and writes nothing. Every parameter is there for a reason that stands
 * beside it in the table and above it in the file.
 */

#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"

#define INSTANCE_FIFO "maillog.fifo" /* in the front's config folder */

struct instance_text {
	struct buf main_cf;
	struct buf master_cf;
	struct buf transport; /* texthash table: where each domain goes */
	struct buf refuse;    /* regexp table: recipients that its doors refuse */
	struct buf access; /* regexp table: recipients that the service seal takes; sending only */
};

int instance_front(const struct conf *c, struct instance_text *text, struct bd_err *e);
int instance_send(const struct conf *c, struct instance_text *text, struct bd_err *e);
void instance_text_clear(struct instance_text *text);

/* message_size_limit of the sending instance: 1.5 times the largest mail or package, and 64 kB. */
unsigned long instance_send_limit(const struct conf *c);
/* path relative to the queue folder, as a chrooted process names it, or NULL. */
const char *instance_in_queue(const char *queue, const char *path);

#endif
