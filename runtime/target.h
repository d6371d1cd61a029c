#ifndef GX_TARGET_H
#define GX_TARGET_H
/* Which processor a file was compiled for, and which one it runs on. The levels are those of the
 * x86-64 psABI: 1 (baseline), 2, 3 (AVX2), 4 (AVX-512); 0 stands for every other family.
 *
 * SPDX-License-Identifier: MIT-0 */

/* The level that the compiler may use in this file. */
#if !defined(__x86_64__)
#define GX_X86_LEVEL 0
#elif defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512CD__) && \
    defined(__AVX512DQ__) && defined(__AVX512VL__) && defined(__BMI2__) && defined(__FMA__)
#define GX_X86_LEVEL 4
#elif defined(__AVX2__) && defined(__BMI__) && defined(__BMI2__) && defined(__F16C__) && \
    defined(__FMA__) && defined(__LZCNT__)
#define GX_X86_LEVEL 3
#elif defined(__SSSE3__) && defined(__SSE4_2__) && defined(__POPCNT__)
#define GX_X86_LEVEL 2
#else
#define GX_X86_LEVEL 1
#endif

/* Whether the compiler may use an extension here. A file with parts for several levels says in each
 * which one it is for: not every compiler's own macros follow a change in the middle of a file. */
#if defined(GX_X86_PART) ? GX_X86_PART >= 2 : defined(__SSE4_2__)
#define GX_HAS_SSE4_2 1
#else
#define GX_HAS_SSE4_2 0
#endif

#if defined(GX_X86_PART) ? GX_X86_PART >= 3 : defined(__AVX2__)
#define GX_HAS_AVX2 1
#else
#define GX_HAS_AVX2 0
#endif

#if defined(GX_X86_PART) ? GX_X86_PART >= 3 : defined(__FMA__)
#define GX_HAS_FMA 1
#else
#define GX_HAS_FMA 0
#endif

#if defined(GX_X86_PART) ? GX_X86_PART >= 4 : defined(__AVX512F__)
#define GX_HAS_AVX512 1
#else
#define GX_HAS_AVX512 0
#endif

/* Stands before a function that runs before anybody knows what the processor can do: it is compiled
 * for the baseline whatever the file's flags are. Features are switched off by name too: where a
 * command line lists them one by one, as zig's does, the architecture alone does not. */
#if defined(__x86_64__)
#define GX_BASELINE \
  __attribute__(( \
      target("arch=x86-64,no-sse3,no-avx,no-bmi,no-bmi2,no-lzcnt,no-popcnt,no-movbe")))
#else
#define GX_BASELINE
#endif

/* The level that processor and operating system support. It calls nothing. */
#if defined(__x86_64__)
__attribute__((unused, noinline)) GX_BASELINE static int gx_x86_level(void) {
  unsigned a, b, c, d, c1, b7 = 0, cx = 0, xcr0 = 0;
  __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0), "c"(0));
  const unsigned leaves = a;
  __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c1), "=d"(d) : "a"(1), "c"(0));
  if (leaves >= 7)
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b7), "=c"(c), "=d"(d) : "a"(7), "c"(0));
  __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0x80000000u), "c"(0));
  if (a >= 0x80000001u)
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(cx), "=d"(d) : "a"(0x80000001u), "c"(0));
  /* XCR0 tells which registers the operating system saves: bits 1 and 2 for AVX, 5 to 7 besides
   * for AVX-512. It can be read when OSXSAVE (leaf 1, ecx, bit 27) is set. */
  if (c1 >> 27 & 1)
    __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(d) : "c"(0));
  /* ecx of leaf 1: SSE3, SSSE3, CX16, SSE4.1, SSE4.2, POPCNT; of leaf 0x80000001: LAHF. */
  const unsigned v2 = 1u | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23;
  if ((c1 & v2) != v2 || !(cx & 1))
    return 1;
  /* FMA, MOVBE, OSXSAVE, AVX, F16C; ebx of leaf 7: BMI1, AVX2, BMI2; LZCNT. */
  const unsigned v3 = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29;
  const unsigned v3b = 1u << 3 | 1u << 5 | 1u << 8;
  if ((c1 & v3) != v3 || (b7 & v3b) != v3b || !(cx >> 5 & 1) || (xcr0 & 6) != 6)
    return 2;
  /* AVX-512 F, DQ, CD, BW, VL. */
  const unsigned v4 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
  return (b7 & v4) == v4 && (xcr0 & 0xe6) == 0xe6 ? 4 : 3;
}
#else
static inline int gx_x86_level(void) {
  return 0;
}
#endif

