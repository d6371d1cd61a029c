#ifndef GX_MATH_INT_H
#define GX_MATH_INT_H
/* Integer arithmetic and conversions where C leaves the result undefined.
 *
 * Signed results wrap: they are computed in the unsigned type and converted back, which gcc, clang
 * and C23 define as modulo 2^N.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"

#include <stdint.h>

/* Quotient rounded down, as Python's //. x // 0 is 0; the most negative integer // -1 is itself. A
 * divisor of 0 or -1 never reaches the machine's division. */
GX_INLINE int32_t gx_floor_divide_i32(int32_t x, int32_t y) {
  if (y == 0) return 0;
  if (y == -1) return (int32_t)(0 - (uint32_t)x);
  int32_t q = x / y;
  return q - (x % y != 0 && (x < 0) != (y < 0));
}

GX_INLINE int64_t gx_floor_divide_i64(int64_t x, int64_t y) {
  if (y == 0) return 0;
  if (y == -1) return (int64_t)(0 - (uint64_t)x);
  int64_t q = x / y;
  return q - (x % y != 0 && (x < 0) != (y < 0));
}

GX_INLINE uint8_t gx_floor_divide_u8(uint8_t x, uint8_t y) {
  return y == 0 ? 0 : x / y;
}

GX_INLINE uint32_t gx_floor_divide_u32(uint32_t x, uint32_t y) {
  return y == 0 ? 0 : x / y;
}

/* Remainder with the divisor's sign, as Python's %. x % 0 is 0. */
GX_INLINE int32_t gx_remainder_i32(int32_t x, int32_t y) {
  if (y == 0 || y == -1) return 0;
  int32_t r = x % y;
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

GX_INLINE int64_t gx_remainder_i64(int64_t x, int64_t y) {
  if (y == 0 || y == -1) return 0;
  int64_t r = x % y;
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

GX_INLINE uint8_t gx_remainder_u8(uint8_t x, uint8_t y) {
  return y == 0 ? 0 : x % y;
}

GX_INLINE uint32_t gx_remainder_u32(uint32_t x, uint32_t y) {
  return y == 0 ? 0 : x % y;
}

/* x^y by squaring, wrapping. A negative y gives the true quotient where it is an integer (x is 1
 * or -1) and 0 elsewhere, for x = 0 too. */
static inline int32_t gx_pow_i32(int32_t x, int32_t y) {
  if (y < 0) return x == 1 ? 1 : x != -1 ? 0 : y & 1 ? -1 : 1;
  uint32_t power = 1, square = (uint32_t)x;
  for (; y != 0; y >>= 1) {
    power *= y & 1 ? square : 1;
    square *= square;
  }
  return (int32_t)power;
}

static inline int64_t gx_pow_i64(int64_t x, int64_t y) {
  if (y < 0) return x == 1 ? 1 : x != -1 ? 0 : y & 1 ? -1 : 1;
  uint64_t power = 1, square = (uint64_t)x;
  for (; y != 0; y >>= 1) {
    power *= y & 1 ? square : 1;
    square *= square;
  }
  return (int64_t)power;
}

static inline uint8_t gx_pow_u8(uint8_t x, uint8_t y) {
  uint32_t power = 1, square = x;
  for (; y != 0; y >>= 1) {
    power *= y & 1 ? square : 1;
    square *= square;
  }
  return (uint8_t)power;
}

static inline uint32_t gx_pow_u32(uint32_t x, uint32_t y) {
  uint32_t power = 1, square = x;
  for (; y != 0; y >>= 1) {
    power *= y & 1 ? square : 1;
    square *= square;
  }
  return (uint32_t)power;
}

/* x << n; 0 for n past the width or negative. */
GX_INLINE int32_t gx_left_shift_i32(int32_t x, int32_t n) {
  return (uint32_t)n < 32 ? (int32_t)((uint32_t)x << n) : 0;
}

GX_INLINE int64_t gx_left_shift_i64(int64_t x, int64_t n) {
  return (uint64_t)n < 64 ? (int64_t)((uint64_t)x << n) : 0;
}

GX_INLINE uint8_t gx_left_shift_u8(uint8_t x, uint8_t n) {
  return n < 8 ? (uint8_t)(x << n) : 0;
}

GX_INLINE uint32_t gx_left_shift_u32(uint32_t x, uint32_t n) {
  return n < 32 ? x << n : 0;
}

/* x >> n, filling with the sign; for n past the width or negative only the sign is
 * left, 0 or -1. */
GX_INLINE int32_t gx_right_shift_i32(int32_t x, int32_t n) {
  return x >> ((uint32_t)n < 32 ? n : 31);
}

GX_INLINE int64_t gx_right_shift_i64(int64_t x, int64_t n) {
  return x >> ((uint64_t)n < 64 ? n : 63);
}

GX_INLINE uint8_t gx_right_shift_u8(uint8_t x, uint8_t n) {
  return n < 8 ? x >> n : 0;
}

GX_INLINE uint32_t gx_right_shift_u32(uint32_t x, uint32_t n) {
  return n < 32 ? x >> n : 0;
}

/* |x|; that of the most negative integer is itself. */
GX_INLINE int32_t gx_abs_i32(int32_t x) {
  return x < 0 ? (int32_t)(0 - (uint32_t)x) : x;
}

GX_INLINE int64_t gx_abs_i64(int64_t x) {
  return x < 0 ? (int64_t)(0 - (uint64_t)x) : x;
}

GX_INLINE uint8_t gx_abs_u8(uint8_t x) {
  return x;
}

GX_INLINE uint32_t gx_abs_u32(uint32_t x) {
  return x;
}

/* -1, 0 or 1. */
GX_INLINE int32_t gx_sign_i32(int32_t x) {
  return (x > 0) - (x < 0);
}

GX_INLINE int64_t gx_sign_i64(int64_t x) {
  return (x > 0) - (x < 0);
}

GX_INLINE uint8_t gx_sign_u8(uint8_t x) {
  return x > 0;
}

GX_INLINE uint32_t gx_sign_u32(uint32_t x) {
  return x > 0;
}

GX_INLINE int32_t gx_maximum_i32(int32_t x, int32_t y) {
  return x > y ? x : y;
}

GX_INLINE int64_t gx_maximum_i64(int64_t x, int64_t y) {
  return x > y ? x : y;
}

GX_INLINE uint8_t gx_maximum_u8(uint8_t x, uint8_t y) {
  return x > y ? x : y;
}

GX_INLINE uint32_t gx_maximum_u32(uint32_t x, uint32_t y) {
  return x > y ? x : y;
}

GX_INLINE int32_t gx_minimum_i32(int32_t x, int32_t y) {
  return x < y ? x : y;
}

GX_INLINE int64_t gx_minimum_i64(int64_t x, int64_t y) {
  return x < y ? x : y;
}

GX_INLINE uint8_t gx_minimum_u8(uint8_t x, uint8_t y) {
  return x < y ? x : y;
}

GX_INLINE uint32_t gx_minimum_u32(uint32_t x, uint32_t y) {
  return x < y ? x : y;
}

/* Truth values are 0 or 1. */
GX_INLINE uint8_t gx_maximum_bool(uint8_t x, uint8_t y) {
  return x | y;
}

GX_INLINE uint8_t gx_minimum_bool(uint8_t x, uint8_t y) {
  return x & y;
}

#endif
