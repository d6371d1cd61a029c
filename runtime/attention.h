#ifndef GX_ATTENTION_H
#define GX_ATTENTION_H
/* What attention does with a tile of scores, between its products: the running maximum and sum of
 * each row (Milakov and Gimelshein, arXiv:1805.02867), and the slopes of the backward pass.
 *
 * A tile has rows of GX_ATTEND_KEYS scores, of which the first `keys` are of keys that exist. Row r
 * sees those at most up to number `edge` + r, itself included: `edge` is a multiple of
 * GX_ATTEND_KEYS. Scores behind the last group of 64 bytes that a row sees are not computed. Folds
 * have the same order for vectors of any width.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "gemm.h"
#include "math_exp.h"
#include "math_log.h"

#include <stdint.h>

/* Keys, and queries, of a tile. */
#define GX_ATTEND_KEYS 64

/* How many of a row's scores count. */
static inline int gx_attend_seen(int64_t keys, int64_t edge, int64_t r) {
  const int64_t seen = edge + r + 1;
  return (int)(seen < keys ? seen : keys);
}

/* The scores that are computed, of a row of which the first `seen` count: whole groups of `lanes`. */
static inline int gx_attend_end_of(int seen, int lanes) {
  return (seen + lanes - 1) / lanes * lanes;
}

/* Before the first tile of keys: nothing seen. */
#define GX_ATTEND_BEGIN(name, T) \
  static inline void name(int64_t rows, int64_t width, T *restrict largest, T *restrict total, \
                          T *restrict mixed) { \
    for (int64_t r = 0; r < rows; r++) { \
      largest[r] = -INFINITY; \
      total[r] = 0; \
    } \
    for (int64_t i = 0; i < rows * width; i++) mixed[i] = 0; \
  }

GX_ATTEND_BEGIN(gx_attend_begin_f32, float)

GX_ATTEND_BEGIN(gx_attend_begin_f64, double)

/* The larger of two numbers, NaN if one is. */
GX_INLINE float gx_attend_larger_f32(float x, float y) {
  return gx_select_f32((x > y) | (x != x), x, y);
}

GX_INLINE double gx_attend_larger_f64(double x, double y) {
  return gx_select_f64((x > y) | (x != x), x, y);
}

/* Every 16th element of a row from l on folded into one number; and every 8th. */
#define GX_ATTEND_PART_F32(OP, row, l) \
  OP(OP((row)[l], (row)[(l) + 16]), OP((row)[(l) + 32], (row)[(l) + 48]))

#define GX_ATTEND_PART_F64(OP, row, l) \
  OP(OP(OP((row)[l], (row)[(l) + 8]), OP((row)[(l) + 16], (row)[(l) + 24])), \
     OP(OP((row)[(l) + 32], (row)[(l) + 40]), OP((row)[(l) + 48], (row)[(l) + 56])))

/* Folds every row of a tile by OP into as many numbers as 64 bytes hold, and puts these below one
 * another: what was the row r becomes the column r of `turned`. So the rest of the fold, and all that
 * follows from it, is done for many rows at a time. */
#define GX_ATTEND_FOLD(T, PART, PACK, OP, rows, scores, part, turned) \
  for (int64_t r = 0; r < (rows); r++) { \
    const T *restrict row = (scores) + r * GX_ATTEND_KEYS; \
    T *restrict to = (part) + r * (64 / (int)sizeof(T)); \
    for (int l = 0; l < 64 / (int)sizeof(T); l++) to[l] = PART(OP, row, l); \
  } \
  PACK(rows, 64 / sizeof(T), part, 64 / sizeof(T), 1, GX_ATTEND_KEYS, turned);

/* Defines
 *     void name(int64_t rows, int64_t keys, int64_t edge, T scale, int64_t width, T *scores,
 *               T *largest, T *total, T *mixed)
 * Scores times scale become their exponentials, less the largest of the row so far; `total`, and the
 * `width` numbers a row of `mixed`, which have been summed with another largest one, are put right. */
