/* SPDX-License-Identifier: Apache-2.0 */
/* Checks national and organisation numbers. Knows nothing about the persons behind them. */
#include "config.h"
#include "envelope/nationalid.h"

#include <stddef.h>
#include <string.h>

#define NATIONALID_DIGITS (NATIONALID_CHARS - 1)
#define ORGNR_DIGITS 9

/* By how much a month is shifted in the ranges that are not birth numbers (spec/dpi.md 1.20.1):
 * Tax, health network, NAV (and help numbers, which no letter can be sent to), Digdir. */
static const int month_shifts[] = { 0, 80, 65, 40, 20 };

static bool
is_digits(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return text[len] == '\0';
}

static int
weighted_sum(const char *digits, const int *weights, size_t count)
{
	int sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += weights[i] * (digits[i] - '0');
	return sum;
}

static int
two_digits(const char *at)
{
	return 10 * (at[0] - '0') + (at[1] - '0');
}

/* The month of the calendar and the shift that was taken off; 0 when there is none. */
static int
month_of(const char *digits, int *shift_r)
{
	int month = two_digits(digits + 2);

	for (size_t i = 0; i < sizeof(month_shifts) / sizeof(month_shifts[0]); i++) {
		int plain = month - month_shifts[i];

		if (plain >= 1 && plain <= 12) {
			*shift_r = month_shifts[i];
			return plain;
		}
	}
	*shift_r = 0;
	return 0;
}

static bool
has_date(const char *digits, int *shift_r)
{
	static const int month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int day = two_digits(digits), month = month_of(digits, shift_r), last;

	if (month == 0)
		return false;
	if (day > 40)
		day -= 40; /* D-number */
	last = month_days[month - 1];
	/* The century is not known, so 29 February of a year 00 may be 2000's (spec/krr.md 14). */
	if (month == 2 && two_digits(digits + 4) % 4 == 0)
		last = 29;
	return day >= 1 && day <= last;
}

bool
nationalid_is_valid(const char *digits, bool allow_synthetic)
{
	/* The check digit itself has weight 1: a right one makes the sum divisible by 11. */
	static const int first[] = { 3, 7, 6, 1, 8, 9, 4, 5, 2, 1 };
	static const int second[] = { 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1 };
	int shift;

	if (strnlen(digits, NATIONALID_CHARS) != NATIONALID_DIGITS ||
	    !is_digits(digits, NATIONALID_DIGITS))
		return false;
	/* From 2032 a remainder of 1, 2 and 3 is right too, and both kinds live side by side. */
	if (weighted_sum(digits, first, 10) % 11 > 3 || weighted_sum(digits, second, 11) % 11 != 0)
		return false;
	return has_date(digits, &shift) && (shift == 0 || allow_synthetic);
}

bool
nationalid_is_synthetic(const char *digits)
{
	int shift;

	return month_of(digits, &shift) != 0 && shift != 0;
}

bool
orgnr_is_valid(const char *digits)
{
	static const int weights[] = { 3, 2, 7, 6, 5, 4, 3, 2, 1 };

	return strnlen(digits, ORGNR_DIGITS + 1) == ORGNR_DIGITS &&
	       is_digits(digits, ORGNR_DIGITS) &&
	       weighted_sum(digits, weights, ORGNR_DIGITS) % 11 == 0;
}
