#ifndef GX_MATH_BASIC_H
#define GX_MATH_BASIC_H
/* Roots, comparison, rounding, division with remainder.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"

#include <math.h>
#include <stdint.h>

GX_INLINE float gx_sqrt_f32(float x) {
  return sqrtf(x);
}

GX_INLINE double gx_sqrt_f64(double x) {
  return sqrt(x);
}

GX_INLINE float gx_rsqrt_f32(float x) {
  return 1.0f / sqrtf(x);
}

GX_INLINE double gx_rsqrt_f64(double x) {
  return 1.0 / sqrt(x);
}

/* The larger one; a NaN wins in either place. Of zeros of different sign the second is taken. */
GX_INLINE float gx_maximum_f32(float x, float y) {
  return gx_select_f32((x > y) | (x != x), x, y);
}

GX_INLINE double gx_maximum_f64(double x, double y) {
  return gx_select_f64((x > y) | (x != x), x, y);
}

/* The smaller one; a NaN wins in either place. Of zeros of different sign the second is taken. */
GX_INLINE float gx_minimum_f32(float x, float y) {
  return gx_select_f32((x < y) | (x != x), x, y);
}

GX_INLINE double gx_minimum_f64(double x, double y) {
  return gx_select_f64((x < y) | (x != x), x, y);
}

/* -1, 0 or 1; NaN for NaN, and +0 for -0. */
GX_INLINE float gx_sign_f32(float x) {
  return gx_select_f32(x > 0.0f, 1.0f, gx_select_f32(x < 0.0f, -1.0f, x + 0.0f));
}

GX_INLINE double gx_sign_f64(double x) {
  return gx_select_f64(x > 0.0, 1.0, gx_select_f64(x < 0.0, -1.0, x + 0.0));
}

GX_INLINE float gx_copysign_f32(float x, float y) {
  return copysignf(x, y);
}

GX_INLINE double gx_copysign_f64(double x, double y) {
  return copysign(x, y);
}

/* The nearest integer, half to even, with the sign of x. From 2^23 (2^52) on all numbers are
 * integers; below, adding that constant rounds. (rintf vectorizes only where it is an
 * instruction, which baseline x86-64 lacks.) */
GX_INLINE float gx_round_f32(float x) {
  float a = fabsf(x);
  float r = (a + 0x1p23f) - 0x1p23f;
  return gx_select_f32(a < 0x1p23f, copysignf(r, x), x);
}

GX_INLINE double gx_round_f64(double x) {
  double a = fabs(x);
  double r = (a + 0x1p52) - 0x1p52;
  return gx_select_f64(a < 0x1p52, copysign(r, x), x);
}

GX_INLINE float gx_floor_f32(float x) {
  float r = gx_round_f32(x);
  return gx_select_f32(r > x, r - 1.0f, r);
}

GX_INLINE double gx_floor_f64(double x) {
  double r = gx_round_f64(x);
  return gx_select_f64(r > x, r - 1.0, r);
}

GX_INLINE float gx_ceil_f32(float x) {
  return -gx_floor_f32(-x);
}

GX_INLINE double gx_ceil_f64(double x) {
  return -gx_floor_f64(-x);
}

GX_INLINE float gx_trunc_f32(float x) {
  return copysignf(gx_floor_f32(fabsf(x)), x);
}

GX_INLINE double gx_trunc_f64(double x) {
  return copysign(gx_floor_f64(fabs(x)), x);
}

/* The next number from x towards y: the bit patterns of either sign are in order of magnitude. */
GX_INLINE float gx_nextafter_f32(float x, float y) {
  uint32_t u = gx_bits_f32(x);
  int up = (x < y) == (x > 0.0f);
  float r = gx_select_f32(up, gx_from_bits_f32(u + 1), gx_from_bits_f32(u - 1));
  r = gx_select_f32(x == 0.0f, copysignf(0x1p-149f, y), r);
  r = gx_select_f32(x == y, y, r);
  return gx_select_f32((x != x) | (y != y), NAN, r);
}

GX_INLINE double gx_nextafter_f64(double x, double y) {
  uint64_t u = gx_bits_f64(x);
  int up = (x < y) == (x > 0.0);
  double r = gx_select_f64(up, gx_from_bits_f64(u + 1), gx_from_bits_f64(u - 1));
  r = gx_select_f64(x == 0.0, copysign(0x1p-1074, y), r);
  r = gx_select_f64(x == y, y, r);
  return gx_select_f64((x != x) | (y != y), NAN, r);
}

/* sqrt(x^2 + y^2) without overflow: squares of floats are exact in double. */
GX_INLINE float gx_hypot_f32(float x, float y) {
  double a = x, b = y;
  float r = (float)sqrt(a * a + b * b);
  return gx_select_f32((fabsf(x) == INFINITY) | (fabsf(y) == INFINITY), INFINITY, r);
}

/* Operands whose squares would overflow or lose bits are scaled by a power of two. */
GX_INLINE double gx_hypot_f64(double x, double y) {
  double a = fabs(x), b = fabs(y);
  double m = gx_select_f64(a > b, a, b), n = gx_select_f64(a > b, b, a);
  double down = gx_select_f64(m > 0x1p500, 0x1p-600, gx_select_f64(m < 0x1p-400, 0x1p600, 1.0));
  double up = gx_select_f64(m > 0x1p500, 0x1p600, gx_select_f64(m < 0x1p-400, 0x1p-600, 1.0));
  m = m * down;
  n = n * down;
  double r = sqrt(GX_FMA_F64(m, m, n * n)) * up;
  return gx_select_f64((fabs(x) == INFINITY) | (fabs(y) == INFINITY), INFINITY, r);
}

/* The remainder with the divisor's sign, as Python's %: fmod is exact; NaN for y = 0. A zero
 * remainder has the divisor's sign too. (fmod is a call into libm: loops over it stay scalar.) */
GX_INLINE float gx_remainder_f32(float x, float y) {
  float r = fmodf(x, y);
  float zero = copysignf(0.0f, y);
  return gx_select_f32(r == 0.0f, zero, gx_select_f32((r < 0.0f) != (y < 0.0f), r + y, r));
}

GX_INLINE double gx_remainder_f64(double x, double y) {
  double r = fmod(x, y);
  double zero = copysign(0.0, y);
  return gx_select_f64(r == 0.0, zero, gx_select_f64((r < 0.0) != (y < 0.0), r + y, r));
}

/* The quotient rounded down, as Python's //: (x - remainder) / y is nearly an integer and becomes
 * the nearest one. x // 0 is x / 0. */
GX_INLINE float gx_floor_divide_f32(float x, float y) {
  float m = fmodf(x, y);
  float q = (x - m) / y;
  q = gx_select_f32((m != 0.0f) & ((m < 0.0f) != (y < 0.0f)), q - 1.0f, q);
  float f = gx_floor_f32(q);
  f = gx_select_f32(q - f > 0.5f, f + 1.0f, f);
  f = gx_select_f32(q == 0.0f, copysignf(0.0f, x / y), f);
  return gx_select_f32(y == 0.0f, x / y, f);
}

GX_INLINE double gx_floor_divide_f64(double x, double y) {
  double m = fmod(x, y);
  double q = (x - m) / y;
  q = gx_select_f64((m != 0.0) & ((m < 0.0) != (y < 0.0)), q - 1.0, q);
  double f = gx_floor_f64(q);
  f = gx_select_f64(q - f > 0.5, f + 1.0, f);
  f = gx_select_f64(q == 0.0, copysign(0.0, x / y), f);
  return gx_select_f64(y == 0.0, x / y, f);
}

#endif
