"""What both directions of attention are written with: loops over tiles, operands that are packed or
read where they lie, and products in register tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphc.codegen.emit_c import address
from graphc.codegen.kernel import Arguments, workspace_pointer
from graphc.codegen.points import Names
from graphc.dtypes import DType
from graphc.ir.expr import INDEX, Const, Expr, Var, call, compare, index, select, smaller
from graphc.ir.graph import Value
from graphc.ir.loops import Do, For, If, Let, Share, Stmt
from graphc.schedule.attention import TILE, Attention
from graphc.schedule.tiles import round_up

#: The mode of a tile function that overwrites.
SET = Var(INDEX, "GX_SET")


@dataclass(frozen=True)
class Rows:
    """A matrix from `at` on in an array, its rows `stride` elements apart."""

    array: str
    at: Expr
    stride: int

    def address(self, row: Expr, column: Expr) -> str:
        return address(self.array, self.at + row * self.stride + column)


def adds_after(before: Expr) -> Expr:
    """The mode of a tile function that overwrites what nothing was added to before."""
    if isinstance(before, Const):
        return SET
    return select(compare("==", before, index(0)), SET, Var(INDEX, "GX_ACCUMULATE"))


def tile_functions(kernel: Attention) -> list[tuple[str, str]]:
    """The names of the register tiles' functions, and the lines that define them."""
    *_, width, value_width = kernel.sizes
    shapes = [kernel.tile, kernel.narrow, *map(kernel.across, (width, value_width))]
    define = f"GX_TILE_{kernel.dtype.suffix.upper()}"
    found = {}
    for shape in shapes:
        if shape is not None:
            name = _tile_name(kernel.dtype, shape)
            found[name] = f"{define}({name}, {shape[0]}, {shape[1]})"
    return list(found.items())


def _tile_name(dtype: DType, shape: tuple[int, int]) -> str:
    return f"gx_tile_{dtype.suffix}_{shape[0]}x{shape[1]}"


