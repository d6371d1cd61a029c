#ifndef GX_MATH_TRIG_H
#define GX_MATH_TRIG_H
/* Trigonometric functions and their inverses.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"

#include <math.h>
#include <stdint.h>

/* x = (pi/2) (n + q), |q| <= 1/2: returns q and sets *quadrant to n modulo 4, for every finite x;
 * inf gives NaN (Payne and Hanek's idea). 2/pi is held in three parts, 28, 28 and 53 bits long, so
 * that the first two products with x, which has 24, are exact. Bits of 2/pi whose product with x
 * is a multiple of 4 are left out, which takes other parts for |x| above 2^50, 2^76 and 2^102. */
static inline double gx_quadrant_f32(float x, uint32_t *quadrant) {
    double v = x, a = fabsf(x);
    double c0 = a < 0x1p50 ? 0x1.45f306cp-1 : 0x1.b939104p-26;
    double c1 = a < 0x1p50 ? 0x1.c9c882ap-29 : 0x1.4a7f09cp-54;
    double c2 = a < 0x1p50 ? 0x1.4fe13abe8fa9cp-59 : 0x1.5f47d4d377037p-82;
    c0 = a < 0x1p76 ? c0 : 0x1.529fc26p-52;
    c1 = a < 0x1p76 ? c1 : 0x1.57d1f52p-80;
    c2 = a < 0x1p76 ? c2 : 0x1.4ddc0db629599p-108;
    c0 = a < 0x1p102 ? c0 : 0x1.d5f47d4p-78;
    c1 = a < 0x1p102 ? c1 : 0x1.a6ee06cp-107;
    c2 = a < 0x1p102 ? c2 : 0x1.b14acc9e21c82p-135;
    double p = v * c0;
    double t = p + GX_MAGIC_F64;
    double s = p - (t - GX_MAGIC_F64) + v * c1;
    double u = s + GX_MAGIC_F64;
    *quadrant = (uint32_t)(gx_bits_f64(t) + gx_bits_f64(u));
    return s - (u - GX_MAGIC_F64) + v * c2;
}

/* sin r = r + r^3 P(r^2) for |r| <= pi/4, error 2^-28. */
static inline float gx_sin_poly_f32(float r) {
    float z = r * r;
    float p = -0x1.991c28p-13f;
    p = GX_FMA_F32(p, z, 0x1.1106c6p-7f);
    p = GX_FMA_F32(p, z, -0x1.555544p-3f);
    return GX_FMA_F32(z * r, p, r);
}

/* cos r = 1 - r^2/2 + r^4 P(r^2) for |r| <= pi/4, error 2^-33. */
static inline float gx_cos_poly_f32(float r) {
    float z = r * r;
    float p = 0x1.99e714p-16f;
    p = GX_FMA_F32(p, z, -0x1.6c0c26p-10f);
    p = GX_FMA_F32(p, z, 0x1.55554ap-5f);
    return GX_FMA_F32(z * z, p, GX_FMA_F32(z, -0.5f, 1.0f));
}

static inline float gx_sin_f32(float x) {
    uint32_t n;
    float r = (float)(gx_quadrant_f32(x, &n) * 0x1.921fb54442d18p+0);
    float y = n & 1 ? gx_cos_poly_f32(r) : gx_sin_poly_f32(r);
    return gx_from_bits_f32(gx_bits_f32(y) ^ (n & 2) << 30);
}

static inline float gx_cos_f32(float x) {
    uint32_t n;
    float r = (float)(gx_quadrant_f32(x, &n) * 0x1.921fb54442d18p+0);
    float y = n & 1 ? gx_sin_poly_f32(r) : gx_cos_poly_f32(r);
    return gx_from_bits_f32(gx_bits_f32(y) ^ ((n + 1) & 2) << 30);
}

#endif
