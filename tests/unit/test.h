/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BD_TESTS_UNIT_TEST_H
#define BD_TESTS_UNIT_TEST_H

/* What every unit test includes: cmocka and the headers it asks for, in its order. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#endif
