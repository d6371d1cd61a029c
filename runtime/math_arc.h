#ifndef GX_MATH_ARC_H
#define GX_MATH_ARC_H
/* Inverse trigonometric functions.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"

#include <math.h>
#include <stdint.h>

/* asin s - s = s^3 P(s^2) for 0 <= s <= 1/2, z = s^2; P has degree 4, error 2^-27 of asin s. */
GX_INLINE float gx_asin_poly_f32(float s, float z) {
  float p = 0x1.5aad54p-5f;
  p = GX_FMA_F32(p, z, 0x1.8ac682p-6f);
  p = GX_FMA_F32(p, z, 0x1.749f9cp-5f);
  p = GX_FMA_F32(p, z, 0x1.3300acp-4f);
  p = GX_FMA_F32(p, z, 0x1.5555ccp-3f);
  return s * z * p;
}

/* As gx_asin_poly_f32; P has degree 12, error 2^-59. */
GX_INLINE double gx_asin_poly_f64(double s, double z) {
  double p = 0x1.0d8c779b8df94p-5;
  p = GX_FMA_F64(p, z, -0x1.5f11919c6d80cp-6);
  p = GX_FMA_F64(p, z, 0x1.687974aab625cp-6);
  p = GX_FMA_F64(p, z, 0x1.d6719e102a2f1p-9);
  p = GX_FMA_F64(p, z, 0x1.623afbdd1eef8p-7);
  p = GX_FMA_F64(p, z, 0x1.7559bc7980803p-7);
  p = GX_FMA_F64(p, z, 0x1.ca24b2beae744p-7);
  p = GX_FMA_F64(p, z, 0x1.1c49bbcea66ep-6);
  p = GX_FMA_F64(p, z, 0x1.6e8be1a83a7f7p-6);
  p = GX_FMA_F64(p, z, 0x1.f1c71a7d1ec7cp-6);
  p = GX_FMA_F64(p, z, 0x1.6db6db724dc0ep-5);
  p = GX_FMA_F64(p, z, 0x1.333333332dc98p-4);
  p = GX_FMA_F64(p, z, 0x1.5555555555579p-3);
  return s * z * p;
}

/* For a = |x| > 1/2 by asin a = pi/2 - 2 asin sqrt((1-a)/2), with the error of pi/2 - 2s. */
GX_INLINE float gx_asin_f32(float x) {
  float a = fabsf(x);
  int big = a > 0.5f;
  float z = gx_select_f32(big, 0.5f * (1.0f - a), a * a);
  float s = gx_select_f32(big, sqrtf(z), a);
  float p = gx_asin_poly_f32(s, z);
  float h = 0x1.921fb4p+0f - 2.0f * s;
  float y = h + ((0x1.921fb4p+0f - h) - 2.0f * s - (2.0f * p - 0x1.4442d2p-24f));
  return copysignf(gx_select_f32(big, y, s + p), x);
}

GX_INLINE double gx_asin_f64(double x) {
  double a = fabs(x);
  int big = a > 0.5;
  double z = gx_select_f64(big, 0.5 * (1.0 - a), a * a);
  double s = gx_select_f64(big, sqrt(z), a);
  double p = gx_asin_poly_f64(s, z);
  double h = 0x1.921fb54442d18p+0 - 2.0 * s;
  double y = h + ((0x1.921fb54442d18p+0 - h) - 2.0 * s - (2.0 * p - 0x1.1a62633145c07p-54));
  return copysign(gx_select_f64(big, y, s + p), x);
}

/* pi/2 - asin x, and for |x| > 1/2 without a difference where it would cancel. */
GX_INLINE float gx_acos_f32(float x) {
  float a = fabsf(x);
  int big = a > 0.5f;
  float z = gx_select_f32(big, 0.5f * (1.0f - a), a * a);
  float s = gx_select_f32(big, 2.0f * sqrtf(z), x);
  float p = gx_asin_poly_f32(s, z);
  float wide = (0x1.921fb4p+1f - s) - (p - 0x1.4442d2p-23f);
  float y = gx_select_f32(big, wide, 0x1.921fb4p+0f - (s + (p - 0x1.4442d2p-24f)));
  return gx_select_f32(big & (x > 0.0f), s + p, y);
}

GX_INLINE double gx_acos_f64(double x) {
  double a = fabs(x);
  int big = a > 0.5;
  double z = gx_select_f64(big, 0.5 * (1.0 - a), a * a);
  double s = gx_select_f64(big, 2.0 * sqrt(z), x);
  double p = gx_asin_poly_f64(s, z);
  double wide = (0x1.921fb54442d18p+1 - s) - (p - 0x1.1a62633145c07p-53);
  double y = gx_select_f64(big, wide, 0x1.921fb54442d18p+0 - (s + (p - 0x1.1a62633145c07p-54)));
  return gx_select_f64(big & (x > 0.0), s + p, y);
}

