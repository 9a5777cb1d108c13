/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and the date-time forms of the specifications, without time zones of the machine. */
#include "config.h"
#include "common/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static time_t wall_override;

int64_t
clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
clock_wall_ms(void)
{
	struct timespec ts;

	if (wall_override != 0)
		return (int64_t)wall_override * 1000;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

time_t
clock_wall(void)
{
	return (time_t)(clock_wall_ms() / 1000);
}

void
clock_set_wall(time_t now)
{
	wall_override = now;
}

void
clock_rfc3339(char out[RFC3339_CHARS], int64_t wall_ms)
{
	time_t sec = (time_t)(wall_ms / 1000);
	struct tm tm;
	char date[20];

	gmtime_r(&sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, RFC3339_CHARS, "%s.%03dZ", date, (int)(wall_ms % 1000));
}

/* Reads exactly n digits at *p into *value_r and moves on. */
static bool
digits(const char **p, int n, int *value_r)
{
	int value = 0;

	for (int i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		value = value * 10 + (**p - '0');
	}
	*value_r = value;
	return true;
}

static bool
literal(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static bool
is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* The offset in seconds: "Z", "+01", "+01:00". */
static bool
zone(const char **p, int *offset_r)
{
	int sign, hours, minutes = 0;

	if (literal(p, 'Z')) {
		*offset_r = 0;
		return true;
	}
	if (**p != '+' && **p != '-')
		return false;
	sign = **p == '+' ? 1 : -1;
	(*p)++;
	if (!digits(p, 2, &hours) || hours > 23)
		return false;
	if (literal(p, ':') && (!digits(p, 2, &minutes) || minutes > 59))
		return false;
	*offset_r = sign * (hours * 3600 + minutes * 60);
	return true;
}

int
clock_parse(const char *text, time_t *when_r)
{
	const char *p = text;
	struct tm tm = { 0 };
	int year, month, day, hour, minute, second, offset;

	if (!digits(&p, 4, &year) || !literal(&p, '-') || !digits(&p, 2, &month) ||
	    !literal(&p, '-') || !digits(&p, 2, &day) || !literal(&p, 'T') ||
	    !digits(&p, 2, &hour) || !literal(&p, ':') || !digits(&p, 2, &minute) ||
	    !literal(&p, ':') || !digits(&p, 2, &second))
		return -1;
	if (literal(&p, '.')) {
		size_t n = strspn(p, "0123456789");

		if (n < 1 || n > 9)
			return -1;
		p += n;
	}
	if (!zone(&p, &offset) || *p != '\0')
		return -1;
	if (month < 1 || month > 12 || day < 1 || day > month_days(year, month) || hour > 23 ||
	    minute > 59 || second > 60)
		return -1;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	tm.tm_hour = hour;
	tm.tm_min = minute;
	tm.tm_sec = second;
	*when_r = timegm(&tm) - offset;
	return 0;
}

time_t
clock_months_before(time_t now, int months)
{
	struct tm tm;
	int count, last;

	gmtime_r(&now, &tm);
	count = (tm.tm_year + 1900) * 12 + tm.tm_mon - months;
	tm.tm_year = count / 12 - 1900;
	tm.tm_mon = count % 12;
	last = month_days(count / 12, tm.tm_mon + 1);
	if (tm.tm_mday > last)
		tm.tm_mday = last;
	return timegm(&tm);
}
