"""Rematerialization: what is kept from the forward pass, and what is computed again.

A value that the backward pass reads may be kept, or computed again from others that are. The
cheapest set to keep is a minimum cut (`autodiff/cut.py`). By default only elementwise work and
views are repeated, which fuse into their readers; a `Policy` may allow more. Computed again are
clones, marked, so that nothing merges them with their originals; they compute the same bits.

The backward pass often asks for no more of an array than a predicate of it, such as where a ReLU
was positive: one bit an element; or for which elements max pooling chose. Such an encoding, that a
derivative rule computes from values of the forward pass alone, may be computed there, and kept in
the place of what it was computed from.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from graphc.autodiff import cut
from graphc.autodiff.effort import BYTES_PER_OPERATION, is_light, is_pure, spec_of, work
from graphc.ir.graph import Graph, Input, Node, Value
from graphc.ir.once import once
from graphc.ir.phases import Phase, phases
from graphc.ir.spec import View
from graphc.ir.structure import repeated
from graphc.schedule.encoding import encoded_bytes, is_encoding


@dataclass(frozen=True)
class Policy:
    """What may be computed again, and at which price.

    `weight`: the bytes that it is worth to keep for a simple operation less. `repeatable`: nodes
    with loop nests of their own that may be computed again too. `keep` is kept and `again` computed
    again, whatever it costs.
    """

    weight: float = BYTES_PER_OPERATION
    repeatable: frozenset[Node] = frozenset()
    keep: frozenset[Value] = frozenset()
    again: frozenset[Value] = frozenset()

    def without(self, *values: Value) -> Policy:
        """The same with these values computed again too."""
        return Policy(
            self.weight,
            self.repeatable.union(v.node for v in values),
            self.keep.difference(values),
            self.again.union(values),
        )


@dataclass(frozen=True)
class Turn:
    """The forward nodes of a graph; `early`, the encodings of forward values that the backward
    pass computes, with the light work in front of them; and what the rest of the backward pass
    reads of both, in order.
    """

    forward: frozenset[Node]
    early: frozenset[Node]
    wanted: tuple[Value, ...]


@once
def turn_of(graph: Graph) -> Turn:
    """Where a graph turns from its forward to its backward pass."""
    forward = frozenset(n for n, p in phases(graph).items() if p is Phase.FORWARD)
    early = _early(graph, forward)
    before = forward | early
    wanted = dict.fromkeys(
        v for node in graph.nodes if node not in before for v in node.inputs if v.node in before
    )
    return Turn(forward, early, tuple(wanted))


def _early(graph: Graph, forward: frozenset[Node]) -> frozenset[Node]:
    possible: set[Node] = set()
    for node in graph.nodes:
        inside = all(v.node in forward or v.node in possible for v in node.inputs)
        if inside and node not in forward and (is_light(node) or node.op.compact):
            possible.add(node)
    found: set[Node] = set()
    stack = [n for n in possible if is_encoding(n.outputs[0])]
    while stack:
        node = stack.pop()
        if node in possible and node not in found:
            found.add(node)
            stack.extend(v.node for v in node.inputs)
    return frozenset(found)


def checkpointed(graph: Graph, turn: Turn) -> Policy:
    """The user's own: of what is computed inside of a checkpointed call, what the forward pass
    reads outside of it is kept, and nothing else.
    """
    inside = [n for n in graph.nodes if n.meta.region and n in turn.forward and is_pure(n)]
    results = {
        v
        for n in inside
        for v in n.outputs
        if any(u in turn.forward and u.meta.region != n.meta.region for u in graph.uses.get(v, ()))
    }.union(graph.outputs)
    values = frozenset(v for n in inside for v in n.outputs)
    return Policy(
        repeatable=frozenset(inside), keep=values & results, again=values.difference(results)
    )


def rebuild(graph: Graph, policy: Policy | None = None) -> Graph:
    """The same graph, with as little kept for the backward pass as a policy allows; by default
    nothing but checkpointed calls and light work is computed again.
    """
    turn = turn_of(graph)
    return cloned(graph, turn, choose(graph, turn, policy or checkpointed(graph, turn)))


def choose(graph: Graph, turn: Turn, policy: Policy) -> frozenset[Node]:
    """The forward nodes to compute again."""
    return frozenset(cut.smallest(turn.wanted, _prices(graph, turn, policy)).again)


def kept(graph: Graph, turn: Turn, policy: Policy) -> frozenset[Value]:
    """The values that are kept for the backward pass."""
    found = cut.smallest(turn.wanted, _prices(graph, turn, policy)).kept
    return frozenset(v for v in found if not _is_elsewhere(v, graph))


def least_kept_bytes(graph: Graph) -> int:
    """The bytes of the least that can be kept where no product and no reduction is repeated."""
    turn = turn_of(graph)
    return sum(map(encoded_bytes, kept(graph, turn, Policy(weight=0.0))))


def _is_elsewhere(value: Value, graph: Graph) -> bool:
    """Whether a value is in memory in any case, before the step or as a result of it."""
    return is_given(value.node) or value in graph.outputs


def is_given(node: Node) -> bool:
    """An argument or a constant."""
    return isinstance(node.op, Input) or node.op.literal is not None


def _prices(graph: Graph, turn: Turn, policy: Policy) -> cut.Prices:
    outside = set(graph.outputs)

    def again(node: Node) -> float | None:
        if node in turn.early:
            # It is computed once in any case.
            return None if node.outputs[0] in policy.keep else 0.0
        if node not in turn.forward or not is_pure(node):
            return None
        if any(v in policy.again for v in node.outputs):
            return 0.0
        if not (is_light(node) or node in policy.repeatable):
            return None
        return policy.weight * work(node)

    def keep(value: Value) -> float | None:
        if is_given(value.node) or value in outside or value in policy.keep:
            return 0.0
        if value in policy.again:
            return None
        if value.type.size <= 1:
            return 0.0
        if value.node in turn.early and not is_encoding(value):
            return None
        return None if isinstance(spec_of(value.node), View) else float(encoded_bytes(value))

    return cut.Prices(again, keep)


def recomputed(graph: Graph) -> Iterable[Node]:
    """The nodes of a graph that compute something again."""
    return (node for node in graph.nodes if node.meta.clone)


def cloned(graph: Graph, turn: Turn, again: frozenset[Node]) -> Graph:
    """Backward nodes read clones of what is computed again, forward nodes still the originals. A
    clone is made right before its first reader, so that it lives no longer than it must. What of
    `turn.early` is not computed again is computed in the forward pass.
    """
    forward, early = turn.forward, turn.early - again
    if not again and not early:
        return graph
    again = again & forward
    new = {v: v for node in graph.nodes if node in forward for v in node.outputs}
    clones: dict[Value, Value] = {}

    ahead = _ahead(graph, turn, early)

    def current(value: Value) -> Value:
        if value.node in early:
            return ahead[value]
        return clones[value] if value.node in again else new[value]

    for node in graph.nodes:
        if node in forward or node in early:
            continue
        for old in _missing(node, again, clones):
            clone = Node(old.op, tuple(map(current, old.inputs)), old.types, repeated(old.meta))
            clones.update(zip(old.outputs, clone.outputs, strict=True))
        rebuilt = node.with_inputs(tuple(map(current, node.inputs)))
        new.update(zip(node.outputs, rebuilt.outputs, strict=True))
    outputs = [ahead[v] if v.node in early else new[v] for v in graph.outputs]
    return graph.replace(outputs).made_from(graph)


def _ahead(graph: Graph, turn: Turn, early: AbstractSet[Node]) -> dict[Value, Value]:
    """The results of early nodes, computed in the forward pass, and of what stands in front."""
    needed: set[Node] = set()
    stack = list(early)
    while stack:
        node = stack.pop()
        if node in turn.early and node not in needed:
            needed.add(node)
            stack.extend(v.node for v in node.inputs)
    made: dict[Value, Value] = {}
    for node in graph.nodes:
        if node in needed:
            meta = node.meta.part()
            meta.stands_for, meta.early = node.meta.stands_for, node
            inputs = tuple(made.get(v, v) for v in node.inputs)
            ahead = Node(node.op, inputs, node.types, meta)
            made.update(zip(node.outputs, ahead.outputs, strict=True))
    return made


def _missing(node: Node, again: frozenset[Node], clones: dict[Value, Value]) -> list[Node]:
    """What has to be computed again before a node can be computed, in order."""
    found: set[Node] = set()
    stack = [node]
    while stack:
        for value in stack.pop().inputs:
            source = value.node
            if source in again and value not in clones and source not in found:
                found.add(source)
                stack.append(source)
    return sorted(found, key=lambda n: n.serial)
