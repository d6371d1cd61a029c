"""Random bits against the published known answers, and every way of drawing them against another.

The known answers are the three lines "philox4x32 10" of tests/kat_vectors in Random123
(https://github.com/DEShawResearch/random123): counter, key, result.
"""

from __future__ import annotations

import numpy as np
import pytest

from .native import Native, targets

KNOWN_ANSWERS = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]
SOURCE = """
#include "philox.h"
void block(const uint32_t *key, const uint32_t *counter, uint32_t *out) {
  gx_philox4x32(key, counter, out);
}
void block64(const uint32_t *key, uint64_t counter, uint32_t *out) {
  gx_philox(key, counter, out);
}
void words(uint32_t k0, uint32_t k1, uint64_t begin, int64_t n, uint32_t *out) {
  for (int64_t i = 0; i < n; i++) out[i] = gx_philox_word_u32(k0, k1, begin + (uint64_t)i);
}
void fill(uint32_t k0, uint32_t k1, uint64_t begin, int64_t n, uint32_t *out) {
  gx_philox_fill_u32(k0, k1, begin, n, out);
}
"""
CDEF = """
void block(const uint32_t *key, const uint32_t *counter, uint32_t *out);
void block64(const uint32_t *key, uint64_t counter, uint32_t *out);
void words(uint32_t k0, uint32_t k1, uint64_t begin, int64_t n, uint32_t *out);
void fill(uint32_t k0, uint32_t k1, uint64_t begin, int64_t n, uint32_t *out);
"""


@pytest.fixture(scope="module", params=targets(), ids=lambda target: target.name)
def native(request, tmp_path_factory) -> Native:
    return Native(request.param, SOURCE, CDEF, tmp_path_factory.mktemp("philox"))


def hexadecimal(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def drawn(native: Native, function: str, key: tuple[int, int], begin: int, n: int) -> np.ndarray:
    out = native.guarded(np.zeros(n, np.uint32))
    getattr(native.lib, function)(*key, begin, n, native.pointer(out, "uint32_t"))
    return out


@pytest.mark.parametrize("counter, key, result", KNOWN_ANSWERS)
def test_known_answers(native, counter, key, result):
    out = native.ffi.new("uint32_t[4]")
    native.lib.block(hexadecimal(key), hexadecimal(counter), out)
    assert list(out) == hexadecimal(result)


def test_word_e_is_word_e_mod_4_of_block_e_div_4(native):
    key, begin = (0xA4093822, 0x299F31D0), 2**34 - 6
    words = drawn(native, "words", key, begin, 13)
    for i, word in enumerate(words):
        low, high = (begin + i) // 4 % 2**32, (begin + i) // 4 // 2**32
        out = native.ffi.new("uint32_t[4]")
        native.lib.block(list(key), [low, high, 0, 0], out)
        assert word == out[(begin + i) % 4]
        native.lib.block64(list(key), (begin + i) // 4, out)
        assert word == out[(begin + i) % 4]


@pytest.mark.parametrize("begin", [0, 1, 2, 3, 4 * (2**32 - 20) + 1, 2**64 - 5000])
def test_fill_draws_the_same_words(native, begin):
    key = (0x243F6A88, 0xFFFFFFFF)
    for n in (0, 1, 2, 3, 4, 5, 63, 127, 128, 129, 1000, 4099):
        filled = drawn(native, "fill", key, begin, n)
        np.testing.assert_array_equal(filled, drawn(native, "words", key, begin, n))


def test_streams_of_different_keys_differ(native):
    streams = {drawn(native, "fill", key, 0, 64).tobytes() for key in [(0, 0), (1, 0), (0, 1)]}
    assert len(streams) == 3
