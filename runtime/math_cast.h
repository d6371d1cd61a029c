#ifndef GX_MATH_CAST_H
#define GX_MATH_CAST_H
/* Conversions from floating point to integers, where C leaves some results undefined.
 *
 * They truncate towards zero and saturate at the ends of the integer type; NaN gives 0. A value
 * outside of the range becomes 0 before the conversion, and the bits of its end are added after.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "math_base.h"

#include <stdint.h>

GX_INLINE int32_t gx_cast_i32_f32(float x) {
  float inside = gx_select_f32((x >= -0x1p31f) & (x < 0x1p31f), x, 0.0f);
  uint32_t ends = gx_mask_u32(x >= 0x1p31f) & INT32_MAX;
  ends |= gx_mask_u32(x < -0x1p31f) & (uint32_t)INT32_MIN;
  return (int32_t)((uint32_t)(int32_t)inside | ends);
}

GX_INLINE int32_t gx_cast_i32_f64(double x) {
  double inside = gx_select_f64((x >= -0x1p31) & (x < 0x1p31), x, 0.0);
  uint32_t ends = gx_mask_u32(x >= 0x1p31) & INT32_MAX;
  ends |= gx_mask_u32(x < -0x1p31) & (uint32_t)INT32_MIN;
  return (int32_t)((uint32_t)(int32_t)inside | ends);
}

GX_INLINE int64_t gx_cast_i64_f32(float x) {
  float inside = gx_select_f32((x >= -0x1p63f) & (x < 0x1p63f), x, 0.0f);
  uint64_t ends = gx_mask_u64(x >= 0x1p63f) & INT64_MAX;
  ends |= gx_mask_u64(x < -0x1p63f) & (uint64_t)INT64_MIN;
  return (int64_t)((uint64_t)(int64_t)inside | ends);
}

GX_INLINE int64_t gx_cast_i64_f64(double x) {
  double inside = gx_select_f64((x >= -0x1p63) & (x < 0x1p63), x, 0.0);
  uint64_t ends = gx_mask_u64(x >= 0x1p63) & INT64_MAX;
  ends |= gx_mask_u64(x < -0x1p63) & (uint64_t)INT64_MIN;
  return (int64_t)((uint64_t)(int64_t)inside | ends);
}

GX_INLINE uint8_t gx_cast_u8_f32(float x) {
  float inside = gx_select_f32((x >= 0.0f) & (x < 0x1p8f), x, 0.0f);
  return (uint8_t)((uint32_t)(int32_t)inside | gx_mask_u32(x >= 0x1p8f));
}

GX_INLINE uint8_t gx_cast_u8_f64(double x) {
  double inside = gx_select_f64((x >= 0.0) & (x < 0x1p8), x, 0.0);
  return (uint8_t)((uint32_t)(int32_t)inside | gx_mask_u32(x >= 0x1p8));
}

GX_INLINE uint32_t gx_cast_u32_f32(float x) {
  float inside = gx_select_f32((x >= 0.0f) & (x < 0x1p32f), x, 0.0f);
  return (uint32_t)inside | gx_mask_u32(x >= 0x1p32f);
}

GX_INLINE uint32_t gx_cast_u32_f64(double x) {
  double inside = gx_select_f64((x >= 0.0) & (x < 0x1p32), x, 0.0);
  return (uint32_t)inside | gx_mask_u32(x >= 0x1p32);
}

#endif
