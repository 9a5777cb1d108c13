/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_COMMON_LOG_H
#define BD_COMMON_LOG_H

/*
 * One line per event, "level: text", to standard error (foreground) or syslog (facility mail).
 * Levels: error = somebody must act; warn = we coped; info = what happened to a letter;
 * debug = off unless asked. Control characters are escaped here, so callers may pass foreign text.
 * Never pass content, subjects, names, national numbers, tokens or keys. Thread safe.
 * Lines about letters are key=value: "letter id=... queue=... route=... result=... dsn=... ms=...".
 */

#include <stdbool.h>

void log_open(const char *ident, bool to_syslog, bool debug);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
