"""Layouts: the order of axes in which a computed value is stored.

Inputs, results and state are row-major. A value inside the step may be stored in another order:
where it is transposed and then reshaped, storing it in the transposed order makes both free.
"""

from __future__ import annotations

import math

from graphc.ir.graph import Graph, Input, Node, Value
from graphc.ir.once import once
from graphc.ir.spec import Attend, Contract, Convolve, Scalar, Strided, View, row_major


@once
def choose_layouts(graph: Graph) -> dict[Value, tuple[int, ...]]:
    """An order of axes (slowest first) for results of products and attention that are reshaped
    after a transposition, if no other reader would then have to copy; for gradients of weights that
    in which all readers see them.
    """
    outputs = set(graph.outputs)
    layouts: dict[Value, tuple[int, ...]] = {}
    for node in graph.nodes:
        if isinstance(node.op, Input):
            continue
        spec = node.op.spec(*[v.type for v in node.inputs])
        if isinstance(spec, Convolve) and spec.result == "w":
            order = _seen_order(graph, node.outputs[0])
            if order is not None and node.outputs[0] not in outputs:
                layouts[node.outputs[0]] = order
        if not isinstance(spec, (Attend, Contract)):
            continue
        for value in node.outputs:
            order = None if value in outputs else _wanted_order(graph, value)
            if order is not None and _copies(graph, value, order) < _copies(graph, value, None):
                layouts[value] = order
    return layouts


def _wanted_order(graph: Graph, value: Value) -> tuple[int, ...] | None:
    """The order of axes in which some chain of views, ending in a reshape, has its elements."""
    for node, strided in _views(graph, value, stored(value, None)):
        if strided is None:
            source = node.inputs[0]
            before = _through(graph, value, source)
            if before is not None and math.prod(before.shape) == value.type.size:
                axes = row_major(value.shape)
                moved = [s for n, s in zip(before.shape, before.strides, strict=True) if n > 1]
                order = [axes.index(s) for s in moved if s in axes]
                if len(order) == sum(n > 1 for n in value.shape):
                    rest = [a for a, n in enumerate(value.shape) if n == 1]
                    unique = [a for a in dict.fromkeys(order) if value.shape[a] > 1]
                    return (*rest, *unique)
    return None


def _seen_order(graph: Graph, value: Value) -> tuple[int, ...] | None:
    """The order of axes in which every reader permutes a value; None where one does otherwise."""
    axes = row_major(value.shape)
    found: set[tuple[int, ...]] = set()
    for node in graph.uses.get(value, ()):
        spec = node.op.spec(*[v.type for v in node.inputs])
        seen = spec.strided(Strided.contiguous(value.shape)) if isinstance(spec, View) else None
        if seen is None or math.prod(seen.shape) != value.type.size:
            return None
        moved = [s for n, s in zip(seen.shape, seen.strides, strict=True) if n > 1]
        if any(s not in axes for s in moved):
            return None
        found.add(tuple(axes.index(s) for s in moved))
    if len(found) != 1:
        return None
    (order,) = found
    wide = [a for a, n in enumerate(value.shape) if n > 1]
    if sorted(order) != wide or list(order) == wide:
        return None
    return (*[a for a, n in enumerate(value.shape) if n == 1], *order)


def stored(value: Value, order: tuple[int, ...] | None) -> Strided:
    """How an array lies whose axes are stored in an order (None: row-major)."""
    if order is None:
        return Strided.contiguous(value.shape)
    steps = dict(zip(order, row_major(tuple(value.shape[a] for a in order)), strict=True))
    return Strided(value.shape, tuple(steps[a] for a in range(len(value.shape))))


def _views(graph: Graph, value: Value, start: Strided):
    """Every view behind a value with its strided form (None where it has to be a copy)."""
    stack: list[tuple[Value, Strided]] = [(value, start)]
    while stack:
        source, strided = stack.pop()
        for node in graph.uses.get(source, ()):
            spec = node.op.spec(*[v.type for v in node.inputs])
            if isinstance(spec, View):
                seen = spec.strided(strided)
                yield node, seen
                if seen is not None:
                    stack.append((node.outputs[0], seen))


def _through(graph: Graph, value: Value, view: Value) -> Strided | None:
    """The strided form of a view of a value."""
    chain: list[Node] = []
    while view is not value:
        chain.append(view.node)
        view = view.node.inputs[0]
    strided: Strided | None = Strided.contiguous(value.shape)
    for node in reversed(chain):
        spec = node.op.spec(*[v.type for v in node.inputs])
        if strided is None or not isinstance(spec, View):
            return None
        strided = spec.strided(strided)
    return strided


def _copies(graph: Graph, value: Value, order: tuple[int, ...] | None) -> int:
    """Bytes that readers would have to copy; an elementwise reader in another order counts too,
    since it no longer fuses with the product.
    """
    total = 0
    for node, strided in _views(graph, value, stored(value, order)):
        if strided is None:
            total += node.types[0].nbytes
    if order is not None:
        for node in graph.uses.get(value, ()):
            if isinstance(node.op.spec(*[v.type for v in node.inputs]), Scalar):
                total += node.types[0].nbytes
    return total
