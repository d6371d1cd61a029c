"""The step of the largest size, with the size as one more input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import ops
from graphc.bounded.family import Family
from graphc.bounded.sizes import Axis
from graphc.control.owner import Owner, parameter
from graphc.dtypes import TensorType, float64, int64
from graphc.errors import TraceError
from graphc.ir.graph import Graph, Input, Node, Op, Value, new_input, standing_in_for
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
    graph = found.graphs[0]
    size = new_input(found.name, TensorType((), int64))
    outputs = _Rewriting(found).run(ops.minimum(ops.maximum(size, 1), found.sizes[0]))
    inputs = (*graph.inputs[:arguments], size, *graph.inputs[arguments:])
    return Graph(inputs, outputs, graph.output_names, graph.donated)


class _Rewriting:
    def __init__(self, found: Family):
        self.found = found
        self.graph = found.graphs[0]
        self.largest = found.sizes[0]
        self.new: dict[Value, Value] = {}
        #: The rows of axes that count, by what they are put together of.
        self.rows: dict[tuple[int, int], Value] = {}
        self.cleared = {
            self._made(node.inputs[k]) for (node, k), x in found.neutral.items() if x == 0
        }

    def run(self, size: Value) -> tuple[Value, ...]:
        """The results, given the size, from 1 to the largest."""
        self.size = size
        for node in self.graph.nodes:
            self._node(node)
        return tuple(self.new[v] for v in self.graph.outputs)

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
                op = node.op
                if node in self.found.inside:
                    op, inputs = self._inside(node, inputs)
                outputs = Node(op, inputs, node.types, node.meta).outputs
            for old, new in zip(node.outputs, outputs, strict=True):
                self.new[old] = self._kept(old, new, 0) if old in self.cleared else new

    def _inside(self, node: Node, inputs: tuple[Value, ...]) -> tuple[Op, tuple[Value, ...]]:
        """An operator whose bodies know the size, and its operands."""
        assert isinstance(node.op, Owner)
        size = parameter(self.found.name, self.size.type)
        bodies = [
            Graph(body.graphs[0].inputs, _Rewriting(body).run(size), body.graphs[0].output_names)
            for body in self.found.inside[node]
        ]
        op, place = node.op.reading(size, bodies)
        return op, (*inputs[:place], self.size, *inputs[place:])

    def _operand(self, node: Node, k: int) -> Value:
        value = node.inputs[k]
        neutral = self.found.neutral.get((node, k), 0)
        if neutral == 0:
            return self.new[value]
        return self._kept(value, self.new[value], neutral)

    def _kept(self, old: Value, value: Value, neutral: Any) -> Value:
        """A value with a number in the rows that do not count."""
        for a in self.found.axes[old]:
            shape = value.shape
            line = tuple(n if k == a.axis else 1 for k, n in enumerate(shape))
            counts = ops.broadcast(ops.reshape(self._rows(a), line), shape)
            value = ops.where(counts, value, ops.full_like(value, neutral))
        return value

    def _rows(self, axis: Axis) -> Value:
        """Which positions along an axis count."""
        outer = axis.outer or 1
        if (outer, axis.inner) not in self.rows:
            part = (axis.inner * self.largest,)
            end = ops.multiply(self.size, axis.inner)
            counts = ops.less(ops.iota(part, 0), ops.broadcast(end, part))
            whole = ops.broadcast(ops.reshape(counts, (1, *part)), (outer, *part))
            self.rows[outer, axis.inner] = ops.reshape(whole, (outer * part[0],))
        return self.rows[outer, axis.inner]

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
