"""What the generators of all kernel classes share: arguments, loops over rows, work sharing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphc.codegen.emit_c import address
from graphc.codegen.points import Axis, Names, Points
from graphc.dtypes import DType, uint8
from graphc.ir.expr import INDEX, Expr, Load, Var, call, index
from graphc.ir.graph import Value
from graphc.ir.loops import Array, For, Let, Param, Pointer, Share, Stmt, Store
from graphc.schedule.kernel import Kernel, PointKernel, grain
from graphc.schedule.product import Panels
from graphc.schedule.program import Buffer


@dataclass(slots=True)
class Argument:
    """A pointer argument of a kernel: which buffer it is, and as what."""

    param: Param
    buffer: Buffer


class Arguments:
    """The arguments of a kernel: one pointer for each distinct buffer. A buffer that is read and
    written is one argument, so arguments never alias and are all `restrict`.
    """

    def __init__(
        self,
        kernel: Kernel,
        buffers: Mapping[Value, Buffer],
        workspace: Buffer | None,
        panels: Buffer | None = None,
    ):
        self.list: list[Argument] = []
        self.names: dict[Value, str] = {}
        self.mutable: set[Value] = set()
        by_buffer: dict[Buffer, Argument] = {}
        written = {buffers[v] for v in kernel.writes}
        counts = {"x": 0, "y": 0}
        for value in (*kernel.reads, *kernel.writes):
            buffer = buffers[value]
            argument = by_buffer.get(buffer)
            if argument is None:
                prefix = "y" if buffer in written else "x"
                name = f"{prefix}{counts[prefix]}"
                counts[prefix] += 1
                param = Param(name, value.dtype, readonly=buffer not in written)
                argument = by_buffer[buffer] = Argument(param, buffer)
                self.list.append(argument)
            self.names[value] = argument.param.name
            if buffer in written and value in kernel.reads:
                self.mutable.add(value)
        self.list.sort(key=lambda a: (a.param.name[0], int(a.param.name[1:])))
        if panels is not None:
            dtype = kernel.nodes[0].types[0].dtype
            readonly = not isinstance(kernel, Panels)
            self.list.append(Argument(Param("panels", dtype, readonly=readonly), panels))
        if workspace is not None:
            self.list.append(Argument(Param("work", uint8, readonly=False), workspace))

    def keep(self, words: set[str]) -> None:
        """Leaves out arguments whose names are not among the words of the kernel's text."""
        self.list = [a for a in self.list if a.param.name in words]
        self.names = {v: name for v, name in self.names.items() if name in words}


def workspace_pointer(name: str, dtype: DType, offset: int, per_thread: int = 0) -> Pointer:
    """A typed pointer into the workspace; `per_thread` bytes belong to each thread behind it."""
    at: Expr = index(offset)
    if per_thread:
        at = at + Var(INDEX, "t.id") * per_thread
    start = address("work", at)
    return Pointer(
        name, dtype, f"({dtype.c} *)({start})" if " " in start else f"({dtype.c} *)work", index(0)
    )


def shared_loop(
    points: Points,
    body: list[Stmt],
    axes: Sequence[tuple[int, int]],
    cost_per_unit: int,
    names: Names,
    counter: str = "i",
) -> list[Stmt]:
    """A loop whose range is shared between threads, over the product of some axes; gives the body
    of the innermost. The counters of the axes are computed from the one number.
    """
    dims = points.dims
    extents = []
    for first, last in axes:
        extent = 1
        for d in range(first, last):
            extent *= dims[d]
        extents.append(extent)
    total = 1
    for extent in extents:
        total *= extent
    share = names.fresh("part")
    inner: list[Stmt] = []
    number = Var(INDEX, names.fresh(counter if len(axes) == 1 else "n"))
    body.append(shared_part(points.kernel, share, total, cost_per_unit))
    body.append(For(number, Var(INDEX, f"{share}.begin"), Var(INDEX, f"{share}.end"), inner))
    points.enter(inner, [number])
    if len(axes) == 1:
        points.axes.append(Axis(*axes[0], number))
        return inner
    rest = total
    for k, ((first, last), extent) in enumerate(zip(axes, extents, strict=True)):
        rest //= max(1, extent)
        at: Expr = number // rest if rest > 1 else number
        if k:
            at = at % extent
        var = Var(INDEX, names.fresh(counter))
        points.level_of[var.name] = points.depth
        inner.append(Let(var, at))
        points.axes.append(Axis(first, last, var))
    return inner


def shared_part(kernel: Kernel, name: str, total: int, cost_per_unit: int) -> Share:
    """The thread's part of some units of work, as many for each of the rows that it shares."""
    if kernel.share is not None:
        return Share(name, index(total), kernel.share.grain * (total // kernel.share.rows))
    units = grain(cost_per_unit)
    if isinstance(kernel, PointKernel) and total:
        units = kernel.in_whole_bytes(units, kernel.group.size // total)
    return Share(name, index(total), units)


def plain_loop(
    points: Points, body: list[Stmt], first: int, last: int, names: Names, counter: str
) -> list[Stmt]:
    """A loop over axes taken as one; gives its body, without a scope of its own."""
    extent = 1
    for d in range(first, last):
        extent *= points.dims[d]
    var = Var(INDEX, names.fresh(counter))
    inner: list[Stmt] = []
    body.append(For(var, index(0), index(extent), inner))
    points.axes.append(Axis(first, last, var))
    return inner


def store(points: Points, value: Value, expr: Expr) -> Store:
    """Stores a member's result at the current point."""
    kernel = points.kernel
    assert isinstance(kernel, PointKernel)
    strided = kernel.storage.places[value].strided
    strides = kernel.strides(value.node, strided)
    bits = kernel.storage.packed.get(value)
    if bits is None:
        return Store(points.arrays[value], points.offset(strides, strided.offset), expr)
    rows, columns = bits.parts(strides)
    row = points.bind(points.offset(rows), "row")
    at = bits.byte(row, points.offset(columns))
    held = Load(uint8, points.arrays[value], at)
    return Store(points.arrays[value], at, call("gx_with_bit", uint8, held, row, expr))


def local_or_work(
    name: str,
    dtype: DType,
    length: int,
    local: bool,
    body: list[Stmt],
    offset: int,
    per_thread: int,
) -> None:
    """Declares a row buffer: a local array, or the thread's part of the workspace."""
    if local:
        body.append(Array(name, dtype, length))
    else:
        body.append(workspace_pointer(name, dtype, offset, per_thread))
