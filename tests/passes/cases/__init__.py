"""Cases for laws, graphs on whose last node a law applies or must not, and how to write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graphc import ops
from graphc.dtypes import DType, float32, float64, int32, int64, uint8
from graphc.ir.graph import Op, Value, apply
from graphc.ops.laws import Law

from ..values import Inputs

#: Makes a graph on fresh inputs and gives its last value.
Build = Callable[[Inputs], Value]


@dataclass(frozen=True)
class Case:
    law: Law
    build: Build
    dtype: DType


CASES: list[Case] = []
SILENT: list[Case] = []


def fires(law: Law, *builds: Build, dtypes: tuple[DType, ...] = (float32,)) -> None:
    """The law applies to the last node of each graph."""
    CASES.extend(Case(law, build, dtype) for build in builds for dtype in dtypes)


def silent(law: Law, *builds: Build, dtypes: tuple[DType, ...] = (float32,)) -> None:
    """The law must not apply there."""
    SILENT.extend(Case(law, build, dtype) for build in builds for dtype in dtypes)


NUMBERS = (float32, float64, int32, int64, uint8)


def one(f: Callable[[Value], Value]) -> Build:
    return lambda i: f(*i.all_pairs(1))


def two(f: Callable[[Value, Value], Value]) -> Build:
    return lambda i: f(*i.all_pairs(2))


def shaped(*shapes: tuple[int, ...], then: Callable[..., Value]) -> Build:
    return lambda i: then(*[i.array(s) for s in shapes])


def rows(x: Value, n: int = 3) -> Value:
    """x repeated along a new first axis."""
    return ops.broadcast(x, (n, *x.shape))


def pad1(x: Value, size: int, start: int, fill: float = 0.0) -> Value:
    return ops.pad(x, ops.constant(fill, x.dtype), (size,), (start,))


def strict(op: Op) -> Callable[[Value], Value]:
    """The operator itself, where the constructor would leave it out."""
    return lambda *v: apply(op, *v)[0]
