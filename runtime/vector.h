#ifndef GX_VECTOR_H
#define GX_VECTOR_H
/* Vectors of the target's native width, by the vector extension that gcc and clang share.
 *
 * A vector never crosses a function boundary by value (its calling convention depends on the
 * target's flags); functions take pointers, and what must be inline is a macro.
 *
 * SPDX-License-Identifier: MIT-0 */

#include <stdint.h>

#include "target.h"

/* The widest vectors that a program's tiles are made for. A program that is compiled for more than
 * it was written for defines it before. */
#ifndef GX_VECTOR_LIMIT
#define GX_VECTOR_LIMIT 64
#endif

/* Bytes of a native vector register. */
#if GX_HAS_AVX512 && GX_VECTOR_LIMIT >= 64
#define GX_VECTOR_BYTES 64
#elif GX_HAS_AVX2 && GX_VECTOR_LIMIT >= 32
#define GX_VECTOR_BYTES 32
#else
#define GX_VECTOR_BYTES 16
#endif

/* Lanes of a native vector of float, double and the integer types of the same sizes. */
#define GX_F32_LANES (GX_VECTOR_BYTES / 4)

#define GX_F64_LANES (GX_VECTOR_BYTES / 8)

/* Native vectors. They need only the alignment of their elements and may alias them, so an array
 * is read and written through GX_V(type, p). Integers are unsigned because theirs wraps. */
typedef float gx_f32v __attribute__((vector_size(GX_VECTOR_BYTES), aligned(4), may_alias));

typedef double gx_f64v __attribute__((vector_size(GX_VECTOR_BYTES), aligned(8), may_alias));

typedef uint32_t gx_u32v __attribute__((vector_size(GX_VECTOR_BYTES), aligned(4), may_alias));

typedef uint64_t gx_u64v __attribute__((vector_size(GX_VECTOR_BYTES), aligned(8), may_alias));

typedef uint8_t gx_u8v __attribute__((vector_size(GX_VECTOR_BYTES), aligned(1), may_alias));

/* The smallest vectors that every target with vectors has. */
typedef float gx_f32x4 __attribute__((vector_size(16), aligned(4), may_alias));

typedef double gx_f64x2 __attribute__((vector_size(16), aligned(8), may_alias));

/* The vector at the address p, an lvalue. */
#define GX_V(type, p) (*(type *)(p))

/* s in every lane. s - 0 is s for every s, -0 included, and costs no instruction; 0 + s would. */
#define GX_SPLAT(type, s) ((s) - (type){0})

/* a*b + c with one rounding. Targets without the instruction (x86-64 before FMA, and what is
 * listed nowhere here) round twice: their products agree among themselves, not with the others'. */
#if !GX_HAS_FMA && GX_VECTOR_BYTES != 64 && !defined(__ARM_FEATURE_FMA)
#define GX_VFMA_F32(a, b, c) ((a) * (b) + (c))
#define GX_VFMA_F64(a, b, c) ((a) * (b) + (c))
#elif defined(__clang__) && __clang_major__ >= 16
#define GX_VFMA_F32(a, b, c) __builtin_elementwise_fma(a, b, c)
#define GX_VFMA_F64(a, b, c) __builtin_elementwise_fma(a, b, c)
#elif GX_VECTOR_BYTES == 64
#define GX_VFMA_F32(a, b, c) __builtin_ia32_vfmaddps512_mask(a, b, c, (unsigned short)-1, 4)
#define GX_VFMA_F64(a, b, c) __builtin_ia32_vfmaddpd512_mask(a, b, c, (unsigned char)-1, 4)
#elif GX_HAS_FMA && GX_VECTOR_BYTES == 32
#define GX_VFMA_F32(a, b, c) __builtin_ia32_vfmaddps256(a, b, c)
#define GX_VFMA_F64(a, b, c) __builtin_ia32_vfmaddpd256(a, b, c)
#elif GX_HAS_FMA
#define GX_VFMA_F32(a, b, c) __builtin_ia32_vfmaddps(a, b, c)
#define GX_VFMA_F64(a, b, c) __builtin_ia32_vfmaddpd(a, b, c)
#else
#include <arm_neon.h>
#define GX_VFMA_F32(a, b, c) vfmaq_f32(c, a, b)
#define GX_VFMA_F64(a, b, c) vfmaq_f64(c, a, b)
#endif

