#ifndef GX_MATH_BASIC_H
#define GX_MATH_BASIC_H
/* Roots, comparison and rounding.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"

#include <math.h>
#include <stdint.h>

static inline float gx_sqrt_f32(float x) {
    return sqrtf(x);
}

static inline double gx_sqrt_f64(double x) {
    return sqrt(x);
}

static inline float gx_rsqrt_f32(float x) {
    return 1.0f / sqrtf(x);
}

static inline double gx_rsqrt_f64(double x) {
    return 1.0 / sqrt(x);
}

/* The larger one; a NaN wins in either place. Of equal arguments (zeros of different sign) the
 * first. */
static inline float gx_maximum_f32(float x, float y) {
    return x >= y || x != x ? x : y;
}

static inline double gx_maximum_f64(double x, double y) {
    return x >= y || x != x ? x : y;
}

static inline float gx_minimum_f32(float x, float y) {
    return x <= y || x != x ? x : y;
}

static inline double gx_minimum_f64(double x, double y) {
    return x <= y || x != x ? x : y;
}

#endif
