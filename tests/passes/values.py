"""Inputs full of special numbers, and comparison to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np

from graphc import ops
from graphc.dtypes import DType, bool_, float32, tensor_type
from graphc.ir.graph import Graph, Input, Value, new_input, standing_in_for
from graphc.ir.toposort import toposort
from graphc.reference import evaluate

FLOATS = (
    np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1.5, -3.25, 1e-45, -1e-45, 3e38, -3e38, 1e-38,
)  # fmt: skip


def special(dtype: DType) -> np.ndarray:
    """NaN, infinities, both zeros, subnormal and huge numbers; the ends of integers."""
    if dtype is bool_:
        return np.array([False, True])
    if dtype.is_float:
        return np.array(FLOATS, dtype.numpy)
    ends = np.iinfo(dtype.numpy)
    return np.array([ends.min, ends.min + 1, 0, 1, 2, 7, ends.max - 1, ends.max]).astype(
        dtype.numpy
    )


class Inputs:
    """Makes inputs and remembers their arrays."""

    def __init__(self, dtype: DType = float32):
        self.dtype = dtype
        self.arrays: dict[Value, np.ndarray] = {}

    def array(self, shape: Sequence[int], dtype: DType | None = None) -> Value:
        """An input of special numbers, another rotation of them each time."""
        dtype = dtype or self.dtype
        numbers = np.roll(special(dtype), len(self.arrays) * 3)
        size = int(np.prod(shape))
        return self.given(np.resize(numbers, size).reshape(shape), dtype)

    def all_pairs(self, count: int, dtype: DType | None = None) -> list[Value]:
        """Inputs that together run through all combinations of special numbers."""
        dtype = dtype or self.dtype
        grid = np.meshgrid(*[special(dtype)] * count, indexing="ij")
        return [self.given(part.ravel(), dtype) for part in grid]

    def condition(self, like: Value) -> Value:
        return self.given(np.arange(like.type.size).reshape(like.shape) % 3 == 0, bool_)

    def given(self, array: np.ndarray, dtype: DType) -> Value:
        value = new_input(f"x{len(self.arrays)}", tensor_type(array.shape, dtype))
        self.arrays[value] = array.astype(dtype.numpy)
        return value

    def evaluate(self, values: Sequence[Value]) -> list[np.ndarray]:
        return evaluate(values, self.arrays)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal dtype, shape and bits, all NaNs being equal."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    equal = (a == b) & (np.signbit(a) == np.signbit(b))
    return bool(np.all(equal | (np.isnan(a) & np.isnan(b))))


def assert_equal_graphs(before: Graph, after: Graph, arrays: dict[Value, np.ndarray]) -> None:
    assert after.inputs == before.inputs
    assert [v.type for v in after.outputs] == [v.type for v in before.outputs]
    old, new = evaluate(before.outputs, arrays), evaluate(after.outputs, arrays)
    for k, (x, y) in enumerate(zip(old, new, strict=True)):
        assert same_bits(x, y), f"output {k}: {x} became {y}"


def in_order(graph: Graph) -> bool:
    """Every node comes after its inputs."""
    place = {node: k for k, node in enumerate(graph.nodes)}
    return all(place[v.node] < place[n] for n in graph.nodes for v in n.inputs)


def count(graph: Graph, op: type) -> int:
    return sum(isinstance(n.op, op) for n in graph.nodes)


def graph_of(*outputs: Value) -> Graph:
    """The graph of some values, with all inputs that they need."""
    inputs = [n.outputs[0] for n in toposort(outputs) if isinstance(n.op, Input)]
    return Graph(tuple(inputs), tuple(outputs))


def chain(length: int, shape: tuple[int, ...] = (2,)) -> tuple[Value, Value]:
    """A long chain of distinct additions: its input and its end."""
    x = new_input("x", tensor_type(shape))
    y = x
    with quickly(x):
        for k in range(length):
            y = ops.add(y, ops.full(shape, float(k % 97 + 1), float32))
    return x, y


def quickly(x: Value) -> AbstractContextManager[None]:
    """Nodes made inside take the origin of x: looking for the line is most of a node's cost."""
    return standing_in_for(x.node)
