/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_MILTER_MLFI_H
#define BD_MILTER_MLFI_H

/* The callbacks that libmilter calls. Each finds its session, makes one call and translates the
 * verdict. The only file that includes libmilter besides main.c. */

#include "common/err.h"
#include "milter/gate.h"

/* Registers the callbacks; g serves all sessions and must outlive smfi_main. -1 with kind CONFIG.
 */
int mlfi_register(struct gate *g, const char *socket, struct bd_err *e);

#endif
