#ifndef GX_MATH_LOG_H
#define GX_MATH_LOG_H
/* Logarithms and powers.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"

#include <math.h>
#include <stdint.h>

/* log(1+f) = f - f^2/2 + f^3 Q(f) on [sqrt(1/2)-1, sqrt(2)-1]; Q has degree 7, error 2^-27. */
static inline float gx_log_poly_f32(float f) {
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

/* x = 2^k m with m in [sqrt(1/2), sqrt(2)), log x = k ln 2 + log m. */
static inline float gx_log_f32(float x) {
    int subnormal = x < 0x1p-126f;
    uint32_t u = gx_bits_f32(subnormal ? x * 0x1p23f : x);
    uint32_t e = (u - 0x3f3504f3u + 0x3f800000u) >> 23;
    float k = (float)((int32_t)e - (subnormal ? 150 : 127));
    float f = gx_from_bits_f32(u - ((e - 127) << 23)) - 1.0f;
    float r = gx_log_poly_f32(f);
    r = GX_FMA_F32(k, 0x1.7f7d1cp-20f, r) + f;
    r = GX_FMA_F32(k, 0x1.62e4p-1f, r);
    r = x > 0.0f ? r : x == 0.0f ? -INFINITY : NAN;
    return x < INFINITY ? r : x;
}

/* log x = 2 artanh(s), s = f / (2+f), f = m - 1 (the idea of fdlibm's log): with f and f^2/2 apart,
 * log m = f - (f^2/2 - s (f^2/2 + R)), R = s^2 P(s^2), P of degree 6, error 2^-59. */
static inline double gx_log_poly_f64(double f) {
    double s = f / (2.0 + f);
    double z = s * s;
    double p = 0x1.2f1397a33515cp-3;
    p = GX_FMA_F64(p, z, 0x1.39a069df45ca8p-3);
    p = GX_FMA_F64(p, z, 0x1.74664b080d28ep-3);
    p = GX_FMA_F64(p, z, 0x1.c71c51d2d16b1p-3);
    p = GX_FMA_F64(p, z, 0x1.249249422e906p-2);
    p = GX_FMA_F64(p, z, 0x1.999999997f9cfp-2);
    p = GX_FMA_F64(p, z, 0x1.5555555555593p-1);
    double h = 0.5 * f * f;
    return s * GX_FMA_F64(z, p, h) - h;
}

/* As gx_log_f32. The exponent becomes a double by a bit pattern: there is no vector instruction
 * that converts 64-bit integers below AVX-512. */
static inline double gx_log_f64(double x) {
    int subnormal = x < 0x1p-1022;
    uint64_t u = gx_bits_f64(subnormal ? x * 0x1p52 : x);
    uint64_t e = (u - 0x3fe6a09e667f3bcdu + 0x3ff0000000000000u) >> 52;
    double k = gx_from_bits_f64(e | 0x4330000000000000u) - (subnormal ? 0x1p52 + 1075 : 0x1p52 + 1023);
    double f = gx_from_bits_f64(u - ((e - 1023) << 52)) - 1.0;
    double r = gx_log_poly_f64(f);
    r = GX_FMA_F64(k, 0x1.a39ef35793c76p-33, r) + f;
    r = GX_FMA_F64(k, 0x1.62e42feep-1, r);
    r = x > 0.0 ? r : x == 0.0 ? -INFINITY : NAN;
    return x < INFINITY ? r : x;
}

/* log2 |x| in double, error 2^-37: enough for float powers. */
static inline double gx_log2_pow_f32(float x) {
    double a = fabsf(x);
    uint64_t u = gx_bits_f64(a);
    uint64_t e = (u - 0x3fe6a09e667f3bcdu + 0x3ff0000000000000u) >> 52;
    double k = gx_from_bits_f64(e | 0x4330000000000000u) - (0x1p52 + 1023);
    double m = gx_from_bits_f64(u - ((e - 1023) << 52));
    double s = (m - 1.0) / (m + 1.0);
    double z = s * s;
    double p = 0x1.5cf2cf470bbd4p-2;
    p = GX_FMA_F64(p, z, 0x1.a58cfe777aep-2);
    p = GX_FMA_F64(p, z, 0x1.277780ffebe35p-1);
    p = GX_FMA_F64(p, z, 0x1.ec709d11704ebp-1);
    p = GX_FMA_F64(p, z, 0x1.71547652beefbp+1);
    double r = GX_FMA_F64(s, p, k);
    r = a > 0.0 ? r : -INFINITY;
    return a < INFINITY ? r : a;
}

/* |x|^y = 2^(y log2 |x|), worked in double, then C's rules for the sign and the special cases. The
 * polynomial (2^r - 1)/r has degree 6, error 2^-32. */
static inline float gx_pow_f32(float x, float y) {
    double z = y * gx_log2_pow_f32(x);
    z = z > 200.0 ? 200.0 : z;
    z = z < -200.0 ? -200.0 : z;
    double t = z + GX_MAGIC_F64;
    double r = z - (t - GX_MAGIC_F64);
    double p = 0x1.c0478526fc12fp-17;
    p = GX_FMA_F64(p, r, 0x1.4440d49755aaap-13);
    p = GX_FMA_F64(p, r, 0x1.5dc08c6240366p-10);
    p = GX_FMA_F64(p, r, 0x1.3b2a1ab700b7dp-7);
    p = GX_FMA_F64(p, r, 0x1.c6b054a81660ep-5);
    p = GX_FMA_F64(p, r, 0x1.ebfbe0465f22ap-3);
    p = GX_FMA_F64(p, r, 0x1.62e4300bf4e14p-1);
    p = GX_FMA_F64(p, r, 1.0);
    float power = (float)(p * gx_from_bits_f64((gx_bits_f64(t) + 1023) << 52));
    double w = y > 0x1p30f ? 0x1p30f : y;
    w = w < -0x1p30 ? -0x1p30 : w;
    double half = 0.5 * w;
    int integer = (w + GX_MAGIC_F64) - GX_MAGIC_F64 == w;
    int even = (half + GX_MAGIC_F64) - GX_MAGIC_F64 == half;
    power = integer && !even ? copysignf(power, x) : power;
    power = x < 0.0f && x > -INFINITY && !integer ? NAN : power;
    return x == 1.0f || y == 0.0f || (x == -1.0f && fabsf(y) == INFINITY) ? 1.0f : power;
}

#endif
