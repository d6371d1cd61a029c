#ifndef GX_GEMM_H
#define GX_GEMM_H
/* The inner parts of a matrix product: packing, and the tile of accumulators in registers.
 *
 * The left operand is packed in tiles of MR rows, ap[k*MR + r], the right one in panels of NR
 * columns, bp[k*NR + c]. The loops around a tile belong to the caller.
 *
 * The law of contractions: an output is one chain of fused multiply-adds in ascending k, restarted
 * from zero every GX_CHAIN terms, the chains' sums added in order. So no bit depends on a tile's
 * shape, on how work is split, or on the width of vectors.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "vector.h"

#include <string.h>

/* Terms of one chain. A caller that splits k does so at multiples of this. */
#define GX_CHAIN 1536

/* Defines the tile function
 *     void name(int64_t k, const T *ap, const T *bp, T *tile, int accumulate)
 * tile[MR*NR], row-major, 64-byte aligned, becomes (or with `accumulate` is increased by) the
 * product of k columns of a packed left tile and k rows of a packed right panel. V is T's native
 * vector; NR is a multiple of its lanes. FMA(a, b, c) and ADD(a, b) act on vectors. */
#define GX_TILE(name, T, V, FMA, ADD, MR, NR) \
  static inline void name(int64_t k, const T *restrict ap, const T *restrict bp, \
                          T *restrict tile, int accumulate) { \
    enum { lanes = sizeof(V) / sizeof(T), vectors = (NR) / lanes }; \
    _Static_assert((NR) % lanes == 0, "NR is a multiple of the native vector"); \
    int64_t done = 0; \
    do { \
      const int64_t end = k - done < GX_CHAIN ? k : done + GX_CHAIN; \
      V acc[MR][vectors]; \
      GX_UNROLL \
      for (int r = 0; r < (MR); r++) { \
        GX_UNROLL \
        for (int v = 0; v < vectors; v++) acc[r][v] = (V){0}; \
      } \
      for (; done < end; done++, ap += (MR), bp += (NR)) { \
        V b[vectors]; \
        GX_UNROLL \
        for (int v = 0; v < vectors; v++) b[v] = GX_V(const V, bp + v * lanes); \
        GX_UNROLL \
        for (int r = 0; r < (MR); r++) { \
          const V a = GX_SPLAT(V, ap[r]); \
          GX_UNROLL \
          for (int v = 0; v < vectors; v++) acc[r][v] = FMA(a, b[v], acc[r][v]); \
        } \
      } \
      GX_UNROLL \
      for (int r = 0; r < (MR); r++) { \
        GX_UNROLL \
        for (int v = 0; v < vectors; v++) { \
          T *out = tile + r * (NR) + v * lanes; \
          if (accumulate) acc[r][v] = ADD(GX_V(V, out), acc[r][v]); \
          GX_V(V, out) = acc[r][v]; \
        } \
      } \
      accumulate = 1; \
    } while (done < k); \
  }

/* a*b + c and a + b in wrapping arithmetic or rounded twice; for bool, of zeros and ones. */
#define GX_MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))

#define GX_ADD(a, b) ((a) + (b))

#define GX_AND_OR(a, b, c) (((a) & (b)) | (c))

#define GX_OR(a, b) ((a) | (b))

/* Tile functions by dtype: one line, GX_TILE_F32(gx_tile_f32_8x32, 8, 32), defines one. Signed
 * integers are multiplied as unsigned ones. */
#define GX_TILE_F32(name, MR, NR) GX_TILE(name, float, gx_f32v, GX_FMA_F32, GX_ADD, MR, NR)

#define GX_TILE_F64(name, MR, NR) GX_TILE(name, double, gx_f64v, GX_FMA_F64, GX_ADD, MR, NR)

#define GX_TILE_I32(name, MR, NR) GX_TILE(name, int32_t, gx_u32v, GX_MULTIPLY_ADD, GX_ADD, MR, NR)

#define GX_TILE_I64(name, MR, NR) GX_TILE(name, int64_t, gx_u64v, GX_MULTIPLY_ADD, GX_ADD, MR, NR)

#define GX_TILE_U32(name, MR, NR) GX_TILE(name, uint32_t, gx_u32v, GX_MULTIPLY_ADD, GX_ADD, MR, NR)

#define GX_TILE_U8(name, MR, NR) GX_TILE(name, uint8_t, gx_u8v, GX_MULTIPLY_ADD, GX_ADD, MR, NR)

#define GX_TILE_BOOL(name, MR, NR) GX_TILE(name, uint8_t, gx_u8v, GX_AND_OR, GX_OR, MR, NR)

/* Defines the packing function
 *     void name(int64_t extent, int64_t depth, const T *src, int64_t extent_stride,
 *               int64_t depth_stride, int64_t width, T *dst)
 * which packs a left operand (extent = rows, width = MR) or a right one (extent = columns,
 * width = NR): element (e, k) of src goes to dst[(e/width*depth + k)*width + e%width]. dst holds
 * depth * (extent rounded up to width) elements; those past the extent become zero. Strides are in
 * elements; nothing outside the operand is read. */
#define GX_PACK(name, T) \
  static inline void name(int64_t extent, int64_t depth, const T *restrict src, \
                          int64_t extent_stride, int64_t depth_stride, int64_t width, \
                          T *restrict dst) { \
    for (int64_t e = 0; e < extent; e += width, src += width * extent_stride) { \
      const int64_t used = extent - e < width ? extent - e : width; \
      if (used < width) memset(dst, 0, sizeof(T) * (size_t)(depth * width)); \
      if (extent_stride == 1) \
        for (int64_t k = 0; k < depth; k++) \
          memcpy(dst + k * width, src + k * depth_stride, sizeof(T) * (size_t)used); \
      else \
        for (int64_t r = 0; r < used; r++) \
          for (int64_t k = 0; k < depth; k++) \
            dst[k * width + r] = src[r * extent_stride + k * depth_stride]; \
      dst += depth * width; \
    } \
  }

GX_PACK(gx_pack_f32, float)

GX_PACK(gx_pack_f64, double)

GX_PACK(gx_pack_i32, int32_t)

GX_PACK(gx_pack_i64, int64_t)

GX_PACK(gx_pack_u32, uint32_t)

GX_PACK(gx_pack_u8, uint8_t)

#endif
