"""What the backward body of an operator reads of its forward body."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from graphc.autodiff.cut import Prices, smallest
from graphc.autodiff.effort import BYTES_PER_OPERATION, is_light, spec_of, work
from graphc.control.choices import chosen
from graphc.control.owner import is_constant
from graphc.ir.graph import Node, Value
from graphc.ir.spec import View
from graphc.ir.structure import needed
from graphc.ir.toposort import toposort


def residuals(
    outputs: Sequence[Value],
    inside: Collection[Value],
    there: Collection[Value],
    stacked: Sequence[Value] = (),
) -> tuple[set[Node], list[Value]]:
    """The forward nodes that a backward body with these outputs computes again, and the forward
    values that it is given: those of `stacked`, which are in any case, and a minimum cut. `inside`
    are inputs that only the backward body has, `there` inputs of the forward one that it has too.
    """
    backward = reached(outputs, inside)
    given = {*there, *stacked}
    nodes = needed(outputs, {})
    reading = [n for n in nodes if n in backward]
    everything = (*(v for n in reading for v in n.inputs), *outputs)
    wanted = {v: None for v in everything if v.node not in backward and v not in inside}
    forced = {v.node for v in stacked}

    def again(node: Node) -> float | None:
        if not is_light(node) or node in forced:
            return None
        return BYTES_PER_OPERATION * work(node)

    def keep(value: Value) -> float | None:
        if value in given or is_constant(value):
            return 0.0
        if value in wanted and again(value.node) is None:
            return 0.0
        is_view = value.node.inputs and isinstance(spec_of(value.node), View)
        return None if is_view else float(value.type.nbytes)

    def cut() -> tuple[list[int], list[tuple[int, int]]]:
        found = smallest(list(wanted), Prices(again, keep))
        number = {node: k for k, node in enumerate(nodes)}
        kept = sorted((number[v.node], v.index) for v in found.kept)
        return sorted(number[node] for node in found.again), kept

    repeated, places = chosen(("cut", len(nodes)), cut)
    kept = [nodes[k].outputs[j] for k, j in places]
    found = dict.fromkeys(stacked)
    found.update((v, None) for v in kept if v not in given and not is_constant(v))
    return {nodes[k] for k in repeated}, list(found)


def reached(outputs: Sequence[Value], sources: Collection[Value]) -> set[Node]:
    """The nodes, among those that the outputs need, that some sources reach."""
    moving = set(sources)
    found = set()
    for node in toposort(outputs):
        if any(v in moving for v in node.inputs):
            found.add(node)
            moving.update(node.outputs)
    return found
