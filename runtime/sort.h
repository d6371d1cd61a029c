#ifndef GX_SORT_H
#define GX_SORT_H
/* Stable sorting in memory that the caller gives: no allocation, no recursion.
 *
 * Runs of GX_SORT_RUN positions are sorted by insertion, then merged pairwise, back and forth
 * between two arrays, until one run is left: n log2(n / GX_SORT_RUN) + n GX_SORT_RUN / 4
 * comparisons at most.
 *
 * SPDX-License-Identifier: MIT-0 */

#include <stdint.h>

#define GX_SORT_RUN 16

/* Defines `void name(const T *keys, int64_t n, int descending, int64_t *order, int64_t *spare)`:
 * order[0..n) becomes the positions of keys[0..n) in ascending or descending order. Equal keys stay
 * in their order; NaN is the greatest. `spare` holds n elements. BEFORE(a, b) says
 * whether key a must stand before key b. */
#define GX_ARGSORT(name, T) \
  static inline int name##_before(T a, T b, int descending) { \
    if (a != a || b != b) return descending ? b == b : a == a; \
    return descending ? a > b : a < b; \
  } \
\
  static inline void name##_run(const T *keys, int64_t begin, int64_t end, int descending, \
                                int64_t *order) { \
    for (int64_t i = begin; i < end; i++) { \
      const T key = keys[i]; \
      int64_t j = i; \
      for (; j > begin && name##_before(key, keys[order[j - 1]], descending); j--) \
        order[j] = order[j - 1]; \
      order[j] = i; \
    } \
  } \
\
  static inline void name##_merge(const T *keys, const int64_t *from, int64_t begin, \
                                  int64_t middle, int64_t end, int descending, int64_t *to) { \
    int64_t left = begin, right = middle; \
    for (int64_t i = begin; i < end; i++) { \
      const int take_right = \
          right < end && \
          (left == middle || name##_before(keys[from[right]], keys[from[left]], descending)); \
      to[i] = take_right ? from[right++] : from[left++]; \
    } \
  } \
\
  static inline void name(const T *keys, int64_t n, int descending, int64_t *order, \
                          int64_t *spare) { \
    int merges = 0; \
    for (int64_t width = GX_SORT_RUN; width < n; width *= 2) merges++; \
    /* The last of the merges must write into `order`. */ \
    int64_t *from = merges % 2 ? spare : order, *to = merges % 2 ? order : spare; \
    for (int64_t begin = 0; begin < n; begin += GX_SORT_RUN) \
      name##_run(keys, begin, n - begin < GX_SORT_RUN ? n : begin + GX_SORT_RUN, descending, \
                 from); \
    for (int64_t width = GX_SORT_RUN; width < n; width *= 2) { \
      for (int64_t begin = 0; begin < n; begin += 2 * width) { \
        const int64_t middle = n - begin < width ? n : begin + width; \
        const int64_t end = n - middle < width ? n : middle + width; \
        name##_merge(keys, from, begin, middle, end, descending, to); \
      } \
      int64_t *const sorted = to; \
      to = from; \
      from = sorted; \
    } \
  }

GX_ARGSORT(gx_argsort_f32, float)

GX_ARGSORT(gx_argsort_f64, double)

GX_ARGSORT(gx_argsort_i32, int32_t)

GX_ARGSORT(gx_argsort_i64, int64_t)

GX_ARGSORT(gx_argsort_u32, uint32_t)

GX_ARGSORT(gx_argsort_u8, uint8_t)

GX_ARGSORT(gx_argsort_bool, uint8_t)

#endif
