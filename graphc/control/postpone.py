"""Sums over steps that wait for the end of a loop."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from graphc import ops
from graphc.autodiff.batching import batched_values
from graphc.control.choices import chosen
from graphc.control.owner import is_constant
from graphc.ir.graph import Node, Value
from graphc.ir.spec import Contract, Reduce, Spec, View
from graphc.ir.structure import rebuilt
from graphc.ops.arithmetic import Add


class Postponed:
    """Which terms of the cotangents of constants are added up after the backward loop, and the
    values of each step, `forward` and `backward` ones, that have to be stacked for that.

    `found` gives the constants' cotangents of one step, `behind` the nodes of the backward body.
    Of the inputs, arrays of `there` exist; `carried` are known inside the backward loop alone.
    """

    def __init__(
        self,
        found: Mapping[Value, Value],
        behind: Collection[Node],
        carried: Collection[Value],
        there: Collection[Value],
    ):
        self._consts = found.keys()
        self._behind = behind
        self._carried = carried
        self._there = there
        self.forward: dict[Value, None] = {}
        self.backward: dict[Value, None] = {}
        #: The terms that wait: what a constant gets, and the product or sum behind its views.
        self._waiting: dict[Value, list[tuple[Value, Value]]] = {v: [] for v in found}
        parts = {v: list(_terms(total)) for v, total in found.items()}
        for waits in (self._as_product, self._as_sum):
            for const, terms in parts.items():
                left = []
                for term in terms:
                    base = _base(term)
                    if base.node in behind and waits(base):
                        self._waiting[const].append((term, base))
                    else:
                        left.append(term)
                parts[const] = left
        #: What is left to be added up step by step.
        self.rest = {v: total for v, left in parts.items() if (total := ops.add_all(left))}

    def _as_product(self, base: Value) -> bool:
        """A product of values that together are no larger than it."""
        if not isinstance(_spec(base.node), Contract) or len(base.shape) != 2:
            return False
        operands = [_base(v) for v in base.node.inputs]
        if any(is_constant(v) or v in self._consts for v in operands):
            return False
        stacked = [v.type.size for v in operands if v not in self._there]
        if not chosen("product", lambda: sum(stacked) <= base.type.size):
            return False
        for value in operands:
            if value in self._carried or value.node in self._behind:
                self.backward[value] = None
            elif value not in self._there:
                self.forward[value] = None
        return True

    def _as_sum(self, base: Value) -> bool:
        """A sum of what is stacked anyway."""
        spec = _spec(base.node)
        if not isinstance(spec, Reduce) or spec.kind != "sum":
            return False
        source = _base(base.node.inputs[0])
        return source in self._there or source in self.backward or source in self.forward

    def totals(self, const: Value, stacks: Mapping[Value, Value], length: int) -> list[Value]:
        """The terms of a constant that waited, over all steps, given the arrays."""

        def whole(value: Value) -> Value:
            base = _base(value)
            return batched_values([value], {base: stacks[base]}, length)[0][0]

        found = []
        for term, base in self._waiting[const]:
            spec = _spec(base.node)
            if isinstance(spec, Reduce):
                axes = tuple(a + 1 for a in spec.axes)
                total = ops.sum(whole(base.node.inputs[0]), (0, *axes))
            else:
                x, y = map(whole, base.node.inputs)
                _, m, k = x.shape
                left = ops.reshape(ops.permute(x, (1, 0, 2)), (m, length * k))
                total = ops.matmul(left, ops.reshape(y, (length * k, y.shape[2])))
            found.append(rebuilt([term], {base: total})[0])
        return found


def _spec(node: Node) -> Spec | None:
    return node.op.spec(*[v.type for v in node.inputs]) if node.inputs else None


def _base(value: Value) -> Value:
    """What a value is a view of."""
    while isinstance(_spec(value.node), View):
        value = value.node.inputs[0]
    return value


def _terms(total: Value) -> Iterator[Value]:
    """The terms of a sum, from the left."""
    stack = [total]
    while stack:
        value = stack.pop()
        if isinstance(value.node.op, Add):
            stack.extend(reversed(value.node.inputs))
        else:
            yield value
