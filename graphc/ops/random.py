"""Random bits: Philox4x32-10, a pure function of a key and a position."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc.dtypes import TensorType, float32, uint32
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import Expr, call, index
from graphc.ir.graph import Value, apply
from graphc.ir.site import located
from graphc.ir.spec import Index, Pointwise, Reader, row_major
from graphc.ops.families import Discrete
from graphc.ops.samples import Refusal, Sample, Source, refuses

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@dataclass(frozen=True)
class RandomBits(Discrete):
    """For keys uint32[b…, 2] uniform uint32[b…, *shape]: in row-major order of `shape`, element e
    is word e % 4 of the block with counter (e // 4, 0, 0). No element depends on another, so what
    needs a mask again draws it again.
    """

    name = "random_bits"
    shape: tuple[int, ...]

    def infer(self, key: TensorType) -> tuple[TensorType, ...]:
        if key.ndim == 0 or key.shape[-1] != 2:
            raise ShapeError(located(f"random_bits({key}): a key has 2 words"))
        if key.dtype is not uint32:
            raise DTypeError(located(f"random_bits({key}): a key is uint32"))
        return (key.with_shape((*key.shape[:-1], *self.shape)),)

    def reference(self, key: np.ndarray) -> np.ndarray:
        size = math.prod(self.shape)
        blocks = np.arange(-(-size // 4), dtype=np.uint64)
        words = philox(key[..., None, :], blocks)
        flat = words.reshape((*key.shape[:-1], 4 * len(blocks)))[..., :size]
        return flat.reshape((*key.shape[:-1], *self.shape))

    def spec(self, key: TensorType) -> Pointwise:
        batch = key.ndim - 1

        def body(i: Index, read: Reader) -> Expr:
            element: Expr = index(0)
            for k, step in zip(i[batch:], row_major(self.shape), strict=True):
                element = element + k * step
            words = [read(0, (*i[:batch], index(word))) for word in (0, 1)]
            return call("gx_philox_word_u32", uint32, *words, element)

        return Pointwise(body, cost=60)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return apply(self, *inputs), (True,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        def keys(*batch: int) -> np.ndarray:
            words = Source(cls.name).random.integers(0, 2**32, (*batch, 2))
            return words.astype(np.uint32)

        for shape in ((), (0,), (1,), (37,), (3, 5), (2, 3, 4)):
            yield Sample(f"{shape}", cls(shape), (keys(),))
        yield Sample("a batch of keys", cls((2, 3)), (keys(4),))
        yield Sample("no keys", cls((2, 3)), (keys(0),))

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        yield refuses(cls((3,)), ShapeError, "2 words", ((3,), uint32))
        yield refuses(cls((3,)), ShapeError, "2 words", ((), uint32))
        yield refuses(cls((3,)), DTypeError, "uint32", ((2,), float32))


def philox(key: np.ndarray, block: np.ndarray, high: np.ndarray | int = 0) -> np.ndarray:
    """The words uint32[…, 4] of the blocks whose 128-bit counter is `block` + 2^64·`high`; `key` is
    uint32[…, 2], its leading axes broadcast against those of `block` (uint64).

    Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    block, high = np.asarray(block, np.uint64), np.asarray(high, np.uint64)
    c0, c1, c2, c3 = block & _LOW, block >> _HALF, high & _LOW, high >> _HALF
    k0, k1 = key[..., 0].astype(np.uint64), key[..., 1].astype(np.uint64)
    for turn in range(10):
        # 32-bit factors, so that 64-bit products are exact.
        p0, p1 = c0 * np.uint64(_MULTIPLIERS[0]), c2 * np.uint64(_MULTIPLIERS[1])
        key0 = (k0 + np.uint64(turn * _WEYL[0])) & _LOW
        key1 = (k1 + np.uint64(turn * _WEYL[1])) & _LOW
        c0, c1, c2, c3 = (
            (p1 >> _HALF) ^ c1 ^ key0,
            p1 & _LOW,
            (p0 >> _HALF) ^ c3 ^ key1,
            p0 & _LOW,
        )
    return np.stack(np.broadcast_arrays(c0, c1, c2, c3), -1).astype(np.uint32)


def random_bits(key: Value, shape: tuple[int, ...]) -> Value:
    return apply(RandomBits(shape), key)[0]
