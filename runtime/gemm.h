#ifndef GX_GEMM_H
#define GX_GEMM_H
/* The inner parts of a matrix product: packing, and the tile of accumulators in registers. The
 * loops around a tile belong to the caller.
 *
 * The law of contractions: an output is one chain of fused multiply-adds in ascending k, restarted
 * from zero every GX_CHAIN terms, the chains' sums added in order. So no bit depends on a tile's
 * shape, on how work is split, or on the width of vectors.
 *
 * SPDX-License-Identifier: MIT-0 */

#include "vector.h"

#include <string.h>

/* Asks for the line at address p, which need not be anybody's. */
#if defined(__GNUC__)
#define GX_PREFETCH(p) __builtin_prefetch(p)
#else
#define GX_PREFETCH(p) ((void)0)
#endif

/* Asks for the lines of so many bytes from p on, wherever in a line p lies; of none, for nothing. */
static inline void gx_ask(const void *p, int64_t bytes) {
  for (int64_t at = 0; bytes > 0 && at < bytes + 64; at += 64) GX_PREFETCH((const char *)p + at);
}

/* Terms of one chain. */
#define GX_CHAIN 1536

/* What a tile function does with what is in the tile: overwrite it; add whole chains to it; or go
 * on with the chain that it holds, which must not become longer than GX_CHAIN. So a caller splits k
 * at multiples of GX_CHAIN and adds, or splits one chain anywhere and resumes. */
enum { GX_SET = 0, GX_ACCUMULATE = 1, GX_RESUME = 2 };

/* Where a row's vector number v begins. */
#define GX_VECTOR_AT(v) ((v) * lanes < last ? (v) * lanes : last)

/* The parts of a tile function: accumulators that begin as zero or as what is in the tile; one term
 * of all sums; the accumulators' way back. Hazard: gcc 12 keeps the right operand's vectors in memory
 * where two loops stand around that of the terms, which costs a fifth of the speed; so the common
 * function has one. */
#define GX_TILE_BEGIN(V, MR) \
  V acc[MR][vectors]; \
  GX_UNROLL \
  for (int r = 0; r < (MR); r++) { \
    GX_UNROLL \
    for (int v = 0; v < vectors; v++) \
      acc[r][v] = mode == GX_RESUME ? GX_V(V, tile + r * tile_row + GX_VECTOR_AT(v)) : (V){0}; \
  }

#define GX_TILE_OPERANDS(T, V, MR, left) \
  V right[vectors]; \
  GX_UNROLL \
  for (int v = 0; v < vectors; v++) { \
    right[v] = GX_V(const V, b + GX_VECTOR_AT(v)); \
    GX_KEEP(right[v]); \
  } \
  const T *group[groups]; \
  GX_UNROLL \
  for (int g = 0; g < groups; g++) { \
    group[g] = g == 0 ? left : group[g - 1] + 4 * a_row; \
    GX_HIDE(group[g]); \
  }

#define GX_TILE_TERM(T, V, FMA, MR, left) \
  GX_TILE_OPERANDS(T, V, MR, left) \
  GX_UNROLL \
  for (int r = 0; r < (MR); r++) { \
    const V same = GX_SPLAT(V, group[r / 4][r % 4 * a_row]); \
    GX_UNROLL \
    for (int v = 0; v < vectors; v++) acc[r][v] = FMA(same, right[v], acc[r][v]); \
  }

/* The term of a tile of which every column has a left operand of its own: of row r those that lie
 * one after the other from a[r*a_row] on. */
#define GX_LANES_TERM(T, V, FMA, MR, left) \
  GX_TILE_OPERANDS(T, V, MR, left) \
  GX_UNROLL \
  for (int r = 0; r < (MR); r++) { \
    const T *own = group[r / 4] + r % 4 * a_row; \
    GX_UNROLL \
    for (int v = 0; v < vectors; v++) \
      acc[r][v] = FMA(GX_V(const V, own + GX_VECTOR_AT(v)), right[v], acc[r][v]); \
  }

