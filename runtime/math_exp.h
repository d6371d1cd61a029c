#ifndef GX_MATH_EXP_H
#define GX_MATH_EXP_H
/* Exponentials and the logistic function.
 *
 * e^x = 2^n e^r with n = x / ln 2 rounded. n ln 2 is subtracted in two parts, the first short
 * enough for its product with n to be exact (Cody and Waite).
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"

#include <math.h>
#include <stdint.h>

/* e^x / 2^n, in [sqrt(1/2), sqrt(2)], for |x| below 2^15; *t becomes n + GX_MAGIC_F32. A larger x
 * gives any number, NaN gives NaN. For |r| <= ln(2)/2, e^r = 1 + r + r^2 Q(r), Q of degree 4,
 * error 2^-28. */
GX_INLINE float gx_exp_reduced_f32(float x, float *t) {
  *t = GX_FMA_F32(x, 0x1.715476p+0f, GX_MAGIC_F32);
  float n = *t - GX_MAGIC_F32;
  float r = GX_FMA_F32(n, -0x1.62e4p-1f, x);
  r = GX_FMA_F32(n, -0x1.7f7d1cp-20f, r);
  float q = 0x1.6afee4p-10f;
  q = GX_FMA_F32(q, r, 0x1.12449ap-7f);
  q = GX_FMA_F32(q, r, 0x1.555826p-5f);
  q = GX_FMA_F32(q, r, 0x1.555482p-3f);
  q = GX_FMA_F32(q, r, 0x1.fffffcp-2f);
  return 1.0f + GX_FMA_F32(r * r, q, r);
}

/* r + *low = x - n ln 2 for |x| below 2^20; *t becomes n + GX_MAGIC_F64. */
GX_INLINE double gx_exp_rest_f64(double x, double *low, double *t) {
  *t = GX_FMA_F64(x, 0x1.71547652b82fep+0, GX_MAGIC_F64);
  double n = *t - GX_MAGIC_F64;
  double h = GX_FMA_F64(n, -0x1.62e42feep-1, x);
  double m = n * 0x1.a39ef35793c76p-33;
  double r = h - m;
  *low = (h - r) - m;
  return r;
}

/* Q of degree 10 in e^r = 1 + r + r^2 Q(r); the error is 2^-61 of e^r - 1. */
GX_INLINE double gx_exp_poly_f64(double r) {
  double q = 0x1.1ef47da2921d8p-29;
  q = GX_FMA_F64(q, r, 0x1.af5a21820bffap-26);
  q = GX_FMA_F64(q, r, 0x1.27e52b3afe90dp-22);
  q = GX_FMA_F64(q, r, 0x1.71ddfb39792a1p-19);
  q = GX_FMA_F64(q, r, 0x1.a01a01833dceap-16);
  q = GX_FMA_F64(q, r, 0x1.a01a01ae9c2b1p-13);
  q = GX_FMA_F64(q, r, 0x1.6c16c16c1cb14p-10);
  q = GX_FMA_F64(q, r, 0x1.111111110fa6cp-7);
  q = GX_FMA_F64(q, r, 0x1.5555555555549p-5);
  q = GX_FMA_F64(q, r, 0x1.5555555555558p-3);
  q = GX_FMA_F64(q, r, 0x1p-1);
  return q;
}

/* As gx_exp_reduced_f32. */
GX_INLINE double gx_exp_reduced_f64(double x, double *t) {
  double low;
  double r = gx_exp_rest_f64(x, &low, t);
  return 1.0 + (GX_FMA_F64(r * r, gx_exp_poly_f64(r), low) + r);
}

/* e^(x + l) for a small l: (p + *low) 2^n with n = *t - GX_MAGIC_F64, p + *low good to 2^-60. */
GX_INLINE double gx_exp_sum_f64(double x, double l, double *low, double *t) {
  double rl;
  double r = gx_exp_rest_f64(x, &rl, t);
  double s = 1.0 + r;
  double v = GX_FMA_F64(r * r, gx_exp_poly_f64(r), (1.0 - s) + r);
  double p = s + v;
  *low = GX_FMA_F64(rl + l, p, (s - p) + v);
  return p;
}

GX_INLINE float gx_exp_f32(float x) {
  float t;
  float p = gx_exp_reduced_f32(x, &t);
  float y = gx_scale_f32(p, t, x < 0.0f);
  y = gx_select_f32(x > 89.0f, INFINITY, y);
  return gx_select_f32(x < -104.0f, 0.0f, y);
}

