#ifndef GX_MATH_ERF_H
#define GX_MATH_ERF_H
/* The error function and its complement.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"
#include "math_exp.h"

#include <math.h>
#include <stdint.h>

/* erf a = a + a P(a^2) near 0, error 2^-30; else 1 - e^-T(a), where T approximates -log erfc on
 * [0.9, 4] with an error of 2^-29 of erf (the idea of N. Juffa's erff); a = |x|. */
GX_INLINE float gx_erf_f32(float x) {
  float a = fabsf(x);
  float z = a * a;
  float p = 0x1.4f6864p-14f;
  p = GX_FMA_F32(p, z, -0x1.a60a46p-11f);
  p = GX_FMA_F32(p, z, 0x1.544a1ap-8f);
  p = GX_FMA_F32(p, z, -0x1.b8011ap-6f);
  p = GX_FMA_F32(p, z, 0x1.ce2d64p-4f);
  p = GX_FMA_F32(p, z, -0x1.81274p-2f);
  p = GX_FMA_F32(p, z, 0x1.06eba8p-3f);
  float inner = GX_FMA_F32(a, p, a);
  float t = -0x1.9fb9eep-13f;
  t = GX_FMA_F32(t, a, 0x1.91d006p-9f);
  t = GX_FMA_F32(t, a, -0x1.6d9dd2p-6f);
  t = GX_FMA_F32(t, a, 0x1.aa7368p-4f);
  t = GX_FMA_F32(t, a, 0x1.4621b6p-1f);
  t = GX_FMA_F32(t, a, 0x1.20b752p+0f);
  t = GX_FMA_F32(t, a, 0x1.5d177p-13f);
  float outer = gx_select_f32(a > 4.0f, 1.0f, 1.0f - gx_exp_normal_f32(-t));
  return copysignf(gx_select_f32(a < 0.92f, inner, outer), x);
}

/* erf a = a + a P(a^2) for 0 <= a <= 0.477, where erf a is 1/2; P has degree 9, error 2^-56. */
GX_INLINE double gx_erf_poly_f64(double a) {
  double z = a * a;
  double p = -0x1.422e1271f2aa2p-23;
  p = GX_FMA_F64(p, z, 0x1.b88510b374152p-20);
  p = GX_FMA_F64(p, z, -0x1.f4ca2dec1e624p-17);
  p = GX_FMA_F64(p, z, 0x1.f9a312610c79ep-14);
  p = GX_FMA_F64(p, z, -0x1.c02db40fe402cp-11);
  p = GX_FMA_F64(p, z, 0x1.565bcd0f44e1p-8);
  p = GX_FMA_F64(p, z, -0x1.b82ce3128c8dbp-6);
  p = GX_FMA_F64(p, z, 0x1.ce2f21a042c4fp-4);
  p = GX_FMA_F64(p, z, -0x1.812746b0379e7p-2);
  p = GX_FMA_F64(p, z, 0x1.06eba8214db69p-3);
  return GX_FMA_F64(a, p, a);
}

/* erfc a = e^(-a^2) G / (1+2a) for a >= 0.475, G = c + t P(t), t = (a-4) / (a+4), P of degree 21,
 * error 2^-60 of G. a^2, e^(-a^2), G, 1+2a and the quotient are sums of two numbers, so that only
 * the last product is rounded. Past 28 the result is 0. */
GX_INLINE double gx_erfc_tail_f64(double a) {
  a = gx_select_f64(a > 28.0, 28.0, a);
  double h = a * a;
  double el, n;
  double e = gx_exp_sum_f64(-h, -gx_product_error_f64(a, a, h), &el, &n);
  double t = (a - 4.0) / (a + 4.0);
  double p = 0x1.dbe4ec174a0ep-30;
  p = GX_FMA_F64(p, t, -0x1.4f504235578cap-27);
  p = GX_FMA_F64(p, t, -0x1.2fc559c95ef8fp-26);
  p = GX_FMA_F64(p, t, 0x1.bce0ded8bd5edp-24);
  p = GX_FMA_F64(p, t, 0x1.3fd63e3fc22f2p-24);
  p = GX_FMA_F64(p, t, -0x1.b8330f6688e14p-21);
  p = GX_FMA_F64(p, t, 0x1.3b79da069eb9ap-22);
  p = GX_FMA_F64(p, t, 0x1.7efa486eb65f5p-18);
  p = GX_FMA_F64(p, t, -0x1.788bfd407b041p-17);
  p = GX_FMA_F64(p, t, -0x1.99557c8e70f29p-16);
  p = GX_FMA_F64(p, t, 0x1.3be060a59449ep-13);
  p = GX_FMA_F64(p, t, -0x1.a1df3ee17385ap-13);
  p = GX_FMA_F64(p, t, -0x1.8d4a9b9746602p-11);
  p = GX_FMA_F64(p, t, 0x1.49c672a119c24p-8);
  p = GX_FMA_F64(p, t, -0x1.096238837ec21p-6);
  p = GX_FMA_F64(p, t, 0x1.3079edf63f629p-5);
  p = GX_FMA_F64(p, t, -0x1.0fb06dfe50118p-4);
  p = GX_FMA_F64(p, t, 0x1.7fee004e13b45p-4);
  p = GX_FMA_F64(p, t, -0x1.9ddb23c3e8d15p-4);
  p = GX_FMA_F64(p, t, 0x1.16ecefcfa5335p-4);
  p = GX_FMA_F64(p, t, 0x1.f7f5df66fd74ep-7);
  p = GX_FMA_F64(p, t, -0x1.1df1ad154a28ep-3);
  p = p * t;
  double g = 0x1.3ba5916e9fd7fp+0 + p;
  double gl = (0x1.3ba5916e9fd7fp+0 - g) + p - 0x1.a5c6d56588964p-55;
  double d = 1.0 + 2.0 * a;
  double dl = gx_sum_error_f64(1.0, 2.0 * a, d);
  double inverse = 1.0 / d;
  double q = g * inverse;
  double b = q * d;
  double ql = ((g - b) - gx_product_error_f64(q, d, b) + (gl - q * dl)) * inverse;
  return gx_scale_f64(GX_FMA_F64(e, q, GX_FMA_F64(e, ql, el * q)), n, 1);
}

GX_INLINE double gx_erf_f64(double x) {
  double a = fabs(x);
  return copysign(gx_select_f64(a < 0.477, gx_erf_poly_f64(a), 1.0 - gx_erfc_tail_f64(a)), x);
}

GX_INLINE double gx_erfc_f64(double x) {
  double a = fabs(x);
  double tail = gx_erfc_tail_f64(a);
  double y = 1.0 - copysign(gx_erf_poly_f64(a), x);
  return gx_select_f64(a < 0.477, y, gx_select_f64(x < 0.0, 2.0 - tail, tail));
}

/* Worked in double. */
GX_INLINE float gx_erfc_f32(float x) {
  return (float)gx_erfc_f64(x);
}

#endif
