#ifndef GX_ATTENTION_H
#define GX_ATTENTION_H
/* What attention does with a tile of scores, between its products: the running maximum and sum of
 * each query (Milakov and Gimelshein, arXiv:1805.02867), and the slopes of the backward pass.
 *
 * A tile has a row of GX_ATTEND_TILE scores for each key: queries lie side by side, so what is folded
 * over keys is folded vector by vector. Queries are taken in groups of 64 bytes. Query c sees the
 * keys up to number `edge` + c, itself included: `edge` is 0, or not less than GX_ATTEND_TILE, which
 * hides nothing. Scores of keys behind the last one that a group sees are not computed. Folds have
 * the same order for vectors of any width.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "gemm.h"
#include "math_exp.h"
#include "math_log.h"

#include <stdint.h>
#include <string.h>

/* Keys, and queries, of a tile. */
#define GX_ATTEND_TILE 64

/* Asks for rows of `bytes` bytes that lie `stride` bytes apart: those of a head whose turn is next,
 * a few in every register tile's time. They come from another core's caches, or from farther away. */
static inline void gx_attend_ask(int64_t rows, int64_t bytes, const void *first, int64_t stride) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t at = 0; at < bytes; at += 64)
      GX_PREFETCH((const char *)first + r * stride + at);
}

/* From number 15 - i on: which queries of a group do not see the key i of the group's own. Hazard:
 * gcc 12 takes loops that compute this apart, and its vectors with them; these load it as data. */
static const int32_t gx_attend_hidden[31] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/* The keys that some query of the group from c on sees, and those that all see but for its own. */
static inline int64_t gx_attend_end(int64_t keys, int64_t edge, int64_t c, int64_t lanes) {
  return edge + c + lanes < keys ? edge + c + lanes : keys;
}

static inline int64_t gx_attend_whole(int64_t end, int64_t edge, int64_t c) {
  return edge + c < end ? edge + c : end;
}

/* The larger of two numbers, y if one is no number. A score that is none makes its exponential none,
 * and with it the sum. */
#define GX_ATTEND_LARGER(x, y) ((x) > (y) ? (x) : (y))

/* The largest of the scores a, b, c, d and `most`. */
#define GX_ATTEND_LARGEST(a, b, c, d, most) \
  GX_ATTEND_LARGER(GX_ATTEND_LARGER(GX_ATTEND_LARGER(a, b), GX_ATTEND_LARGER(c, d)), most)

/* Defines
 *     void name(int64_t queries, int64_t keys, int64_t edge, T scale, int begin, int64_t rows,
 *               int64_t width, T *scores, T *largest, T *total, T *mixed)
 * Scores times scale, which is positive and holds 1 / ln 2, less the largest of the query so far,
 * become powers of 2; `total`, and `rows` rows of `width` numbers in `mixed`, which have been summed
 * with another largest one, are put right. `largest` is kept before it is scaled. With `begin` nothing
 * was seen before, and nothing is read of these. */
#define GX_ATTEND_ROWS(name, T, EXP2, SELECT) \
  static inline void name(int64_t queries, int64_t keys, int64_t edge, T scale, int begin, \
                          int64_t rows, int64_t width, T *restrict scores, T *restrict largest, \
                          T *restrict total, T *restrict mixed) { \
    enum { lanes = 64 / sizeof(T), tile = GX_ATTEND_TILE }; \
    T factor[tile]; \
    int changed = 0; \
    for (int c = 0; begin && c < tile; c++) largest[c] = -INFINITY; \
    for (int c = 0; begin && c < tile; c++) total[c] = 0; \
    /* Keys are taken by fours; those that are not there are seen by nobody. */ \
    for (int64_t k = keys; k % 4 != 0; k++) \
      for (int c = 0; c < tile; c++) scores[k * tile + c] = -INFINITY; \
    for (int64_t c = 0; c < queries; c += lanes) { \
      T most[lanes], sum[lanes], shift[lanes]; \
      const int64_t end = gx_attend_end((keys + 3) / 4 * 4, edge, c, lanes); \
      const int64_t whole = gx_attend_whole(end, edge, c); \
      memcpy(most, largest + c, sizeof most); \
      for (int64_t k = 0; k < whole; k += 4) { \
        const T *restrict s = scores + k * tile + c; \
        for (int l = 0; l < lanes; l++) \
          most[l] = GX_ATTEND_LARGEST(s[l], s[l + tile], s[l + 2 * tile], s[l + 3 * tile], most[l]); \
      } \
      for (int64_t k = whole; k < end; k += 4) { \
        T *restrict s = scores + k * tile + c; \
        const int32_t *restrict hidden = gx_attend_hidden + 15 - (k - whole); \
        for (int l = 0; l < lanes; l++) { \
          const T s0 = SELECT(hidden[l], -INFINITY, s[l]); \
          const T s1 = SELECT(hidden[l - 1], -INFINITY, s[l + tile]); \
          const T s2 = SELECT(hidden[l - 2], -INFINITY, s[l + 2 * tile]); \
          const T s3 = SELECT(hidden[l - 3], -INFINITY, s[l + 3 * tile]); \
          s[l] = s0; \
          s[l + tile] = s1; \
          s[l + 2 * tile] = s2; \
          s[l + 3 * tile] = s3; \
          most[l] = GX_ATTEND_LARGEST(s0, s1, s2, s3, most[l]); \
        } \
      } \
      for (int l = 0; l < lanes; l++) \
        shift[l] = SELECT(most[l] == -INFINITY, 0, most[l] * scale); \
      for (int l = 0; l < lanes; l++) factor[c + l] = EXP2(largest[c + l] * scale - shift[l]); \
      for (int l = 0; l < lanes; l++) sum[l] = total[c + l] * factor[c + l]; \
      for (int l = 0; l < lanes; l++) changed |= most[l] != largest[c + l]; \
      memcpy(largest + c, most, sizeof most); \
      for (int64_t k = 0; k < end; k += 4) { \
        T *restrict s = scores + k * tile + c; \
        for (int l = 0; l < lanes; l++) { \
          const T p0 = EXP2(s[l] * scale - shift[l]); \
          const T p1 = EXP2(s[l + tile] * scale - shift[l]); \
          const T p2 = EXP2(s[l + 2 * tile] * scale - shift[l]); \
          const T p3 = EXP2(s[l + 3 * tile] * scale - shift[l]); \
          s[l] = p0; \
          s[l + tile] = p1; \
          s[l + 2 * tile] = p2; \
          s[l + 3 * tile] = p3; \
          sum[l] += (p0 + p1) + (p2 + p3); \
        } \
      } \
      memcpy(total + c, sum, sizeof sum); \
    } \
    if (changed && !begin) { \
      for (int64_t r = 0; r < rows; r++) \
        for (int64_t c = 0; c < width; c++) mixed[r * width + c] *= factor[r]; \
    } \
  }

