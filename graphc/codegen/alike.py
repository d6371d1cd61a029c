"""Kernels of which the C is the same text, told from what the text follows from.

A deep network has the same kernels in every layer. What a kernel's text follows from is its class,
the shape of its group, the declarations of the nodes behind its results up to the memory that it
reads, where their values lie, and which arguments stand for which memory; names, lines and what
computes the arrays that it reads have no part in it. To compare that is much faster than to write.
"""

from __future__ import annotations

from collections.abc import Hashable

from graphc.codegen.kernel import Arguments
from graphc.ir.graph import Node, Value
from graphc.schedule.kernel import Kernel
from graphc.schedule.storage import Role


def likeness(kernel: Kernel, arguments: Arguments, threads: int) -> Hashable:
    """Equal for kernels without programs of their own that have the same text for so many threads.
    Nodes are numbered as they are found from the members on.
    """
    storage, group = kernel.storage, kernel.group
    number: dict[Node, int] = {}
    found: list[Node] = []

    def at(value: Value) -> tuple[int, int]:
        node = value.node
        if node not in number:
            number[node] = len(found)
            found.append(node)
        return number[node], value.index

    for node in kernel.nodes:
        at(node.outputs[0])
    rows: list[Hashable] = []
    for node in found:
        role = storage.role[node]
        if role is Role.GIVEN or (role is Role.COMPUTED and node not in group.level):
            rows.append((role, node.types))
        else:
            inputs = tuple([at(v) for v in node.inputs])
            rows.append((role, type(node.op), node.op, node.types, inputs, group.level.get(node)))
        for value in node.outputs:
            place = storage.places.get(value)
            if place is not None:
                held = (storage.packed.get(value), value in storage.steady)
                rows.append((at(place.root), place.strided, held))
    named = [(at(v), name, v in arguments.mutable) for v, name in arguments.names.items()]
    params = [(a.param.name, a.param.dtype, a.param.readonly) for a in arguments.list]
    chosen = kernel.choices.get(kernel.identity, 0) if kernel.choices else 0
    return (
        (type(kernel), kernel.isa, threads, kernel.share, chosen),
        (group.kind, group.shape, group.cuts, group.row, group.rows, group.whole, group.columns),
        tuple(rows),
        tuple([number[node] for node in kernel.computed]),
        tuple([at(value) for value in kernel.reads]),
        tuple([at(value) for value in kernel.writes]),
        tuple(named),
        tuple(params),
    )
