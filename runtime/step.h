#ifndef GX_STEP_H
#define GX_STEP_H
/* What every generated step uses.
 *
 * SPDX-License-Identifier: MIT-0 */

#include <stdint.h>

/* What a program shows to its callers; everything else stays inside. */
#if defined(_WIN32)
#define GX_EXPORT __declspec(dllexport)
#else
#define GX_EXPORT __attribute__((visibility("default")))
#endif

static inline int64_t gx_smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

#endif