class ScoreTiles:
    """The body of a kernel, while it is written."""

    def __init__(self, kernel: Attention, arguments: Arguments):
        self.kernel = kernel
        self.arrays = arguments.names
        self.names = Names()
        self.dtype = kernel.dtype
        self.suffix = self.dtype.suffix
        (self.batch, self.heads, self.kv_heads, self.time, self.keys, self.width, self.values) = (
            kernel.sizes
        )
        self.group = self.heads // self.kv_heads
        self.causal = kernel.attend.causal
        self.ahead: tuple[Expr, ...] = ()
        self.body: list[Stmt] = []
        per_thread = kernel.workspace.per_thread
        for name, (offset, _) in kernel.parts.items():
            self.body.append(workspace_pointer(name, self.dtype, offset, per_thread))

    # Loops and names.

    def loop(
        self, body: list[Stmt], prefix: str, begin: Expr, end: Expr, step: int = 1
    ) -> tuple[Var, list[Stmt]]:
        var, inner = Var(INDEX, self.names.fresh(prefix)), []  # type: tuple[Var, list[Stmt]]
        body.append(For(var, begin, end, inner, step))
        return var, inner

    def tiles(
        self, body: list[Stmt], prefix: str, begin: Expr, end: Expr
    ) -> tuple[Expr, list[Stmt]]:
        """The loop over tiles of queries or keys; a single one needs none."""
        if isinstance(begin, Const) and isinstance(end, Const) and end.value - begin.value <= TILE:
            return begin, body
        return self.loop(body, prefix, begin, end, TILE)

    def let(self, body: list[Stmt], prefix: str, value: Expr) -> Expr:
        """A named value; constants and names stay as they are."""
        if isinstance(value, (Const, Var)):
            return value
        var = Var(value.dtype, self.names.fresh(prefix))
        body.append(Let(var, value))
        return var

    def units(self) -> tuple[Var, Var, list[Stmt]]:
        """The loop over the thread's units: their number, the thread's first, the body. Where a
        unit is a single tile of scores it reads its operands but once, from far away: while it
        runs the head that is `ahead` is asked for.
        """
        share = self.names.fresh("part")
        self.body.append(Share(share, index(self.kernel.units), self.kernel.grain))
        first, end = Var(INDEX, f"{share}.begin"), Var(INDEX, f"{share}.end")
        unit, body = self.loop(self.body, "unit", first, end)
        if self.group == 1 and max(self.time, self.keys) <= TILE:
            following = self.let(body, "next", smaller(unit + 1, end - 1))
            self.ahead = following // self.heads, following % self.heads
        return unit, first, body

    # What of a tile counts.

    def count(self, body: list[Stmt], whole: int, at: Expr) -> Expr:
        """How many of a tile's rows exist."""
        if whole % TILE == 0:
            return index(TILE)
        return self.let(body, "count", smaller(index(whole) - at, index(TILE)))

    def computed(self, body: list[Stmt], queries: Expr) -> Expr:
        """Whole groups of so many queries."""
        size = self.kernel.together
        if isinstance(queries, Const):
            return index(round_up(queries.value, size))
        return self.let(body, "columns", (queries + (size - 1)) // size * size)

    def edge(self, row: Expr, column: Expr) -> Expr:
        """How many keys of a tile its first query sees, itself not counted."""
        return row - column if self.causal else index(TILE)

    def seen(self, count: Expr, edge: Expr, rows: int) -> Callable[[Expr], Expr]:
        """The keys of a tile that so many queries from r on see."""
        if not self.causal:
            return lambda r: count
        whole = isinstance(count, Const) and count.value == self.time and self.time % rows == 0
        if isinstance(edge, Const) and whole:
            return lambda r: r + rows
        return lambda r: smaller(count, edge + r + rows)

    def unseeing(self, r: Expr, edge: Expr) -> Expr:
        """The queries of a tile that do not see its key r."""
        if not self.causal:
            return index(0)
        return r if isinstance(edge, Const) else call("gx_larger", INDEX, r - edge, index(0))

    # Memory.

    def array(self, value: Value) -> str:
        return self.arrays[self.kernel.storage.places[value].root]

    def offset(self, value: Value, *at: Expr) -> Expr:
        place = self.kernel.storage.places[value].strided
        offset: Expr = index(place.offset)
        for k, stride in zip(at, place.strides, strict=True):
            offset = offset + k * stride
        return offset

    def strides(self, value: Value) -> tuple[int, int]:
        return self.kernel.storage.places[value].strided.strides[-2:]  # type: ignore[return-value]

    def in_place(self, value: Value, head: Sequence[Expr]) -> Rows:
        """A head's matrix where it lies."""
        down, _ = self.strides(value)
        return Rows(self.array(value), self.offset(value, *head, index(0), index(0)), down)

    def rows(self, body: list[Stmt], value: Value, head: Sequence[Expr], name: str) -> Rows:
        """The rows of a head's matrix: where they lie, or copied, filled up with zeros."""
        if name not in self.kernel.packed:
            return self.in_place(value, head)
        down, across = self.strides(value)
        wide = self.kernel.padded(value.shape[3])
        extents = index(value.shape[3]), index(value.shape[2])
        source = address(self.array(value), self.offset(value, *head, index(0), index(0)))
        strides = index(across), index(down)
        body.append(Do(f"gx_pack_{self.suffix}", (*extents, source, *strides, index(wide), name)))
        return Rows(name, index(0), wide)

    def turn(
        self, body: list[Stmt], value: Value, head: Sequence[Expr], row: Expr, rows: Expr, to: str
    ) -> None:
        """Rows of a head's matrix as columns."""
        down, across = self.strides(value)
        source = address(self.array(value), self.offset(value, *head, row, index(0)))
        extents = (rows, index(value.shape[3]), source, index(down), index(across))
        body.append(Do(f"gx_pack_{self.suffix}", (*extents, index(self.kernel.panel), to)))

    # Products.

    def product(
        self, body: list[Stmt], rows: Expr, width: int, depth: Callable[[Expr], Expr],
        left: Callable[[Expr], tuple[str, int, int]], right: Callable[[Expr, Expr], str],
        right_stride: int, into: Rows, first: Expr, mode: Expr, wanted: Sequence[Value] = (),
    ) -> None:  # fmt: skip
        """Register tiles of a product that is `width` wide, padded. `left` gives, for the first row
        of a tile, address and strides, `right` the address for that and the first column; rows of
        `into` from `first` on take the result. `wanted` are asked for, of the head that is ahead.
        """
        tile = self.kernel.across(width)
        r, inner = self.loop(body, "r", index(0), rows, tile[0])
        for value in wanted if self.ahead else ():
            source = address(self.array(value), self.offset(value, *self.ahead, r, index(0)))
            size = self.dtype.itemsize
            extents = index(tile[0]), index(value.shape[3] * size)
            inner.append(
                Do("gx_attend_ask", (*extents, source, index(self.strides(value)[0] * size)))
            )
        terms = depth(r)
        c, innermost = self.loop(inner, "c", index(0), index(self.kernel.padded(width)), tile[1])
        a, a_row, a_step = left(r)
        innermost.append(self._tile(
            tile, terms, (a, a_row, a_step), right(r, c), right_stride,
            into.address(first + r, c), into.stride, mode,
        ))  # fmt: skip

    def _tile(
        self, shape: tuple[int, int], terms: Expr, left: tuple[str, int, int], right: str,
        right_stride: int, into: str, into_stride: int, mode: Expr,
    ) -> Do:  # fmt: skip
        a, a_row, a_step = left
        return Do(f"{_tile_name(self.dtype, shape)}_into", (
            terms, a, index(a_row), index(a_step), right, index(right_stride), into,
            index(into_stride), mode,
        ))  # fmt: skip

    def turned_product(
        self, body: list[Stmt], count: Expr, columns: Expr, width: int, left: Rows, column: Expr,
        right: str, right_at: Expr, into: str, edge: Expr,
    ) -> None:  # fmt: skip
        """A tile of numbers, a row for each key from `column` on, of rows times turned rows, as far
        as groups of queries see keys. Where a wide register tile leaves a group over, a narrow one
        takes the first.
        """
        kernel = self.kernel
        rows, wide = kernel.tile

        def tile(shape: tuple[int, int], key: Expr, c: Expr) -> Do:
            a = left.address(column + key, index(0)), left.stride, 1
            b = address(right, right_at + c)
            to = address(into, key * TILE + c)
            return self._tile(shape, index(width), a, b, kernel.panel, to, TILE, SET)

        r, inner = self.loop(body, "r", index(0), count, kernel.together)
        first = self.let(inner, "first", self.unseeing(r, edge))
        if kernel.narrow is not None:
            over = (columns - first) % wide
            alone: list[Stmt] = [tile(kernel.narrow, r, first)]
            if isinstance(over, Const):
                inner += alone if over.value else []
            else:
                inner.append(If(compare("!=", over, index(0)), alone))
            first = self.let(inner, "next", first + over)
        key, each = self.loop(inner, "k", r, r + kernel.together, rows)
        c, innermost = self.loop(each, "c", first, columns, wide)
        innermost.append(tile(kernel.tile, key, c))
