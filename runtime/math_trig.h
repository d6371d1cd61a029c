#ifndef GX_MATH_TRIG_H
#define GX_MATH_TRIG_H
/* Trigonometric functions.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"

#include <math.h>
#include <stdint.h>

/* |x| = (pi/2) (n + q), |q| <= 1/2: q, and n modulo 4 in the low bits of *quadrant, for every
 * finite x; NaN for inf (the idea of Payne and Hanek). 2/pi is held in three parts, 28, 28 and 53
 * bits long, so that the first two products with x, which has 24, are exact. Bits of 2/pi whose
 * product with x is a multiple of 4 are left out, so that the parts are others for |x| from 2^50,
 * 2^76 and 2^102 on. (Choices between constants do not tangle loops, and are faster as they are
 * here than by masks.) */
GX_INLINE double gx_quadrant_f32(float x, uint32_t *quadrant) {
  double v = fabsf(x);
  double c0 = v < 0x1p50 ? 0x1.45f306cp-1 : 0x1.b939104p-26;
  double c1 = v < 0x1p50 ? 0x1.c9c882ap-29 : 0x1.4a7f09cp-54;
  double c2 = v < 0x1p50 ? 0x1.4fe13abe8fa9cp-59 : 0x1.5f47d4d377037p-82;
  c0 = v < 0x1p76 ? c0 : 0x1.529fc26p-52;
  c1 = v < 0x1p76 ? c1 : 0x1.57d1f52p-80;
  c2 = v < 0x1p76 ? c2 : 0x1.4ddc0db629599p-108;
  c0 = v < 0x1p102 ? c0 : 0x1.d5f47d4p-78;
  c1 = v < 0x1p102 ? c1 : 0x1.a6ee06cp-107;
  c2 = v < 0x1p102 ? c2 : 0x1.b14acc9e21c82p-135;
  double p = v * c0;
  double t = p + GX_MAGIC_F64;
  double s = p - (t - GX_MAGIC_F64) + v * c1;
  double u = s + GX_MAGIC_F64;
  *quadrant = (uint32_t)(gx_bits_f64(t) + gx_bits_f64(u));
  return s - (u - GX_MAGIC_F64) + v * c2;
}

/* As gx_quadrant_f32; the result is q + *low. 2/pi is held in numbers of 50 bits, the first for the
 * weights 2^53 to 2^4 and each next one for 50 bits lower. |x| is v 2^(50j) with v < 2^50, and
 * numbers j to j+4 are what its product needs: those before them give multiples of 4. They are
 * moved to the front by 16, 8, 4, 2 and 1 places as the bits of j say, since a look-up in a table
 * would keep loops from being vectorized (the loops here unroll into selections). Products are
 * taken with their rounding errors, whole multiples of 4 dropped, and the parts added in order of
 * size, each sum with its error. */
GX_INLINE double gx_quadrant_f64(double x, double *low, uint32_t *quadrant) {
  double c[25] = {
    0.0, 44798133900177.0, 23270068279249.0, 1078429630033290.0, 379966163846175.0,
    1007534550265585.0, 388914194823746.0, 342272387916987.0, 739546545377249.0,
    979420790286799.0, 818595902074555.0, 301350582861978.0, 921355915860253.0,
    438021515017511.0, 145545901242664.0, 260034002943864.0, 98410568020248.0,
    798806392691533.0, 702378144369079.0, 348652519979391.0, 741995638926462.0,
    837262515323342.0, 553648439618155.0, 1105553648399732.0, 146648219283399.0};
  double v = fabs(x);
  int shift = v >= 0x1p800;
  for (int i = 0; i < 9; i++) c[i] = gx_select_f64(shift, c[i + 16], c[i]);
  v = gx_select_f64(shift, v * 0x1p-800, v);
  shift = v >= 0x1p400;
  for (int i = 0; i < 12; i++) c[i] = gx_select_f64(shift, c[i + 8], c[i]);
  v = gx_select_f64(shift, v * 0x1p-400, v);
  shift = v >= 0x1p200;
  for (int i = 0; i < 8; i++) c[i] = gx_select_f64(shift, c[i + 4], c[i]);
  v = gx_select_f64(shift, v * 0x1p-200, v);
  shift = v >= 0x1p100;
  for (int i = 0; i < 6; i++) c[i] = gx_select_f64(shift, c[i + 2], c[i]);
  v = gx_select_f64(shift, v * 0x1p-100, v);
  shift = v >= 0x1p50;
  for (int i = 0; i < 5; i++) c[i] = gx_select_f64(shift, c[i + 1], c[i]);
  v = gx_select_f64(shift, v * 0x1p-50, v);

  double w = v * 0x1p-46;
  double p0 = (v * 0x1p4) * c[0], e0 = gx_product_error_f64(v * 0x1p4, c[0], p0);
  double p1 = w * c[1], e1 = gx_product_error_f64(w, c[1], p1);
  double p2 = (w * 0x1p-50) * c[2], e2 = gx_product_error_f64(w * 0x1p-50, c[2], p2);
  double p3 = (w * 0x1p-100) * c[3], e3 = gx_product_error_f64(w * 0x1p-100, c[3], p3);
  double p4 = (w * 0x1p-150) * c[4];
  p0 = p0 - ((p0 + 4.0 * GX_MAGIC_F64) - 4.0 * GX_MAGIC_F64);
  e0 = e0 - ((e0 + 4.0 * GX_MAGIC_F64) - 4.0 * GX_MAGIC_F64);
  p1 = p1 - ((p1 + 4.0 * GX_MAGIC_F64) - 4.0 * GX_MAGIC_F64);

  double a = p0 + e0, s = a + p1;
  double l1 = gx_sum_error_f64(a, p1, s);
  double t = s + GX_MAGIC_F64;
  a = s - (t - GX_MAGIC_F64);
  s = a + p2;
  double l2 = gx_sum_error_f64(a, p2, s);
  a = s;
  s = a + e1;
  double l3 = gx_sum_error_f64(a, e1, s);
  double u = s + GX_MAGIC_F64;
  s = s - (u - GX_MAGIC_F64);
  *quadrant = (uint32_t)(gx_bits_f64(t) + gx_bits_f64(u));

  double m1 = l1 + l2, m2 = m1 + l3, m3 = m2 + p3, m4 = m3 + e2;
  double tiny = gx_sum_error_f64(l1, l2, m1) + gx_sum_error_f64(m1, l3, m2) +
                gx_sum_error_f64(m2, p3, m3) + gx_sum_error_f64(m3, e2, m4) + e3 + p4;
  double q = s + m4;
  tiny = gx_sum_error_f64(s, m4, q) + tiny;
  double result = q + tiny;
  *low = (q - result) + tiny;
  return result;
}

