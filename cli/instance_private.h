/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_CLI_INSTANCE_PRIVATE_H
#define BD_CLI_INSTANCE_PRIVATE_H

/* Shared by instance.c (parameters common to both, writing) and the files of the two instances. */

#include "cli/instance.h"

#define PARAMETERS_MAX 120

struct parameters {
	struct {
		char *name;
		char *value;
		const char *why; /* comment above it, NULL: none */
	} rows[PARAMETERS_MAX];
	size_t count;
	bool failed; /* out of memory or too many: said once, at the end */
};

/* Sets a parameter; a second call for a name changes its value, so that the site's own lines win.
 */
void parameter_set(struct parameters *p, const char *why, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* "name = value" lines from the configuration. */
int parameters_own(struct parameters *p, char *const *lines, struct bd_err *e);
/* Writes them as main.cf and frees them. */
int parameters_write(struct parameters *p, const char *title, struct buf *main_cf,
		     struct bd_err *e);
/* What both instances have: folders, no local delivery, closed sendmail, no address rewriting. */
void parameters_common(struct parameters *p, const struct conf *c, const char *queue,
		       const char *data);
/* The services of master.cf that both have. */
int services_common(struct buf *master_cf);
/* The rows "citizens' domain error:5.7.1" that every instance has. */
int transport_citizens(const struct conf *c, struct buf *transport);
/* The table of recipients that no door but seal takes: sealed messages. */
int access_refuse(struct buf *refuse);

#endif
