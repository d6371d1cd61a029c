#ifndef GX_REDUCE_H
#define GX_REDUCE_H
/* Reductions of a contiguous array.
 *
 * The law of floating sums and products: an array is cut into blocks of 1024 floats or 512 doubles.
 * Element i of a block belongs to lane i % 16 (float) or i % 8 (double); a lane is folded in
 * ascending order, then the upper half of the lanes onto the lower half until one is left. The
 * blocks' results are folded in order in double, and a float result is rounded once at the end. So
 * the bits depend on n alone, not on the compiler or on the width of vectors.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "vector.h"

#include <string.h>

/* Defines
 *     double name(double total, const T *x, int64_t n)
 * that folds by OP from UNIT into total COUNT blocks of BLOCK elements one after the other, of the
 * last of which only the first n count. Their chains run side by side, for one alone would wait for
 * the latency of OP. Q is a vector of a quarter of the lanes. */
#define GX_FOLD_BLOCKS(name, T, V, Q, BLOCK, OP, UNIT, COUNT) \
  static inline double name(double total, const T *x, int64_t n) { \
    enum { \
      quarter = sizeof(Q) / sizeof(T), \
      lanes = 4 * quarter, \
      width = sizeof(V) / sizeof(T), \
      vectors = lanes / width \
    }; \
    V acc[COUNT][vectors]; \
    GX_UNROLL \
    for (int b = 0; b < (COUNT); b++) { \
      GX_UNROLL \
      for (int v = 0; v < vectors; v++) acc[b][v] = GX_SPLAT(V, (T)(UNIT)); \
    } \
    int64_t i = 0; \
    for (; i + lanes <= n; i += lanes) { \
      GX_UNROLL \
      for (int b = 0; b < (COUNT); b++) { \
        GX_UNROLL \
        for (int v = 0; v < vectors; v++) \
          acc[b][v] = acc[b][v] OP GX_V(const V, x + b * (BLOCK) + i + v * width); \
      } \
    } \
    for (int b = 0; b < (COUNT); b++) { \
      Q part[4]; \
      memcpy(part, acc[b], sizeof part); \
      GX_UNROLL \
      for (int q = 0; q < 4 && (COUNT) == 1; q++) { \
        const int64_t left = n - i - q * quarter; \
        const T *from = x + i + q * quarter; \
        if (left >= quarter) { \
          part[q] = part[q] OP GX_V(const Q, from); \
        } else if (left > 0) { \
          Q rest = GX_SPLAT(Q, (T)(UNIT)); \
          GX_UNROLL \
          for (int l = 0; l < quarter - 1; l++) \
            if (l < left) rest[l] = from[l]; \
          part[q] = part[q] OP rest; \
        } \
      } \
      const Q sum = (part[0] OP part[2]) OP (part[1] OP part[3]); \
      T one = sum[0] OP sum[quarter / 2]; \
      if (quarter == 4) one = one OP (sum[1] OP sum[3 % quarter]); \
      total = total OP (double)one; \
    } \
    return total; \
  }

GX_FOLD_BLOCKS(gx_sum_blocks_f32, float, gx_f32v, gx_f32x4, 1024, +, 0, 4)

GX_FOLD_BLOCKS(gx_sum_block_f32, float, gx_f32v, gx_f32x4, 1024, +, 0, 1)

GX_FOLD_BLOCKS(gx_sum_blocks_f64, double, gx_f64v, gx_f64x2, 512, +, 0, 4)

GX_FOLD_BLOCKS(gx_sum_block_f64, double, gx_f64v, gx_f64x2, 512, +, 0, 1)

GX_FOLD_BLOCKS(gx_prod_blocks_f32, float, gx_f32v, gx_f32x4, 1024, *, 1, 4)

GX_FOLD_BLOCKS(gx_prod_block_f32, float, gx_f32v, gx_f32x4, 1024, *, 1, 1)

GX_FOLD_BLOCKS(gx_prod_blocks_f64, double, gx_f64v, gx_f64x2, 512, *, 1, 4)

GX_FOLD_BLOCKS(gx_prod_block_f64, double, gx_f64v, gx_f64x2, 512, *, 1, 1)

/* Defines `T name(const T *x, int64_t n)` from the two functions that fold MANY (four) whole blocks
 * and ONE block. */