/* atan a = a + a^3 P(a^2) for 0 <= a <= 1; P has degree 8, error 2^-28. */
GX_INLINE float gx_atan_poly_f32(float a) {
  float z = a * a;
  float p = -0x1.d37d4cp-10f;
  p = GX_FMA_F32(p, z, 0x1.643166p-7f);
  p = GX_FMA_F32(p, z, -0x1.fd84bcp-6f);
  p = GX_FMA_F32(p, z, 0x1.da2ba2p-5f);
  p = GX_FMA_F32(p, z, -0x1.580944p-4f);
  p = GX_FMA_F32(p, z, 0x1.c08c5p-4f);
  p = GX_FMA_F32(p, z, -0x1.242086p-3f);
  p = GX_FMA_F32(p, z, 0x1.9991e4p-3f);
  p = GX_FMA_F32(p, z, -0x1.55553ep-2f);
  return GX_FMA_F32(a * z, p, a);
}

/* As gx_atan_poly_f32; P has degree 20, error 2^-59. */
GX_INLINE double gx_atan_poly_f64(double a) {
  double z = a * a;
  double p = -0x1.16a7c144e1a15p-17;
  p = GX_FMA_F64(p, z, 0x1.a5435b68688bap-14);
  p = GX_FMA_F64(p, z, -0x1.2eac82f85c492p-11);
  p = GX_FMA_F64(p, z, 0x1.1454deca91029p-9);
  p = GX_FMA_F64(p, z, -0x1.6a66a21e5621cp-8);
  p = GX_FMA_F64(p, z, 0x1.6f1d062adfc24p-7);
  p = GX_FMA_F64(p, z, -0x1.2f0848557f7d5p-6);
  p = GX_FMA_F64(p, z, 0x1.aaed429059df3p-6);
  p = GX_FMA_F64(p, z, -0x1.0c1b01c98d091p-5);
  p = GX_FMA_F64(p, z, 0x1.38cad8cd2f249p-5);
  p = GX_FMA_F64(p, z, -0x1.5f0f13879f65dp-5);
  p = GX_FMA_F64(p, z, 0x1.84ae6bb4a6e14p-5);
  p = GX_FMA_F64(p, z, -0x1.aed915e6015b4p-5);
  p = GX_FMA_F64(p, z, 0x1.e1d4571155a28p-5);
  p = GX_FMA_F64(p, z, -0x1.11102fea4ad13p-4);
  p = GX_FMA_F64(p, z, 0x1.3b139ba7005aap-4);
  p = GX_FMA_F64(p, z, -0x1.745d15cf67364p-4);
  p = GX_FMA_F64(p, z, 0x1.c71c71b63acdap-4);
  p = GX_FMA_F64(p, z, -0x1.2492492457578p-3);
  p = GX_FMA_F64(p, z, 0x1.9999999998c6ap-3);
  p = GX_FMA_F64(p, z, -0x1.555555555554dp-2);
  return GX_FMA_F64(a * z, p, a);
}

/* The angle of (x, y) for x, y >= 0, from the ratio of the smaller to the larger, which is
 * 1 for two infinities and 0 for two zeros. */
GX_INLINE float gx_atan_ratio_f32(float y, float x) {
  float lesser = gx_select_f32(y > x, x, y), greater = gx_select_f32(y > x, y, x);
  float same = gx_select_f32(greater == 0.0f, 0.0f, 1.0f);
  float ratio = gx_select_f32(lesser == greater, same, lesser / greater);
  float p = gx_atan_poly_f32(ratio);
  return gx_select_f32(y > x, (0x1.921fb4p+0f - p) + 0x1.4442d2p-24f, p);
}

GX_INLINE double gx_atan_ratio_f64(double y, double x) {
  double lesser = gx_select_f64(y > x, x, y), greater = gx_select_f64(y > x, y, x);
  double same = gx_select_f64(greater == 0.0, 0.0, 1.0);
  double ratio = gx_select_f64(lesser == greater, same, lesser / greater);
  double p = gx_atan_poly_f64(ratio);
  return gx_select_f64(y > x, (0x1.921fb54442d18p+0 - p) + 0x1.1a62633145c07p-54, p);
}

GX_INLINE float gx_atan_f32(float x) {
  return copysignf(gx_atan_ratio_f32(fabsf(x), 1.0f), x);
}

GX_INLINE double gx_atan_f64(double x) {
  return copysign(gx_atan_ratio_f64(fabs(x), 1.0), x);
}

/* The angle of (x, y), in (-pi, pi], with the sign of y; a zero x counts by its sign. */
GX_INLINE float gx_atan2_f32(float y, float x) {
  float p = gx_atan_ratio_f32(fabsf(y), fabsf(x));
  float q = (0x1.921fb4p+1f - p) + 0x1.4442d2p-23f;
  return copysignf(gx_select_f32(copysignf(1.0f, x) < 0.0f, q, p), y);
}

GX_INLINE double gx_atan2_f64(double y, double x) {
  double p = gx_atan_ratio_f64(fabs(y), fabs(x));
  double q = (0x1.921fb54442d18p+1 - p) + 0x1.1a62633145c07p-53;
  return copysign(gx_select_f64(copysign(1.0, x) < 0.0, q, p), y);
}

#endif