#define GX_TILE_END(T, V, ADD, MR) \
  GX_UNROLL \
  for (int r = 0; r < (MR); r++) { \
    T *out = tile + r * tile_row; \
    GX_UNROLL \
    for (int v = 0; mode == GX_ACCUMULATE && v < vectors; v++) \
      acc[r][v] = ADD(GX_V(V, out + GX_VECTOR_AT(v)), acc[r][v]); \
    GX_UNROLL \
    for (int v = 0; v < vectors; v++) GX_V(V, out + GX_VECTOR_AT(v)) = acc[r][v]; \
  } \
  mode = GX_ACCUMULATE;

/* Defines the tile functions
 *     void name(int64_t k, const T *a, int64_t a_row, int64_t a_step,
 *               const T *b, int64_t b_step, T *tile, int mode)
 *     void name##_runs(int64_t runs, const int64_t *at, int64_t k, const T *a, int64_t a_row,
 *                      int64_t a_step, const T *b, int64_t b_step, T *tile, int64_t tile_row,
 *                      int mode, const T *left_ahead, int64_t left_bytes, const T *right_ahead,
 *                      int64_t right_bytes)
 *     void name##_into(int64_t k, …, const T *b, int64_t b_step, T *tile, int64_t tile_row, int mode)
 * The first puts into tile[r*NR + c] the sum over 0 <= i < k of a[r*a_row + i*a_step] times
 * b[i*b_step + c]; `mode` is GX_SET, GX_ACCUMULATE or GX_RESUME. It reads exactly MR rows of a and
 * NR columns of b; tile is best aligned to 64 bytes. Strides are in elements: (1, MR) and NR for
 * operands packed by gx_pack_*, and those of the matrix itself for operands used where they lie. V
 * is T's native vector, and NR not less than its lanes: where it is no multiple of them, the last
 * vector of a row overlaps the one before it, and what they share is computed twice alike.
 * FMA(a, b, c) and ADD(a, b) act on vectors.
 *
 * The second sums `runs` such sums, of k terms each: run j reads a from a + at[j], and b goes on
 * where run j - 1 ended. A chain is as many whole runs as have no more than GX_CHAIN terms; longer
 * runs are chains of their own, restarted every GX_CHAIN terms. Its loop over runs has one exit: with
 * two, gcc 12 stores the vectors of b to memory at every term. Before each run it asks for a few
 * lines that somebody reads later: `left_bytes` and `right_bytes`, from the two addresses on, run
 * after run. Many lines at once would keep what the run reads waiting.
 *
 * The third is the first. The tile's rows are tile_row elements apart in both, instead of NR.
 *
 * TERM is GX_TILE_TERM; with GX_LANES_TERM element (r, c) is the sum of a[r*a_row + i*a_step + c]
 * times b[i*b_step + c]: products of rows with themselves, as in convolutions of which every channel
 * is a group. */
#define GX_TILE(name, TERM, T, V, FMA, ADD, MR, NR) \
  static inline __attribute__((unused)) void name##_into( \
      int64_t k, const T *restrict a, int64_t a_row, int64_t a_step, const T *restrict b, \
      int64_t b_step, T *restrict tile, int64_t tile_row, int mode) { \
    enum { lanes = sizeof(V) / sizeof(T), vectors = ((NR) + lanes - 1) / lanes }; \
    enum { last = (NR) - lanes, groups = ((MR) + 3) / 4 }; \
    _Static_assert(last >= 0, "a row holds at least one native vector"); \
    int64_t done = 0; \
    do { \
      const int64_t end = k - done < GX_CHAIN ? k : done + GX_CHAIN; \
      GX_TILE_BEGIN(V, MR) \
      for (; done < end; done++, a += a_step, b += b_step) { \
        TERM(T, V, FMA, MR, a) \
      } \
      GX_TILE_END(T, V, ADD, MR) \
    } while (done < k); \
  } \
  static inline __attribute__((unused)) void name( \
      int64_t k, const T *restrict a, int64_t a_row, int64_t a_step, const T *restrict b, \
      int64_t b_step, T *restrict tile, int mode) { \
    name##_into(k, a, a_row, a_step, b, b_step, tile, NR, mode); \
  } \
  static inline __attribute__((unused)) void name##_runs( \
      int64_t runs, const int64_t *restrict at, int64_t k, const T *restrict a, int64_t a_row, \
      int64_t a_step, const T *restrict b, int64_t b_step, T *restrict tile, int64_t tile_row, \
      int mode, const T *left_ahead, int64_t left_bytes, const T *right_ahead, int64_t right_bytes) { \
    enum { lanes = sizeof(V) / sizeof(T), vectors = ((NR) + lanes - 1) / lanes }; \
    enum { groups = ((MR) + 3) / 4, last = (NR) - lanes }; \
    int64_t run = 0, done = 0; \
    do { \
      GX_TILE_BEGIN(V, MR) \
      int64_t room = GX_CHAIN; \
      for (int more = run < runs; more; more = done == 0 && run < runs && k <= room) { \
        const int64_t end = k - done < room ? k : done + room; \
        const T *left = a + at[run] + done * a_step; \
        room -= end - done; \
        gx_ask((const char *)left_ahead + run * left_bytes, left_bytes); \
        gx_ask((const char *)right_ahead + run * right_bytes, right_bytes); \
        for (; done < end; done++, left += a_step, b += b_step) { \
          TERM(T, V, FMA, MR, left) \
        } \
        run += done == k; \
        done = done == k ? 0 : done; \
      } \
      GX_HIDE(tile); \
      GX_TILE_END(T, V, ADD, MR) \
    } while (run < runs); \
  }

