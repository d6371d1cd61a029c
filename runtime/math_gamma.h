#ifndef GX_MATH_GAMMA_H
#define GX_MATH_GAMMA_H
/* The logarithm of the gamma function and its derivatives. In float they are worked in double.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"
#include "math_basic.h"
#include "math_log.h"
#include "math_trig.h"

#include <math.h>
#include <stdint.h>

/* sin(pi f) for 0 <= f <= 1/2; a float's or a double's distance from an integer is exact. */
GX_INLINE double gx_sin_pi_f64(double f) {
  double high;
  double s = 0x1.921fb54442d18p+1 * f;
  double c = 0x1.921fb54442d18p+1 * (0.5 - f);
  c = gx_cos_poly_f64(c, 0.0, &high) + high;
  return gx_select_f64(f > 0.25, c, s + gx_sin_poly_f64(s, 0.0));
}

/* log Gamma(x) for x >= 0. Below 8, x is moved into [1.5, 2.5] by Gamma(x+1) = x Gamma(x) and there
 * lgamma(2+d) = d P(d), P of degree 18, error 2^-56; d is exact, so that zeros at 1 and 2 keep
 * their relative accuracy. From 8 on Stirling's series in 1/x^2, minimax over [8, inf) with 7
 * terms, absolute error 2^-60. */
GX_INLINE double gx_lgamma_positive_f64(double x) {
  double y = x, product = 1.0;
  for (int i = 0; i < 6; i++) {
    int down = y >= 2.5;
    y = gx_select_f64(down, y - 1.0, y);
    product = gx_select_f64(down, product * y, product);
  }
  double d = gx_select_f64(x < 0.5, x, gx_select_f64(x < 1.5, x - 1.0, y - 2.0));
  double up = gx_select_f64(x < 0.5, x * (x + 1.0), x);
  double p = 0x1.a666f37f3fd58p-26;
  p = GX_FMA_F64(p, d, 0x1.3afa9e9870d4cp-22);
  p = GX_FMA_F64(p, d, -0x1.480a9406d3992p-21);
  p = GX_FMA_F64(p, d, 0x1.e5461025e3789p-21);
  p = GX_FMA_F64(p, d, -0x1.06f77a3d0fc56p-19);
  p = GX_FMA_F64(p, d, 0x1.26bf08ada3761p-18);
  p = GX_FMA_F64(p, d, -0x1.3d6fd22e4516ep-17);
  p = GX_FMA_F64(p, d, 0x1.57ff3702dfc78p-16);
  p = GX_FMA_F64(p, d, -0x1.78d79aaf85a6ap-15);
  p = GX_FMA_F64(p, d, 0x1.a1282032000f8p-14);
  p = GX_FMA_F64(p, d, -0x1.d3fd728dee98ep-13);
  p = GX_FMA_F64(p, d, 0x1.0b36ae8d03ac7p-11);
  p = GX_FMA_F64(p, d, -0x1.38ac5befd94bp-10);
  p = GX_FMA_F64(p, d, 0x1.7add6eb015154p-9);
  p = GX_FMA_F64(p, d, -0x1.e404fc21ee2bep-8);
  p = GX_FMA_F64(p, d, 0x1.51322ac7d6f77p-6);
  p = GX_FMA_F64(p, d, -0x1.13e001a557521p-4);
  p = GX_FMA_F64(p, d, 0x1.4a34cc4a60fa8p-2);
  p = GX_FMA_F64(p, d, 0x1.b0ee6072093cep-2);
  double l = gx_log_f64(gx_select_f64(x < 1.5, up, gx_select_f64(x < 8.0, product, x)));
  double inner = GX_FMA_F64(d, p, gx_select_f64(x < 1.5, -l, l));
  double v = 1.0 / x;
  double t = v * v;
  double q = 0x1.221c81c27af9p-8;
  q = GX_FMA_F64(q, t, -0x1.e7c7ff677cda1p-10);
  q = GX_FMA_F64(q, t, 0x1.b8e727271f67ap-11);
  q = GX_FMA_F64(q, t, -0x1.3812c05a0b5d5p-11);
  q = GX_FMA_F64(q, t, 0x1.a01a00fc4b90bp-11);
  q = GX_FMA_F64(q, t, -0x1.6c16c16c09cf1p-9);
  q = GX_FMA_F64(q, t, 0x1.5555555555555p-4);
  double outer = GX_FMA_F64(x - 0.5, l - 1.0, GX_FMA_F64(v, q, 0x1.acfe390c97d69p-2));
  return gx_select_f64(x < 8.0, inner, outer);
}

/* log |Gamma(x)|. For x < 0 by Gamma(x) Gamma(-x) = -pi / (x sin(pi x)); +inf at poles and -inf.
 * Near a zero at a negative x the error is small against 1, not against the result. */
GX_INLINE double gx_lgamma_f64(double x) {
  double a = fabs(x);
  double r = gx_lgamma_positive_f64(a);
  double s = gx_sin_pi_f64(fabs(a - gx_round_f64(a)));
  double y = gx_log_f64(0x1.921fb54442d18p+1 / (a * s)) - r;
  y = gx_select_f64(x < -0x1p-60, y, r);
  return gx_select_f64(((x < 0.0) & (s == 0.0)) | (a == INFINITY), INFINITY, y);
}

