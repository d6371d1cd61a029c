"""Loops that do less: without what nobody uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphc import ops
from graphc.control.owner import is_constant, split
from graphc.ir.graph import Graph, Value, apply
from graphc.ir.spec import View
from graphc.ir.structure import rebuilt
from graphc.ir.toposort import toposort

if TYPE_CHECKING:
    from graphc.control.scan import Scan


def narrowed(
    op: Scan, inputs: Sequence[Value], used: Sequence[bool]
) -> Sequence[Value | None] | None:
    """The results of a loop without results that nothing uses, carries that reach no used result or
    never change, results and operands that stand twice, and operands that nothing reads or that are
    constants: those move into the body; a loop of no step gives the first values. None where there
    is none of them.
    """
    count, consts, carries, arrays = op.operands(inputs)
    if op.length == 0:
        slices = op.body.outputs[op.carries :]
        return [*carries, *[ops.full((0, *v.shape), 0, v.dtype) for v in slices]]
    c_in, k_in, s_in = op.body_inputs
    k_out, s_out = split(op.body.outputs, op.carries)
    still = [new is old for new, old in zip(k_out, k_in, strict=True)]
    wanted = list(dict.fromkeys(v for v, u in zip(s_out, used[op.carries :], strict=True) if u))
    live = [u and not s for u, s in zip(used, still, strict=False)]
    while True:
        alive_out = [v for v, alive in zip(k_out, live, strict=True) if alive]
        read = set(toposort([*wanted, *alive_out, *op.deciding]))
        again = [
            alive or (v.node in read and not s)
            for alive, v, s in zip(live, k_in, still, strict=True)
        ]
        if again == live:
            break
        live = again

    given: dict[Value, Value] = {}
    fixed = [(v, x) for v, x, s in zip(k_in, carries, still, strict=True) if s]
    inside, outside = [], []
    for pairs, whole in (
        ([*zip(c_in, consts, strict=True), *fixed], True),
        ([(v, x) for v, x, alive in zip(k_in, carries, live, strict=True) if alive], None),
        (zip(s_in, arrays, strict=True), False),
    ):
        first: dict[Value, Value] = {}
        for v, operand in pairs:
            if whole is not None and v.node not in read:
                continue
            constant = None if whole is None else _constant(operand, v, whole)
            if constant is not None:
                given[v] = constant
            elif whole is not None and operand in first:
                given[v] = first[operand]
            else:
                first[operand] = v
                inside.append(v)
                outside.append(operand)
    if len(inside) == len(op.body.inputs) and len(wanted) == len(s_out) and not any(still):
        return None

    outputs = [*[v for v, alive in zip(k_out, live, strict=True) if alive], *wanted]
    body = Graph(tuple(inside), tuple(rebuilt(outputs, given) if given else outputs))
    kept = sum(live)
    arrays_kept = sum(v in s_in for v in inside)
    smaller = op.resized(body, len(inside) - kept - arrays_kept, kept, given)
    found = iter(apply(smaller, *count, *outside))
    results: list[Value | None] = []
    for k, alive in enumerate(live):
        last = next(found) if alive else None
        results.append(carries[k] if still[k] else last)
    arrays_by_slice = dict(zip(wanted, found, strict=True))
    results.extend(arrays_by_slice.get(v) for v in s_out)
    return results


def _constant(operand: Value, slice: Value, whole: bool) -> Value | None:
    """What stands for an operand inside a body, if that is a constant: the same, or, of an array
    of equal numbers, a slice.
    """
    if whole:
        return rebuilt([operand], {})[0] if is_constant(operand) else None
    node = operand.node
    while node.inputs and isinstance(node.op.spec(*[v.type for v in node.inputs]), View):
        node = node.inputs[0].node
    literal = node.op.literal
    if literal is None or literal.size != 1:
        return None
    return ops.full(slice.shape, literal.reshape(()), slice.dtype)
