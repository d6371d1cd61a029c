"""Sample inputs: what generated tests feed to an operator, and what it must refuse.

Every operator class has `samples()`, which yields applications of it to concrete arrays, and
`refusals()`, which yields inputs that its type rule must reject.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc.dtypes import DType, TensorType, tensor_type
from graphc.ir.graph import Op


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """An operator, arrays to apply it to, and what is special about them.

    `smooth` says that the result is finite and differentiable around the float inputs, so that
    derivatives can be compared with finite differences.
    """

    note: str
    op: Op
    arrays: tuple[np.ndarray, ...]
    smooth: bool = False

    def __str__(self) -> str:
        attributes = self.op.attributes()
        return (
            f"{self.op.name}({attributes}) {self.note}"
            if attributes
            else (f"{self.op.name} {self.note}")
        )


@dataclass(frozen=True, slots=True, eq=False)
class Refusal:
    """Input types that the operator's type rule rejects with `error`, `message` being part of the
    text.
    """

    op: Op
    types: tuple[TensorType, ...]
    error: type[Exception]
    message: str


class Source:
    """Arrays drawn for one purpose, the same ones in every run: the seed is the purpose's text."""

    def __init__(self, purpose: str):
        self.random = np.random.default_rng(zlib.crc32(purpose.encode()))

    def floats(
        self,
        shape: Sequence[int],
        dtype: DType,
        domain: tuple[float, float] = (-3.0, 3.0),
    ) -> np.ndarray:
        return np.asarray(self.random.uniform(*domain, tuple(shape))).astype(dtype.numpy)

    def integers(self, shape: Sequence[int], dtype: DType, low: int, high: int) -> np.ndarray:
        """Integers in [low, high)."""
        return np.asarray(self.random.integers(low, high, tuple(shape))).astype(dtype.numpy)

    def array(
        self,
        shape: Sequence[int],
        dtype: DType,
        domain: tuple[float, float] = (-3.0, 3.0),
    ) -> np.ndarray:
        """Elements of any dtype: floats from the domain, small integers, truth values."""
        if dtype.is_float:
            return self.floats(shape, dtype, domain)
        if dtype.kind == "b":
            return self.integers(shape, dtype, 0, 2)
        return self.integers(shape, dtype, 0 if dtype.kind == "u" else -9, 10)

    def distinct(self, shape: Sequence[int], dtype: DType) -> np.ndarray:
        """Elements that differ from one another by 0.1 at least (integers: by 1), shuffled."""
        size = int(np.prod(shape))
        steps = self.random.permutation(size) - size // 2
        return (steps * 0.1 if dtype.is_float else steps).reshape(shape).astype(dtype.numpy)


def special_values(dtype: DType) -> np.ndarray:
    """The values at which an elementwise function is most likely to go wrong."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.is_integer:
        ends = np.iinfo(dtype.numpy)
        near = [0, 1, 2, 7, ends.min, ends.min + 1, ends.max - 1, ends.max]
        if dtype.kind == "i":
            near += [-1, -2, -7]
        return np.array(near, dtype.numpy)
    limits = np.finfo(dtype.numpy)
    positive = [0.0, limits.smallest_subnormal, limits.tiny, 1e-5, 0.5, 1.0, 2.0, 7.5, limits.max]
    values = [*positive, np.inf, *[-v for v in positive], -np.inf, np.nan]
    return np.array(values, dtype.numpy)


def special_operands(dtype: DType, count: int) -> tuple[np.ndarray, ...]:
    """All combinations of special values for an operator with that many operands."""
    combinations = list(itertools.product(special_values(dtype), repeat=count))
    return tuple(np.array(column, dtype.numpy) for column in zip(*combinations, strict=True))


#: Shapes that every operator must take: 0-d, nothing, one element, an odd length.
EDGE_SHAPES = {"0-d": (), "zero-size": (0, 3), "size-1": (1, 1), "odd length": (37,)}


def of_dtypes(dtypes: Sequence[DType], kinds: str) -> Iterator[DType]:
    """Those dtypes whose kind is in `kinds`."""
    return (d for d in dtypes if d.kind in kinds)


def refuses(op: Op, error: type[Exception], message: str, *types: tuple) -> Refusal:
    """A refusal of types given as `(shape, dtype)`."""
    return Refusal(op, tuple(tensor_type(*t) for t in types), error, message)
