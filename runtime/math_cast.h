#ifndef GX_MATH_CAST_H
#define GX_MATH_CAST_H
/* Conversions from floating point to integers, where C leaves some results undefined.
 *
 * They truncate towards zero and saturate at the ends of the integer type; NaN gives 0. The value
 * is brought into range first, so the conversion itself is always defined.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"

#include <stdint.h>

GX_INLINE int32_t gx_cast_i32_f32(float x) {
  float inside = x >= -0x1p31f && x < 0x1p31f ? x : 0.0f;
  int32_t end = x >= 0x1p31f ? INT32_MAX : x < -0x1p31f ? INT32_MIN : 0;
  return inside == x ? (int32_t)inside : end;
}

GX_INLINE int32_t gx_cast_i32_f64(double x) {
  double inside = x >= -0x1p31 && x < 0x1p31 ? x : 0.0;
  int32_t end = x >= 0x1p31 ? INT32_MAX : x < -0x1p31 ? INT32_MIN : 0;
  return inside == x ? (int32_t)inside : end;
}

GX_INLINE int64_t gx_cast_i64_f32(float x) {
  float inside = x >= -0x1p63f && x < 0x1p63f ? x : 0.0f;
  int64_t end = x >= 0x1p63f ? INT64_MAX : x < -0x1p63f ? INT64_MIN : 0;
  return inside == x ? (int64_t)inside : end;
}

GX_INLINE int64_t gx_cast_i64_f64(double x) {
  double inside = x >= -0x1p63 && x < 0x1p63 ? x : 0.0;
  int64_t end = x >= 0x1p63 ? INT64_MAX : x < -0x1p63 ? INT64_MIN : 0;
  return inside == x ? (int64_t)inside : end;
}

GX_INLINE uint8_t gx_cast_u8_f32(float x) {
  float inside = x >= 0.0f && x < 0x1p8f ? x : 0.0f;
  return x >= 0x1p8f ? UINT8_MAX : (uint8_t)inside;
}

GX_INLINE uint8_t gx_cast_u8_f64(double x) {
  double inside = x >= 0.0 && x < 0x1p8 ? x : 0.0;
  return x >= 0x1p8 ? UINT8_MAX : (uint8_t)inside;
}

GX_INLINE uint32_t gx_cast_u32_f32(float x) {
  float inside = x >= 0.0f && x < 0x1p32f ? x : 0.0f;
  return x >= 0x1p32f ? UINT32_MAX : (uint32_t)inside;
}

GX_INLINE uint32_t gx_cast_u32_f64(double x) {
  double inside = x >= 0.0 && x < 0x1p32 ? x : 0.0;
  return x >= 0x1p32 ? UINT32_MAX : (uint32_t)inside;
}

#endif