#define GX_FOLD_FLOAT(name, T, BLOCK, UNIT, MANY, ONE) \
  static inline T name(const T *x, int64_t n) { \
    double total = UNIT; \
    for (; n >= 4 * (BLOCK); x += 4 * (BLOCK), n -= 4 * (BLOCK)) total = MANY(total, x, BLOCK); \
    for (; n > 0; x += (BLOCK), n -= (BLOCK)) total = ONE(total, x, n < (BLOCK) ? n : (BLOCK)); \
    return (T)total; \
  }

GX_FOLD_FLOAT(gx_sum_f32, float, 1024, 0, gx_sum_blocks_f32, gx_sum_block_f32)

GX_FOLD_FLOAT(gx_sum_f64, double, 512, 0, gx_sum_blocks_f64, gx_sum_block_f64)

GX_FOLD_FLOAT(gx_prod_f32, float, 1024, 1, gx_prod_blocks_f32, gx_prod_block_f32)

GX_FOLD_FLOAT(gx_prod_f64, double, 512, 1, gx_prod_blocks_f64, gx_prod_block_f64)

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

GX_FOLD_INTEGER(gx_sum_u8, uint8_t, uint32_t, uint8_t, +, 0)

GX_FOLD_INTEGER(gx_sum_i64_i32, int64_t, uint64_t, int32_t, +, 0)

GX_FOLD_INTEGER(gx_sum_i64_u32, int64_t, uint64_t, uint32_t, +, 0)

/* In 32 bits, block by block: widening every byte to 64 bits would be four times the work. */
static inline int64_t gx_sum_i64_u8(const uint8_t *x, int64_t n) {
  int64_t total = 0;
  for (int64_t begin = 0; begin < n; begin += 65536) {
    const int64_t end = n - begin < 65536 ? n : begin + 65536;
    uint32_t sum = 0;
    for (int64_t i = begin; i < end; i++) sum += x[i];
    total += sum;
  }
  return total;
}

GX_FOLD_INTEGER(gx_prod_i32, int32_t, uint32_t, int32_t, *, 1)

GX_FOLD_INTEGER(gx_prod_i64, int64_t, uint64_t, int64_t, *, 1)

GX_FOLD_INTEGER(gx_prod_u32, uint32_t, uint32_t, uint32_t, *, 1)

GX_FOLD_INTEGER(gx_prod_u8, uint8_t, uint32_t, uint8_t, *, 1)

GX_FOLD_INTEGER(gx_prod_i64_i32, int64_t, uint64_t, int32_t, *, 1)

GX_FOLD_INTEGER(gx_prod_i64_u32, int64_t, uint64_t, uint32_t, *, 1)

GX_FOLD_INTEGER(gx_prod_i64_u8, int64_t, uint64_t, uint8_t, *, 1)

/* Defines `T name(const T *x, int64_t n)`, the largest (OP is >) or smallest (OP is <) of n >= 1
 * integers. */
#define GX_EXTREME_INTEGER(name, T, OP) \
  static inline T name(const T *x, int64_t n) { \
    T best = x[0]; \
    for (int64_t i = 1; i < n; i++) best = x[i] OP best ? x[i] : best; \
    return best; \
  }

/* Defines the same for floats, where a NaN wins. Floats are compared as integers, since a fold of
 * integers is associative and vectorizes: S and U are T's signed and unsigned companions, MAGNITUDE
 * masks the sign away, INF is the bits of infinity. Flipping the magnitude of negative numbers puts
 * the bits into the numbers' order (-0 below +0); LAST is a key beyond the far end of it. */
#define GX_EXTREME_FLOAT(name, T, S, U, MAGNITUDE, INF, OP, LAST) \
  static inline T name(const T *x, int64_t n) { \
    S best = LAST; \
    U largest = 0; \
    for (int64_t i = 0; i < n; i++) { \
      U bits; \
      memcpy(&bits, x + i, sizeof bits); \
      const S key = (S)(bits ^ ((0 - (bits >> (8 * sizeof(U) - 1))) & (MAGNITUDE))); \
      const U magnitude = bits & (MAGNITUDE); \
      best = key OP best ? key : best; \
      largest = magnitude > largest ? magnitude : largest; \
    } \
    U bits = (U)best; \
    bits ^= (0 - (bits >> (8 * sizeof(U) - 1))) & (MAGNITUDE); \
    if (largest > (INF)) bits = largest; \
    T result; \
    memcpy(&result, &bits, sizeof result); \
    return result; \
  }

