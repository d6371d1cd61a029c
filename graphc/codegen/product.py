"""`Product` kernels: panels of columns, a register tile, and an epilogue on every finished tile."""

from __future__ import annotations

from graphc.codegen.emit_c import address
from graphc.codegen.kernel import Arguments, store, workspace_pointer
from graphc.codegen.points import Axis, Names, Points
from graphc.ir.expr import INDEX, Const, Expr, Load, Var, compare, index, logical, select, smaller
from graphc.ir.graph import Value
from graphc.ir.loops import Array, Do, For, If, Let, Pointer, Share, Stmt, Store
from graphc.schedule.product import Panels, Product
from graphc.schedule.share import RowShare
from graphc.schedule.tiles import CHAIN


def product_body(kernel: Product, arguments: Arguments) -> list[Stmt]:
    return _Generator(kernel, arguments).build()


def tile_function(kernel: Product) -> tuple[str, str]:
    """The name of the register tile's function, and the line that defines it."""
    tiling = kernel.tiling
    suffix = kernel.product.types[0].dtype.suffix
    name = f"gx_tile_{suffix}_{tiling.rows}x{tiling.columns}"
    return name, f"GX_TILE_{suffix.upper()}({name}, {tiling.rows}, {tiling.columns})"


def panels_body(kernel: Panels, arguments: Arguments) -> list[Stmt]:
    """All panels of the right operand, shared between threads."""
    product = kernel.of
    _, _, n, k = product.shape
    columns = product.tiling.columns
    place = product.storage.places[product.product.inputs[1]]
    down, across = place.strided.strides[-2:]
    at = Var(INDEX, "i")
    source = address(arguments.names[place.root], at * (columns * across) + place.strided.offset)
    width: Expr = index(columns)
    if n % columns:
        width = smaller(index(n) - at * columns, width)
    extents = (width, index(k), source, index(across), index(down), index(columns))
    pack = Do(_pack_function(product), (*extents, address("panels", at * (columns * k))))
    part = Share("part", index(kernel.count), 1)
    return [part, For(at, Var(INDEX, "part.begin"), Var(INDEX, "part.end"), [pack])]


def _pack_function(kernel: Product) -> str:
    suffix = kernel.product.types[0].dtype.suffix
    return "gx_pack_" + ("u8" if suffix == "bool" else suffix)