/* a*b + c and a + b in wrapping arithmetic or rounded twice; for bool, of zeros and ones. */
#define GX_MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))

#define GX_ADD(a, b) ((a) + (b))

#define GX_AND_OR(a, b, c) (((a) & (b)) | (c))

#define GX_OR(a, b) ((a) | (b))

/* Tile functions by dtype: one line, GX_TILE_F32(gx_tile_f32_8x32, 8, 32), defines one. Signed
 * integers are multiplied as unsigned ones. */
#define GX_TILE_F32(name, MR, NR) \
  GX_TILE(name, GX_TILE_TERM, float, gx_f32v, GX_VFMA_F32, GX_ADD, MR, NR)

#define GX_TILE_F64(name, MR, NR) \
  GX_TILE(name, GX_TILE_TERM, double, gx_f64v, GX_VFMA_F64, GX_ADD, MR, NR)

#define GX_TILE_I32(name, MR, NR) \
  GX_TILE(name, GX_TILE_TERM, int32_t, gx_u32v, GX_MULTIPLY_ADD, GX_ADD, MR, NR)

#define GX_TILE_I64(name, MR, NR) \
  GX_TILE(name, GX_TILE_TERM, int64_t, gx_u64v, GX_MULTIPLY_ADD, GX_ADD, MR, NR)

#define GX_TILE_U32(name, MR, NR) \
  GX_TILE(name, GX_TILE_TERM, uint32_t, gx_u32v, GX_MULTIPLY_ADD, GX_ADD, MR, NR)

#define GX_TILE_U8(name, MR, NR) \
  GX_TILE(name, GX_TILE_TERM, uint8_t, gx_u8v, GX_MULTIPLY_ADD, GX_ADD, MR, NR)

#define GX_TILE_BOOL(name, MR, NR) \
  GX_TILE(name, GX_TILE_TERM, uint8_t, gx_u8v, GX_AND_OR, GX_OR, MR, NR)

#define GX_LANES_F32(name, MR, NR) \
  GX_TILE(name, GX_LANES_TERM, float, gx_f32v, GX_VFMA_F32, GX_ADD, MR, NR)

#define GX_LANES_F64(name, MR, NR) \
  GX_TILE(name, GX_LANES_TERM, double, gx_f64v, GX_VFMA_F64, GX_ADD, MR, NR)

/* out[i*out_stride + j] = in[j*in_stride + i] for a square of as many elements as a native vector
 * has lanes. Each step interleaves the vectors' upper half with the lower one, which rotates the
 * bits of (row, column) by one place; when as many steps are done as an index has bits, row and
 * column have changed places. */
#define GX_TRANSPOSE(name, T, V, LANES, ZIP) \
  static inline void name(const void *in, int64_t in_stride, void *out, int64_t out_stride) { \
    V v[LANES], w[LANES]; \
    GX_UNROLL \
    for (int i = 0; i < (LANES); i++) v[i] = GX_V(const V, (const T *)in + i * in_stride); \
    GX_UNROLL \
    for (int step = 1; step < (LANES); step *= 2) { \
      GX_UNROLL \
      for (int i = 0; i < (LANES) / 2; i++) { \
        w[2 * i] = ZIP(v[i], v[i + (LANES) / 2], 0); \
        w[2 * i + 1] = ZIP(v[i], v[i + (LANES) / 2], (LANES) / 2); \
      } \
      GX_UNROLL \
      for (int i = 0; i < (LANES); i++) v[i] = w[i]; \
    } \
    GX_UNROLL \
    for (int i = 0; i < (LANES); i++) GX_V(V, (T *)out + i * out_stride) = v[i]; \
  }