/* The products, of 64 bits, of the low halves of the 8-byte lanes of a and b: one instruction,
 * which clang finds in the plain expression and gcc does not. */
#if defined(__clang__) || !defined(__x86_64__)
#define GX_MULTIPLY_LOW(a, b) (((a) & 0xFFFFFFFFu) * ((b) & 0xFFFFFFFFu))
#else
typedef int gx_i32v __attribute__((vector_size(GX_VECTOR_BYTES)));
typedef long long gx_i64v __attribute__((vector_size(GX_VECTOR_BYTES)));
#if GX_VECTOR_BYTES == 64
#define GX_MULTIPLY_LOW(a, b) \
  (gx_u64v) __builtin_ia32_pmuludq512_mask((gx_i32v)(a), (gx_i32v)(b), (gx_i64v){0}, 255)
#elif GX_HAS_AVX2
#define GX_MULTIPLY_LOW(a, b) (gx_u64v) __builtin_ia32_pmuludq256((gx_i32v)(a), (gx_i32v)(b))
#elif GX_VECTOR_BYTES == 16
#define GX_MULTIPLY_LOW(a, b) (gx_u64v) __builtin_ia32_pmuludq128((gx_i32v)(a), (gx_i32v)(b))
#else
#define GX_MULTIPLY_LOW(a, b) (((a) & 0xFFFFFFFFu) * ((b) & 0xFFFFFFFFu))
#endif
#endif

/* Keeps the vector variable v in a register. Without it gcc reads a vector from memory again for
 * each multiply-add that uses it, and loads become the bottleneck (78 % of the peak, not 98 %). */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define GX_KEEP(v) __asm__("" : "+v"(v))
#else
#define GX_KEEP(v) ((void)0)
#endif

/* Hides from the compiler how the pointer p was made, so that it gets a register of its own and
 * its neighbours are addressed from it. */
#define GX_HIDE(p) __asm__("" : "+r"(p))

/* A vector of lanes picked by constants from a (numbered from 0) and b (numbered on after a);
 * `index` is the unsigned vector of the same lanes. */
#if defined(__clang__)
#define GX_SHUFFLE(index, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define GX_SHUFFLE(index, a, b, ...) __builtin_shuffle(a, b, (index){__VA_ARGS__})
#endif

/* (a[h], b[h], a[h+1], b[h+1], ...), h = 0 or half the lanes, of vectors of 4-byte and of 8-byte
 * lanes. */
#if GX_VECTOR_BYTES == 64
#define GX_ZIP_32(a, b, h) \
  GX_SHUFFLE(gx_u32v, a, b, h, h + 16, h + 1, h + 17, h + 2, h + 18, h + 3, h + 19, h + 4, \
             h + 20, h + 5, h + 21, h + 6, h + 22, h + 7, h + 23)
#define GX_ZIP_64(a, b, h) \
  GX_SHUFFLE(gx_u64v, a, b, h, h + 8, h + 1, h + 9, h + 2, h + 10, h + 3, h + 11)
#elif GX_VECTOR_BYTES == 32
#define GX_ZIP_32(a, b, h) \
  GX_SHUFFLE(gx_u32v, a, b, h, h + 8, h + 1, h + 9, h + 2, h + 10, h + 3, h + 11)
#define GX_ZIP_64(a, b, h) GX_SHUFFLE(gx_u64v, a, b, h, h + 4, h + 1, h + 5)
#else
#define GX_ZIP_32(a, b, h) GX_SHUFFLE(gx_u32v, a, b, h, h + 4, h + 1, h + 5)
#define GX_ZIP_64(a, b, h) GX_SHUFFLE(gx_u64v, a, b, h, h + 2)
#endif

/* Before a loop of constant length whose variables must live in registers. On targets without
 * vectors clang cannot, and says so with a warning. Nor does it matter in a build
 * without optimization, for which gcc warns. */
#if !defined(__OPTIMIZE__)
#define GX_UNROLL
#elif !defined(__clang__)
#define GX_UNROLL _Pragma("GCC unroll 64")
#elif defined(__SSE2__) || defined(__ARM_NEON)
#define GX_UNROLL _Pragma("clang loop unroll(full)")
#else
#define GX_UNROLL
#endif

#endif
