/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TESTS_UNIT_NUMBERS_H
#define BD_TESTS_UNIT_NUMBERS_H

/* Synthetic national numbers (month + 80) as many as a test wants, made from a counter. */

#include <stdbool.h>
#include <stdio.h>

#include "envelope/nationalid.h"

/* The n-th synthetic number, n from 0; different for each n up to some 2 million. */
static inline void
number_synthetic(unsigned n, char out[NATIONALID_CHARS])
{
	static const int w1[] = { 3, 7, 6, 1, 8, 9, 4, 5, 2 };
	static const int w2[] = { 5, 4, 3, 2, 7, 6, 5, 4, 3, 2 };
	unsigned year = n / 1000 % 100, month = n / 100000 % 12 + 1, day = n / 1200000 % 28 + 1;

	/* individual numbers whose check digits would be 10 are none: look for the next that is
	 * good, in steps that do not meet those of the other n */
	for (unsigned individual = n % 1000;; day = day % 28 + 1) {
		int s1 = 0, s2 = 0, k1, k2;

		snprintf(out, NATIONALID_CHARS, "%02u%02u%02u%03u00", day % 100, month + 80,
			 year % 100, individual % 1000);
		for (int i = 0; i < 9; i++)
			s1 += w1[i] * (out[i] - '0');
		k1 = (11 - s1 % 11) % 11;
		out[9] = (char)('0' + k1 % 10);
		for (int i = 0; i < 10; i++)
			s2 += w2[i] * (out[i] - '0');
		k2 = (11 - s2 % 11) % 11;
		out[10] = (char)('0' + k2 % 10);
		if (k1 != 10 && k2 != 10)
			return;
	}
}

#endif
