"""Derivatives of loops.

Reverse mode runs a loop in the other direction. What it reads of the forward steps is chosen by a
minimum cut of the body (`autodiff/cut.py`): constants and slices are there anyway, everything else
is stacked, as further results of the forward loop. Joining makes one loop of that and the original.

The cotangent of a constant is a sum over the steps. A product that contributes to it, of values
whose size is not larger than the product's, waits for the end of the loop: its operands are
stacked, and one product sums over steps and over its own terms, in this order. So does a sum of
what is stacked anyway. All others are added up in a carry, step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from graphc import ops
from graphc.autodiff import forward, reverse
from graphc.control.owner import called, parameter, split
from graphc.control.postpone import Postponed
from graphc.control.residuals import reached, residuals
from graphc.ir.graph import (
    Graph,
    Node,
    Value,
    apply,
    standing_in_for,
)
from graphc.ir.structure import needed, rebuilt

if TYPE_CHECKING:
    from graphc.control.scan import Scan


def scan_jvp(op: Scan, node: Node, tangents: Sequence[Value | None]) -> Sequence[Value | None]:
    """Forward mode: a loop that carries the tangents too."""
    count, *parts = op.operands(node.inputs)
    moves = [t is not None for t in tangents[op.counted :]]
    carried = slice(op.consts, op.consts + op.carries)
    while True:
        t_in = [
            parameter(f"d {called(v)}", v.type) if m else None
            for v, m in zip(op.body.inputs, moves, strict=True)
        ]
        found = forward.jvp(op.body.outputs, op.body.inputs, t_in)
        again = [m or t is not None for m, t in zip(moves[carried], found, strict=False)]
        if again == moves[carried]:
            break
        moves[carried] = again

    def filled(v: Value, t: Value | None, m: bool) -> list[Value]:
        return [] if not m else [ops.zeros_like(v) if t is None else t]

    inside, outside = [], []
    t_parts = split(tangents[op.counted :], op.consts, op.carries)
    for v_in, t_part, x_part, in_part in zip(
        op.body_inputs, t_parts, parts, split(t_in, op.consts, op.carries), strict=False
    ):
        inside += [*v_in, *[t for t in in_part if t is not None]]
        outside += x_part
        for x, t, placed in zip(x_part, t_part, in_part, strict=True):
            outside += filled(x, t, placed is not None)
    outputs = list(op.body.outputs[: op.carries])
    for v, t, m in zip(op.body.outputs, found, moves[carried], strict=False):
        outputs += filled(v, t, m)
    outputs += [t for t in found[op.carries :] if t is not None]
    consts, carries = sum(moves[: op.consts]), sum(moves[carried])
    dual = op.resized(
        Graph(tuple(inside), tuple(outputs)), op.consts + consts, op.carries + carries
    )
    results = iter(apply(dual, *count, *outside)[op.carries :])
    leaving = [next(results) if m else None for m in moves[carried]]
    return [*leaving, *[None if t is None else next(results) for t in found[op.carries :]]]


def scan_vjp(op: Scan, node: Node, cotangents: Sequence[Value | None]) -> Sequence[Value | None]:
    """Reverse mode: the cotangents of the operands."""
    return _Backward(op, node, cotangents).run()


class _Backward:
    """The backward loop under construction. Its body is found on the nodes of the forward body and
    of what the rules of its operators made of the cotangents of its outputs, the seeds.
    """

    def __init__(self, op: Scan, node: Node, cotangents: Sequence[Value | None]):
        self.op = op
        self.node = node
        self.count = op.steps_taken(node)
        self.operand = dict(zip(op.body.inputs, node.inputs[op.counted :], strict=True))
        self.consts, self.carries, self.slices = op.body_inputs
        #: Seeds, and the cotangents of the loop's results that they stand for.
        self.seeds: dict[Value, Value] = {}
        outputs = []
        for k, (v, g) in enumerate(zip(op.body.outputs, cotangents, strict=True)):
            if g is not None:
                outputs.append(v)
                self.seeds[parameter(f"d output {k}", v.type)] = g
        wrt = [v for v in op.body.inputs if v.dtype.is_float]
        found = reverse.grad(outputs, wrt, list(self.seeds))
        self.found = {v: g for v, g in zip(wrt, found, strict=True) if g is not None}

    def run(self) -> Sequence[Value | None]:
        op = self.op
        moving = [v.dtype.is_float for v in op.body.outputs]
        carried = [v for v, m in zip(self.carries, moving, strict=False) if m]
        sliced = [v for v in self.slices if v in self.found]
        seeds = list(self.seeds)
        summed = [v for v in self.consts if v in self.found]
        # A step that is not taken must not count: where there may be some, no term waits.
        waiting = Postponed(
            {} if self.count else {v: self.found[v] for v in summed},
            reached(list(self.found.values()), seeds),
            seeds[: len(carried)],
            (*seeds[len(carried) :], *self.slices),
        )
        rest = {v: self.found[v] for v in summed} if self.count else waiting.rest
        totals = {v: parameter(f"sum {called(v)}", v.type) for v in rest}
        outputs = [self.found[v] if v in self.found else ops.zeros_like(v) for v in carried]
        outputs += [ops.add(totals[v], g) for v, g in rest.items()]
        outputs += [self.found[v] for v in sliced]
        outputs += waiting.backward

        again, kept = residuals(
            outputs,
            {*seeds, *totals.values()},
            (*self.consts, *self.slices),
            list(waiting.forward),
        )
        stacks = dict(zip(self.slices, (self.operand[v] for v in self.slices), strict=True))
        stacks |= {s: self.seeds[s] for s in seeds[len(carried) :]}
        stacks |= self._stacked(kept)
        read = [v for n in needed(outputs, stacks) for v in n.inputs] + outputs
        read += [v for n in again for v in n.inputs]
        consts = [v for v in self.consts if v in read]
        along = [v for v in stacks if v in read]
        given = {v: parameter(called(v), v.type) for v in (*consts, *along)}
        body = Graph(
            (
                *(given[v] for v in consts),
                *seeds[: len(carried)],
                *totals.values(),
                *(given[v] for v in along),
            ),
            tuple(rebuilt(outputs, given, again)),
        )
        loop = op.backward(body, len(consts), len(carried) + len(rest))
        results = apply(
            loop,
            *self.count,
            *(self.operand[v] for v in consts),
            *(self.seeds[s] for s in seeds[: len(carried)]),
            *map(ops.zeros_like, rest),
            *(stacks[v] for v in along),
        )
        g_carries, g_rest, g_slices, stacked = split(results, len(carried), len(rest), len(sliced))
        leaving = dict(zip((*carried, *sliced), (*g_carries, *g_slices), strict=True))
        stacks.update(zip(waiting.backward, stacked, strict=True))
        added = dict(zip(rest, g_rest, strict=True))
        for v in summed:
            parts = [] if self.count else waiting.totals(v, stacks, op.length)
            total = ops.add_all([*parts, *([added[v]] if v in added else [])])
            assert total is not None
            leaving[v] = total
        return [*[None] * op.counted, *[leaving.get(v) for v in op.body.inputs]]

    def _stacked(self, values: Sequence[Value]) -> dict[Value, Value]:
        """Arrays of forward values over all steps."""
        op, node = self.op, self.node
        first = len(op.body.outputs)
        known = {v: k for k, v in reversed(list(enumerate(op.body.outputs))) if k >= op.carries}
        more = [v for v in values if v not in known]
        if not more:
            return {v: node.outputs[known[v]] for v in values}
        body = op.body.replace([*op.body.outputs, *more])
        with standing_in_for(node):
            results = apply(replace(op, body=body), *node.inputs)
        known.update({v: first + k for k, v in enumerate(more)})
        return {v: results[known[v]] for v in values}
