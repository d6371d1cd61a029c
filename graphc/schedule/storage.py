"""Where each value of a graph lives: in memory, as a view of memory, or nowhere at all."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from graphc.ir.graph import Graph, Input, Node, Value
from graphc.ir.once import once
from graphc.ir.spec import (
    Attend,
    Branch,
    Contract,
    Convolve,
    Loop,
    Native,
    Pointwise,
    Scalar,
    Spec,
    Strided,
    Table,
    View,
)
from graphc.schedule.encoding import Bits
from graphc.schedule.layouts import stored
from graphc.schedule.prologues import rebuilt


class Role(Enum):
    #: An input or a constant table: in memory before the step begins.
    GIVEN = auto()
    #: A function of position and literals alone: computed again wherever it is read.
    FREE = auto()
    #: Elementwise, in front of an array that a kernel copies: computed while it is copied.
    REBUILT = auto()
    #: Read through, at no cost.
    VIEW = auto()
    #: Computed by a kernel.
    COMPUTED = auto()


@dataclass(frozen=True, slots=True)
class Place:
    """The part of the memory of `root` in which a value lies."""

    root: Value
    strided: Strided


#: A free value may cost this many simple operations an element.
_FREE_COST = 8


class Storage:
    """Roles of nodes, declarations of how they compute, and places of values.

    `layouts` gives for some computed values the order of axes in memory, slowest first, `given` how
    some inputs lie, as parts of other arrays; everything else is row-major. `steady` are inputs
    that stay the same in all steps of the loop whose body the graph is. A view that has no strided
    form (a reshape of a transposed array) is computed, and so is one that lies scattered,
    where it is read as a whole.
    """

    def __init__(
        self,
        graph: Graph,
        layouts: Mapping[Value, tuple[int, ...]] | None = None,
        given: Mapping[Value, Strided] | None = None,
        steady: Collection[Value] = (),
    ):
        self.spec: dict[Node, Spec] = {}
        self.role: dict[Node, Role] = {}
        self.places: dict[Value, Place] = {}
        #: How predicates lie that are packed; decided when there are kernels.
        self.packed: dict[Value, Bits] = {}
        self._cost: dict[Node, int] = {}
        self._roots: dict[Node, tuple[Value, ...]] = {}
        layouts = layouts or {}
        self._given = given or {}
        self.steady = frozenset(steady)
        self._pinned = _in_memory(graph)
        self._rebuilt = rebuilt(graph)
        self._whole = _read_as_wholes(graph)
        for node in graph.nodes:
            self._settle(node, layouts)

    def _settle(self, node: Node, layouts: Mapping[Value, tuple[int, ...]]) -> None:
        if isinstance(node.op, Input):
            self.role[node] = Role.GIVEN
            value = node.outputs[0]
            lies = self._given.get(value, Strided.contiguous(value.shape))
            self.places[value] = Place(value, lies)
            return
        spec = node.op.spec(*[v.type for v in node.inputs])
        self.spec[node] = spec
        if isinstance(spec, Table):
            self.role[node] = Role.GIVEN
            self._own(node.outputs[0], None)
            return
        if self._is_free(node, spec):
            self.role[node] = Role.FREE
            return
        if node in self._rebuilt:
            self.role[node] = Role.REBUILT
            return
        if isinstance(spec, View):
            source = self.places.get(node.inputs[0])
            strided = spec.strided(source.strided) if source is not None else None
            scattered = strided is not None and not strided.at_start.is_contiguous
            if scattered and node.outputs[0] in self._whole:
                strided = None
            if source is not None and strided is not None:
                self.role[node] = Role.VIEW
                self.places[node.outputs[0]] = Place(source.root, strided)
                return
            self.spec[node] = _gathering(spec)
        self.role[node] = Role.COMPUTED
        for value in node.outputs:
            self._own(value, None if value in self._whole else layouts.get(value))

    def _own(self, value: Value, order: tuple[int, ...] | None) -> None:
        self.places[value] = Place(value, stored(value, order))

    def _is_free(self, node: Node, spec: Spec) -> bool:
        if not isinstance(spec, (Pointwise, Scalar, View)) or not node.op.pure:
            return False
        if node in self._pinned:
            return False
        cost = 0 if isinstance(spec, View) else spec.cost
        for value in node.inputs:
            if self.role[value.node] is not Role.FREE:
                return False
            cost += self._cost[value.node]
        self._cost[node] = cost
        return cost <= _FREE_COST

    def unpacked(self) -> Storage:
        """The same for other kernels of the graph, of which nothing is packed yet."""
        other = copy.copy(self)
        other.packed = {}
        return other

    def roots(self, node: Node) -> tuple[Value, ...]:
        """The roots in memory that a node reads, through what is rebuilt too."""
        known = self._roots.get(node)
        if known is not None:
            return known
        found: list[Value] = []
        stack = list(reversed(node.inputs))
        while stack:
            value = stack.pop()
            place = self.places.get(value)
            if place is not None:
                found.append(place.root)
            elif self.role[value.node] is Role.REBUILT:
                stack.extend(reversed(value.node.inputs))
        self._roots[node] = tuple(found)
        return self._roots[node]

    def nbytes(self, root: Value) -> int:
        """Bytes that a root takes in memory."""
        bits = self.packed.get(root)
        return root.type.nbytes if bits is None else bits.nbytes

    def is_uniform(self, value: Value) -> bool:
        """Whether a free value is the same at every position."""
        stack = [value.node]
        while stack:
            node = stack.pop()
            # A pad or concatenation of constants still depends on where it is read.
            placed = not node.inputs or isinstance(self.spec[node], Pointwise)
            if placed and node.types[0].shape != ():
                return False
            stack.extend([v.node for v in node.inputs])
        return True


@once
def _in_memory(graph: Graph) -> set[Node]:
    """What lies behind the operands of products, attention and the weights of convolutions, which
    packing copies from memory, and behind those of routines and of what has a program of its own,
    which are given addresses: it has to be there.
    """
    nodes: set[Node] = set()
    for node in graph.nodes:
        if isinstance(node.op, Input):
            continue
        spec = node.op.spec(*[v.type for v in node.inputs])
        if isinstance(spec, (Attend, Branch, Contract, Loop, Native)):
            nodes.update(_behind_views(v) for v in node.inputs)
        elif isinstance(spec, Convolve) and spec.result != "w":
            nodes.add(_behind_views(node.inputs["xwy".replace(spec.result, "").index("w")]))
    return nodes


@once
def _read_as_wholes(graph: Graph) -> set[Value]:
    """What routines read: contiguous arrays. So are arrays of which a body reads parts in one."""
    whole: set[Value] = set()
    for node in graph.nodes:
        if isinstance(node.op, Input):
            continue
        if isinstance(node.op.spec(*[v.type for v in node.inputs]), Native):
            whole.update(node.inputs)
        for body in node.op.bodies:
            inside = _read_as_wholes(body)
            # A choice or a number of steps stands before what the bodies read.
            operands = node.inputs[len(node.inputs) - len(node.op.bodies[0].inputs) :]
            whole.update(v for own, v in zip(body.inputs, operands, strict=False) if own in inside)
    return whole


def _behind_views(value: Value) -> Node:
    node = value.node
    while node.inputs and isinstance(node.op.spec(*[v.type for v in node.inputs]), View):
        node = node.inputs[0].node
    return node


def _gathering(view: View) -> Pointwise:
    return Pointwise(lambda i, read: read(0, view.index(i)), cost=2)