GX_EXTREME_FLOAT(gx_max_f32, float, int32_t, uint32_t, 0x7FFFFFFFu, 0x7F800000u, >, INT32_MIN)

GX_EXTREME_FLOAT(gx_max_f64, double, int64_t, uint64_t, 0x7FFFFFFFFFFFFFFFu,
                 0x7FF0000000000000u, >, INT64_MIN)

GX_EXTREME_INTEGER(gx_max_i32, int32_t, >)

GX_EXTREME_INTEGER(gx_max_i64, int64_t, >)

GX_EXTREME_INTEGER(gx_max_u32, uint32_t, >)

GX_EXTREME_INTEGER(gx_max_u8, uint8_t, >)

GX_EXTREME_FLOAT(gx_min_f32, float, int32_t, uint32_t, 0x7FFFFFFFu, 0x7F800000u, <, INT32_MAX)

GX_EXTREME_FLOAT(gx_min_f64, double, int64_t, uint64_t, 0x7FFFFFFFFFFFFFFFu,
                 0x7FF0000000000000u, <, INT64_MAX)

GX_EXTREME_INTEGER(gx_min_i32, int32_t, <)

GX_EXTREME_INTEGER(gx_min_i64, int64_t, <)

GX_EXTREME_INTEGER(gx_min_u32, uint32_t, <)

GX_EXTREME_INTEGER(gx_min_u8, uint8_t, <)

/* Defines `int64_t name(const T *x, int64_t n)`, the index of the first element equal to the
 * largest (OP is >) or smallest (OP is <) of n >= 1, or of the first NaN. EXTREME finds the block
 * of the element; INDEX is an integer type of T's size, or a larger one. */
#define GX_ARG_EXTREME(name, T, INDEX, EXTREME, OP) \
  static inline int64_t name(const T *x, int64_t n) { \
    enum { block = 1024 }; \
    T best = x[0]; \
    int64_t from = 0; \
    for (int64_t i = 0; i < n && best == best; i += block) { \
      const T here = EXTREME(x + i, n - i < block ? n - i : block); \
      if (here OP best || here != here) { \
        best = here; \
        from = i; \
      } \
    } \
    const INDEX m = (INDEX)(n - from < block ? n - from : block); \
    INDEX first = m; \
    for (INDEX i = 0; i < m; i++) { \
      const T here = x[from + i]; \
      const INDEX candidate = here == best || here != here ? i : m; \
      first = candidate < first ? candidate : first; \
    } \
    return from + first; \
  }

GX_ARG_EXTREME(gx_argmax_f32, float, int32_t, gx_max_f32, >)

GX_ARG_EXTREME(gx_argmax_f64, double, int64_t, gx_max_f64, >)

GX_ARG_EXTREME(gx_argmax_i32, int32_t, int32_t, gx_max_i32, >)

GX_ARG_EXTREME(gx_argmax_i64, int64_t, int64_t, gx_max_i64, >)

GX_ARG_EXTREME(gx_argmax_u32, uint32_t, int32_t, gx_max_u32, >)

GX_ARG_EXTREME(gx_argmax_u8, uint8_t, int32_t, gx_max_u8, >)

GX_ARG_EXTREME(gx_argmax_bool, uint8_t, int32_t, gx_max_u8, >)

GX_ARG_EXTREME(gx_argmin_f32, float, int32_t, gx_min_f32, <)

GX_ARG_EXTREME(gx_argmin_f64, double, int64_t, gx_min_f64, <)

GX_ARG_EXTREME(gx_argmin_i32, int32_t, int32_t, gx_min_i32, <)

GX_ARG_EXTREME(gx_argmin_i64, int64_t, int64_t, gx_min_i64, <)

GX_ARG_EXTREME(gx_argmin_u32, uint32_t, int32_t, gx_min_u32, <)

GX_ARG_EXTREME(gx_argmin_u8, uint8_t, int32_t, gx_min_u8, <)

GX_ARG_EXTREME(gx_argmin_bool, uint8_t, int32_t, gx_min_u8, <)

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