class _Generator:
    """Loops: units (product of the batch, group of panels, block of rows), blocks of terms, panels,
    tiles. A left operand that is not packed is read where it lies; then the last tile of rows
    overlaps the one before, and so does the last panel where it is not packed: what a tile computes
    twice has the same bits, and is stored once.
    """

    def __init__(self, kernel: Product, arguments: Arguments):
        self.kernel = kernel
        self.names = Names()
        self.points = Points(kernel, arguments.names, arguments.mutable, self.names)
        self.tiling = kernel.tiling
        self.batch, self.m, self.n, self.k = kernel.shape
        self.dtype = kernel.product.types[0].dtype
        self.left, self.right = kernel.product.inputs
        self.body: list[Stmt] = []

    def build(self) -> list[Stmt]:
        points, t = self.points, self.tiling
        points.enter(self.body)
        self._workspaces()
        body = self._unit_loop()
        k0, size = index(0), index(self.k)  # type: tuple[Expr, Expr]
        if self.kernel.in_depth_blocks:
            body, k0, size = self._depth_loop(body)
        if t.packs_left:
            self._pack_left(body, k0, size)
        if t.group > 1:
            body = self._panel_loop(body)
        self.columns = self._extent(body, "columns", self.column, self.n, t.columns)
        #: Columns before this one of a panel were computed by the panel before.
        self.first_column = self._shift(body, "panel_start", self.column, self.n, t.columns)
        self._pack(body, k0, size)
        self._tiles(body, k0, size)
        return self.body

    def _workspaces(self) -> None:
        kernel, own = self.kernel, self.kernel.workspace.per_thread
        left = kernel.left_bytes
        if left:
            self.body.append(workspace_pointer("left", self.dtype, 0, own))
        if kernel.in_depth_blocks:
            self.body.append(workspace_pointer("sums", self.dtype, left, own))
            if kernel.totals_bytes:
                at = left + kernel.sums_bytes
                self.body.append(workspace_pointer("totals", self.dtype, at, own))
        else:
            self.body.append(Array("tile", self.dtype, self.tiling.rows * self.tiling.columns))
        if kernel.is_flat:
            for root in self.points.arrays:
                if root in kernel.alike:
                    self._repeat(root)
        if self.kernel.panel_bytes:
            offset = left + kernel.sums_bytes + kernel.totals_bytes
            self.body.append(workspace_pointer("panel", self.dtype, offset, own))

    def _repeat(self, root: Value) -> None:
        """A row that is read alike for every row of a tile, as often as a tile has rows."""
        name, rows = self.names.fresh("every"), self.tiling.rows
        r, c = Var(INDEX, self.names.fresh("u")), Var(INDEX, self.names.fresh("v"))
        fill = Store(name, r * self.n + c, Load(root.dtype, self.points.arrays[root], c))
        self.body += [
            Array(name, root.dtype, rows * self.n),
            For(r, index(0), index(rows), [For(c, index(0), index(self.n), [fill])]),
        ]
        self.points.alike[root] = name

    def _let(self, body: list[Stmt], prefix: str, value: Expr) -> Expr:
        """A named value; constants and names stay as they are."""
        if isinstance(value, (Const, Var)):
            return value
        var = Var(INDEX, self.names.fresh(prefix))
        self.points.level_of[var.name] = self.points.depth
        body.append(Let(var, value))
        return var

    def _unit_loop(self) -> list[Stmt]:
        """The loop over the thread's units; sets the product, the column and the rows of one."""
        kernel, t = self.kernel, self.tiling
        share = self.names.fresh("part")
        if kernel.share is not None:
            return self._row_loop(kernel.share, share)
        unit = Var(INDEX, self.names.fresh("unit"))
        body: list[Stmt] = []
        self.body.append(Share(share, index(kernel.units), kernel.grain))
        begin, end = Var(INDEX, f"{share}.begin"), Var(INDEX, f"{share}.end")
        self.body.append(For(unit, begin, end, body))
        self.points.enter(body, [unit])
        block = unit % kernel.blocks
        group = unit // kernel.blocks
        #: Units that follow one another share a panel: it is packed by the first of them.
        self._panel_is_new: Expr | None = None
        if kernel.blocks > 1:
            block = self._let(body, "block", block)
            if t.group == 1 and not kernel.in_depth_blocks:
                first = Var(INDEX, f"{share}.begin")
                self._panel_is_new = logical(
                    "||", compare("==", block, index(0)), compare("==", unit, first)
                )
        self.unit: Expr = index(0)
        if self.batch > 1:
            self.unit = self._let(body, "b", group // kernel.groups)
            group = group % kernel.groups
        self.column = self.group = self._let(body, "j", group * (t.columns * t.group))
        self.row = self._let(body, "i", block * t.block)
        self.row_end: Expr = index(self.m)
        if kernel.blocks > 1:
            last = self.row + t.block
            last = smaller(last, self.row_end) if self.m % t.block else last
            self.row_end = self._let(body, "end", last)
        return body

    def _row_loop(self, rows: RowShare, share: str) -> list[Stmt]:
        """The loop over panels, for the rows of the thread."""
        column = Var(INDEX, self.names.fresh("j"))
        body: list[Stmt] = []
        self.body.append(Share(share, index(rows.rows), rows.grain))
        self.body.append(For(column, index(0), index(self.n), body, self.tiling.columns))
        self.points.enter(body, [column])
        self.unit = index(0)
        self.column = self.group = column
        self.row, self.row_end = Var(INDEX, f"{share}.begin"), Var(INDEX, f"{share}.end")
        return body

    def _extent(self, body: list[Stmt], name: str, at: Expr, whole: int, size: int) -> Expr:
        """How much of a tile lies inside an axis."""
        if whole % size == 0:
            return index(size)
        if isinstance(at, Const):
            return index(min(size, whole - at.value))
        return self._let(body, name, smaller(index(whole) - at, index(size)))

    def _shift(self, body: list[Stmt], name: str, at: Expr, whole: int, size: int) -> Expr:
        """Where a tile begins so that it ends inside the axis (a packed panel is padded)."""
        if whole % size == 0 or self.tiling.packs:
            return at
        return self._let(body, name, smaller(at, index(whole - size)))

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
        return self.points.arrays[place.root], row, column, offset

    def _pack(self, body: list[Stmt], k0: Expr, size: Expr) -> None:
        """The panel of the right operand."""
        if not self.tiling.packs or self.kernel.is_prepared:
            return
        array, down, across, offset = self._operand(self.right)
        source = address(array, offset + k0 * down + self.column * across)
        width = index(self.tiling.columns)
        extents = (self.columns, size, source, index(across), index(down), width, "panel")
        pack = Do(_pack_function(self.kernel), extents)
        body.append(pack if self._panel_is_new is None else If(self._panel_is_new, [pack]))

    def _pack_left(self, body: list[Stmt], k0: Expr, size: Expr) -> None:
        """The unit's rows of the left operand."""
        array, down, across, offset = self._operand(self.left)
        source = address(array, offset + self.row * down + k0 * across)
        extents = (self.row_end - self.row, size, source, index(down), index(across))
        body.append(Do(_pack_function(self.kernel), (*extents, index(self.tiling.rows), "left")))

    def _panel_loop(self, body: list[Stmt]) -> list[Stmt]:
        """The panels of a group."""
        columns = self.tiling.columns
        last = self.group + columns * self.tiling.group
        if self.n % (columns * self.tiling.group):
            last = smaller(last, index(self.n))
        column = Var(INDEX, self.names.fresh("j"))
        inner: list[Stmt] = []
        body.append(For(column, self.group, last, inner, columns))
        self.points.enter(inner, [column])
        self.column = column
        return inner

    def _depth_loop(self, body: list[Stmt]) -> tuple[list[Stmt], Expr, Expr]:
        """Blocks of terms: tiles wait in `sums` for the next block."""
        k0 = Var(INDEX, self.names.fresh("k"))
        inner: list[Stmt] = []
        body.append(For(k0, index(0), index(self.k), inner, self.tiling.depth))
        self.points.enter(inner, [k0])
        size: Expr = index(self.tiling.depth)
        if self.k % self.tiling.depth:
            size = smaller(index(self.k) - k0, size)
        return inner, k0, self._let(inner, "depth", size)

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
        mode: Expr = Var(INDEX, "GX_SET")
        if self.kernel.in_depth_blocks:
            panel = (self.column - self.group) * t.block if t.group > 1 else index(0)
            at = panel + (row - self.row) * t.columns
            inner.append(Pointer("tile", self.dtype, "sums", at))
            # Whole chains are added; parts of a chain go on where they ended.
            whole = t.depth % CHAIN == 0
            again = Var(INDEX, "GX_ACCUMULATE" if whole else "GX_RESUME")
            goes_on = k0 % CHAIN if self.kernel.totals_bytes else k0
            mode = select(goes_on > 0, again, mode)
        function = tile_function(self.kernel)[0]
        inner.append(
            Do(function, (size, *self._left(start, k0, size), *self._right(k0), "tile", mode))
        )
        if self.kernel.totals_bytes:
            self._total(inner, at, k0, size)
        if self.kernel.in_depth_blocks:
            finished: list[Stmt] = []
            inner.append(If(k0 + size >= self.k, finished))
            points.enter(finished)
            self._epilogue(finished, row, start)
            points.leave()
        else:
            self._epilogue(inner, row, start)
        points.leave()

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

    def _left(self, row: Expr, k0: Expr, size: Expr) -> tuple[str, Expr, Expr]:
        """A tile's rows: address, and steps from row to row and from term to term."""
        if self.tiling.packs_left:
            return address("left", (row - self.row) * size), index(1), index(self.tiling.rows)
        array, down, across, offset = self._operand(self.left)
        return address(array, offset + row * down + k0 * across), index(down), index(across)

    def _right(self, k0: Expr) -> tuple[str, Expr]:
        """The panel as the tile reads it: address, and step from term to term."""
        columns = self.tiling.columns
        if self.kernel.is_prepared:
            return address("panels", self.column * self.k + k0 * columns), index(columns)
        if self.tiling.packs:
            return "panel", index(columns)
        array, down, _, offset = self._operand(self.right)
        return address(array, offset + k0 * down + self.first_column), index(down)

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
        batch_axes = kernel.axes(self.batch)
        row_axes = batch_axes if row is None else kernel.axes(self.batch * self.m)
        points.axes = [Axis(row_axes, len(kernel.dims), at)]
        if row is not None:
            points.axes.insert(0, Axis(batch_axes, row_axes, row))
        if batch_axes:
            points.axes.insert(0, Axis(0, batch_axes, self.unit))
        points.counter = counter if row is None else None
        points.define(kernel.product, Load(self.dtype, "tile", tile))
        for node in kernel.nodes[1:]:
            points.member(node)
        inner.extend([store(points, value, points.member(value.node)) for value in kernel.writes])
        points.leave()
