"""The step of the largest size, with the size as one more input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import ops
from graphc.bounded.family import Family
from graphc.dtypes import TensorType, float64, int64
from graphc.errors import TraceError
from graphc.ir.graph import Graph, Input, Node, Value, new_input, standing_in_for
from graphc.ir.site import located
from graphc.ir.spec import View
from graphc.tensor import Tensor

#: What a constant may be of the number n of elements that something counts.
_FORMULAS: tuple[Callable[[Any], Any], ...] = (
    lambda n: n,
    lambda n: 1 / n,
    lambda n: n - 1,
    lambda n: 1 / (n - 1),
    lambda n: n / (n - 1),
    lambda n: (n - 1) / n,
)


def masked(found: Family, arguments: int) -> Graph:
    """The first graph of a family with the size, an int64, as an input behind as many others. A
    size outside of its limits counts as the limit. Raises TraceError for a constant that depends
    on the size in a way that is not known.
    """
    return _Rewriting(found).run(arguments)


class _Rewriting:
    def __init__(self, found: Family):
        self.found = found
        self.graph = found.graphs[0]
        self.largest = found.sizes[0]
        self.new: dict[Value, Value] = {}
        #: The first rows of an axis, by its extent.
        self.rows: dict[int, Value] = {}
        self.cleared = {
            self._made(node.inputs[k]) for (node, k), x in found.neutral.items() if x == 0
        }

    def run(self, arguments: int) -> Graph:
        graph = self.graph
        size = new_input(self.found.name, TensorType((), int64))
        self.size = ops.minimum(ops.maximum(size, 1), self.largest)
        for node in graph.nodes:
            self._node(node)
        inputs = (*graph.inputs[:arguments], size, *graph.inputs[arguments:])
        outputs = tuple(self.new[v] for v in graph.outputs)
        return Graph(inputs, outputs, graph.output_names, graph.donated)

    def _made(self, value: Value) -> Value:
        """The value behind views of which the rows are those of an operand."""
        while True:
            node = value.node
            if isinstance(node.op, Input):
                return value
            spec = node.op.spec(*[v.type for v in node.inputs])
            sized = len(self.found.axes[value])
            if not isinstance(spec, View) or len(self.found.axes[node.inputs[0]]) != sized:
                return value
            value = node.inputs[0]

    def _node(self, node: Node) -> None:
        with standing_in_for(node):
            if isinstance(node.op, Input):
                outputs = node.outputs
            elif node in self.found.numbers:
                outputs = (self._number(node),)
            else:
                inputs = tuple(self._operand(node, k) for k in range(len(node.inputs)))
                outputs = Node(node.op, inputs, node.types, node.meta).outputs
            for old, new in zip(node.outputs, outputs, strict=True):
                self.new[old] = self._kept(old, new, 0) if old in self.cleared else new

    def _operand(self, node: Node, k: int) -> Value:
        value = node.inputs[k]
        neutral = self.found.neutral.get((node, k), 0)
        if neutral == 0:
            return self.new[value]
        return self._kept(value, self.new[value], neutral)

    def _kept(self, old: Value, value: Value, neutral: Any) -> Value:
        """A value with a number in the rows that do not count."""
        for axis, _ in self.found.axes[old]:
            shape = value.shape
            line = tuple(n if a == axis else 1 for a, n in enumerate(shape))
            counts = ops.broadcast(ops.reshape(self._rows(shape[axis]), line), shape)
            value = ops.where(counts, value, ops.full_like(value, neutral))
        return value

    def _rows(self, extent: int) -> Value:
        """Which positions along an axis count."""
        if extent not in self.rows:
            end = ops.multiply(self.size, extent // self.largest)
            positions = ops.iota((extent,), 0)
            self.rows[extent] = ops.less(positions, ops.broadcast(end, (extent,)))
        return self.rows[extent]

    def _number(self, node: Node) -> Value:
        """A constant as a formula of the size: the first that gives its bits at all sizes."""
        arrays = self.found.numbers[node]
        dtype = node.types[0].dtype
        for count in sorted(self.found.counts):
            given = [float(count * n) for n in self.found.sizes]
            for formula in _FORMULAS:
                scale = _scale(arrays[0], formula(given[0]))
                values = [dtype.numpy.type(formula(n) * scale) for n in given]
                if all(v.tobytes() == x.tobytes() for v, x in zip(values, arrays, strict=True)):
                    number = Tensor(ops.astype(ops.multiply(self.size, count), float64))
                    result = formula(number)
                    return ops.astype((result if scale == 1 else result * scale).value, dtype)
        shown = ", ".join(f"{x} for {n}" for x, n in zip(arrays, self.found.sizes, strict=True))
        raise TraceError(
            located(
                f"a constant depends on the size {self.found.name} in a way that is not known:"
                f" {shown}; take the mean, or give the number as an argument",
                node.meta.site,
            )
        )


def _scale(value: np.ndarray, of: float) -> float:
    """value / of, as a number of few digits."""
    return float(f"{float(value) / of:.6g}")
