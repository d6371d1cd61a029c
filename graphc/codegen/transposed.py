"""Loops in tiles, for arrays that are read across the order in which results are written.

Where an array is transposed, neighbours in the result lie far apart in it: a row of the result
touches as many cache lines as it has elements, and they are gone before the next row needs them.
Small square tiles use what they fetch; larger ones need more lines of one set than a cache has ways
where rows are a power of two apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from graphc.codegen.kernel import shared_part
from graphc.codegen.points import Axis, Points
from graphc.ir.expr import INDEX, Expr, Var, index, smaller
from graphc.ir.loops import For, Stmt
from graphc.schedule.kernel import PointKernel, one_stride

#: Elements along each side of a tile.
_EDGE = 8
#: Bytes of an array that stay in the nearest cache while a row of the result is written.
_NEAR = 1 << 15

Run = tuple[int, int]


def crossed(kernel: PointKernel, runs: Sequence[Run]) -> Run | None:
    """The run of axes along which the elements of an array lie side by side that is read across
    them, in an outer loop too far away for its cache lines to stay; None where there is none.
    """
    if kernel.storage.packed.keys() & set(kernel.writes):
        return None
    extents = [math.prod(kernel.dims[slice(*run)]) for run in runs]
    for node in kernel.nodes:
        for root, strides, _ in kernel.accesses(node):
            steps = [one_stride(strides[slice(*run)], kernel.dims[slice(*run)]) for run in runs]
            if abs(steps[-1] or 0) < _EDGE or 1 not in steps:
                continue
            side = steps.index(1)
            touched = math.prod(extents[side:]) * root.dtype.itemsize
            if touched > _NEAR and min(extents[side], extents[-1]) >= _EDGE:
                return runs[side]
    return None


def in_tiles(points: Points, body: list[Stmt], runs: Sequence[Run], across: Run, cost: int) -> None:
    """Opens loops over all runs: threads share tiles along `across`, each as long as the last."""
    dims, names = points.dims, points.names

    def extent(run: Run) -> int:
        return math.prod(dims[slice(*run)])

    last, lead = runs[-1], [run for run in runs[:-1] if run != across]
    tiles = -(-extent(across) // _EDGE)
    share = names.fresh("part")
    total = tiles * math.prod(map(extent, lead))
    body.append(shared_part(points.kernel, share, total, cost * _EDGE * extent(last)))
    unit = Var(INDEX, names.fresh("tile"))
    inner: list[Stmt] = []
    body.append(For(unit, Var(INDEX, f"{share}.begin"), Var(INDEX, f"{share}.end"), inner))
    points.enter(inner, [unit])
    rest: Expr = unit
    for run, count in ((across, tiles), *((run, extent(run)) for run in reversed(lead))):
        outermost = run == (lead[0] if lead else across)
        at = points.let("i", rest if outermost else rest % count)
        if run == across:
            first = points.let("begin", at * _EDGE)
        else:
            points.axes.append(Axis(*run, at))
        rest = rest // count
    column = points.loop("column", index(0), index(extent(last)), _EDGE)
    for run, begin in ((across, first), (last, column)):
        end = begin + _EDGE
        if extent(run) % _EDGE:
            end = points.let("end", smaller(end, index(extent(run))))
        points.axes.append(Axis(*run, points.loop("i", begin, end)))


def leave_tiles(points: Points) -> None:
    """Closes what `in_tiles` opened."""
    for _ in range(4):
        points.leave()
