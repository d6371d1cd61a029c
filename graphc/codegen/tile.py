"""The register tiles of a `Product` kernel's unit: their terms, and what becomes of their sums."""

from __future__ import annotations

from graphc.codegen.emit_c import address
from graphc.codegen.kernel import Arguments, store
from graphc.codegen.points import Axis, Names, Points
from graphc.ir.expr import INDEX, Const, Expr, Load, Var, compare, index, select, smaller
from graphc.ir.graph import Value
from graphc.ir.loops import Assign, Declare, Do, For, If, Let, Pointer, Stmt, Store
from graphc.schedule.product import Product
from graphc.schedule.tiles import CHAIN

_NONE = index(0)


def tile_function(kernel: Product) -> tuple[str, str]:
    """The name of the register tile's function, and the line that defines it."""
    tiling = kernel.tiling
    suffix = kernel.product.types[0].dtype.suffix
    name = f"gx_tile_{suffix}_{tiling.rows}x{tiling.columns}"
    return name, f"GX_TILE_{suffix.upper()}({name}, {tiling.rows}, {tiling.columns})"


class Tiles:
    """Writes the tiles of the unit that is `unit` of the batch, the panel at `column` and the rows
    from `row` to `row_end`. A left operand that is not packed is read where it lies; then the last
    tile of rows overlaps the one before, and so does the last panel where it is not packed: what a
    tile computes twice has the same bits, and is stored once.
    """

    unit: Expr
    #: The group of panels and the panel; its columns that are new, and where it begins.
    group: Expr
    column: Expr
    columns: Expr
    first_column: Expr
    row: Expr
    row_end: Expr

    def __init__(self, kernel: Product, arguments: Arguments):
        self.kernel = kernel
        self.names = Names()
        self.points = Points(kernel, arguments.names, arguments.mutable, self.names)
        self.tiling = kernel.tiling
        self.batch, self.m, self.n, self.k = kernel.shape
        self.dtype = kernel.product.types[0].dtype
        self.left, self.right = kernel.operands

    def _let(self, body: list[Stmt], prefix: str, value: Expr) -> Expr:
        """A named value; constants and names stay as they are."""
        if isinstance(value, (Const, Var)):
            return value
        var = Var(INDEX, self.names.fresh(prefix))
        self.points.level_of[var.name] = self.points.depth
        body.append(Let(var, value))
        return var

    def _extent(self, body: list[Stmt], name: str, at: Expr, whole: int, size: int) -> Expr:
        """How much of a tile lies inside an axis."""
        if whole % size == 0:
            return index(size)
        if isinstance(at, Const):
            return index(min(size, whole - at.value))
        return self._let(body, name, smaller(index(whole) - at, index(size)))

    def _operand(self, value: Value) -> tuple[str, int, int, Expr]:
        """(array, strides of the last two axes, offset of the current product of the batch)."""
        place = self.kernel.storage.places[value]
        *lead, row, column = place.strided.strides
        offset: Expr = index(place.strided.offset)
        rest = 1
        for extent, stride in zip(reversed(value.shape[:-2]), reversed(lead), strict=True):
            if stride and extent > 1:
                at = self.unit // rest
                offset = offset + (at if rest * extent == self.batch else at % extent) * stride
            rest *= extent
        steps = (column, row) if self.kernel.is_turned else (row, column)
        return self.points.arrays[place.root], *steps, offset

    def _tiles(self, body: list[Stmt], k0: Expr, size: Expr) -> None:
        """The tiles of a unit; with blocks of terms the epilogue comes after the last of them."""
        t, points = self.tiling, self.points
        row = Var(INDEX, self.names.fresh("r"))
        inner: list[Stmt] = []
        body.append(For(row, self.row, self.row_end, inner, t.rows))
        points.enter(inner, [row])
        start: Expr = row
        if self.m % t.rows and not t.packs_left:
            start = self._let(inner, "top", smaller(row, index(self.m - t.rows)))
        if not self.kernel.in_depth_blocks:
            inner += self._terms(row, start, k0, size, Var(INDEX, "GX_SET"))
            self._epilogue(inner, row, start)
            points.leave()
            return
        panel = (self.column - self.group) * t.block if t.group > 1 else index(0)
        at = panel + (row - self.row) * t.columns
        inner.append(Pointer("tile", self.dtype, "sums", at))
        # Whole chains are added; parts of a chain go on where they ended.
        again = Var(INDEX, "GX_ACCUMULATE" if t.depth % CHAIN == 0 else "GX_RESUME")
        goes_on = k0 % CHAIN if self.kernel.totals_bytes else k0
        mode = select(goes_on > 0, again, Var(INDEX, "GX_SET"))
        last = compare(">=", k0 + size, index(self.k))
        terms, whole = self._terms(row, start, k0, size, mode), self._tile(start, k0, size, mode)
        inner += [If(last, terms, [whole])] if self.kernel.asks else terms
        if self.kernel.totals_bytes:
            self._total(inner, at, k0, size)
        finished: list[Stmt] = []
        inner.append(If(last, finished))
        points.enter(finished)
        self._epilogue(finished, row, start)
        points.leave()
        points.leave()

    def _terms(self, row: Expr, start: Expr, k0: Expr, size: Expr, mode: Expr) -> list[Stmt]:
        """The terms of a tile from k0 on, in parts: before each the tile asks for some of the rows
        that its epilogue reads, and of the next panel.
        """
        kernel, names, high = self.kernel, self.names, self.tiling.rows
        if kernel.asks < 2:
            body: list[Stmt] = []
            if kernel.asks:
                self._ask(body, start, index(high))
                self._ask_panel(body, row, _NONE)
            return [*body, self._tile(start, k0, size, mode)]
        going, q = Var(INDEX, names.fresh("mode")), Var(INDEX, names.fresh("q"))
        loop = For(q, index(0), index(kernel.asks), body := [])
        self.points.enter(body, [q])
        rows, done = -(-high // kernel.asks), -(-kernel.last_terms // kernel.asks)
        self._ask(body, start + q * rows, _part(q, rows, high))
        self._ask_panel(body, row, q)
        terms = _part(q, done, kernel.last_terms)
        body.append(self._tile(start, k0, size, going, q * done, terms))
        body.append(Assign(going, Var(INDEX, "GX_RESUME")))
        self.points.leave()
        return [Declare(going, mode), loop]

    def _ask(self, body: list[Stmt], row: Expr, rows: Expr) -> None:
        """Asks for rows of a tile in all that the epilogue reads."""
        if not self.kernel.streams:
            return
        points, inner = self.points, list[Stmt]()
        u = Var(INDEX, self.names.fresh("u"))
        body.append(For(u, index(0), rows, inner))
        points.enter(inner, [u])
        self._at(self.first_column, self._let(inner, "row", row + u))
        size = {
            address(points.arrays[root], points.offset(strides, offset)): root.dtype.itemsize
            for root, strides, offset in self.kernel.streams
        }
        inner += [Do("gx_ask", (at, index(self.tiling.columns * n))) for at, n in size.items()]
        points.leave()

    def _ask_panel(self, body: list[Stmt], row: Expr, q: Expr) -> None:
        """Part q of a tile's request for its share of the panel that is packed next: some of its
        lines, or a piece of each where lines are long.
        """
        t, asks = self.tiling, self.kernel.asks
        if not self.kernel.foresees:
            return
        array, down, across, offset = self._operand(self.right)
        count, step, length = (
            (self.k, down, t.columns) if across == 1 else (t.columns, across, self.k)
        )
        share = -(-count // -(-self.m // t.rows))
        some, piece = -(-share // asks), length
        first: Expr = row // t.rows * share
        begin, end = first + q * some, first + q * some + some
        if share % some:
            end = smaller(end, first + share)
        at = offset + (self.column + t.columns) * across
        if share < asks and length >= 32 * asks:
            piece = -(-length // asks)
            begin, end, at = first, first + share, at + q * piece
        line = Var(INDEX, self.names.fresh("line"))
        source = address(array, at + line * step)
        ask = Do("gx_ask", (source, index(piece * self.dtype.itemsize)))
        body.append(For(line, begin, smaller(end, index(count)), [ask]))

    def _tile(
        self, start: Expr, k0: Expr, size: Expr, mode: Expr, done: Expr = _NONE, count: Expr = _NONE
    ) -> Stmt:
        """Terms of a tile, of the `size` from k0 on: `count` of them after `done`, or all."""
        left, right = self._left(start, k0, size, done), self._right(k0, done)
        terms = size if count is _NONE else count
        return Do(tile_function(self.kernel)[0], (terms, *left, *right, "tile", mode))

    def _left(self, row: Expr, k0: Expr, size: Expr, done: Expr) -> tuple[str, Expr, Expr]:
        """A tile's rows: address, and steps from row to row and from term to term."""
        rows = self.tiling.rows
        if self.tiling.packs_left:
            return address("left", (row - self.row) * size + done * rows), index(1), index(rows)
        array, down, across, offset = self._operand(self.left)
        at = offset + row * down + (k0 + done) * across
        return address(array, at), index(down), index(across)

    def _right(self, k0: Expr, done: Expr) -> tuple[str, Expr]:
        """The panel as the tile reads it: address, and step from term to term."""
        columns = self.tiling.columns
        if self.kernel.is_prepared:
            at = self.column * self.k + (k0 + done) * columns
            return address("panels", at), index(columns)
        if self.tiling.packs:
            return address("panel", done * columns), index(columns)
        array, down, _, offset = self._operand(self.right)
        return address(array, offset + (k0 + done) * down + self.first_column), index(down)

    def _total(self, body: list[Stmt], at: Expr, k0: Expr, size: Expr) -> None:
        """Adds a chain that is complete to those before it: the last one in the tile."""
        tile = self.tiling.rows * self.tiling.columns
        e = Var(INDEX, self.names.fresh("e"))
        total = Load(self.dtype, "total", e)
        chain = Load(self.dtype, "tile", e)
        first: list[Stmt] = [Do("memcpy", ("total", "tile", index(tile * self.dtype.itemsize)))]
        later: list[Stmt] = [For(e, index(0), index(tile), [Store("total", e, total + chain)])]
        last: list[Stmt] = [For(e, index(0), index(tile), [Store("tile", e, total + chain)])]
        ends = compare("==", (k0 + size) % CHAIN, index(0))
        body.append(Pointer("total", self.dtype, "totals", at))
        body.append(If(k0 + size >= self.k, last, [If(ends, [If(k0 < CHAIN, first, later)])]))

    def _epilogue(self, body: list[Stmt], row: Expr, start: Expr) -> None:
        """The fused members of every new element of a finished tile."""
        t = self.tiling
        rows = self._extent(body, "rows", row, self.m, t.rows)
        # The tile may begin before the rows and columns that are new.
        first = row - start if start is not row else index(0)
        if self.kernel.is_flat and self.n == t.columns:
            e = Var(INDEX, self.names.fresh("e"))
            self._members(body, e, rows * self.n, row * self.n + e, first * self.n + e)
            return
        r, c = Var(INDEX, self.names.fresh("u")), Var(INDEX, self.names.fresh("v"))
        outer: list[Stmt] = []
        body.append(For(r, index(0), rows, outer))
        self.points.enter(outer, [r])
        i = self._let(outer, "row", row + r)
        shifted = self.first_column is not self.column
        across = (self.column - self.first_column if shifted else index(0)) + c
        self._members(outer, c, self.columns, self.column + c, (first + r) * t.columns + across, i)
        self.points.leave()

    def _at(self, at: Expr, row: Expr | None) -> None:
        """Sets the point: a position in a row of tiles, or in the whole product where there is
        none.
        """
        kernel = self.kernel
        first = last = kernel.axes(self.batch)
        axes = [Axis(0, first, self.unit)] if first else []
        if row is not None and kernel.is_turned:
            last = kernel.axes(self.batch * self.n)
            axes.append(Axis(first, last, at))
            at = row
        elif row is not None:
            last = kernel.axes(self.batch * self.m)
            axes.append(Axis(first, last, row))
        self.points.axes = [*axes, Axis(last, len(kernel.dims), at)]

    def _members(
        self, body: list[Stmt], counter: Var, count: Expr, at: Expr, tile: Expr,
        row: Expr | None = None,
    ) -> None:  # fmt: skip
        """The loop over a row of new elements, or over all of a tile; `at` is the position in the
        row or in the whole product, `tile` that in the tile.
        """
        kernel, points = self.kernel, self.points
        inner: list[Stmt] = []
        body.append(For(counter, index(0), count, inner))
        points.enter(inner, [counter])
        self._at(at, row)
        points.counter = counter if row is None else None
        points.define(kernel.product, Load(self.dtype, "tile", tile))
        for node in kernel.nodes[1:]:
            points.member(node)
        inner.extend([store(points, value, points.member(value.node)) for value in kernel.writes])
        points.leave()


def _part(number: Expr, size: int, whole: int) -> Expr:
    """How much there is in a part of so much at most."""
    return index(size) if whole % size == 0 else smaller(whole - number * size, index(size))
