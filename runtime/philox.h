#ifndef GX_PHILOX_H
#define GX_PHILOX_H
/* Random bits: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
 * as 1, 2, 3" (SC 2011). A block of four words is a pure function of a 64-bit key and a 128-bit
 * counter. Word e of a key's stream is word e % 4 of the block with counter (e / 4, 0).
 *
 * SPDX-License-Identifier: MIT-0 */

#include <stdint.h>

/* The block of the 128-bit counter whose words are counter[0] (lowest) to counter[3]. */
static inline void gx_philox4x32(const uint32_t key[2], const uint32_t counter[4],
                                 uint32_t out[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = (uint64_t)0xD2511F53u * c0;
    const uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)p1;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
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

/* out[i] = word begin + i of the stream of key (k0, k1), for 0 <= i < n. */
static inline void gx_philox_fill_u32(uint32_t k0, uint32_t k1, uint64_t begin, int64_t n,
                                      uint32_t *restrict out) {
  const uint32_t key[2] = {k0, k1};
  const uint64_t end = begin + (uint64_t)n;
  uint64_t element = begin;
  for (; element < end && element % 4; element++) *out++ = gx_philox_word_u32(k0, k1, element);
  for (; end - element >= 4; element += 4, out += 4) gx_philox(key, element / 4, out);
  for (; element < end; element++) *out++ = gx_philox_word_u32(k0, k1, element);
}

#endif
