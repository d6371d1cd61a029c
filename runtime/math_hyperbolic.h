#ifndef GX_MATH_HYPERBOLIC_H
#define GX_MATH_HYPERBOLIC_H
/* Hyperbolic functions and their inverses.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"
#include "math_exp.h"
#include "math_log.h"

#include <math.h>
#include <stdint.h>

/* tanh a = a + a^3 P(a^2) near 0, error 2^-29; else 1 - 2 / (e^2a + 1); a = |x|. */
GX_INLINE float gx_tanh_f32(float x) {
  float a = fabsf(x);
  float z = a * a;
  float p = -0x1.95107cp-8f;
  p = GX_FMA_F32(p, z, 0x1.58269ep-6f);
  p = GX_FMA_F32(p, z, -0x1.b906c6p-5f);
  p = GX_FMA_F32(p, z, 0x1.110c5ep-3f);
  p = GX_FMA_F32(p, z, -0x1.555548p-2f);
  float inner = GX_FMA_F32(a * z, p, a);
  float outer = 1.0f - 2.0f / (gx_exp_normal_f32(2.0f * a) + 1.0f);
  outer = gx_select_f32(a > 10.0f, 1.0f, outer);
  return copysignf(gx_select_f32(a < 0.55f, inner, outer), x);
}

/* As gx_tanh_f32; the polynomial's error is 2^-60. */
GX_INLINE double gx_tanh_f64(double x) {
  double a = fabs(x);
  double z = a * a;
  double p = -0x1.3ea661f8171b5p-16;
  p = GX_FMA_F64(p, z, 0x1.5a0fbffb835bfp-14);
  p = GX_FMA_F64(p, z, -0x1.e84250f34cbe6p-13);
  p = GX_FMA_F64(p, z, 0x1.34663b500caf6p-11);
  p = GX_FMA_F64(p, z, -0x1.7d8c453e297cbp-10);
  p = GX_FMA_F64(p, z, 0x1.d6d25561b693dp-9);
  p = GX_FMA_F64(p, z, -0x1.226e2d5afb01p-7);
  p = GX_FMA_F64(p, z, 0x1.664f484c13484p-6);
  p = GX_FMA_F64(p, z, -0x1.ba1ba1b94247cp-5);
  p = GX_FMA_F64(p, z, 0x1.1111111110393p-3);
  p = GX_FMA_F64(p, z, -0x1.555555555554cp-2);
  double inner = GX_FMA_F64(a * z, p, a);
  double outer = 1.0 - 2.0 / (gx_exp_normal_f64(2.0 * a) + 1.0);
  outer = gx_select_f64(a > 20.0, 1.0, outer);
  return copysign(gx_select_f64(a < 0.55, inner, outer), x);
}

/* e^a / 2 for a >= 0, finite as far as cosh a is. */
GX_INLINE float gx_half_exp_f32(float a) {
  float t;
  float p = gx_exp_reduced_f32(gx_select_f32(a > 90.0f, 90.0f, a), &t);
  return gx_scale_f32(p, t - 1.0f, 0);
}

GX_INLINE double gx_half_exp_f64(double a) {
  double t;
  double p = gx_exp_reduced_f64(gx_select_f64(a > 711.0, 711.0, a), &t);
  return gx_scale_f64(p, t - 1.0, 0);
}

/* With h = e^a / 2, a = |x|: cosh = h + 1/(4h), sinh = h - 1/(4h), and for a < 1
 * sinh a = a + a^3 P(a^2), error 2^-31. */
GX_INLINE float gx_sinh_f32(float x) {
  float a = fabsf(x);
  float z = a * a;
  float p = 0x1.75c1e2p-19f;
  p = GX_FMA_F32(p, z, 0x1.a02102p-13f);
  p = GX_FMA_F32(p, z, 0x1.1110e2p-7f);
  p = GX_FMA_F32(p, z, 0x1.555556p-3f);
  float inner = GX_FMA_F32(a * z, p, a);
  float h = gx_half_exp_f32(a);
  return copysignf(gx_select_f32(a < 1.0f, inner, h - 0.25f / h), x);
}

/* As gx_sinh_f32; the polynomial's error is 2^-62. */
GX_INLINE double gx_sinh_f64(double x) {
  double a = fabs(x);
  double z = a * a;
  double p = 0x1.b5c3f76d13b32p-41;
  p = GX_FMA_F64(p, z, 0x1.61170043da218p-33);
  p = GX_FMA_F64(p, z, 0x1.ae646fe02e5dbp-26);
  p = GX_FMA_F64(p, z, 0x1.71de3a3b1655bp-19);
  p = GX_FMA_F64(p, z, 0x1.a01a01a0371e8p-13);
  p = GX_FMA_F64(p, z, 0x1.111111111101ep-7);
  p = GX_FMA_F64(p, z, 0x1.5555555555556p-3);
  double inner = GX_FMA_F64(a * z, p, a);
  double h = gx_half_exp_f64(a);
  return copysign(gx_select_f64(a < 1.0, inner, h - 0.25 / h), x);
}

GX_INLINE float gx_cosh_f32(float x) {
  float h = gx_half_exp_f32(fabsf(x));
  return h + 0.25f / h;
}

GX_INLINE double gx_cosh_f64(double x) {
  double h = gx_half_exp_f64(fabs(x));
  return h + 0.25 / h;
}

/* log(1 + a + b), where a + b >= 0 does not fit into one number. */
GX_INLINE double gx_log1p_sum_f64(double a, double b) {
  double w = a + b;
  double low = gx_sum_error_f64(a, b, w) / (1.0 + w);
  return gx_log1p_f64(w) + gx_select_f64(w < INFINITY, low, 0.0);
}

/* asinh a = log(1 + a + a^2 / (1 + sqrt(1 + a^2))), a = |x|; from 2^54 on log a + log 2. */
GX_INLINE double gx_asinh_f64(double x) {
  double a = fabs(x);
  double b = gx_select_f64(a < 0x1p54, a, 0.0);
  double z = b * b;
  double y = gx_log1p_sum_f64(a, z / (1.0 + sqrt(1.0 + z)));
  return copysign(gx_select_f64(a < 0x1p54, y, y + 0x1.62e42fefa39efp-1), x);
}

/* acosh x = log(1 + t + sqrt(2t + t^2)), t = x - 1; from 2^54 on log x + log 2. */
GX_INLINE double gx_acosh_f64(double x) {
  double t = x - 1.0;
  double b = gx_select_f64(x < 0x1p54, t, 0.0);
  double y = gx_log1p_sum_f64(t, sqrt(GX_FMA_F64(b, b, 2.0 * b)));
  y = gx_select_f64(x < 0x1p54, y, y + 0x1.62e42fefa39efp-1);
  return gx_select_f64(x < 1.0, NAN, y);
}

/* atanh a = log(1 + 2a + 2a^2 / (1 - a)) / 2, a = |x|. */
GX_INLINE double gx_atanh_f64(double x) {
  double a = fabs(x);
  double d = 2.0 * a;
  double y = 0.5 * gx_log1p_sum_f64(d, d * a / (1.0 - a));
  return gx_select_f64(a > 1.0, NAN, copysign(y, x));
}

/* The inverse functions in float are worked in double. */
GX_INLINE float gx_asinh_f32(float x) {
  return (float)gx_asinh_f64(x);
}

GX_INLINE float gx_acosh_f32(float x) {
  return (float)gx_acosh_f64(x);
}

GX_INLINE float gx_atanh_f32(float x) {
  return (float)gx_atanh_f64(x);
}

#endif
