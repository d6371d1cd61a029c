#ifndef GX_MATH_SPECIAL_H
#define GX_MATH_SPECIAL_H
/* The error function and the gamma family.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"
#include "math_exp.h"

#include <math.h>
#include <stdint.h>

/* erf x = x + x P(x^2) near 0, error 2^-30; else 1 - e^-T(|x|), where T approximates -log erfc on
 * [0.9, 4] with the error that matters, 2^-29 of erf (the idea of N. Juffa's erff). */
static inline float gx_erf_f32(float x) {
    float z = x * x;
    float p = 0x1.4f6864p-14f;
    p = GX_FMA_F32(p, z, -0x1.a60a46p-11f);
    p = GX_FMA_F32(p, z, 0x1.544a1ap-8f);
    p = GX_FMA_F32(p, z, -0x1.b8011ap-6f);
    p = GX_FMA_F32(p, z, 0x1.ce2d64p-4f);
    p = GX_FMA_F32(p, z, -0x1.81274p-2f);
    p = GX_FMA_F32(p, z, 0x1.06eba8p-3f);
    float small = GX_FMA_F32(x, p, x);
    float a = fabsf(x);
    a = a > 4.0f ? 4.0f : a;
    float t = -0x1.9fb9eep-13f;
    t = GX_FMA_F32(t, a, 0x1.91d006p-9f);
    t = GX_FMA_F32(t, a, -0x1.6d9dd2p-6f);
    t = GX_FMA_F32(t, a, 0x1.aa7368p-4f);
    t = GX_FMA_F32(t, a, 0x1.4621b6p-1f);
    t = GX_FMA_F32(t, a, 0x1.20b752p+0f);
    t = GX_FMA_F32(t, a, 0x1.5d177p-13f);
    float large = 1.0f - gx_exp_f32(-t);
    return a < 0.92f ? small : copysignf(large, x);
}

#endif
