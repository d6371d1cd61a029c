"""Which axes of a kernel one loop counts."""

from __future__ import annotations

from collections.abc import Iterator

from graphc.ir.graph import Node
from graphc.ir.spec import Reduce, Scalar
from graphc.schedule.kernel import Kernel, PointKernel


def merged_axes(
    kernel: PointKernel, first: int, last: int, positional: bool
) -> list[tuple[int, int]]:
    """Runs of refined axes that one loop can count: all accesses lie evenly over a run. Where a
    member's value depends on its position every axis has its own counter.
    """
    dims = kernel.dims
    accesses = list(_all_strides(kernel))
    runs: list[tuple[int, int]] = []
    for d in range(first, last):
        if runs and not positional:
            before = runs[-1][1] - 1
            if all(s[before] == s[d] * dims[d] or dims[before] == 1 for s in accesses):
                runs[-1] = (runs[-1][0], d + 1)
                continue
        runs.append((d, d + 1))
    useful = [r for r in runs if any(dims[d] != 1 for d in range(*r))]
    return useful or ([(first, last)] if last > first else [])


def _all_strides(kernel: PointKernel) -> Iterator[tuple[int, ...]]:
    """The steps of all accesses; one to bits steps over rows and over columns."""
    written = [(v, kernel.strides(v.node, kernel.storage.places[v].strided)) for v in kernel.writes]
    read = [(root, strides) for n in kernel.nodes for root, strides, _ in kernel.accesses(n)]
    for root, strides in read + written:
        every = (*strides, *[0] * (len(kernel.dims) - len(strides)))
        bits = kernel.storage.packed.get(root)
        yield from (every,) if bits is None else bits.parts(every)


def is_positional(kernel: PointKernel) -> bool:
    """Whether some member needs to know where it is."""
    storage = kernel.storage
    for node in kernel.nodes:
        for value in node.inputs:
            if value not in storage.places and not storage.is_uniform(value):
                return True
        if not kernel_scalar(kernel, node):
            return True
    return False


def kernel_scalar(kernel: Kernel, node: Node) -> bool:
    return isinstance(kernel.spec(node), (Scalar, Reduce))
