#ifndef GX_MATH_LOG_H
#define GX_MATH_LOG_H
/* Logarithms. x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)): log x = k ln 2 + log(1 + f), with
 * the same constants' two parts as in math_exp.h. The exponent field k + 127 (1023) is that of x's
 * bits raised by the distance from sqrt(1/2), 0x3f3504f3 (0x3fe6a09e667f3bcd), to 1.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"

#include <math.h>
#include <stdint.h>

/* f, and k in *k, for a positive finite x; finite numbers for any other. */
GX_INLINE float gx_log_reduce_f32(float x, float *k) {
  uint32_t shift = gx_mask_u32(x < 0x1p-126f) & 23;
  uint32_t u = gx_bits_f32(x * gx_from_bits_f32((127 + shift) << 23));
  uint32_t e = (u - 0x3f3504f3u + 0x3f800000u) >> 23;
  *k = (float)(int32_t)(e - 127 - shift);
  return gx_from_bits_f32(u - ((e - 127) << 23)) - 1.0f;
}

/* f, and k - shift in *k, for a positive x that is not subnormal. The exponent becomes a double by
 * way of a bit pattern (2048 keeps it positive): below AVX-512 no vector instruction converts
 * 64-bit integers. */
GX_INLINE double gx_log_split_f64(double x, uint64_t shift, double *k) {
  uint64_t u = gx_bits_f64(x);
  uint64_t e = (u - 0x3fe6a09e667f3bcdu + 0x3ff0000000000000u) >> 52;
  *k = gx_from_bits_f64((e - shift + 2048) | 0x4330000000000000u) - (0x1p52 + 3071);
  return gx_from_bits_f64(u - ((e - 1023) << 52)) - 1.0;
}

/* As gx_log_reduce_f32. */
GX_INLINE double gx_log_reduce_f64(double x, double *k) {
  uint64_t shift = gx_mask_u64(x < 0x1p-1022) & 52;
  return gx_log_split_f64(x * gx_from_bits_f64((1023 + shift) << 52), shift, k);
}

/* log(1+f) - f = -f^2/2 + f^3 Q(f), Q of degree 7; the error of log(1+f) is 2^-27. */
GX_INLINE float gx_log_poly_f32(float f) {
  float q = -0x1.38fbfcp-4f;
  q = GX_FMA_F32(q, f, 0x1.05b318p-3f);
  q = GX_FMA_F32(q, f, -0x1.0da138p-3f);
  q = GX_FMA_F32(q, f, 0x1.22d04ap-3f);
  q = GX_FMA_F32(q, f, -0x1.546e9cp-3f);
  q = GX_FMA_F32(q, f, 0x1.99a052p-3f);
  q = GX_FMA_F32(q, f, -0x1.000234p-2f);
  q = GX_FMA_F32(q, f, 0x1.555554p-2f);
  float z = f * f;
  return GX_FMA_F32(z * f, q, -0.5f * z);
}

/* log(1+f) - f + f^2/2 = s (f^2/2 + R), s = f / (2+f), because log(1+f) = 2 artanh s (the idea of
 * fdlibm's log); R = s^2 P(s^2), P of degree 6, error 2^-59 of log(1+f). h is f^2/2. */
GX_INLINE double gx_log_poly_f64(double f, double h) {
  double s = f / (2.0 + f);
  double z = s * s;
  double p = 0x1.2f1397a33515cp-3;
  p = GX_FMA_F64(p, z, 0x1.39a069df45ca8p-3);
  p = GX_FMA_F64(p, z, 0x1.74664b080d28ep-3);
  p = GX_FMA_F64(p, z, 0x1.c71c51d2d16b1p-3);
  p = GX_FMA_F64(p, z, 0x1.249249422e906p-2);
  p = GX_FMA_F64(p, z, 0x1.999999997f9cfp-2);
  p = GX_FMA_F64(p, z, 0x1.5555555555593p-1);
  return s * GX_FMA_F64(z, p, h);
}

/* k ln 2 + log(1+f). */
GX_INLINE float gx_log_sum_f32(float k, float f) {
  float r = GX_FMA_F32(k, 0x1.7f7d1cp-20f, gx_log_poly_f32(f)) + f;
  return GX_FMA_F32(k, 0x1.62e4p-1f, r);
}

GX_INLINE double gx_log_sum_f64(double k, double f) {
  double h = 0.5 * f * f;
  double r = GX_FMA_F64(k, 0x1.a39ef35793c76p-33, gx_log_poly_f64(f, h)) - h + f;
  return GX_FMA_F64(k, 0x1.62e42feep-1, r);
}

/* What has to be added to a finite number to give the logarithm of x: 0 for a positive finite x,
 * -inf for 0, x for inf and NaN, NaN for less than 0. */
GX_INLINE float gx_log_special_f32(float x) {
  uint32_t zero = gx_mask_u32(x <= 0.0f) & 0xff800000u;
  uint32_t wide = gx_mask_u32(!(x < INFINITY)) & gx_bits_f32(x);
  return gx_from_bits_f32(zero | wide | gx_mask_u32(x < 0.0f));
}

GX_INLINE double gx_log_special_f64(double x) {
  uint64_t zero = gx_mask_u64(x <= 0.0) & 0xfff0000000000000u;
  uint64_t wide = gx_mask_u64(!(x < INFINITY)) & gx_bits_f64(x);
  return gx_from_bits_f64(zero | wide | gx_mask_u64(x < 0.0));
}

