#ifndef GX_LINALG_H
#define GX_LINALG_H
/* Factorisations of small and middle-sized matrices, and triangular systems, in place.
 *
 * Matrices lie in row-major order without gaps. All three algorithms spend their time in one loop,
 * which subtracts multiples of finished rows from a row. They take the finished rows in panels of
 * GX_PANEL, so that a panel stays in the cache while it is applied to all further rows. Panels
 * change the order of nothing: every element is reduced by one term after the other, in the order of
 * the textbook's loops.
 *
 * Source: Golub and Van Loan, "Matrix Computations", 4th edition, 3.1, 3.4 and 4.2.
 *
 * SPDX-License-Identifier: MIT-0 */

#include <math.h>
#include <stdint.h>

#define GX_PANEL 32

/* Defines `void name(T *y, int64_t width, const T *c, int64_t c_step, const T *rows, int64_t step,
 * int64_t count)`: y[k] -= c[q * c_step] * rows[q * step + k] for 0 <= k < width and q = 0, 1, ...
 * in this order; y overlaps none of the rows. No pointer is `restrict`: the row that is changed here
 * is among the finished ones later, and gcc 12, once it has put this into the caller's loop, takes
 * the promise for one about all of them and reads a row before it is finished. */
#define GX_SUBTRACT_ROWS(name, T) \
  static inline void name(T *y, int64_t width, const T *c, int64_t c_step, const T *rows, \
                          int64_t step, int64_t count) { \
    int64_t q = 0; \
    for (; q + 4 <= count; q += 4) { \
      const T c0 = c[q * c_step], c1 = c[(q + 1) * c_step]; \
      const T c2 = c[(q + 2) * c_step], c3 = c[(q + 3) * c_step]; \
      const T *r0 = rows + q * step, *r1 = r0 + step, *r2 = r1 + step, *r3 = r2 + step; \
      for (int64_t k = 0; k < width; k++) \
        y[k] = (((y[k] - c0 * r0[k]) - c1 * r1[k]) - c2 * r2[k]) - c3 * r3[k]; \
    } \
    for (; q < count; q++) { \
      const T c0 = c[q * c_step]; \
      const T *r0 = rows + q * step; \
      for (int64_t k = 0; k < width; k++) y[k] -= c0 * r0[k]; \
    } \
  }

GX_SUBTRACT_ROWS(gx_subtract_rows_f32, float)

GX_SUBTRACT_ROWS(gx_subtract_rows_f64, double)

/* Defines `void name(T *u, int64_t n)`: the upper triangle of the symmetric u[n][n] becomes U with
 * positive diagonal and U'U = u; below it nothing is read or written. If u is not positive definite,
 * the whole triangle becomes NaN. */
#define GX_CHOLESKY(name, T, SQRT, SUBTRACT_ROWS) \
  static inline void name(T *u, int64_t n) { \
    int definite = 1; \
    for (int64_t begin = 0; begin < n; begin += GX_PANEL) { \
      const int64_t end = n - begin < GX_PANEL ? n : begin + GX_PANEL; \
      for (int64_t i = begin; i < n; i++) { \
        T *row = u + i * n; \
        const int64_t count = (i < end ? i : end) - begin; \
        SUBTRACT_ROWS(row + i, n - i, u + begin * n + i, n, u + begin * n + i, n, count); \
        if (i >= end) continue; \
        definite = definite && row[i] > 0 && row[i] < INFINITY; \
        row[i] = SQRT(row[i]); \
        for (int64_t k = i + 1; k < n; k++) row[k] /= row[i]; \
      } \
    } \
    for (int64_t i = 0; i < n && !definite; i++) \
      for (int64_t k = i; k < n; k++) u[i * n + k] = NAN; \
  }

GX_CHOLESKY(gx_cholesky_f32, float, sqrtf, gx_subtract_rows_f32)

GX_CHOLESKY(gx_cholesky_f64, double, sqrt, gx_subtract_rows_f64)

