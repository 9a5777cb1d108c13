/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_ENVELOPE_NATIONALID_H
#define BD_ENVELOPE_NATIONALID_H

/*
 * National numbers: fodselsnummer, D-number, help number and the synthetic ranges, with the check
 * digits of today and of 2032 (spec/dpi.md 1.20.1, spec/krr.md 14). Never derive age or sex from
 * one. Organisation numbers (1.20.2). Pure, thread safe.
 */

#include <stdbool.h>

#define NATIONALID_CHARS 12 /* with NUL */

/* True for eleven digits that are a valid number; synthetic (month shifted by 80, 65, 40 or 20)
 * only where allowed. */
bool nationalid_is_valid(const char *digits, bool allow_synthetic);
bool nationalid_is_synthetic(const char *digits); /* of a valid number */
bool orgnr_is_valid(const char *digits);          /* nine digits */

#endif