GX_INLINE float gx_log_f32(float x) {
  float k;
  float f = gx_log_reduce_f32(x, &k);
  return gx_log_sum_f32(k, f) + gx_log_special_f32(x);
}

GX_INLINE double gx_log_f64(double x) {
  double k;
  double f = gx_log_reduce_f64(x, &k);
  return gx_log_sum_f64(k, f) + gx_log_special_f64(x);
}

/* k comes from 1 + x rounded, f = 2^-k x + (2^-k - 1) from x itself. 2^-k is made of 2^(3-k), which
 * is a normal number. */
GX_INLINE float gx_log1p_f32(float x) {
  float w = 1.0f + x;
  uint32_t e = (gx_bits_f32(w) - 0x3f3504f3u + 0x3f800000u) >> 23;
  float s = gx_from_bits_f32((257 - e) << 23);
  float f = x * s * 0.125f + (s * 0.125f - 1.0f);
  float r = gx_log_sum_f32((float)((int32_t)e - 127), f);
  r = gx_select_f32(x < INFINITY, r, 0.0f);
  return copysignf(r + gx_log_special_f32(w), x);
}

GX_INLINE double gx_log1p_f64(double x) {
  double w = 1.0 + x;
  uint64_t e = (gx_bits_f64(w) - 0x3fe6a09e667f3bcdu + 0x3ff0000000000000u) >> 52;
  double s = gx_from_bits_f64((2049 - e) << 52);
  double f = x * s * 0.125 + (s * 0.125 - 1.0);
  double k = gx_from_bits_f64(e | 0x4330000000000000u) - (0x1p52 + 1023);
  double r = gx_log_sum_f64(k, f);
  r = gx_select_f64(x < INFINITY, r, 0.0);
  return copysign(r + gx_log_special_f64(w), x);
}

/* log2(1+f) = f / ln 2 + f^2 P(f), P of degree 8, error 2^-27; 1 / ln 2 in two parts. */
GX_INLINE float gx_log2_f32(float x) {
  float k;
  float f = gx_log_reduce_f32(x, &k);
  float p = -0x1.50f096p-4f;
  p = GX_FMA_F32(p, f, 0x1.6198aep-3f);
  p = GX_FMA_F32(p, f, -0x1.90b886p-3f);
  p = GX_FMA_F32(p, f, 0x1.a804a8p-3f);
  p = GX_FMA_F32(p, f, -0x1.ea3a6ep-3f);
  p = GX_FMA_F32(p, f, 0x1.275b08p-2f);
  p = GX_FMA_F32(p, f, -0x1.715bbep-2f);
  p = GX_FMA_F32(p, f, 0x1.ec7124p-2f);
  p = GX_FMA_F32(p, f, -0x1.71547p-1f);
  float r = GX_FMA_F32(f * f, p, f * 0x1.4ae0cp-26f);
  return k + GX_FMA_F32(f, 0x1.715476p+0f, r) + gx_log_special_f32(x);
}

/* log10(1+f) = f / ln 10 + f^2 P(f), P of degree 8, error 2^-26. */
GX_INLINE float gx_log10_f32(float x) {
  float k;
  float f = gx_log_reduce_f32(x, &k);
  float p = -0x1.4a0accp-6f;
  p = GX_FMA_F32(p, f, 0x1.94b9f8p-5f);
  p = GX_FMA_F32(p, f, -0x1.e7d82cp-5f);
  p = GX_FMA_F32(p, f, 0x1.012e5cp-4f);
  p = GX_FMA_F32(p, f, -0x1.270d44p-4f);
  p = GX_FMA_F32(p, f, 0x1.6389dap-4f);
  p = GX_FMA_F32(p, f, -0x1.bcc08ap-4f);
  p = GX_FMA_F32(p, f, 0x1.287afep-3f);
  p = GX_FMA_F32(p, f, -0x1.bcb7aap-3f);
  float r = GX_FMA_F32(f * f, p, f * -0x1.5b235ep-27f);
  r = GX_FMA_F32(k, 0x1.3509f8p-18f, GX_FMA_F32(f, 0x1.bcb7b2p-2f, r));
  return GX_FMA_F32(k, 0x1.344p-2f, r) + gx_log_special_f32(x);
}

/* log(1+f) * (c + cl), as the returned value plus *low. */
GX_INLINE double gx_log_times_f64(double f, double c, double cl, double *low) {
  double h = 0.5 * f * f;
  double g = gx_log_poly_f64(f, h) - h;
  double s = f + g;
  double p = s * c;
  *low = gx_product_error_f64(s, c, p) + GX_FMA_F64(s, cl, ((f - s) + g) * c);
  return p;
}

GX_INLINE double gx_log2_f64(double x) {
  double k, low;
  double f = gx_log_reduce_f64(x, &k);
  double p = gx_log_times_f64(f, 0x1.71547652b82fep+0, 0x1.777d0ffda0d24p-56, &low);
  double r = k + p;
  return r + ((k - r) + p + low) + gx_log_special_f64(x);
}

/* k log10(2) is exact with the first part of the constant, of 40 bits. */
GX_INLINE double gx_log10_f64(double x) {
  double k, low;
  double f = gx_log_reduce_f64(x, &k);
  double p = gx_log_times_f64(f, 0x1.bcb7b1526e50ep-2, 0x1.95355baaafad3p-57, &low);
  double h = k * 0x1.34413509f6p-2;
  double r = h + p;
  low = GX_FMA_F64(k, 0x1.9fef311f12b36p-42, low);
  return r + ((h - r) + p + low) + gx_log_special_f64(x);
}

#endif
