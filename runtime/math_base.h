#ifndef GX_MATH_BASE_H
#define GX_MATH_BASE_H
/* What the scalar mathematics is made of: fused multiply-adds, bit casts, powers of two, rounding
 * errors.
 *
 * The functions of math_*.h are scalar C without branches or tables, so that a compiler turns a
 * loop over them into vector code. Every operation in them is one IEEE operation, and a fused
 * multiply-add stands only where it is written, so vector body, scalar tail, gcc and clang give
 * equal bits (compile with -ffp-contract=off). They vectorize under -fno-math-errno
 * -fno-trapping-math, are right in the default rounding mode, and set neither errno nor modes.
 *
 * Polynomials were found by Remez exchange, in relative error of the function unless said
 * otherwise; coefficients were rounded one after the other, and the remaining ones fitted again.
 *
 * SPDX-License-Identifier: MIT-0 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "target.h"

/* A loop over a function is vectorized only where the function is inlined, however large it is. */
#if defined(__GNUC__)
#define GX_INLINE static inline __attribute__((always_inline, unused))
#else
#define GX_INLINE static inline
#endif

/* a*b + c, rounded once where the target has the instruction, twice where fma() would be a call
 * into libm. Results may therefore differ between targets, never within one. */
#if GX_HAS_FMA || defined(__aarch64__) || defined(_M_ARM64)
#define GX_FMA_F32(a, b, c) fmaf(a, b, c)
#define GX_FMA_F64(a, b, c) fma(a, b, c)
#else
#define GX_FMA_F32(a, b, c) ((a) * (b) + (c))
#define GX_FMA_F64(a, b, c) ((a) * (b) + (c))
#endif

/* x + GX_MAGIC is x rounded to an integer, half to even, for |x| up to 2^22 (2^51): the integer
 * stands in the low bits of the sum, and subtracting GX_MAGIC gives it as a number. */
#define GX_MAGIC_F32 0x1.8p23f

#define GX_MAGIC_F64 0x1.8p52

GX_INLINE uint32_t gx_bits_f32(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

GX_INLINE float gx_from_bits_f32(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

GX_INLINE uint64_t gx_bits_f64(double x) {
  uint64_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

GX_INLINE double gx_from_bits_f64(uint64_t u) {
  double x;
  memcpy(&x, &u, sizeof x);
  return x;
}

/* All bits set if c is 1, none if it is 0. */
GX_INLINE uint32_t gx_mask_u32(int c) {
  return 0u - (uint32_t)c;
}

/* Hazard: baseline x86-64 has no comparison of 64-bit integers, and gcc then vectorizes only a
 * choice between doubles. */
GX_INLINE uint64_t gx_mask_u64(int c) {
#if defined(__SSE2__) && !GX_HAS_SSE4_2
  return gx_bits_f64(c ? gx_from_bits_f64(~(uint64_t)0) : 0.0);
#else
  return 0u - (uint64_t)c;
#endif
}

/* c ? a : b, without a branch; c is 0 or 1. Compilers turn ternary operators into branches first
 * and thread them through each other, until a loop over several functions is too tangled to be
 * vectorized; a mask leaves them nothing to thread. */
GX_INLINE float gx_select_f32(int c, float a, float b) {
  uint32_t mask = gx_mask_u32(c);
  return gx_from_bits_f32((gx_bits_f32(a) & mask) | (gx_bits_f32(b) & ~mask));
}

GX_INLINE double gx_select_f64(int c, double a, double b) {
#if defined(__SSE2__) && !GX_HAS_SSE4_2
  return c ? a : b;
#else
  uint64_t mask = gx_mask_u64(c);
  return gx_from_bits_f64((gx_bits_f64(a) & mask) | (gx_bits_f64(b) & ~mask));
#endif
}

/* 2^n for t = n + GX_MAGIC_F32 and |n| <= 126. */
GX_INLINE float gx_power_f32(float t) {
  return gx_from_bits_f32((gx_bits_f32(t) << 23) + (127u << 23));
}

/* 2^n for t = n + GX_MAGIC_F64 and |n| <= 1022. */
GX_INLINE double gx_power_f64(double t) {
  return gx_from_bits_f64((gx_bits_f64(t) << 52) + ((uint64_t)1023 << 52));
}

/* p * 2^n for t = n + GX_MAGIC_F32: `down` says that n is in [-190, 62], else it is in [-62, 190].
 * Two factors, each a normal number, so that a subnormal result is rounded once and a large one
 * overflows only where it must. */
GX_INLINE float gx_scale_f32(float p, float t, int down) {
  float half = gx_power_f32(t + gx_select_f32(down, 64.0f, -64.0f));
  return p * half * gx_select_f32(down, 0x1p-64f, 0x1p64f);
}

/* As gx_scale_f32, with n in [-1534, 510] or [-510, 1534]. */
GX_INLINE double gx_scale_f64(double p, double t, int down) {
  double half = gx_power_f64(t + gx_select_f64(down, 512.0, -512.0));
  return p * half * gx_select_f64(down, 0x1p-512, 0x1p512);
}

/* (a + b) - s for s = a + b rounded, exactly (Knuth's TwoSum). */
GX_INLINE double gx_sum_error_f64(double a, double b, double s) {
  double t = s - a;
  return (a - (s - t)) + (b - t);
}

/* a*b - p for p = a*b rounded, exactly, unless it underflows; without a fused multiply-add by
 * splitting into halves of 26 bits, for |a| and |b| below 2^996 (Dekker, Veltkamp). */
GX_INLINE double gx_product_error_f64(double a, double b, double p) {
#if GX_HAS_FMA || defined(__aarch64__) || defined(_M_ARM64)
  return fma(a, b, -p);
#else
  double a1 = a * 0x1.0000002p27, b1 = b * 0x1.0000002p27;
  a1 = a1 - (a1 - a);
  b1 = b1 - (b1 - b);
  double a2 = a - a1, b2 = b - b1;
  return ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2;
#endif
}

#endif