GX_INLINE double gx_exp_f64(double x) {
  double t;
  double p = gx_exp_reduced_f64(x, &t);
  double y = gx_scale_f64(p, t, x < 0.0);
  y = gx_select_f64(x > 710.0, INFINITY, y);
  return gx_select_f64(x < -746.0, 0.0, y);
}

/* e^x for |x| below 87, where one factor does. A larger x gives any number, NaN gives NaN. */
GX_INLINE float gx_exp_normal_f32(float x) {
  float t;
  float p = gx_exp_reduced_f32(x, &t);
  return p * gx_power_f32(t);
}

/* As gx_exp_normal_f32, for |x| below 708. */
GX_INLINE double gx_exp_normal_f64(double x) {
  double t;
  double p = gx_exp_reduced_f64(x, &t);
  return p * gx_power_f64(t);
}

/* 2^x / 2^n = 1 + r P(r), n = x rounded, for |x| below 2^22; P has degree 5, error 2^-27, and is
 * summed by pairs of terms (Estrin), which wait less for one another. *t becomes n + GX_MAGIC_F32. A
 * larger x gives any number, NaN gives NaN. */
GX_INLINE float gx_exp2_reduced_f32(float x, float *t) {
  *t = x + GX_MAGIC_F32;
  float r = x - (*t - GX_MAGIC_F32);
  float low = GX_FMA_F32(0x1.ebfbe6p-3f, r, 0x1.62e432p-1f);
  float middle = GX_FMA_F32(0x1.3b21cap-7f, r, 0x1.c6ada8p-5f);
  float high = GX_FMA_F32(0x1.4bdd72p-13f, r, 0x1.5fbd06p-10f);
  float r2 = r * r;
  float p = GX_FMA_F32(high, r2, middle);
  p = GX_FMA_F32(p, r2, low);
  return GX_FMA_F32(p, r, 1.0f);
}

/* As gx_exp2_reduced_f32, for |x| below 2^51; P has degree 11, error 2^-60. */
GX_INLINE double gx_exp2_reduced_f64(double x, double *t) {
  *t = x + GX_MAGIC_F64;
  double r = x - (*t - GX_MAGIC_F64);
  double p = 0x1.f837eee32998ep-36;
  p = GX_FMA_F64(p, r, 0x1.ebd0f16eba647p-32);
  p = GX_FMA_F64(p, r, 0x1.e4ad71214fea7p-28);
  p = GX_FMA_F64(p, r, 0x1.b52390f296a1bp-24);
  p = GX_FMA_F64(p, r, 0x1.62c02a187f22dp-20);
  p = GX_FMA_F64(p, r, 0x1.ffcbfd230e87bp-17);
  p = GX_FMA_F64(p, r, 0x1.430912f6dc758p-13);
  p = GX_FMA_F64(p, r, 0x1.5d87fe787a409p-10);
  p = GX_FMA_F64(p, r, 0x1.3b2ab6fba5262p-7);
  p = GX_FMA_F64(p, r, 0x1.c6b08d704a1c2p-5);
  p = GX_FMA_F64(p, r, 0x1.ebfbdff82c58ep-3);
  p = GX_FMA_F64(p, r, 0x1.62e42fefa39efp-1);
  return GX_FMA_F64(p, r, 1.0);
}

GX_INLINE float gx_exp2_f32(float x) {
  float t;
  float p = gx_exp2_reduced_f32(x, &t);
  float y = gx_scale_f32(p, t, x < 0.0f);
  y = gx_select_f32(x > 129.0f, INFINITY, y);
  return gx_select_f32(x < -151.0f, 0.0f, y);
}

GX_INLINE double gx_exp2_f64(double x) {
  double t;
  double p = gx_exp2_reduced_f64(x, &t);
  double y = gx_scale_f64(p, t, x < 0.0);
  y = gx_select_f64(x > 1025.0, INFINITY, y);
  return gx_select_f64(x < -1076.0, 0.0, y);
}

/* 2^x for x below 127, where numbers below 2^-124 are 0. NaN gives NaN. */
GX_INLINE float gx_exp2_falling_f32(float x) {
  float t;
  float p = gx_exp2_reduced_f32(x, &t);
  return gx_select_f32(x < -124.0f, 0.0f, p * gx_power_f32(t));
}

