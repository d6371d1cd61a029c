#ifndef GX_PHILOX_H
#define GX_PHILOX_H
/* Random bits: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
 * as 1, 2, 3" (SC 2011). A block of four words is a pure function of a 64-bit key and a 128-bit
 * counter. Word e of a key's stream is word e % 4 of the block with counter (e / 4, 0).
 *
 * SPDX-License-Identifier: MIT-0 */

#include "vector.h"

#include <stdint.h>
#include <string.h>

/* The multipliers of the round function, and what the key grows by from round to round. */
#define GX_PHILOX_M0 0xD2511F53u

#define GX_PHILOX_M1 0xCD9E8D57u

#define GX_PHILOX_W0 0x9E3779B9u

#define GX_PHILOX_W1 0xBB67AE85u

/* The block of the 128-bit counter whose words are counter[0] (lowest) to counter[3]. */
static inline void gx_philox4x32(const uint32_t key[2], const uint32_t counter[4],
                                 uint32_t out[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++, k0 += GX_PHILOX_W0, k1 += GX_PHILOX_W1) {
    const uint64_t p0 = (uint64_t)GX_PHILOX_M0 * c0;
    const uint64_t p1 = (uint64_t)GX_PHILOX_M1 * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)p1;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)p0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/* The four words 4*block to 4*block + 3 of a key's stream. */
static inline void gx_philox(const uint32_t key[2], uint64_t block, uint32_t out[4]) {
  const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), 0, 0};
  gx_philox4x32(key, counter, out);
}

/* Word `element` of a key's stream. Branch-free, so loops over elements vectorize. */
static inline uint32_t gx_philox_word_u32(uint32_t k0, uint32_t k1, uint64_t element) {
  const uint32_t key[2] = {k0, k1};
  uint32_t out[4];
  gx_philox(key, element / 4, out);
  const uint32_t word = (uint32_t)element % 4;
  const uint32_t low = word & 1 ? out[1] : out[0];
  const uint32_t high = word & 1 ? out[3] : out[2];
  return word & 2 ? high : low;
}

/* Blocks that gx_philox_many makes at a time: four vectors, as one alone would wait for the
 * latency of the rounds. */
#define GX_PHILOX_MANY (4 * GX_F64_LANES)

/* GX_PHILOX_MANY blocks, from `block` on. Each 8-byte lane holds a word of one block's state in its
 * low half; what is in the high half never matters. */
static inline void gx_philox_many(uint32_t k0, uint32_t k1, uint64_t block, uint32_t *out) {
  enum { lanes = GX_F64_LANES };
  const gx_u64v m0 = GX_SPLAT(gx_u64v, (uint64_t)GX_PHILOX_M0);
  const gx_u64v m1 = GX_SPLAT(gx_u64v, (uint64_t)GX_PHILOX_M1);
  uint64_t counters[GX_PHILOX_MANY];
  for (int l = 0; l < GX_PHILOX_MANY; l++) counters[l] = block + (uint64_t)l;
  gx_u64v c[4][4];
  GX_UNROLL
  for (int i = 0; i < 4; i++) {
    c[i][0] = GX_V(gx_u64v, counters + i * lanes);
    c[i][1] = c[i][0] >> 32;
    c[i][2] = c[i][3] = (gx_u64v){0};
  }
  for (int round = 0; round < 10; round++, k0 += GX_PHILOX_W0, k1 += GX_PHILOX_W1) {
    GX_UNROLL
    for (int i = 0; i < 4; i++) {
      const gx_u64v p0 = GX_MULTIPLY_LOW(c[i][0], m0);
      const gx_u64v p1 = GX_MULTIPLY_LOW(c[i][2], m1);
      c[i][0] = (p1 >> 32) ^ c[i][1] ^ (uint64_t)k0;
      c[i][1] = p1;
      c[i][2] = (p0 >> 32) ^ c[i][3] ^ (uint64_t)k1;
      c[i][3] = p0;
    }
  }
  GX_UNROLL
  for (int i = 0; i < 4; i++) {
    const gx_u64v low = (c[i][0] & 0xFFFFFFFFu) | c[i][1] << 32;
    const gx_u64v high = (c[i][2] & 0xFFFFFFFFu) | c[i][3] << 32;
    GX_V(gx_u32v, out + 4 * i * lanes) = (gx_u32v)GX_ZIP_64(low, high, 0);
    GX_V(gx_u32v, out + (4 * i + 2) * lanes) = (gx_u32v)GX_ZIP_64(low, high, lanes / 2);
  }
}

/* out[i] = word begin + i of the stream of key (k0, k1), for 0 <= i < n. */
static inline void gx_philox_fill_u32(uint32_t k0, uint32_t k1, uint64_t begin, int64_t n,
                                      uint32_t *restrict out) {
  enum { many = 4 * GX_PHILOX_MANY };
  while (n > 0) {
    const int64_t skipped = (int64_t)(begin % 4);
    const int64_t drawn = n < many - skipped ? n : many - skipped;
    if (drawn == many) {
      gx_philox_many(k0, k1, begin / 4, out);
    } else {
      uint32_t words[many];
      gx_philox_many(k0, k1, begin / 4, words);
      memcpy(out, words + skipped, sizeof(uint32_t) * (size_t)drawn);
    }
    begin += (uint64_t)drawn;
    out += drawn;
    n -= drawn;
  }
}

#endif
