"""`Product` kernels: panels of columns, a register tile, and an epilogue on every finished tile."""

from __future__ import annotations

from graphc.codegen.emit_c import address
from graphc.codegen.kernel import Arguments, workspace_pointer
from graphc.codegen.tile import Tiles
from graphc.ir.expr import INDEX, Expr, Load, Var, compare, index, logical, smaller
from graphc.ir.graph import Value
from graphc.ir.loops import Array, Do, For, If, Share, Stmt, Store
from graphc.schedule.product import Panels, Product
from graphc.schedule.share import RowShare


def product_body(kernel: Product, arguments: Arguments) -> list[Stmt]:
    return _Generator(kernel, arguments).build()


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


class _Generator(Tiles):
    """Loops: units (product of the batch, group of panels, block of rows), blocks of terms, panels,
    tiles.
    """

    def build(self) -> list[Stmt]:
        self.body: list[Stmt] = []
        points, t = self.points, self.tiling
        points.enter(self.body)
        self._workspaces()
        body = self._unit_loop()
        k0, size = index(0), index(self.k)  # type: Expr, Expr
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

    def _shift(self, body: list[Stmt], name: str, at: Expr, whole: int, size: int) -> Expr:
        """Where a tile begins so that it ends inside the axis (a packed panel is padded)."""
        if whole % size == 0 or self.tiling.packs:
            return at
        return self._let(body, name, smaller(at, index(whole - size)))

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
