"""Reverse mode of a choice: a choice between the backward parts of the branches.

What these read of the forward parts is a minimum cut of each branch, as further results of the
forward choice. What one branch needs takes the place of what the other one needs where the types
are equal; else the other one gives zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphc import ops
from graphc.autodiff import reverse
from graphc.control.owner import parameter
from graphc.control.residuals import residuals
from graphc.dtypes import TensorType
from graphc.ir.graph import Graph, Node, Value, apply, standing_in_for
from graphc.ir.structure import rebuilt

if TYPE_CHECKING:
    from graphc.control.branch import Cond


def branch_vjp(op: Cond, node: Node, cotangents: Sequence[Value | None]) -> Sequence[Value | None]:
    """The cotangents of the operands; the choice itself has none."""
    inputs = op.yes.inputs
    seeds = {
        k: parameter(f"d output {k}", g.type) for k, g in enumerate(cotangents) if g is not None
    }
    wrt = [v for v in inputs if v.dtype.is_float]
    found = [
        dict(
            zip(
                wrt,
                reverse.grad([body.outputs[k] for k in seeds], wrt, list(seeds.values())),
                strict=True,
            )
        )
        for body in op.bodies
    ]
    moving = [v for v in wrt if any(own[v] is not None for own in found)]
    if not moving:
        return [None] * len(node.inputs)
    outputs = [[ops.zeros_like(v) if (g := own[v]) is None else g for v in moving] for own in found]
    cuts = [residuals(own, set(seeds.values()), inputs) for own in outputs]
    places: list[TensorType] = []
    for _, kept in cuts:
        free = list(places)
        for v in kept:
            if v.type in free:
                free.remove(v.type)
            else:
                places.append(v.type)
    slots = [parameter(f"kept {k}", type) for k, type in enumerate(places)]
    forward_bodies, backward_bodies = [], []
    for body, own, (again, kept) in zip(op.bodies, outputs, cuts, strict=True):
        taken = _seats(kept, slots)
        filled = {slot: v for v, slot in taken.items()}
        more = [filled.get(slot, ops.zeros_like(slot)) for slot in slots]
        forward_bodies.append(body.replace([*body.outputs, *more]))
        given = {**{v: v for v in (*inputs, *seeds.values())}, **taken}
        backward_bodies.append(
            Graph((*inputs, *slots, *seeds.values()), tuple(rebuilt(own, given, again)))
        )
    with standing_in_for(node):
        results = apply(type(op)(*forward_bodies), *node.inputs)
    arriving = [g for g in cotangents if g is not None]
    leaving = apply(
        type(op)(*backward_bodies), *node.inputs, *results[len(node.outputs) :], *arriving
    )
    by_input = dict(zip(moving, leaving, strict=True))
    return [None, *[by_input.get(v) for v in inputs]]


def _seats(values: Sequence[Value], slots: Sequence[Value]) -> dict[Value, Value]:
    """A slot of its type for each value."""
    free = list(slots)
    found = {}
    for v in values:
        slot = next(s for s in free if s.type == v.type)
        free.remove(slot)
        found[v] = slot
    return found
