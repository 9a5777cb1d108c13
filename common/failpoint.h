/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_FAILPOINT_H
#define BD_COMMON_FAILPOINT_H

/*
 * Named points at which the fault tests stop a daemon (configure --enable-failpoints; otherwise
 * nothing is compiled in). The environment variable BREVDUE_FAILPOINT names a file; when it
 * holds a line "<point> kill" the process ends itself with SIGKILL at that point, "<point> wait"
 * waits until the line is gone, "<point> exit" ends by _exit(75). A line that ends the process is
 * removed first, so that the restarted daemon passes.
 */
#ifdef BD_FAILPOINTS
void failpoint(const char *point);
#else
#define failpoint(point) ((void)0)
#endif

#endif