/* sin r = r + r^3 P(r^2) for |r| <= pi/4, error 2^-28. */
GX_INLINE float gx_sin_poly_f32(float r) {
  float z = r * r;
  float p = -0x1.991c28p-13f;
  p = GX_FMA_F32(p, z, 0x1.1106c6p-7f);
  p = GX_FMA_F32(p, z, -0x1.555544p-3f);
  return GX_FMA_F32(z * r, p, r);
}

/* cos r = 1 - r^2/2 + r^4 P(r^2) for |r| <= pi/4, error 2^-33. */
GX_INLINE float gx_cos_poly_f32(float r) {
  float z = r * r;
  float p = 0x1.99e714p-16f;
  p = GX_FMA_F32(p, z, -0x1.6c0c26p-10f);
  p = GX_FMA_F32(p, z, 0x1.55554ap-5f);
  return GX_FMA_F32(z * z, p, GX_FMA_F32(z, -0.5f, 1.0f));
}

/* sin(r + l) = r + (r^3 P(r^2) + l cos r) for |r| <= pi/4 and a small l: the part in brackets. P
 * has degree 5, error 2^-58. */
GX_INLINE double gx_sin_poly_f64(double r, double l) {
  double z = r * r;
  double p = 0x1.5d8b51b62c4fdp-33;
  p = GX_FMA_F64(p, z, -0x1.ae5e4b7778d7bp-26);
  p = GX_FMA_F64(p, z, 0x1.71de35551f1d4p-19);
  p = GX_FMA_F64(p, z, -0x1.a01a019be91a8p-13);
  p = GX_FMA_F64(p, z, 0x1.111111110f73p-7);
  p = GX_FMA_F64(p, z, -0x1.5555555555548p-3);
  return GX_FMA_F64(z * r, p, GX_FMA_F64(-0.5 * z, l, l));
}

/* cos(r + l) = h + (1 - h - r^2/2 + r^4 P(r^2) - l r), h = 1 - r^2/2 rounded: h in *high, and the
 * part in brackets. P has degree 5, error 2^-64. */
GX_INLINE double gx_cos_poly_f64(double r, double l, double *high) {
  double z = r * r;
  double p = -0x1.8f99d4f85584bp-37;
  p = GX_FMA_F64(p, z, 0x1.1ee9c33cfc268p-29);
  p = GX_FMA_F64(p, z, -0x1.27e4f7cd33adcp-22);
  p = GX_FMA_F64(p, z, 0x1.a01a019c5c38fp-16);
  p = GX_FMA_F64(p, z, -0x1.6c16c16c14ep-10);
  p = GX_FMA_F64(p, z, 0x1.555555555554ap-5);
  double h = 1.0 - 0.5 * z;
  *high = h;
  return GX_FMA_F64(z * z, p, ((1.0 - h) - 0.5 * z) - l * r);
}

