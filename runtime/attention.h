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

/* The numbers of the lanes of 64 bytes. Hazard: gcc 12 splits a loop that compares its own variable
 * with a bound, and its vectors with it; these it compares as data. */
static const int32_t gx_attend_lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

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
 * follows from it, is done for many rows at a time; rows that are not there hold zeros. */
#define GX_ATTEND_FOLD(T, PART, PACK, OP, rows, scores, part, turned) \
  for (int64_t r = 0; r < (rows); r++) { \
    const T *restrict row = (scores) + r * GX_ATTEND_KEYS; \
    T *restrict to = (part) + r * (64 / (int)sizeof(T)); \
    for (int l = 0; l < 64 / (int)sizeof(T); l++) to[l] = PART(OP, row, l); \
  } \
  PACK(GX_ATTEND_KEYS, 64 / sizeof(T), part, 64 / sizeof(T), 1, GX_ATTEND_KEYS, turned);

/* Defines
 *     void name(int64_t rows, int64_t keys, int64_t edge, T scale, int begin, int64_t width,
 *               T *scores, T *largest, T *total, T *mixed)
 * Scores times scale become their exponentials, less the largest of the row so far; `total`, and the
 * `width` numbers a row of `mixed`, which have been summed with another largest one, are put right.
 * With `begin` nothing was seen before, and nothing is read of these. */
#define GX_ATTEND_ROWS(name, T, EXP, LARGER, PART, PACK) \
  static inline void name(int64_t rows, int64_t keys, int64_t edge, T scale, int begin, \
                          int64_t width, T *restrict scores, T *restrict largest, \
                          T *restrict total, T *restrict mixed) { \
    enum { lanes = 64 / sizeof(T), tile = GX_ATTEND_KEYS }; \
    T part[tile * lanes], turned[tile * lanes], shift[tile], factor[tile]; \
    for (int r = 0; begin && r < tile; r++) largest[r] = -INFINITY; \
    for (int r = 0; begin && r < tile; r++) total[r] = 0; \
    for (int64_t i = rows * lanes; i < tile * lanes; i++) part[i] = 0; \
    for (int64_t r = 0; r < rows; r++) { \
      T *restrict row = scores + r * tile; \
      const int seen = gx_attend_seen(keys, edge, r); \
      for (int first = 0; first < tile; first += lanes) { \
        for (int l = 0; l < lanes; l++) { \
          const T score = row[first + l] * scale; \
          row[first + l] = gx_attend_lane[l] < seen - first ? score : -INFINITY; \
        } \
      } \
    } \
    GX_ATTEND_FOLD(T, PART, PACK, LARGER, rows, scores, part, turned) \
    for (int r = 0; r < tile; r++) factor[r] = largest[r]; \
    for (int c = 0; c < lanes; c++) \
      for (int r = 0; r < tile; r++) largest[r] = LARGER(turned[c * tile + r], largest[r]); \
    int changed = 0; \
    for (int r = 0; r < tile; r++) { \
      shift[r] = largest[r] == -INFINITY ? 0 : largest[r]; \
      changed |= factor[r] != largest[r]; \
      factor[r] = EXP(factor[r] - shift[r]); \
    } \
    for (int64_t r = 0; r < rows; r++) { \
      T *restrict row = scores + r * tile; \
      const int end = gx_attend_end_of(gx_attend_seen(keys, edge, r), lanes); \
      for (int first = 0; first < end; first += lanes) \
        for (int l = 0; l < lanes; l++) row[first + l] = EXP(row[first + l] - shift[r]); \
      for (int first = end; first < tile; first += lanes) \
        for (int l = 0; l < lanes; l++) row[first + l] = 0; \
    } \
    GX_ATTEND_FOLD(T, PART, PACK, GX_ADD, rows, scores, part, turned) \
    if (changed && !begin) { \
      for (int64_t r = 0; r < rows; r++) { \
        total[r] *= factor[r]; \
        for (int64_t c = 0; c < width; c++) mixed[r * width + c] *= factor[r]; \
      } \
    } \
    for (int c = 0; c < lanes; c++) \
      for (int r = 0; r < tile; r++) total[r] += turned[c * tile + r]; \
  }

GX_ATTEND_ROWS(gx_attend_rows_f32, float, gx_exp_falling_f32, gx_attend_larger_f32,
               GX_ATTEND_PART_F32, gx_pack_f32)

GX_ATTEND_ROWS(gx_attend_rows_f64, double, gx_exp_falling_f64, gx_attend_larger_f64,
               GX_ATTEND_PART_F64, gx_pack_f64)

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
        for (int l = 0; l < lanes; l++) { \
          const int counts = gx_attend_lane[l] < seen - first; \
          const T p = EXP(row[first + l] * scale - shift); \
          const T s = p * (pull[first + l] - less) * slope; \
          row[first + l] = counts ? p : 0; \
          pull[first + l] = counts ? s : 0; \
        } \
      } \
    } \
  }

GX_ATTEND_SLOPES(gx_attend_slopes_f32, float, gx_exp_falling_f32)

GX_ATTEND_SLOPES(gx_attend_slopes_f64, double, gx_exp_falling_f64)

#endif