/* As gx_exp2_falling_f32, for x below 1023; numbers below 2^-1020 are 0. */
GX_INLINE double gx_exp2_falling_f64(double x) {
  double t;
  double p = gx_exp2_reduced_f64(x, &t);
  return gx_select_f64(x < -1020.0, 0.0, p * gx_power_f64(t));
}

/* e^x for x below 87, as 2^(x / ln 2) with the quotient rounded: the relative error is 2^-23 and
 * 2^-24 |x|, that of rounding x. So it is for weights of sums. Numbers below 2^-124 are 0. */
GX_INLINE float gx_exp_falling_f32(float x) {
  return gx_exp2_falling_f32(x * 0x1.715476p+0f);
}

/* As gx_exp_falling_f32, for x below 708: 2^-52 and 2^-53 |x|; numbers below 2^-1020 are 0. */
GX_INLINE double gx_exp_falling_f64(double x) {
  return gx_exp2_falling_f64(x * 0x1.71547652b82fep+0);
}

/* e^x - 1 = 2^n E + (2^n - 1), E = e^r - 1 = r + r^2 Q(r), Q of degree 5, error 2^-28. Worked with
 * 2^(n-1), which is finite where the result is; for n = 0 that would cut bits of a subnormal. */
GX_INLINE float gx_expm1_f32(float x) {
  float t = GX_FMA_F32(x, 0x1.715476p+0f, GX_MAGIC_F32);
  float n = t - GX_MAGIC_F32;
  float r = GX_FMA_F32(n, -0x1.62e4p-1f, x);
  r = GX_FMA_F32(n, -0x1.7f7d1cp-20f, r);
  float q = 0x1.58cc7ap-13f;
  q = GX_FMA_F32(q, r, 0x1.6d4a0ap-10f);
  q = GX_FMA_F32(q, r, 0x1.114c4cp-7f);
  q = GX_FMA_F32(q, r, 0x1.5554f2p-5f);
  q = GX_FMA_F32(q, r, 0x1.55552ap-3f);
  q = GX_FMA_F32(q, r, 0x1p-1f);
  float e = GX_FMA_F32(r * r, q, r);
  float half = gx_power_f32(t - 1.0f);
  float y = GX_FMA_F32(half, e, half - 0.5f) * 2.0f;
  y = gx_select_f32(t == GX_MAGIC_F32, e, y);
  y = gx_select_f32(x > 89.0f, INFINITY, y);
  return copysignf(gx_select_f32(x < -18.0f, 1.0f, y), x);
}

GX_INLINE double gx_expm1_f64(double x) {
  double low, t;
  double r = gx_exp_rest_f64(x, &low, &t);
  double e = GX_FMA_F64(r * r, gx_exp_poly_f64(r), low) + r;
  double half = gx_power_f64(t - 1.0);
  double y = GX_FMA_F64(half, e, half - 0.5) * 2.0;
  y = gx_select_f64(t == GX_MAGIC_F64, e, y);
  y = gx_select_f64(x > 710.0, INFINITY, y);
  return copysign(gx_select_f64(x < -38.0, 1.0, y), x);
}

/* q = e / (1+e) for x < 0 and 1 / (1+e) else, e = e^-|x|, which does not overflow where the result
 * is small. What rounding 1 + e lost is given back to first order, as q - lost q. */
GX_INLINE float gx_sigmoid_f32(float x) {
  float a = fabsf(x);
  a = gx_select_f32(a > 104.0f, 104.0f, a);
  float t;
  float p = gx_exp_reduced_f32(-a, &t);
  float e = gx_scale_f32(p, t, 1);
  float d = 1.0f + e;
  float lost = e - (d - 1.0f);
  float q = gx_select_f32(x < 0.0f, e, 1.0f) / d;
  return GX_FMA_F32(-lost, q, q);
}

GX_INLINE double gx_sigmoid_f64(double x) {
  double a = fabs(x);
  a = gx_select_f64(a > 746.0, 746.0, a);
  double t;
  double p = gx_exp_reduced_f64(-a, &t);
  double e = gx_scale_f64(p, t, 1);
  double d = 1.0 + e;
  double lost = e - (d - 1.0);
  double q = gx_select_f64(x < 0.0, e, 1.0) / d;
  return GX_FMA_F64(-lost, q, q);
}

#endif