#define GX_ATTEND_ROWS(name, T, EXP, LARGER, PART, PACK) \
  static inline void name(int64_t rows, int64_t keys, int64_t edge, T scale, int64_t width, \
                          T *restrict scores, T *restrict largest, T *restrict total, \
                          T *restrict mixed) { \
    enum { lanes = 64 / sizeof(T) }; \
    T part[GX_ATTEND_KEYS * lanes], turned[GX_ATTEND_KEYS * lanes]; \
    T shift[GX_ATTEND_KEYS], factor[GX_ATTEND_KEYS]; \
    for (int64_t r = 0; r < rows; r++) { \
      T *restrict row = scores + r * GX_ATTEND_KEYS; \
      const int seen = gx_attend_seen(keys, edge, r); \
      for (int c = 0; c < GX_ATTEND_KEYS; c++) { \
        const T score = row[c] * scale; \
        row[c] = c < seen ? score : -INFINITY; \
      } \
    } \
    GX_ATTEND_FOLD(T, PART, PACK, LARGER, rows, scores, part, turned) \
    for (int64_t r = 0; r < rows; r++) factor[r] = largest[r]; \
    for (int c = 0; c < lanes; c++) \
      for (int64_t r = 0; r < rows; r++) \
        largest[r] = LARGER(turned[c * GX_ATTEND_KEYS + r], largest[r]); \
    int changed = 0; \
    for (int64_t r = 0; r < rows; r++) { \
      shift[r] = largest[r] == -INFINITY ? 0 : largest[r]; \
      changed |= factor[r] != largest[r]; \
      factor[r] = EXP(factor[r] - shift[r]); \
    } \
    for (int64_t r = 0; r < rows; r++) { \
      T *restrict row = scores + r * GX_ATTEND_KEYS; \
      const int end = gx_attend_end_of(gx_attend_seen(keys, edge, r), lanes); \
      for (int first = 0; first < end; first += lanes) \
        for (int c = first; c < first + lanes; c++) row[c] = EXP(row[c] - shift[r]); \
      for (int c = end; c < GX_ATTEND_KEYS; c++) row[c] = 0; \
    } \
    GX_ATTEND_FOLD(T, PART, PACK, GX_ADD, rows, scores, part, turned) \
    if (changed) { \
      for (int64_t r = 0; r < rows; r++) { \
        total[r] *= factor[r]; \
        for (int64_t c = 0; c < width; c++) mixed[r * width + c] *= factor[r]; \
      } \
    } \
    for (int c = 0; c < lanes; c++) \
      for (int64_t r = 0; r < rows; r++) total[r] += turned[c * GX_ATTEND_KEYS + r]; \
  }

GX_ATTEND_ROWS(gx_attend_rows_f32, float, gx_exp_falling_f32, gx_attend_larger_f32, GX_ATTEND_PART_F32,
               gx_pack_f32)

GX_ATTEND_ROWS(gx_attend_rows_f64, double, gx_exp_falling_f64, gx_attend_larger_f64, GX_ATTEND_PART_F64,
               gx_pack_f64)

/* Defines the end of a row: `mixed` over `total`, and `largest` becomes the log-sum-exp. A row that
 * saw nothing gives 0 and +inf. */
#define GX_ATTEND_END(name, T, LOG) \
  static inline void name(int64_t rows, int64_t width, T *restrict largest, \
                          const T *restrict total, T *restrict mixed) { \
    T factor[GX_ATTEND_KEYS]; \
    for (int64_t r = 0; r < rows; r++) { \
      const T sum = total[r]; \
      factor[r] = 1 / (sum == 0 ? 1 : sum); \
      largest[r] = sum == 0 ? INFINITY : largest[r] + LOG(sum); \
    } \
    for (int64_t r = 0; r < rows; r++) \
      for (int64_t c = 0; c < width; c++) mixed[r * width + c] *= factor[r]; \
  }

GX_ATTEND_END(gx_attend_end_f32, float, gx_log_f32)

GX_ATTEND_END(gx_attend_end_f64, double, gx_log_f64)

/* Defines
 *     void name(int64_t rows, int64_t keys, int64_t edge, T scale, T slope, const T *lse,
 *               const T *delta, T *scores, T *pulled)
 * Scores times scale become probabilities p; `pulled`, the products of the result's cotangent and
 * the values, becomes slope · p · (pulled - delta). */
#define GX_ATTEND_SLOPES(name, T, EXP) \
  static inline void name(int64_t rows, int64_t keys, int64_t edge, T scale, T slope, \
                          const T *restrict lse, const T *restrict delta, T *restrict scores, \
                          T *restrict pulled) { \
    enum { lanes = 64 / sizeof(T) }; \
    for (int64_t r = 0; r < rows; r++) { \
      T *restrict row = scores + r * GX_ATTEND_KEYS, *restrict pull = pulled + r * GX_ATTEND_KEYS; \
      const int seen = gx_attend_seen(keys, edge, r); \
      const T shift = lse[r], less = delta[r]; \
      for (int first = 0; first < gx_attend_end_of(seen, lanes); first += lanes) { \
        for (int c = first; c < first + lanes; c++) { \
          const T p = EXP(row[c] * scale - shift); \
          const T s = p * (pull[c] - less) * slope; \
          row[c] = c < seen ? p : 0; \
          pull[c] = c < seen ? s : 0; \
        } \
      } \
    } \
  }

GX_ATTEND_SLOPES(gx_attend_slopes_f32, float, gx_exp_falling_f32)

GX_ATTEND_SLOPES(gx_attend_slopes_f64, double, gx_exp_falling_f64)

#endif