GX_TRANSPOSE(gx_transpose_32, uint32_t, gx_u32v, GX_F32_LANES, GX_ZIP_32)

GX_TRANSPOSE(gx_transpose_64, uint64_t, gx_u64v, GX_F64_LANES, GX_ZIP_64)

/* The square of one byte. */
static inline void gx_transpose_8(const void *in, int64_t in_stride, void *out,
                                  int64_t out_stride) {
  (void)in_stride;
  (void)out_stride;
  *(uint8_t *)out = *(const uint8_t *)in;
}

/* Defines the packing function
 *     void name(int64_t extent, int64_t depth, const T *src, int64_t extent_stride,
 *               int64_t depth_stride, int64_t width, T *dst)
 * for a left operand (extent = rows, width = MR) or a right one (extent = columns, width = NR):
 * element (e, k) of src goes to dst[(e/width*depth + k)*width + e%width]. dst holds depth times
 * (extent rounded up to width) elements; those past the extent become zero. Strides are in
 * elements; nothing outside the operand is read. It is inlined, because a constant width makes
 * copies of single instructions. SIDE is the side of TRANSPOSE's square. */
#define GX_PACK(name, T, SIDE, TRANSPOSE) \
  static inline __attribute__((always_inline)) void name( \
      int64_t extent, int64_t depth, const T *restrict src, int64_t extent_stride, \
      int64_t depth_stride, int64_t width, T *restrict dst) { \
    for (int64_t from = 0; extent_stride == 1 && from < depth; from += 8) { \
      const int64_t to = depth - from < 8 ? depth : from + 8; \
      for (int64_t e = 0; e < extent; e += width) { \
        for (int64_t k = from; k < to; k++) { \
          const T *in = src + k * depth_stride + e; \
          T *out = dst + e * depth + k * width; \
          for (int64_t c = 0; c < width; c += 64 / (int64_t)sizeof(T)) \
            GX_PREFETCH(in + 16 * depth_stride + c); \
          if (extent - e >= width) \
            memcpy(out, in, sizeof(T) * (size_t)width); \
          else \
            for (int64_t c = 0; c < width; c++) out[c] = c < extent - e ? in[c] : 0; \
        } \
      } \
    } \
    for (int64_t e = 0; extent_stride != 1 && e < extent; e += width) { \
      const T *in = src + e * extent_stride; \
      T *out = dst + e * depth; \
      const int64_t whole = depth_stride == 1 ? depth - depth % (SIDE) : 0; \
      for (int64_t c = 0; c < width; c += (SIDE)) { \
        const int64_t used = extent - e - c, side = width - c < (SIDE) ? width - c : (SIDE); \
        int64_t k = 0; \
        if (used >= (SIDE) && side == (SIDE)) \
          for (; k < whole; k += (SIDE)) { \
            const T *square = in + c * extent_stride + k; \
            for (int64_t r = 0; r < (SIDE); r++) \
              GX_PREFETCH(square + r * extent_stride + 256 / (int64_t)sizeof(T)); \
            TRANSPOSE(square, extent_stride, out + k * width + c, width); \
          } \
        for (; k < depth; k++) \
          for (int64_t r = 0; r < side; r++) \
            out[k * width + c + r] = \
                r < used ? in[(c + r) * extent_stride + k * depth_stride] : 0; \
      } \
    } \
  }

GX_PACK(gx_pack_f32, float, GX_F32_LANES, gx_transpose_32)

GX_PACK(gx_pack_f64, double, GX_F64_LANES, gx_transpose_64)

GX_PACK(gx_pack_i32, int32_t, GX_F32_LANES, gx_transpose_32)

GX_PACK(gx_pack_i64, int64_t, GX_F64_LANES, gx_transpose_64)

GX_PACK(gx_pack_u32, uint32_t, GX_F32_LANES, gx_transpose_32)

GX_PACK(gx_pack_u8, uint8_t, 1, gx_transpose_8)

#endif