/* Whether the processor has what the compiler may use in this file beyond a level: flags such as
 * -march=native allow all that one processor has. Its vectors are those of its level. */
#if defined(__x86_64__)
__attribute__((unused, noinline)) GX_BASELINE static int gx_x86_complete(void) {
  unsigned a, b = 0, c = 0, d = 0, c1, cx = 0, a71 = 0;
  const unsigned wanted_c1 = 0
#if defined(__PCLMUL__)
                             | 1u << 1
#endif
#if defined(__AES__)
                             | 1u << 25
#endif
#if defined(__AVX__)
                             | 1u << 27 | 1u << 28
#endif
      ;
  const unsigned wanted_b = 0
#if defined(__ADX__)
                            | 1u << 19
#endif
#if defined(__AVX512IFMA__)
                            | 1u << 21
#endif
#if defined(__SHA__)
                            | 1u << 29
#endif
      ;
  const unsigned wanted_c = 0
#if defined(__AVX512VBMI__)
                            | 1u << 1
#endif
#if defined(__AVX512VBMI2__)
                            | 1u << 6
#endif
#if defined(__GFNI__)
                            | 1u << 8
#endif
#if defined(__VAES__)
                            | 1u << 9
#endif
#if defined(__VPCLMULQDQ__)
                            | 1u << 10
#endif
#if defined(__AVX512VNNI__)
                            | 1u << 11
#endif
#if defined(__AVX512BITALG__)
                            | 1u << 12
#endif
#if defined(__AVX512VPOPCNTDQ__)
                            | 1u << 14
#endif
      ;
  const unsigned wanted_d = 0
#if defined(__AVX512VP2INTERSECT__)
                            | 1u << 8
#endif
#if defined(__AVX512FP16__)
                            | 1u << 23
#endif
      ;
  const unsigned wanted_a71 = 0
#if defined(__AVXVNNI__)
                              | 1u << 4
#endif
#if defined(__AVX512BF16__)
                              | 1u << 5
#endif
      ;
  const unsigned wanted_cx = 0
#if defined(__SSE4A__)
                             | 1u << 6
#endif
#if defined(__XOP__)
                             | 1u << 11
#endif
#if defined(__FMA4__)
                             | 1u << 16
#endif
#if defined(__TBM__)
                             | 1u << 21
#endif
      ;
  unsigned unused;
  __asm__ volatile("cpuid" : "=a"(a), "=b"(unused), "=c"(c1), "=d"(unused) : "a"(0), "c"(0));
  const unsigned leaves = a;
  __asm__ volatile("cpuid" : "=a"(a), "=b"(unused), "=c"(c1), "=d"(unused) : "a"(1), "c"(0));
  if (leaves >= 7) {
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(0));
    if (a >= 1)
      __asm__ volatile("cpuid" : "=a"(a71), "=b"(unused), "=c"(unused), "=d"(unused)
                       : "a"(7), "c"(1));
  }
  __asm__ volatile("cpuid" : "=a"(a), "=b"(unused), "=c"(unused), "=d"(unused)
                   : "a"(0x80000000u), "c"(0));
  if (a >= 0x80000001u)
    __asm__ volatile("cpuid" : "=a"(a), "=b"(unused), "=c"(cx), "=d"(unused)
                     : "a"(0x80000001u), "c"(0));
  return (c1 & wanted_c1) == wanted_c1 && (b & wanted_b) == wanted_b && (c & wanted_c) == wanted_c &&
         (d & wanted_d) == wanted_d && (a71 & wanted_a71) == wanted_a71 &&
         (cx & wanted_cx) == wanted_cx;
}
#else
static inline int gx_x86_complete(void) {
  return 1;
}
#endif

#endif