GX_INLINE float gx_sin_f32(float x) {
  uint32_t n;
  float r = (float)(gx_quadrant_f32(x, &n) * 0x1.921fb54442d18p+0);
  float y = gx_select_f32(n & 1, gx_cos_poly_f32(r), gx_sin_poly_f32(r));
  uint32_t sign = (n & 2) << 30 ^ (gx_bits_f32(x) & 0x80000000u);
  return gx_from_bits_f32(gx_bits_f32(y) ^ sign);
}

GX_INLINE float gx_cos_f32(float x) {
  uint32_t n;
  float r = (float)(gx_quadrant_f32(x, &n) * 0x1.921fb54442d18p+0);
  float y = gx_select_f32(n & 1, gx_sin_poly_f32(r), gx_cos_poly_f32(r));
  return gx_from_bits_f32(gx_bits_f32(y) ^ ((n + 1) & 2) << 30);
}

/* sin r / cos r, or -cos r / sin r in odd quadrants, worked in double with the polynomials of
 * gx_sin_poly_f32 and gx_cos_poly_f32. */
GX_INLINE float gx_tan_f32(float x) {
  uint32_t n;
  double r = gx_quadrant_f32(x, &n) * 0x1.921fb54442d18p+0;
  double z = r * r;
  double p = -0x1.991c28p-13;
  p = GX_FMA_F64(p, z, 0x1.1106c6p-7);
  p = GX_FMA_F64(p, z, -0x1.555544p-3);
  double q = 0x1.99e714p-16;
  q = GX_FMA_F64(q, z, -0x1.6c0c26p-10);
  q = GX_FMA_F64(q, z, 0x1.55554ap-5);
  double s = GX_FMA_F64(z * r, p, r);
  double c = GX_FMA_F64(z * z, q, GX_FMA_F64(z, -0.5, 1.0));
  float y = (float)gx_select_f64(n & 1, -c / s, s / c);
  return gx_from_bits_f32(gx_bits_f32(y) ^ (gx_bits_f32(x) & 0x80000000u));
}

/* |x| = (pi/2) n + r + *low, |r| <= pi/4. */
GX_INLINE double gx_trig_reduce_f64(double x, double *low, uint32_t *n) {
  double ql;
  double q = gx_quadrant_f64(x, &ql, n);
  double r = q * 0x1.921fb54442d18p+0;
  double l = gx_product_error_f64(q, 0x1.921fb54442d18p+0, r);
  *low = GX_FMA_F64(ql, 0x1.921fb54442d18p+0, GX_FMA_F64(q, 0x1.1a62633145c07p-54, l));
  return r;
}

/* Below 2^-30 sin x is x: there the errors of products could underflow. */
GX_INLINE double gx_sin_f64(double x) {
  uint32_t n;
  double l, h;
  double r = gx_trig_reduce_f64(x, &l, &n);
  double s = r + gx_sin_poly_f64(r, l);
  double c = gx_cos_poly_f64(r, l, &h);
  double y = gx_select_f64(n & 1, h + c, s);
  uint64_t sign = (uint64_t)(n & 2) << 62 ^ (gx_bits_f64(x) & 0x8000000000000000u);
  y = gx_from_bits_f64(gx_bits_f64(y) ^ sign);
  return gx_select_f64(fabs(x) < 0x1p-30, x, y);
}

GX_INLINE double gx_cos_f64(double x) {
  uint32_t n;
  double l, h;
  double r = gx_trig_reduce_f64(x, &l, &n);
  double s = r + gx_sin_poly_f64(r, l);
  double c = gx_cos_poly_f64(r, l, &h);
  double y = gx_select_f64(n & 1, s, h + c);
  y = gx_from_bits_f64(gx_bits_f64(y) ^ (uint64_t)((n + 1) & 2) << 62);
  return gx_select_f64(fabs(x) < 0x1p-30, 1.0, y);
}

/* A quotient a/b of two sums of two numbers: q = a/b of the large ones, and what is missing from
 * it. */
GX_INLINE double gx_tan_f64(double x) {
  uint32_t n;
  double l, h;
  double r = gx_trig_reduce_f64(x, &l, &n);
  double sl = gx_sin_poly_f64(r, l);
  double cl = gx_cos_poly_f64(r, l, &h);
  double a = gx_select_f64(n & 1, -h, r), al = gx_select_f64(n & 1, -cl, sl);
  double b = gx_select_f64(n & 1, r, h), bl = gx_select_f64(n & 1, sl, cl);
  double q = a / b;
  double p = q * b;
  double rest = (a - p) - gx_product_error_f64(q, b, p);
  double y = q + (rest + (al - q * bl)) / (b + bl);
  y = gx_from_bits_f64(gx_bits_f64(y) ^ (gx_bits_f64(x) & 0x8000000000000000u));
  return gx_select_f64(fabs(x) < 0x1p-30, x, y);
}

#endif
