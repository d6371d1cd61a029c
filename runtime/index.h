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

/* Packed predicates: a byte holds one column of eight rows, and `row` may count from any multiple of
 * eight. Who writes row 0 of a byte clears the others. */
static inline uint8_t gx_bit(uint8_t byte, int64_t row) {
  return (uint8_t)((unsigned)byte >> (row & 7) & 1u);
}

static inline uint8_t gx_with_bit(uint8_t byte, int64_t row, uint8_t bit) {
  const unsigned before = (1u << (row & 7)) - 1, place = (unsigned)row & 7;
  return (uint8_t)((byte & before) | (unsigned)bit << place);
}

/* Stands in a loop that must not be vectorized: gcc 12 does it wrongly where loads stand under nested
 * conditions. */
#if defined(__GNUC__)
#define GX_SCALAR_LOOP() __asm__ volatile("")
#else
#define GX_SCALAR_LOOP() ((void)0)
#endif

#endif
