"""What identifies a graph: its operators and how they are connected."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from graphc.dtypes import DType, TensorType
from graphc.ir.graph import Graph, Input, Meta, Node, Op, Value
from graphc.ir.toposort import toposort


def structure(graph: Graph) -> Hashable:
    """Equal for graphs that compute the same from inputs of the same types, operator by operator,
    in the same order; names and lines do not count.
    """
    number: dict[Value, int] = {v: k for k, v in enumerate(graph.inputs)}
    rows: list[Hashable] = [v.type for v in graph.inputs]
    for node in graph.nodes:
        if isinstance(node.op, Input):
            continue
        rows.append(
            (type(node.op), node.op, tuple(number[v] for v in node.inputs), node.meta.clone)
        )
        for value in node.outputs:
            number[value] = len(number)
    return (tuple(rows), tuple(number[v] for v in graph.outputs))


def rebuilt(
    outputs: Sequence[Value], given: Mapping[Value, Value], clones: AbstractSet[Node] = frozenset()
) -> list[Value]:
    """Values computed again by nodes of their own, from `given` in the place of some values. Nodes
    of `clones` are marked, so that they do not count as what they repeat.
    """
    new: dict[Value, Value] = dict(given)
    for node in needed(outputs, given):
        if isinstance(node.op, Input):
            continue
        meta = node.meta
        if node in clones:
            meta = Meta(meta.site, meta.rule, meta.name, meta.clone + 1)
        made = Node(node.op, tuple(new.get(v, v) for v in node.inputs), node.types, meta)
        new.update(zip(node.outputs, made.outputs, strict=True))
    return [new.get(v, v) for v in outputs]


def needed(outputs: Sequence[Value], given: Mapping[Value, object]) -> list[Node]:
    """The nodes that compute values, in order, if some are given."""
    found: set[Node] = set()
    stack = [v for v in outputs if v not in given]
    while stack:
        node = stack.pop().node
        if node not in found:
            found.add(node)
            stack.extend([v for v in node.inputs if v not in given])
    return [n for n in toposort(outputs) if n in found]


def repeated(meta: Meta) -> Meta:
    """The origin of a copy of a node that is computed once more."""
    copy = meta.part()
    copy.clone += 1
    copy.stands_for = meta.stands_for
    return copy


def fingerprint(graph: Graph) -> str | None:
    """A digest, the same in every process, of all that a step follows from: operators, how they are
    connected and in which order, types, constants, what is derivative of what and what is
    checkpointed. Names and lines do not count. None where an operator is none of graphc's, or has
    parameters that are no plain data: what they stand for may change unseen.
    """
    rows = _Rows()
    try:
        rows.graph(graph)
    except _UnknownError:
        return None
    return hashlib.sha256("\n".join(rows.rows).encode()).hexdigest()


class _UnknownError(Exception):
    """Something of which it cannot be told whether it is the same in another process."""


class _Rows:
    """Graphs as text, a row for each node; origins and regions are numbered as they appear."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.origins: dict[Meta, int] = {}
        self.regions: dict[int, int] = {0: 0}
        self.classes: dict[type, str] = {}

    def graph(self, graph: Graph) -> None:
        number: dict[Value, int] = {v: k for k, v in enumerate(graph.inputs)}
        self.rows.append(f"graph {[v.type for v in graph.inputs]}")
        for node in graph.nodes:
            meta = node.meta
            rule = -1 if meta.rule is None else self._origin(meta.rule.meta)
            origin = (self._origin(meta), rule, meta.clone, self._region(meta.region))
            if not isinstance(node.op, Input):
                inputs = [number[v] for v in node.inputs]
                parameters = _plain(node.op.parameters)
                self.rows.append(
                    f"{self._class(node.op)}{parameters} {inputs} {node.types} {origin}"
                )
                for value in node.outputs:
                    number[value] = len(number)
                for body in node.op.bodies:
                    self.graph(body)
            else:
                self.rows.append(f"input {number[node.outputs[0]]} {origin}")
        outputs = [number[v] for v in graph.outputs]
        self.rows.append(f"end {outputs} {sorted(graph.donated.items())}")

    def _origin(self, meta: Meta) -> int:
        return self.origins.setdefault(meta, len(self.origins))

    def _region(self, region: int) -> int:
        return self.regions.setdefault(region, len(self.regions))

    def _class(self, op: Op) -> str:
        kind = type(op)
        if kind not in self.classes:
            if kind.__module__.partition(".")[0] != __name__.partition(".")[0]:
                raise _UnknownError
            self.classes[kind] = f"{kind.__module__}.{kind.__qualname__}"
        return self.classes[kind]


#: Types whose `repr` tells all that there is.
_PLAIN = frozenset((bool, int, str, type(None), DType, TensorType))


def _plain(x: Any) -> str:
    """Plain data as text, numbers by their bits; arrays of bytes by their digest."""
    kind = type(x)
    if kind in _PLAIN:
        return repr(x)
    if kind is tuple:
        return f"({','.join([_plain(y) for y in x])})" if x else "()"
    if kind is bytes:
        return hashlib.sha256(x).hexdigest()
    if kind is float or isinstance(x, np.generic):
        return f"{np.asarray(x).dtype}:{np.asarray(x).tobytes().hex()}"
    raise _UnknownError