/* Defines `void name(const T *a, int64_t n, int64_t row, int64_t column, int backward, int unit,
 * T *x, int64_t width)`: x[n][width] becomes A^-1 x, where A[i][j] = a[i * row + j * column] is
 * lower triangular, or upper if `backward`; the other triangle is not read. If `unit`, the diagonal
 * is not read either but taken for ones. */
#define GX_TRIANGULAR_SOLVE(name, T, SUBTRACT_ROWS) \
  static inline void name(const T *a, int64_t n, int64_t row, int64_t column, int backward, \
                          int unit, T *x, int64_t width) { \
    /* Row s of the elimination's order; from the last row up if the triangle is an upper one. */ \
    const int64_t sign = backward ? -1 : 1, first = backward ? n - 1 : 0; \
    for (int64_t begin = 0; begin < n; begin += GX_PANEL) { \
      const int64_t end = n - begin < GX_PANEL ? n : begin + GX_PANEL; \
      const int64_t p = first + sign * begin; \
      for (int64_t s = begin; s < n; s++) { \
        const int64_t i = first + sign * s; \
        T *y = x + i * width; \
        SUBTRACT_ROWS(y, width, a + i * row + p * column, sign * column, x + p * width, \
                      sign * width, (s < end ? s : end) - begin); \
        if (s >= end || unit) continue; \
        for (int64_t k = 0; k < width; k++) y[k] /= a[i * (row + column)]; \
      } \
    } \
  }

GX_TRIANGULAR_SOLVE(gx_triangular_solve_f32, float, gx_subtract_rows_f32)

GX_TRIANGULAR_SOLVE(gx_triangular_solve_f64, double, gx_subtract_rows_f64)

/* Defines `void name(T *a, int64_t n, int64_t *pivots, int64_t *order)`: a[n][n] becomes L below the
 * diagonal (its own is ones) and U from the diagonal on, with LU = a[order]; step j exchanged row j
 * with row pivots[j], that of the largest element of the column, the first among equals. A column
 * of zeros is left as it is, and U gets a zero on the diagonal. */
#define GX_LU(name, T, ABS, SUBTRACT_ROWS) \
  static inline void name(T *a, int64_t n, int64_t *pivots, int64_t *order) { \
    for (int64_t i = 0; i < n; i++) order[i] = i; \
    for (int64_t begin = 0; begin < n; begin += GX_PANEL) { \
      const int64_t end = n - begin < GX_PANEL ? n : begin + GX_PANEL; \
      for (int64_t j = begin; j < end; j++) { \
        int64_t pivot = j; \
        for (int64_t i = j + 1; i < n; i++) \
          if (ABS(a[i * n + j]) > ABS(a[pivot * n + j])) pivot = i; \
        pivots[j] = pivot; \
        for (int64_t k = 0; k < n && pivot != j; k++) { \
          const T held = a[j * n + k]; \
          a[j * n + k] = a[pivot * n + k]; \
          a[pivot * n + k] = held; \
        } \
        const int64_t moved = order[j]; \
        order[j] = order[pivot]; \
        order[pivot] = moved; \
        if (a[j * n + j] == 0) continue; \
        for (int64_t i = j + 1; i < n; i++) { \
          a[i * n + j] /= a[j * n + j]; \
          for (int64_t k = j + 1; k < end; k++) a[i * n + k] -= a[i * n + j] * a[j * n + k]; \
        } \
      } \
      for (int64_t i = begin + 1; i < n; i++) \
        SUBTRACT_ROWS(a + i * n + end, n - end, a + i * n + begin, 1, a + begin * n + end, n, \
                      (i < end ? i : end) - begin); \
    } \
  }

GX_LU(gx_lu_f32, float, fabsf, gx_subtract_rows_f32)

GX_LU(gx_lu_f64, double, fabs, gx_subtract_rows_f64)

#endif
