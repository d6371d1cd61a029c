"""One step at several sizes: which axes have the size, and where rows that do not count would
reach others.

Law: let every array hold, in the rows that count along its sized axes, what the step of a smaller
size holds. An operator keeps that up if an element is computed at its place by the same expression
at every size, from elements at places that do not depend on the size; folds and products along a
sized axis keep it up if the rows that do not count hold what changes nothing. Whatever is neither
is refused.

The rows that count are the first ones of most axes. Where a view joins an axis with those in front
of it, [time, B, width] to [time * B, width], they are the first ones of each part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.bounded.alike import alike, computation, mentions
from graphc.bounded.places import joined, viewed
from graphc.bounded.sizes import Axes, Axis
from graphc.dtypes import DType
from graphc.errors import TraceError
from graphc.ir.graph import Graph, Input, Node, Value
from graphc.ir.site import located
from graphc.ir.spec import (
    Attend,
    Branch,
    Contract,
    Convolve,
    Loop,
    Nest,
    Pointwise,
    Reduce,
    Scalar,
    Scatter,
    Spec,
    View,
)


@dataclass
class Family:
    """The graphs of a step at some sizes. Of the first: `axes` of its values that have the size,
    `neutral`, the operands whose rows that do not count have to be a number, `numbers`, the
    constants that depend on the size, with their values at all sizes, and `inside`, the same of the
    bodies that have some of these. `counts` are the numbers of elements, for a size of one, that
    extents and folds count.
    """

    name: str
    sizes: Sequence[int]
    graphs: Sequence[Graph]
    axes: dict[Value, Axes] = field(default_factory=dict)
    neutral: dict[tuple[Node, int], Any] = field(default_factory=dict)
    numbers: dict[Node, tuple[np.ndarray, ...]] = field(default_factory=dict)
    inside: dict[Node, tuple[Family, ...]] = field(default_factory=dict)
    counts: set[int] = field(default_factory=set)

    @property
    def needs_size(self) -> bool:
        return bool(self.neutral or self.numbers or self.inside)


def family(name: str, sizes: Sequence[int], graphs: Sequence[Graph]) -> Family:
    """Compares the graphs. Raises TraceError, which names the operator and the line, where the
    step depends on the size in another way than the law above allows.
    """
    found = Family(name, sizes, graphs)
    _Comparison(found).run()
    return found


class _Comparison:
    def __init__(self, found: Family):
        self.found = found
        self.known = found.axes

    def run(self) -> None:
        found = self.found
        numbers: list[dict[Value, int]] = [{} for _ in found.graphs]
        nodes = [graph.nodes for graph in found.graphs]
        for group in zip(*nodes, strict=False):
            first = group[0]
            places = [[n[v] for v in node.inputs] for n, node in zip(numbers, group, strict=True)]
            same = all(type(node.op) is type(first.op) for node in group)
            if not same or any(p != places[0] for p in places):
                others = ", ".join(dict.fromkeys(node.op.name for node in group))
                raise self._refused(first, f"the graph depends on the size ({others})")
            for number, node in zip(numbers, group, strict=True):
                for value in node.outputs:
                    number[value] = len(number)
            for values in zip(*[node.outputs for node in group], strict=True):
                self.known[values[0]] = self._axes(first, values)
            if not isinstance(first.op, Input):
                self._node(group)
        same = len({len(n) for n in nodes}) == 1
        ends = zip(numbers, found.graphs, strict=True) if same else ()
        if not same or len({tuple(n[v] for v in g.outputs) for n, g in ends}) > 1:
            raise TraceError(located(f"the graph depends on the size {found.name}"))

    def _refused(self, node: Node, why: str) -> TraceError:
        what = f"{node.op.name}({', '.join(str(v.type) for v in node.inputs)})"
        name, largest = self.found.name, self.found.sizes[0]
        return TraceError(
            located(f"{what} with {name} <= {largest} in place of {largest}: {why}", node.meta.site)
        )

    def _axes(self, node: Node, values: Sequence[Value]) -> Axes:
        sizes = self.found.sizes
        axes = []
        if len({(len(v.shape), v.dtype) for v in values}) > 1:
            raise self._refused(node, "the result's type depends on the size")
        for axis, extents in enumerate(zip(*[v.shape for v in values], strict=True)):
            if len(set(extents)) == 1:
                continue
            factor = extents[0] // sizes[0]
            if any(e != factor * n for e, n in zip(extents, sizes, strict=True)):
                raise self._refused(
                    node, f"axis {axis} of the result is no multiple of the size: {values[0].type}"
                )
            axes.append(Axis(axis, factor))
            self.found.counts.add(factor)
        return tuple(axes)

    def _sized(self, value: Value) -> set[int]:
        return {a.axis for a in self.known[value]}

    def _axis(self, value: Value, axis: int) -> tuple[Axis, ...]:
        """An axis of a value that has the size, if it does."""
        return tuple(a for a in self.known[value] if a.axis == axis)

    def _node(self, group: Sequence[Node]) -> None:
        node = group[0]
        sized = any(self.known[v] for v in (*node.inputs, *node.outputs))
        literals = [n.op.literal for n in group]
        if literals[0] is not None:
            self._constant(group, literals)  # type: ignore[arg-type]
            return
        equal = all(n.op == node.op for n in group)
        if equal and not sized:
            return
        specs = [n.op.spec(*[v.type for v in n.inputs]) for n in group]
        rule = _RULES.get(type(specs[0]))
        if rule is None or not all(type(s) is type(specs[0]) for s in specs):
            raise self._refused(node, "it takes arrays of fixed sizes alone")
        if type(specs[0]) not in _THROUGH:
            for value in node.inputs:
                if any(a.outer > 1 for a in self.known[value]):
                    raise self._refused(node, "the rows that count do not stand together")
        rule(self, group, specs, equal)

    def _constant(self, group: Sequence[Node], arrays: Sequence[np.ndarray]) -> None:
        """Equal as far as all of them reach; a single number may depend on the size."""
        node = group[0]
        common = tuple(
            slice(min(extents)) for extents in zip(*[x.shape for x in arrays], strict=True)
        )
        parts = [x[common].tobytes() for x in arrays]
        if all(part == parts[0] for part in parts):
            return
        if arrays[0].shape != ():
            raise self._refused(node, "the elements of this constant depend on the size")
        self.found.numbers[node] = tuple(arrays)

    # What is asked of each declaration.

    def _elementwise(self, group: Sequence[Node], specs: Sequence[Spec], equal: bool) -> None:
        node = group[0]
        axes = joined([self.known[v] for v in node.inputs])
        if not equal or axes is None:
            raise self._refused(node, "its parameters or places depend on the size")
        for value in node.outputs:
            self.known[value] = axes

    def _viewed(self, group: Sequence[Node], specs: Sequence[Spec], equal: bool) -> None:
        node = group[0]
        given, made = self.known[node.inputs[0]], self.known[node.outputs[0]]
        parts = [computation(n, s) for n, s in zip(group, specs, strict=True)]
        axes: Axes | None
        if all(a.outer == 1 for a in given) and alike(parts):
            axes = tuple(a._replace(outer=mentions(parts[0], f"i{a.axis}")) for a in made)
        else:
            axes = viewed(group, self.found.sizes, given, made)
        if axes is None:
            raise self._refused(node, "what an element is computed of depends on the size")
        self.known[node.outputs[0]] = axes

    def _placed(self, group: Sequence[Node], specs: Sequence[Spec], equal: bool) -> None:
        parts = [computation(n, s) for n, s in zip(group, specs, strict=True)]
        if not alike(parts):
            raise self._refused(group[0], "what an element is computed of depends on the size")

    def _scatter(self, group: Sequence[Node], specs: Sequence[Any], equal: bool) -> None:
        self._placed(group, specs, equal)
        node, spec = group[0], specs[0]
        behind = node.types[0].ndim - spec.count
        lead = range(spec.batch, node.inputs[1].type.ndim - behind)
        if self._sized(node.inputs[1]).intersection(lead):
            kind = {"add": "sum", "multiply": "prod"}.get(spec.kind, spec.kind)
            self._needs(node, 1, kind)

    def _nest(self, group: Sequence[Node], specs: Sequence[Any], equal: bool) -> None:
        self._placed(group, specs, equal)
        units = [s.parallel for s in specs]
        factor = units[0] // self.found.sizes[0]
        even = all(u == factor * n for u, n in zip(units, self.found.sizes, strict=True))
        if not even and len(set(units)) > 1:
            raise self._refused(group[0], "its units of work are no multiple of the size")

    def _reduce(self, group: Sequence[Node], specs: Sequence[Any], equal: bool) -> None:
        node, spec = group[0], specs[0]
        if any(s != spec for s in specs):
            raise self._refused(node, "its axes depend on the size")
        value = node.inputs[0]
        if self._sized(value).intersection(spec.axes):
            count = math.prod(value.shape[a] for a in spec.axes)
            if count % self.found.sizes[0] == 0:
                self.found.counts.add(count // self.found.sizes[0])
            self._needs(node, 0, spec.kind)
        kept = [a for a in range(value.type.ndim) if a not in spec.axes]
        self.known[node.outputs[0]] = tuple(
            a._replace(axis=k) for k, axis in enumerate(kept) for a in self._axis(value, axis)
        )

    def _contract(self, group: Sequence[Node], specs: Sequence[Spec], equal: bool) -> None:
        node = group[0]
        left, right = node.inputs
        inner = left.type.ndim - 1
        terms = self._axis(left, inner), self._axis(right, inner - 1)
        if any(terms):
            shapes = {(a.inner, a.outer or 1) for side in terms for a in side}
            if not all(terms) or len(shapes) > 1:
                raise self._refused(node, "its terms depend on the size")
            self._needs(node, 0, "sum")
            self._needs(node, 1, "sum")
        batch = [tuple(a for a in self.known[v] if a.axis < inner - 1) for v in node.inputs]
        axes = joined([*batch, self._axis(left, inner - 1), self._axis(right, inner)])
        if axes is None:
            raise self._refused(node, "its places depend on the size")
        self.known[node.outputs[0]] = axes

    def _convolve(self, group: Sequence[Node], specs: Sequence[Any], equal: bool) -> None:
        node, spec = group[0], specs[0]
        names = "xwy".replace(spec.result, "") + spec.result
        values = (*node.inputs, *node.outputs)
        allowed = all(
            self._sized(v) <= (set() if name == "w" else {0})
            for name, v in zip(names, values, strict=True)
        )
        if not allowed or any(s != spec for s in specs):
            raise self._refused(node, "only the number of images may depend on the size")
        if spec.result == "w":
            self._needs(node, 0, "sum")
            self._needs(node, 1, "sum")

    def _attend(self, group: Sequence[Node], specs: Sequence[Spec], equal: bool) -> None:
        node = group[0]
        inner = node.inputs[0].type.ndim - 2
        if not equal or any(a >= inner for v in node.inputs for a in self._sized(v)):
            raise self._refused(node, "only the batch may depend on the size, no time, no width")

    def _bodies(self, group: Sequence[Node], specs: Sequence[Any], equal: bool) -> None:
        """A body keeps the law up if all of its nodes do."""
        node = group[0]
        fixed = [getattr(n.op, "parameters", ()) for n in group]
        if any(f != fixed[0] for f in fixed):
            raise self._refused(node, "how often it runs depends on the size")
        inside = tuple(
            family(self.found.name, self.found.sizes, bodies)
            for bodies in zip(*[n.op.bodies for n in group], strict=True)
        )
        for part in inside:
            self.found.counts |= part.counts
        if any(part.needs_size for part in inside):
            self.found.inside[node] = inside

    def _needs(self, node: Node, operand: int, kind: str) -> None:
        value = node.inputs[operand]
        neutral = _NEUTRAL.get(kind)
        if neutral is None:
            raise self._refused(node, f"rows that do not count cannot be left out of a {kind}")
        self.found.neutral[node, operand] = neutral(value.dtype)


def _lowest(dtype: DType) -> Any:
    if dtype.is_float:
        return -np.inf
    return 0 if dtype.kind == "b" else np.iinfo(dtype.numpy).min


def _highest(dtype: DType) -> Any:
    if dtype.is_float:
        return np.inf
    return 1 if dtype.kind == "b" else np.iinfo(dtype.numpy).max


#: What changes nothing, by kinds of folds.
_NEUTRAL: dict[str, Callable[[DType], Any]] = {
    "sum": lambda dtype: 0,
    "prod": lambda dtype: 1,
    "max": _lowest,
    "min": _highest,
    "argmax": _lowest,
    "argmin": _highest,
    "any": lambda dtype: 0,
    "all": lambda dtype: 1,
}

_Rule = Callable[[_Comparison, Sequence[Node], Sequence[Any], bool], None]
_RULES: dict[type[Spec], _Rule] = {
    Scalar: _Comparison._elementwise,
    View: _Comparison._viewed,
    Pointwise: _Comparison._placed,
    Scatter: _Comparison._scatter,
    Nest: _Comparison._nest,
    Reduce: _Comparison._reduce,
    Contract: _Comparison._contract,
    Convolve: _Comparison._convolve,
    Attend: _Comparison._attend,
    Loop: _Comparison._bodies,
    Branch: _Comparison._bodies,
}

#: Declarations whose operands' rows that count may stand apart.
_THROUGH = (Scalar, View, Reduce, Contract)
