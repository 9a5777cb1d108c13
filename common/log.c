/* SPDX-License-Identifier: Apache-2.0 */
/* Writes log lines to standard error or syslog. The one place that escapes control characters. */
#include "config.h"
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static const char *log_ident = "brevdue";
static bool log_syslog;
static bool log_debugging;

void
log_open(const char *ident, bool to_syslog, bool debug)
{
	log_ident = ident;
	log_syslog = to_syslog;
	log_debugging = debug;
	if (to_syslog)
		openlog(ident, LOG_PID, LOG_MAIL);
}

static void
escape(char *out, size_t size, const char *in)
{
	size_t n = 0;

	for (; *in != '\0' && n + 5 < size; in++) {
		unsigned char c = (unsigned char)*in;

		if (c >= ' ' && c != 0x7f)
			out[n++] = *in;
		else
			n += (size_t)snprintf(out + n, size - n, "\\x%02x", c);
	}
	out[n] = '\0';
}

static void log_line(int priority, const char *level, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void
log_line(int priority, const char *level, const char *fmt, va_list ap)
{
	char raw[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 64], safe[LINE_MAX_BYTES];
	int len;

	vsnprintf(raw, sizeof(raw), fmt, ap);
	escape(safe, sizeof(safe), raw);
	if (log_syslog) {
		syslog(priority, "%s: %s", level, safe);
		return;
	}
	len =
	    snprintf(line, sizeof(line), "%s[%d]: %s: %s\n", log_ident, (int)getpid(), level, safe);
	if (len > 0 && write(STDERR_FILENO, line, (size_t)len) == -1)
		return; /* nowhere left to complain to */
}

#define LOG_FUNCTION(name, priority, level)         \
	void name(const char *fmt, ...)             \
	{                                           \
		va_list ap;                         \
                                                    \
		va_start(ap, fmt);                  \
		log_line(priority, level, fmt, ap); \
		va_end(ap);                         \
	}

LOG_FUNCTION(log_error, LOG_ERR, "error")
LOG_FUNCTION(log_warn, LOG_WARNING, "warn")
LOG_FUNCTION(log_info, LOG_INFO, "info")

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	if (!log_debugging)
		return;
	va_start(ap, fmt);
	log_line(LOG_DEBUG, "debug", fmt, ap);
	va_end(ap);
}
