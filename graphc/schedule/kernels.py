"""From groups to kernels: one class of kernel for each kind of group."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc.ir.graph import Graph, Value
from graphc.schedule.attention import Attention
from graphc.schedule.choose import Choose
from graphc.schedule.columns import Columns
from graphc.schedule.group import Group, Kind
from graphc.schedule.kernel import MODEL, Choices, Kernel
from graphc.schedule.loops import Loops
from graphc.schedule.product import Product
from graphc.schedule.repeat import Repeat
from graphc.schedule.single import Single
from graphc.schedule.spread import correlation
from graphc.schedule.storage import Storage
from graphc.schedule.weight_gradient import WeightGradient

_KERNELS: dict[Kind, Callable[[Group, Storage, str, Choices], Kernel]] = {
    Kind.LOOPS: Loops,
    Kind.COLUMNS: Columns,
    Kind.CONTRACT: Product,
    Kind.ATTENTION: Attention,
    Kind.CORRELATE: correlation,
    Kind.WEIGHTS: WeightGradient,
    Kind.ALONE: Single,
    Kind.REPEAT: Repeat,
    Kind.CHOOSE: Choose,
}


def make_kernels(
    graph: Graph, storage: Storage, groups: Sequence[Group], isa: str, choices: Choices = MODEL
) -> list[Kernel]:
    """A kernel for every group, with the memory that it reads and writes."""
    outputs = set(graph.outputs)
    needed = set(outputs)
    kernels = []
    for group in groups:
        kernel = _KERNELS[group.kind](group, storage, isa, choices)
        reads: dict[Value, None] = {}
        for node in group.members:
            for root in storage.roots(node):
                if root.node not in group.level:
                    reads[root] = None
        kernel.reads = list(reads)
        needed.update(reads)
        kernels.append(kernel)
    for kernel in kernels:
        made = [v for n in kernel.nodes for v in n.outputs]
        kernel.writes = made if kernel.writes_all else [v for v in made if v in needed]
    return [k for k in kernels if any(v.type.size for v in k.writes)]
