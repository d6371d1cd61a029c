#ifndef GX_MATH_EXP_H
#define GX_MATH_EXP_H
/* Exponentials and what is made of them.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"

#include <math.h>
#include <stdint.h>

/* e^r = 1 + r + r^2 Q(r) for |r| <= ln(2)/2; Q has degree 4, error 2^-28. */
static inline float gx_exp_poly_f32(float r) {
    float q = 0x1.6afee4p-10f;
    q = GX_FMA_F32(q, r, 0x1.12449ap-7f);
    q = GX_FMA_F32(q, r, 0x1.555826p-5f);
    q = GX_FMA_F32(q, r, 0x1.555482p-3f);
    q = GX_FMA_F32(q, r, 0x1.fffffcp-2f);
    return 1.0f + GX_FMA_F32(r * r, q, r);
}

/* e^r = 1 + r + r^2 Q(r) for |r| <= ln(2)/2; Q has degree 10, error 2^-63. */
static inline double gx_exp_poly_f64(double r) {
    double q = 0x1.1e47e120d3908p-29;
    q = GX_FMA_F64(q, r, 0x1.af5ec5f276ea6p-26);
    q = GX_FMA_F64(q, r, 0x1.27e59e0e24a1p-22);
    q = GX_FMA_F64(q, r, 0x1.71ddf8b6d735ap-19);
    q = GX_FMA_F64(q, r, 0x1.a01a014c89471p-16);
    q = GX_FMA_F64(q, r, 0x1.a01a01af7b3b9p-13);
    q = GX_FMA_F64(q, r, 0x1.6c16c16c2798dp-10);
    q = GX_FMA_F64(q, r, 0x1.111111110f8e3p-7);
    q = GX_FMA_F64(q, r, 0x1.5555555555531p-5);
    q = GX_FMA_F64(q, r, 0x1.5555555555558p-3);
    q = GX_FMA_F64(q, r, 0x1p-1);
    return 1.0 + GX_FMA_F64(r * r, q, r);
}

/* e^x = 2^n e^r, n = rint(x / ln 2). ln 2 is subtracted in two parts, the first short enough for
 * n*ln2 to be exact (Cody and Waite). */
static inline float gx_exp_f32(float x) {
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float t = GX_FMA_F32(x, 0x1.715476p+0f, GX_MAGIC_F32);
    float n = t - GX_MAGIC_F32;
    float r = GX_FMA_F32(n, -0x1.62e4p-1f, x);
    r = GX_FMA_F32(n, -0x1.7f7d1cp-20f, r);
    return gx_scale_f32(gx_exp_poly_f32(r), t);
}

static inline double gx_exp_f64(double x) {
    x = x > 710.0 ? 710.0 : x;
    x = x < -746.0 ? -746.0 : x;
    double t = GX_FMA_F64(x, 0x1.71547652b82fep+0, GX_MAGIC_F64);
    double n = t - GX_MAGIC_F64;
    double r = GX_FMA_F64(n, -0x1.62e42feep-1, x);
    r = GX_FMA_F64(n, -0x1.a39ef35793c76p-33, r);
    return gx_scale_f64(gx_exp_poly_f64(r), t);
}

/* tanh x = x + x^3 P(x^2) near 0, error 2^-29; else 1 - 2 / (e^2|x| + 1). */
static inline float gx_tanh_f32(float x) {
    float a = fabsf(x);
    float z = x * x;
    float p = -0x1.95107cp-8f;
    p = GX_FMA_F32(p, z, 0x1.58269ep-6f);
    p = GX_FMA_F32(p, z, -0x1.b906c6p-5f);
    p = GX_FMA_F32(p, z, 0x1.110c5ep-3f);
    p = GX_FMA_F32(p, z, -0x1.555548p-2f);
    float small = GX_FMA_F32(x * z, p, x);
    float large = 1.0f - 2.0f / (gx_exp_f32(2.0f * a) + 1.0f);
    return a < 0.55f ? small : copysignf(large, x);
}

/* As gx_tanh_f32; the polynomial's error is 2^-60. */
static inline double gx_tanh_f64(double x) {
    double a = fabs(x);
    double z = x * x;
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
    double small = GX_FMA_F64(x * z, p, x);
    double large = 1.0 - 2.0 / (gx_exp_f64(2.0 * a) + 1.0);
    return a < 0.55 ? small : copysign(large, x);
}

/* With e = e^-|x|, which does not overflow where the result is small, and q = e / (1+e): the
 * result is 1 - q for x >= 0 and q below. A small q is taken as e - e q, one rounding less. */
static inline float gx_sigmoid_f32(float x) {
    float e = gx_exp_f32(-fabsf(x));
    float q = e / (1.0f + e);
    float below = e < 0.5f ? GX_FMA_F32(-e, q, e) : q;
    return x < 0.0f ? below : 1.0f - q;
}

static inline double gx_sigmoid_f64(double x) {
    double e = gx_exp_f64(-fabs(x));
    double q = e / (1.0 + e);
    double below = e < 0.5 ? GX_FMA_F64(-e, q, e) : q;
    return x < 0.0 ? below : 1.0 - q;
}

#endif