GX_INLINE float gx_lgamma_f32(float x) {
  return (float)gx_lgamma_f64(x);
}

/* The derivative of log Gamma. Up to 8 by psi(x) = psi(x+1) - 1/x, the sum of reciprocals kept as
 * one fraction; from 8 on log x - 1/(2x) - t P(t), t = 1/x^2, P of degree 6, absolute error 2^-56;
 * for x <= 0 psi(x) = psi(1-x) - pi cot(pi x). NaN at negative integers, -inf at 0, +inf at -0;
 * near 0 it is -1/x. */
GX_INLINE double gx_digamma_f64(double x) {
  double y = gx_select_f64(x > 0.0, x, 1.0 - x);
  double above = 0.0, below = 1.0;
  for (int i = 0; i < 8; i++) {
    int up = y < 8.0;
    above = gx_select_f64(up, GX_FMA_F64(above, y, below), above);
    below = gx_select_f64(up, below * y, below);
    y = gx_select_f64(up, y + 1.0, y);
  }
  double v = 1.0 / y;
  double t = v * v;
  double p = 0x1.052b6d34b0145p-4;
  p = GX_FMA_F64(p, t, -0x1.533aa7ee475e1p-6);
  p = GX_FMA_F64(p, t, 0x1.f03a0c87dd50ap-8);
  p = GX_FMA_F64(p, t, -0x1.1110b835467bcp-8);
  p = GX_FMA_F64(p, t, 0x1.041040cb8d807p-8);
  p = GX_FMA_F64(p, t, -0x1.111111110a961p-7);
  p = GX_FMA_F64(p, t, 0x1.5555555555555p-4);
  double r = gx_log_f64(y) - (GX_FMA_F64(t, p, 0.5 * v) + above / below);
  double f = x - gx_round_f64(x);
  double g = fabs(f);
  double cot = copysign(0x1.921fb54442d18p+1 * gx_sin_pi_f64(0.5 - g) / gx_sin_pi_f64(g), f);
  r = gx_select_f64(x > 0.0, r, gx_select_f64(g > 0.0, r - cot, NAN));
  return gx_select_f64(fabs(x) < 0x1p-70, -1.0 / x, r);
}

GX_INLINE float gx_digamma_f32(float x) {
  return (float)gx_digamma_f64(x);
}

/* n! times the sum of 1 / (x+k)^(n+1) over k >= 0, for n >= 1 and x > 0: terms up to n + 10, then
 * the Euler-Maclaurin formula with ten of Bernoulli's numbers, B(2k) / (2k)! in the table. Powers
 * and factorials are built factor by factor, so that they overflow only where the result does. */
static inline double gx_polygamma_sum_f64(int n, double x) {
  static const double bernoulli[10] = {
    1.0 / 12.0,
    -1.0 / 720.0,
    1.0 / 30240.0,
    -1.0 / 1209600.0,
    1.0 / 47900160.0,
    -691.0 / 1307674368000.0,
    1.0 / 74724249600.0,
    -3617.0 / 10670622842880000.0,
    43867.0 / 5109094217170944000.0,
    -174611.0 / 802857662698291200000.0,
  };
  double sum = 0.0;
  for (; x < n + 10.0; x += 1.0) {
    double term = 1.0 / x;
    for (int j = 1; j <= n; j++) term *= j / x;
    sum += term;
  }
  double scale = 1.0 / x;
  for (int j = 1; j < n; j++) scale *= j / x;
  double ratio = n / x * ((n + 1) / x);
  double tail = 1.0 + n / (2.0 * x);
  for (int k = 0; k < 10; k++) {
    tail += bernoulli[k] * ratio;
    ratio *= (n + 2 * k + 2) / x * ((n + 2 * k + 3) / x);
  }
  return sum + scale * tail;
}

/* The n-th derivative of digamma, (-1)^(n+1) times the sum above; NaN for n < 0. For x < 0 the
 * terms with negative x + k are summed by themselves: with f = x - floor(x) they are those of 1 - f
 * less those of 1 - x, with the sign of (-1)^(n+1). At a pole the result is infinite, with the sign
 * that it has to the right of 0. */
static inline double gx_polygamma_f64(int n, double x) {
  if (n == 0) return gx_digamma_f64(x);
  if (n < 0 || x != x || x == -INFINITY) return NAN;
  double sign = n & 1 ? 1.0 : -1.0;
  if (x == INFINITY) return sign * 0.0;
  if (x > 0.0) return sign * gx_polygamma_sum_f64(n, x);
  if (x == gx_floor_f64(x)) return sign * INFINITY;
  double f = x - gx_floor_f64(x), g = gx_ceil_f64(x) - x;
  double negative = gx_polygamma_sum_f64(n, g) - gx_polygamma_sum_f64(n, 1.0 - x);
  return sign * gx_polygamma_sum_f64(n, f) + negative;
}

static inline float gx_polygamma_f32(int n, float x) {
  return (float)gx_polygamma_f64(n, x);
}

#endif
