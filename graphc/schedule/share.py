"""Rows that threads share alike.

A step of a loop is mostly too short for threads to wait for one another between its kernels. Where
all of them can be cut along the same rows (the examples of a batch), every thread computes its own
rows in each of them; and where a kernel needs of the others' results those of the same rows alone,
nobody waits, from the first step to the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.dtypes import DType
from graphc.ir.expr import INDEX, Expr, Var
from graphc.ir.graph import Node, Value
from graphc.ir.spec import Contract, Index, Pointwise, Reduce, Spec, Strided, row_major
from graphc.schedule.kernel import Kernel, PointKernel, reduction_axes


@dataclass(frozen=True, slots=True)
class RowShare:
    """`rows`, of which every thread takes contiguous ones, in whole grains."""

    rows: int
    grain: int

    @property
    def grains(self) -> int:
        return -(-self.rows // self.grain)

    def workers(self, threads: int) -> int:
        return min(threads, self.grains)


#: Simple operations that are worth another thread where nobody waits.
_WORTH = 1 << 13
#: Rows of a share at least: products would read their right operand for too few of them.
_FEWEST = 4


def share_rows(kernels: Sequence[Kernel], threads: int) -> None:
    """Lets kernels share rows alike: the number of rows for which most of the work is shared, if
    they are enough for all threads.
    """
    work: dict[int, int] = {}
    for rows in dict.fromkeys(k.row_count for k in kernels):
        work[rows] = sum(k.effort for k in kernels if _takes(k, rows))
    rows = max(work, key=lambda r: work[r], default=0)
    if rows < 1 or not work[rows]:
        return
    share = RowShare(rows, _grain(rows, work[rows], threads))
    if share.workers(threads) == threads or work[rows] < 2 * _WORTH:
        for kernel in kernels:
            if _takes(kernel, rows):
                kernel.share = share


def _takes(kernel: Kernel, rows: int) -> bool:
    """Bytes that hold bits of several rows are not divided."""
    touched = (*kernel.reads, *kernel.writes)
    return kernel.takes_rows(rows) and not any(v in kernel.storage.packed for v in touched)


def _grain(rows: int, work: int, threads: int) -> int:
    """Rows that are shared as one: a divisor of their number, for all threads or for one."""
    workers = max(1, min(threads, work // _WORTH))
    if workers == 1:
        return rows
    fitting = [g for g in range(_FEWEST, rows + 1) if rows % g == 0 and rows // g >= workers]
    return max(fitting, default=rows)


def row_axes(kernel: PointKernel, rows: int) -> int | None:
    """How many of a kernel's axes make up so many rows, none of which is folded with another."""
    if kernel.group.row is None:
        return leading(kernel.dims, rows)
    return kernel.row_axis if rows == kernel.group.rows else None


def strays(kernel: Kernel) -> set[Value]:
    """What a kernel touches, for some row of its share, outside of the like part of its memory."""
    if kernel.share is None or not isinstance(kernel, PointKernel):
        return {*kernel.reads, *kernel.writes}
    rows, places = kernel.share.rows, kernel.storage.places
    found = {v for v in kernel.writes if not stays_in_row(places[v].strided, rows, v.type.size)}
    for node in kernel.nodes:
        for k, value in enumerate(node.inputs):
            place = kernel.place(value)
            if place is None or place.root.node in kernel.group.level:
                continue
            lies = _rows_first(kernel.spec(node), node, k, place.strided, rows)
            if lies is None or not stays_in_row(lies, rows, place.root.type.size):
                found.add(place.root)
    return found


def _rows_first(
    spec: Spec, node: Node, operand: int, strided: Strided, rows: int
) -> Strided | None:
    """How a node reads an operand that lies so, its leading axes being those of the result; None
    where it reads it elsewhere.
    """
    if isinstance(spec, Contract):
        return strided if operand == 0 else None
    if isinstance(spec, Reduce):
        return reduction_axes(spec, strided)
    if isinstance(spec, Pointwise):
        axes = leading(node.types[0].shape, rows)
        dtypes = [v.dtype for v in node.inputs]
        own = axes is not None and reads_own_rows(spec, node.types[0].shape, dtypes, axes)
        return strided if own else None
    return strided


def leading(shape: Sequence[int], extent: int) -> int | None:
    """How many of the leading axes make up an extent; None if none do."""
    covered = 1
    for axis, size in enumerate(shape):
        if covered == extent:
            return axis
        covered *= size
    return len(shape) if covered == extent else None


def stays_in_row(strided: Strided, rows: int, size: int) -> bool:
    """Whether row r of an array that lies so in a buffer of `size` elements lies in part number r
    of as many equal parts of the buffer.
    """
    axes = leading(strided.shape, rows)
    if axes is None or size % rows or strided.offset < 0 or min(strided.strides, default=0) < 0:
        return False
    step = size // rows
    row = [step * stride for stride in row_major(strided.shape[:axes])]
    moving = zip(strided.shape, strided.strides, row, strict=False)
    behind = zip(strided.shape[axes:], strided.strides[axes:], strict=True)
    last = strided.offset + sum((extent - 1) * stride for extent, stride in behind)
    return all(n == 1 or have == want for n, have, want in moving) and last < step


def reads_own_rows(
    spec: Pointwise, shape: Sequence[int], dtypes: Sequence[DType], axes: int
) -> bool:
    """Whether an element is computed from elements with the same first coordinates."""
    here: Index = tuple(Var(INDEX, f"i{a}") for a in range(len(shape)))
    own = True

    def read(k: int, at: Index) -> Expr:
        nonlocal own
        own = own and tuple(at[:axes]) == here[:axes]
        return Var(dtypes[k], f"x{k}")

    spec.body(here, read)
    return own