GX_ATTEND_ROWS(gx_attend_rows_f32, float, gx_exp2_falling_f32, gx_select_f32)

GX_ATTEND_ROWS(gx_attend_rows_f64, double, gx_exp2_falling_f64, gx_select_f64)

/* Defines the end of a block of queries: `largest` becomes the log-sum-exp, and `total` what `mixed`
 * is multiplied with. A query that saw nothing gives +inf and 1: nothing was mixed. */
#define GX_ATTEND_END(name, T, LOG) \
  static inline void name(int64_t queries, T scale, T *restrict largest, T *restrict total) { \
    for (int64_t c = 0; c < queries; c++) { \
      const T sum = total[c]; \
      largest[c] = sum == 0 ? INFINITY : largest[c] * scale + LOG(sum); \
      total[c] = 1 / (sum == 0 ? 1 : sum); \
    } \
  }

GX_ATTEND_END(gx_attend_end_f32, float, gx_log_f32)

GX_ATTEND_END(gx_attend_end_f64, double, gx_log_f64)

/* Defines
 *     void name(int64_t queries, int64_t keys, int64_t edge, T scale, T slope, const T *lse,
 *               const T *delta, T *scores, T *pulled)
 * Scores times scale become probabilities p; `pulled`, the products of the result's cotangent and
 * the values, becomes slope · p · (pulled - delta). */
#define GX_ATTEND_SLOPES(name, T, EXP, SELECT) \
  static inline void name(int64_t queries, int64_t keys, int64_t edge, T scale, T slope, \
                          const T *restrict lse, const T *restrict delta, T *restrict scores, \
                          T *restrict pulled) { \
    enum { lanes = 64 / sizeof(T), tile = GX_ATTEND_TILE }; \
    for (int64_t c = 0; c < queries; c += lanes) { \
      T shift[lanes], less[lanes]; \
      const int64_t end = gx_attend_end(keys, edge, c, lanes); \
      const int64_t whole = gx_attend_whole(end, edge, c); \
      memcpy(shift, lse + c, sizeof shift); \
      memcpy(less, delta + c, sizeof less); \
      for (int64_t k = 0; k < whole; k++) { \
        T *restrict s = scores + k * tile + c, *restrict pull = pulled + k * tile + c; \
        for (int l = 0; l < lanes; l++) { \
          s[l] = EXP(s[l] * scale - shift[l]); \
          pull[l] = s[l] * (pull[l] - less[l]) * slope; \
        } \
      } \
      for (int64_t k = whole; k < end; k++) { \
        T *restrict s = scores + k * tile + c, *restrict pull = pulled + k * tile + c; \
        const int32_t *restrict hidden = gx_attend_hidden + 15 - (k - whole); \
        for (int l = 0; l < lanes; l++) { \
          const T p = EXP(s[l] * scale - shift[l]); \
          const T q = p * (pull[l] - less[l]) * slope; \
          s[l] = SELECT(hidden[l], 0, p); \
          pull[l] = SELECT(hidden[l], 0, q); \
        } \
      } \
    } \
  }

GX_ATTEND_SLOPES(gx_attend_slopes_f32, float, gx_exp_falling_f32, gx_select_f32)

GX_ATTEND_SLOPES(gx_attend_slopes_f64, double, gx_exp_falling_f64, gx_select_f64)

#endif
