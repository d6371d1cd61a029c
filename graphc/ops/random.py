"""Random bits: Philox4x32-10, a pure function of a key and a position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc.dtypes import TensorType, float32, uint32
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import Expr, call, index
from graphc.ir.graph import Value, apply
from graphc.ir.plain import in_numpy as plain
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Index, Pointwise, Reader, row_major
from graphc.ir.terms import Term
from graphc.ops.families import Discrete
from graphc.ops.samples import Refusal, Sample, Source, refuses


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
        return plain.random_bits(key, self.shape)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        return to.plain("random_bits", *operands, Term(str(self.shape)))

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


def random_bits(key: Value, shape: tuple[int, ...]) -> Value:
    return apply(RandomBits(shape), key)[0]
