"""Random bits against the known answers that are published with Random123 (kat_vectors)."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.ir.plain.in_numpy import philox
from graphc.ops.random import RandomBits

#: counter (four words, lowest first), key, block.
KNOWN = [
    (
        (0x00000000, 0x00000000, 0x00000000, 0x00000000),
        (0x00000000, 0x00000000),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def words(*values: int) -> np.ndarray:
    return np.array(values, np.uint32)


@pytest.mark.parametrize("counter, key, block", KNOWN)
def test_known_answers(counter, key, block):
    low, high = counter[0] | counter[1] << 32, counter[2] | counter[3] << 32
    got = philox(words(*key), np.uint64(low), np.uint64(high))
    assert got.tolist() == list(block)


def test_bits_begin_with_block_zero():
    bits = RandomBits((2, 3)).reference(words(0, 0))
    assert bits.shape == (2, 3)
    assert bits.ravel()[:4].tolist() == list(KNOWN[0][2])
    assert bits.ravel()[4:].tolist() == philox(words(0, 0), np.uint64(1))[:2].tolist()


def test_an_element_does_not_depend_on_the_shape():
    key = words(5, 6)
    long = RandomBits((103,)).reference(key)
    for n in (0, 1, 4, 6):
        assert np.array_equal(RandomBits((n,)).reference(key), long[:n])


def test_a_batch_of_keys_is_each_key_alone():
    keys = words(1, 2, 3, 4, 5, 6).reshape(3, 2)
    batch = RandomBits((7,)).reference(keys)
    alone = [RandomBits((7,)).reference(k) for k in keys]
    assert np.array_equal(batch, np.stack(alone))
