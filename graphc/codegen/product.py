"""`Product` kernels: packed panels, a register tile, and an epilogue on every finished tile."""

from __future__ import annotations

from graphc.codegen.kernel import Arguments, store, workspace_pointer
from graphc.codegen.points import Axis, Names, Points
from graphc.ir.expr import INDEX, Expr, Load, Var, call, index
from graphc.ir.graph import Value
from graphc.ir.loops import Array, Barrier, Do, For, Let, Pointer, Share, Stmt
from graphc.schedule.kernel import grain
from graphc.schedule.product import Product


def product_body(kernel: Product, arguments: Arguments) -> list[Stmt]:
    return _Generator(kernel, arguments).build()


def tile_function(kernel: Product) -> tuple[str, str]:
    """The name of the register tile's function, and the line that defines it."""
    tiling = kernel.tiling
    suffix = kernel.product.types[0].dtype.suffix
    name = f"gx_tile_{suffix}_{tiling.rows}x{tiling.columns}"
    return name, f"GX_TILE_{suffix.upper()}({name}, {tiling.rows}, {tiling.columns})"


class _Generator:
    """Loops: batch, panel of columns, block of terms, block of rows, then tiles. Threads share the
    rows (they pack the panel together and meet), the panels, or the batch (each packs for itself).
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
        self.shares = not kernel.is_private and not self.tiling.by_panel

    def build(self) -> list[Stmt]:
        points = self.points
        points.enter(self.body)
        self._workspaces()
        body = self.body
        self.unit: Expr = index(0)
        if self.batch > 1:
            self.unit = Var(INDEX, self.names.fresh("b"))
            body = self._batch_loop(body)
        body = self._panel_loop(body)
        body = self._depth_loop(body)
        self._pack_right(body)
        self._row_blocks(body)
        if self.shares and self._repeats:
            body.append(Barrier())
        return self.body

    @property
    def _repeats(self) -> bool:
        """Whether the panel's memory is used again."""
        t = self.tiling
        return self.batch > 1 or self.n > t.panel or self.k > t.depth

    def _workspaces(self) -> None:
        kernel = self.kernel
        shared, own = kernel.workspace.shared, kernel.workspace.per_thread
        bases = {"panel": 0, "sums": kernel.panel_bytes, "block": shared}
        per_thread = {"panel": 0, "sums": 0, "block": own}
        if not self.shares:
            bases = {"panel": 0, "block": kernel.panel_bytes}
            bases["sums"] = kernel.panel_bytes + kernel.block_bytes
            per_thread = dict.fromkeys(bases, own)
        for name, offset in bases.items():
            if name == "sums" and not kernel.in_depth_blocks:
                continue
            self.body.append(workspace_pointer(name, self.dtype, offset, per_thread[name]))
        if not kernel.in_depth_blocks:
            self.body.append(Array("tile", self.dtype, self.tiling.rows * self.tiling.columns))

    def _batch_loop(self, body: list[Stmt]) -> list[Stmt]:
        unit = self.unit
        assert isinstance(unit, Var)
        begin, end = index(0), index(self.batch)
        if self.kernel.is_private:
            share = self.names.fresh("part")
            body.append(Share(share, index(self.batch), self.kernel.grain))
            begin, end = Var(INDEX, f"{share}.begin"), Var(INDEX, f"{share}.end")  # type: ignore[assignment]
        inner: list[Stmt] = []
        body.append(For(unit, begin, end, inner))
        self.points.enter(inner, [unit])
        return inner

    def _range(
        self, body: list[Stmt], extent: Expr, step: int, name: str, begin: Expr | None = None
    ) -> tuple[Expr, Expr, list[Stmt]]:
        """A loop over blocks of an axis: (begin, length, body). One block needs no loop."""
        start = begin if begin is not None else index(0)
        if begin is None and _value(extent) is not None and _value(extent) <= step:  # type: ignore[operator]
            return start, extent, body
        var = Var(INDEX, self.names.fresh(name))
        inner: list[Stmt] = []
        body.append(For(var, start, extent, inner, step))
        self.points.enter(inner, [var])
        length = call("gx_smaller", INDEX, extent - var, index(step))
        size = Var(INDEX, self.names.fresh(f"{name}_size"))
        inner.append(Let(size, length))
        self.points.level_of[size.name] = self.points.depth
        return var, size, inner

    def _panel_loop(self, body: list[Stmt]) -> list[Stmt]:
        t = self.tiling
        begin, end = None, index(self.n)
        if t.by_panel and not self.kernel.is_private:
            share = self.names.fresh("part")
            body.append(Share(share, index(self.n), self.kernel.grain))
            begin, end = Var(INDEX, f"{share}.begin"), Var(INDEX, f"{share}.end")  # type: ignore[assignment]
        self.n0, self.n_size, inner = self._range(body, end, t.panel, "n", begin)
        return inner

    def _depth_loop(self, body: list[Stmt]) -> list[Stmt]:
        self.k0, self.k_size, inner = self._range(body, index(self.k), self.tiling.depth, "k")
        return inner

    def _operand(self, value: Value) -> tuple[str, list[int], Expr]:
        """(array, strides of the last two axes, offset of the current product of the batch)."""
        place = self.kernel.storage.places[value]
        *lead, row, column = place.strided.strides
        offset: Expr = index(place.strided.offset)
        extents = value.shape[:-2]
        rest = 1
        for extent, stride in zip(reversed(extents), reversed(lead), strict=True):
            if stride and extent > 1:
                at = self.unit // rest
                outermost = rest * extent == self.batch
                offset = offset + (at if outermost else at % extent) * stride
            rest *= extent
        return self.points.arrays[place.root], [row, column], offset

    def _pack_right(self, body: list[Stmt]) -> None:
        """Panels of `columns` columns: threads share them where they share the product."""
        t = self.tiling
        array, (down, across), offset = self._operand(self.right)
        source = offset + self.k0 * down + self.n0 * across
        if not self.shares:
            self._pack(
                body, "panel", self.n_size, self.k_size, array, source, across, down, t.columns
            )
            return
        share = self.names.fresh("part")
        least = t.columns * grain(t.columns * min(self.k, t.depth))
        body.append(Share(share, self.n_size, least))
        begin, end = Var(INDEX, f"{share}.begin"), Var(INDEX, f"{share}.end")
        name = self.names.fresh("mine")
        body.append(Pointer(name, self.dtype, "panel", begin * self.k_size))
        self._pack(
            body, name, end - begin, self.k_size, array, source + begin * across, across, down,
            t.columns,
        )  # fmt: skip
        body.append(Barrier())

    def _pack(
        self, body: list[Stmt], target: str, extent: Expr, depth: Expr, array: str, source: Expr,
        extent_stride: int, depth_stride: int, width: int,
    ) -> None:  # fmt: skip
        from graphc.codegen.emit_c import address

        body.append(
            Do(
                f"gx_pack_{_pack_suffix(self.dtype.suffix)}",
                (
                    extent,
                    depth,
                    address(array, source),
                    index(extent_stride),
                    index(depth_stride),
                    index(width),
                    target,
                ),
            )
        )

    def _row_blocks(self, body: list[Stmt]) -> None:
        """Blocks of rows of the left operand; then panels and tiles."""
        t, points = self.tiling, self.points
        begin: Expr | None = None
        end: Expr = index(self.m)
        if self.shares:
            share = self.names.fresh("part")
            body.append(Share(share, index(self.m), self.kernel.grain))
            begin, end = Var(INDEX, f"{share}.begin"), Var(INDEX, f"{share}.end")
        m0, m_size, inner = self._range(body, end, t.block, "m", begin)
        array, (down, across), offset = self._operand(self.left)
        source = offset + m0 * down + self.k0 * across
        self._pack(inner, "block", m_size, self.k_size, array, source, down, across, t.rows)
        column = Var(INDEX, self.names.fresh("j"))
        panels: list[Stmt] = []
        inner.append(For(column, index(0), self.n_size, panels, t.columns))
        points.enter(panels, [column])
        row = Var(INDEX, self.names.fresh("i"))
        tiles: list[Stmt] = []
        panels.append(For(row, index(0), m_size, tiles, t.rows))
        points.enter(tiles, [row])
        self._tile(tiles, m0, m_size, row, column)

    def _tile(self, body: list[Stmt], m0: Expr, m_size: Expr, row: Var, column: Var) -> None:
        t = self.tiling
        name, _ = tile_function(self.kernel)
        accumulate: Expr = index(0)
        if self.kernel.in_depth_blocks:
            accumulate = self.k0 > 0
            at = (m0 + row) * t.panel + column * t.rows
            body.append(Pointer("tile", self.dtype, "sums", at))
        from graphc.codegen.emit_c import address

        body.append(
            Do(
                name,
                (
                    self.k_size,
                    address("block", row * self.k_size),
                    index(1),
                    index(t.rows),
                    address("panel", column * self.k_size),
                    index(t.columns),
                    "tile",
                    accumulate,
                ),
            )
        )
        if self.kernel.in_depth_blocks:
            from graphc.ir.loops import If

            finished: list[Stmt] = []
            body.append(If(self.k0 + self.k_size >= self.k, finished))
            self.points.enter(finished)
            body = finished
        self._epilogue(body, m0, m_size, row, column)

    def _epilogue(self, body: list[Stmt], m0: Expr, m_size: Expr, row: Var, column: Var) -> None:
        """The fused members of every element of a finished tile."""
        kernel, points, t = self.kernel, self.points, self.tiling
        rows = Var(INDEX, self.names.fresh("rows"))
        columns = Var(INDEX, self.names.fresh("columns"))
        body.append(Let(rows, call("gx_smaller", INDEX, m_size - row, index(t.rows))))
        body.append(Let(columns, call("gx_smaller", INDEX, self.n_size - column, index(t.columns))))
        r, c = Var(INDEX, self.names.fresh("r")), Var(INDEX, self.names.fresh("c"))
        outer: list[Stmt] = []
        body.append(For(r, index(0), rows, outer))
        points.enter(outer, [r])
        i = self._let(outer, "row", m0 + row + r)
        inner: list[Stmt] = []
        outer.append(For(c, index(0), columns, inner))
        points.enter(inner, [c])
        at = self.n0 + column + c
        batch_axes = self._axes(self.batch)
        row_axes = self._axes(self.batch * self.m)
        points.axes = [Axis(batch_axes, row_axes, i), Axis(row_axes, len(kernel.dims), at)]
        if batch_axes:
            points.axes.insert(0, Axis(0, batch_axes, self.unit))
        points.define(kernel.product, Load(self.dtype, "tile", r * t.columns + c))
        stores: list[Stmt] = []
        for node in kernel.nodes[1:]:
            points.member(node)
        for value in kernel.writes:
            stores.append(store(points, value, points.member(value.node)))
        inner.extend(stores)

    def _let(self, body: list[Stmt], prefix: str, value: Expr) -> Var:
        var = Var(INDEX, self.names.fresh(prefix))
        self.points.level_of[var.name] = self.points.depth
        body.append(Let(var, value))
        return var

    def _axes(self, extent: int) -> int:
        covered, axis = 1, 0
        while covered < extent:
            covered *= self.kernel.dims[axis]
            axis += 1
        return axis


def _value(e: Expr) -> int | None:
    from graphc.ir.expr import Const

    return e.value if isinstance(e, Const) else None


def _pack_suffix(suffix: str) -> str:
    """Bools are packed as bytes."""
    return "u8" if suffix == "bool" else suffix
