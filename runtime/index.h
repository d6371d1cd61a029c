#ifndef GX_INDEX_H
#define GX_INDEX_H
/* Positions.
 *
 * SPDX-License-Identifier: MIT-0 */

#include <stdint.h>

/* What a program shows to its callers; everything else stays inside. */
#if defined(_WIN32)
#define GX_EXPORT __declspec(dllexport)
#else
#define GX_EXPORT __attribute__((visibility("default")))
#endif

/* A user's index made safe: a negative one counts from the end; what is still outside an axis of n
 * elements becomes the nearest element. */
static inline int64_t gx_position(int64_t i, int64_t n) {
  if (i < 0)
    i += n;
  return i < 0 ? 0 : i < n ? i : n - 1;
}

/* Where a window of `length` <= n elements begins: a negative start counts from the end of the axis,
 * then the window is moved inside. */
static inline int64_t gx_window(int64_t start, int64_t n, int64_t length) {
  if (start < 0)
    start += n;
  return start < 0 ? 0 : start < n - length ? start : n - length;
}

static inline int64_t gx_larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static inline int64_t gx_smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* Stands in a loop that must not be vectorized: gcc 12 does it wrongly where loads stand under nested
 * conditions. */
#if defined(__GNUC__)
#define GX_SCALAR_LOOP() __asm__ volatile("")
#else
#define GX_SCALAR_LOOP() ((void)0)
#endif

#endif
