#ifndef GX_REDUCE_H
#define GX_REDUCE_H
/* Reductions of a contiguous array.
 *
 * The law of floating sums and products: an array is cut into blocks of 4096 bytes. Element i of a
 * block belongs to lane i % 16 (float) or i % 8 (double); a lane is folded in ascending order, and
 * lanes are folded pairwise, the upper half onto the lower. The blocks' results are folded in
 * order in double, and a float result is rounded once at the end. So the bits depend on n alone,
 * not on the compiler or on the width of vectors.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "vector.h"

/* Defines `acc name(const T *x, int64_t n)` that folds by OP from UNIT, by the law above: LANES
 * lanes in blocks of BLOCK elements. */
#define GX_FOLD_FLOAT(name, T, LANES, BLOCK, OP, UNIT) \
  static inline T name(const T *x, int64_t n) { \
    double total = UNIT; \
    for (; n > 0; x += BLOCK, n -= BLOCK) { \
      const int64_t m = n < BLOCK ? n : BLOCK; \
      T lane[LANES]; \
      for (int l = 0; l < LANES; l++) lane[l] = UNIT; \
      int64_t i = 0; \
      for (; i + LANES <= m; i += LANES) \
        for (int l = 0; l < LANES; l++) lane[l] = lane[l] OP x[i + l]; \
      for (int l = 0; i + l < m; l++) lane[l] = lane[l] OP x[i + l]; \
      for (int half = LANES / 2; half; half /= 2) \
        for (int l = 0; l < half; l++) lane[l] = lane[l] OP lane[l + half]; \
      total = total OP lane[0]; \
    } \
    return (T)total; \
  }

GX_FOLD_FLOAT(gx_sum_f32, float, 16, 1024, +, 0)

GX_FOLD_FLOAT(gx_sum_f64, double, 8, 512, +, 0)

GX_FOLD_FLOAT(gx_prod_f32, float, 16, 1024, *, 1)

GX_FOLD_FLOAT(gx_prod_f64, double, 8, 512, *, 1)

/* Defines `R name(const T *x, int64_t n)` that folds by OP from UNIT in the unsigned type U, so
 * that it wraps. */
#define GX_FOLD_INTEGER(name, R, U, T, OP, UNIT) \
  static inline R name(const T *x, int64_t n) { \
    U total = UNIT; \
    for (int64_t i = 0; i < n; i++) total = total OP (U)x[i]; \
    return (R)total; \
  }

GX_FOLD_INTEGER(gx_sum_i32, int32_t, uint32_t, int32_t, +, 0)

GX_FOLD_INTEGER(gx_sum_i64, int64_t, uint64_t, int64_t, +, 0)

GX_FOLD_INTEGER(gx_sum_u32, uint32_t, uint32_t, uint32_t, +, 0)

GX_FOLD_INTEGER(gx_sum_i64_i32, int64_t, uint64_t, int32_t, +, 0)

GX_FOLD_INTEGER(gx_sum_i64_u32, int64_t, uint64_t, uint32_t, +, 0)

GX_FOLD_INTEGER(gx_sum_i64_u8, int64_t, uint64_t, uint8_t, +, 0)

GX_FOLD_INTEGER(gx_prod_i32, int32_t, uint32_t, int32_t, *, 1)

GX_FOLD_INTEGER(gx_prod_i64, int64_t, uint64_t, int64_t, *, 1)

GX_FOLD_INTEGER(gx_prod_u32, uint32_t, uint32_t, uint32_t, *, 1)

GX_FOLD_INTEGER(gx_prod_i64_i32, int64_t, uint64_t, int32_t, *, 1)

GX_FOLD_INTEGER(gx_prod_i64_u32, int64_t, uint64_t, uint32_t, *, 1)

GX_FOLD_INTEGER(gx_prod_i64_u8, int64_t, uint64_t, uint8_t, *, 1)

/* Defines `T name(const T *x, int64_t n)`, the largest (OP is >) or smallest (OP is <) of n >= 1
 * elements; a NaN wins. */
#define GX_EXTREME(name, T, OP) \
  static inline T name(const T *x, int64_t n) { \
    T best = x[0]; \
    for (int64_t i = 1; i < n; i++) best = x[i] OP best || x[i] != x[i] ? x[i] : best; \
    return best; \
  }

GX_EXTREME(gx_max_f32, float, >)

GX_EXTREME(gx_max_f64, double, >)

GX_EXTREME(gx_max_i32, int32_t, >)

GX_EXTREME(gx_max_i64, int64_t, >)

GX_EXTREME(gx_max_u32, uint32_t, >)

GX_EXTREME(gx_max_u8, uint8_t, >)

GX_EXTREME(gx_min_f32, float, <)

GX_EXTREME(gx_min_f64, double, <)

GX_EXTREME(gx_min_i32, int32_t, <)

GX_EXTREME(gx_min_i64, int64_t, <)

GX_EXTREME(gx_min_u32, uint32_t, <)

GX_EXTREME(gx_min_u8, uint8_t, <)

/* Defines `int64_t name(const T *x, int64_t n)`, the index of the first element equal to the
 * largest or smallest of n >= 1, or of the first NaN. */
#define GX_ARG_EXTREME(name, T, EXTREME) \
  static inline int64_t name(const T *x, int64_t n) { \
    const T best = EXTREME(x, n); \
    int64_t i = 0; \
    if (best != best) \
      while (x[i] == x[i]) i++; \
    else \
      while (x[i] != best) i++; \
    return i; \
  }

GX_ARG_EXTREME(gx_argmax_f32, float, gx_max_f32)

GX_ARG_EXTREME(gx_argmax_f64, double, gx_max_f64)

GX_ARG_EXTREME(gx_argmax_i32, int32_t, gx_max_i32)

GX_ARG_EXTREME(gx_argmax_i64, int64_t, gx_max_i64)

GX_ARG_EXTREME(gx_argmax_u32, uint32_t, gx_max_u32)

GX_ARG_EXTREME(gx_argmax_u8, uint8_t, gx_max_u8)

GX_ARG_EXTREME(gx_argmin_f32, float, gx_min_f32)

GX_ARG_EXTREME(gx_argmin_f64, double, gx_min_f64)

GX_ARG_EXTREME(gx_argmin_i32, int32_t, gx_min_i32)

GX_ARG_EXTREME(gx_argmin_i64, int64_t, gx_min_i64)

GX_ARG_EXTREME(gx_argmin_u32, uint32_t, gx_min_u32)

GX_ARG_EXTREME(gx_argmin_u8, uint8_t, gx_min_u8)

/* 1 where any of n zeros and ones is one. */
static inline uint8_t gx_any_bool(const uint8_t *x, int64_t n) {
  uint8_t found = 0;
  for (int64_t i = 0; i < n; i++) found |= x[i];
  return found;
}

/* 1 where all of n zeros and ones are one. */
static inline uint8_t gx_all_bool(const uint8_t *x, int64_t n) {
  uint8_t all = 1;
  for (int64_t i = 0; i < n; i++) all &= x[i];
  return all;
}

#endif
