#ifndef GX_MATH_POW_H
#define GX_MATH_POW_H
/* Powers, and the logarithm of a sum of exponentials.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"
#include "math_basic.h"
#include "math_exp.h"
#include "math_log.h"

#include <math.h>
#include <stdint.h>

/* What x^y is, as C has it, when power is |x|^y: an odd y keeps the sign of x, a negative finite x
 * has no power that is not an integer, and 1^y = x^0 = (-1)^inf = 1 even for NaN. */
GX_INLINE float gx_pow_rules_f32(float power, float x, float y) {
  float half = 0.5f * y;
  int integer = gx_round_f32(y) == y;
  int even = gx_round_f32(half) == half;
  power = gx_select_f32(integer & !even, copysignf(power, x), power);
  power = gx_select_f32((x < 0.0f) & (x > -INFINITY) & !integer, NAN, power);
  power = gx_select_f32((x == -1.0f) & (fabsf(y) == INFINITY), 1.0f, power);
  return gx_select_f32((x == 1.0f) | (y == 0.0f), 1.0f, power);
}

GX_INLINE double gx_pow_rules_f64(double power, double x, double y) {
  double half = 0.5 * y;
  int integer = gx_round_f64(y) == y;
  int even = gx_round_f64(half) == half;
  power = gx_select_f64(integer & !even, copysign(power, x), power);
  power = gx_select_f64((x < 0.0) & (x > -INFINITY) & !integer, NAN, power);
  power = gx_select_f64((x == -1.0) & (fabs(y) == INFINITY), 1.0, power);
  return gx_select_f64((x == 1.0) | (y == 0.0), 1.0, power);
}

/* |x|^y = 2^(y log2 |x|), worked in double. log2(1+f) = s P(s^2), s = f / (2+f), P of degree 4,
 * error 2^-37, and 2^r = 1 + r P(r), P of degree 6, error 2^-32. */
GX_INLINE float gx_pow_f32(float x, float y) {
  double k;
  double f = gx_log_split_f64(fabsf(x), 0, &k);
  double s = f / (2.0 + f);
  double w = s * s;
  double l = 0x1.5cf2cf470bbd4p-2;
  l = GX_FMA_F64(l, w, 0x1.a58cfe777aep-2);
  l = GX_FMA_F64(l, w, 0x1.277780ffebe35p-1);
  l = GX_FMA_F64(l, w, 0x1.ec709d11704ebp-1);
  l = GX_FMA_F64(l, w, 0x1.71547652beefbp+1);
  double z = y * (GX_FMA_F64(s, l, k) + gx_log_special_f32(fabsf(x)));
  z = gx_select_f64(z > 200.0, 200.0, z);
  z = gx_select_f64(z < -200.0, -200.0, z);
  double t = z + GX_MAGIC_F64;
  double r = z - (t - GX_MAGIC_F64);
  double p = 0x1.c0478526fc12fp-17;
  p = GX_FMA_F64(p, r, 0x1.4440d49755aaap-13);
  p = GX_FMA_F64(p, r, 0x1.5dc08c6240366p-10);
  p = GX_FMA_F64(p, r, 0x1.3b2a1ab700b7dp-7);
  p = GX_FMA_F64(p, r, 0x1.c6b054a81660ep-5);
  p = GX_FMA_F64(p, r, 0x1.ebfbe0465f22ap-3);
  p = GX_FMA_F64(p, r, 0x1.62e4300bf4e14p-1);
  double power = GX_FMA_F64(p, r, 1.0) * gx_power_f64(t);
  return gx_pow_rules_f32((float)power, x, y);
}

/* |x|^y = e^(y log |x|). The exponent reaches 745, so the logarithm needs some bits more than a
 * double has: it is a sum of two, made of k ln 2, f and f^2/2 with the errors of rounding them. */
GX_INLINE double gx_pow_f64(double x, double y) {
  double k, a = fabs(x);
  double f = gx_log_reduce_f64(a, &k);
  double g = 0.5 * f;
  double h = g * f;
  double b = k * 0x1.62e42feep-1;
  double c = b + f;
  double d = c - h;
  double low = gx_log_poly_f64(f, h) - gx_product_error_f64(g, f, h);
  low = GX_FMA_F64(k, 0x1.a39ef35793c76p-33, low);
  low = low + gx_sum_error_f64(b, f, c) + gx_sum_error_f64(c, -h, d);
  double l = d + low;
  low = (d - l) + low;
  double z = y * (l + gx_log_special_f64(a));
  double zl = GX_FMA_F64(y, low, gx_product_error_f64(y, l, z));
  zl = gx_select_f64((fabs(z) < 1000.0) & (fabs(y) < 0x1p64), zl, 0.0);
  z = gx_select_f64(z > 1000.0, 1000.0, z);
  z = gx_select_f64(z < -1000.0, -1000.0, z);
  double pl, t;
  double p = gx_exp_sum_f64(z, zl, &pl, &t);
  return gx_pow_rules_f64(gx_scale_f64(p + pl, t, z < 0.0), x, y);
}

/* log(e^x + e^y) = max + log(1 + e^-|x-y|). Where the result is near 0 it is as exact as rounding
 * the larger argument would leave it. */
GX_INLINE double gx_logaddexp_f64(double x, double y) {
  double d = gx_select_f64(x == y, 0.0, -fabs(x - y));
  return gx_select_f64(x > y, x, y) + gx_log1p_f64(gx_exp_f64(d));
}

GX_INLINE float gx_logaddexp_f32(float x, float y) {
  return (float)gx_logaddexp_f64(x, y);
}

#endif
