"""`Columns` kernels: folds over leading axes, a block of rows and a tile of columns at a time."""

from __future__ import annotations

import numpy as np

from graphc.codegen.kernel import Arguments, store, workspace_pointer
from graphc.codegen.points import Axis, Names, Points
from graphc.dtypes import DType
from graphc.ir.expr import INDEX, Expr, Load, Var, call, const, index, logical, smaller
from graphc.ir.graph import Node
from graphc.ir.loops import Array, Assign, Barrier, Declare, For, Let, Share, Stmt, Store
from graphc.ir.spec import Reduce
from graphc.schedule.columns import COLUMN_ROWS, Columns
from graphc.schedule.kernel import grain
from graphc.schedule.runs import is_positional


def columns_body(kernel: Columns, arguments: Arguments) -> list[Stmt]:
    return _Generator(kernel, arguments).build()


class _Generator:
    """Unit of work: (outer index, block of rows, tile of columns). Each unit folds its rows into
    local arrays, one for each reduction; with several blocks these go to the workspace and are
    folded in block order afterwards.
    """

    def __init__(self, kernel: Columns, arguments: Arguments):
        self.kernel = kernel
        self.names = Names()
        self.points = Points(kernel, arguments.names, arguments.mutable, self.names)
        self.positional = is_positional(kernel)
        self.body: list[Stmt] = []
        self.outer, self.reduced, self.inner = kernel.extents
        self.tiles = max(1, -(-self.inner // kernel.tile))
        self.sums = {fold: self.names.fresh("acc") for fold in kernel.folds}

    def build(self) -> list[Stmt]:
        kernel, points = self.kernel, self.points
        partials = self._partials()
        for fold, name in self.sums.items():
            self.body.append(Array(name, fold.types[0].dtype, kernel.tile))
        points.enter(self.body)
        units = self.outer * kernel.blocks * self.tiles
        unit, body = self._shared("part", "n", units, kernel.unit_cost)
        tile = self._let("tile", unit % self.tiles, body) if self.tiles > 1 else index(0)
        above = unit // self.tiles
        block = self._let("block", above % kernel.blocks, body) if kernel.blocks > 1 else index(0)
        if self.outer > 1:
            above = self._let("i", above // kernel.blocks, body)
            points.axes.append(Axis(0, self._axis(self.outer), above))
        self._clear(body)
        first = block * COLUMN_ROWS
        low, high = self._bounds(body, tile)
        self._sum_rows(body, first, low, high)
        self._put(body, partials, above, block, low, high)
        points.leave()
        points.axes.clear()
        if kernel.blocks > 1:
            self.body.append(Barrier())
            self._merge(partials)
        return self.body

    def _shared(self, part: str, counter: str, units: int, cost: int) -> tuple[Var, list[Stmt]]:
        share = self.names.fresh(part)
        unit = Var(INDEX, self.names.fresh(counter))
        body: list[Stmt] = []
        self.body.append(Share(share, index(units), grain(cost)))
        self.body.append(For(unit, Var(INDEX, f"{share}.begin"), Var(INDEX, f"{share}.end"), body))
        self.points.enter(body, [unit])
        return unit, body

    def _let(self, prefix: str, value: Expr, body: list[Stmt]) -> Var:
        var = Var(INDEX, self.names.fresh(prefix))
        self.points.level_of[var.name] = self.points.depth
        body.append(Let(var, value))
        return var

    def _axis(self, extent: int) -> int:
        """How many leading refined axes make up an extent."""
        covered, axis = 1, 0
        while covered < extent:
            covered *= self.kernel.dims[axis]
            axis += 1
        return axis

    def _bounds(self, body: list[Stmt], tile: Expr) -> tuple[Expr, Expr]:
        """The columns of a tile."""
        if self.tiles == 1:
            return index(0), index(self.inner)
        low = self._let("low", tile * self.kernel.tile, body)
        end = low + self.kernel.tile
        if self.inner % self.kernel.tile:
            end = smaller(end, index(self.inner))
        return low, self._let("high", end, body)

    def _clear(self, body: list[Stmt]) -> None:
        column = Var(INDEX, self.names.fresh("j"))
        width = min(self.kernel.tile, max(1, self.inner))
        stores: list[Stmt] = [
            Store(name, column, self._unit(fold)) for fold, name in self.sums.items()
        ]
        body.append(For(column, index(0), index(width), stores))

    def _unit(self, fold: Node) -> Expr:
        """The value that changes nothing: what an empty fold gives."""
        return fold_unit(self._spec(fold).kind, fold.types[0].dtype)

    def _spec(self, fold: Node) -> Reduce:
        spec = self.kernel.spec(fold)
        assert isinstance(spec, Reduce)
        return spec

    def _sum_rows(self, body: list[Stmt], first: Expr, low: Expr, high: Expr) -> None:
        kernel, points = self.kernel, self.points
        row = Var(INDEX, self.names.fresh("r"))
        end: Expr = index(self.reduced)
        if kernel.blocks > 1:
            end = first + COLUMN_ROWS
            if self.reduced % COLUMN_ROWS:
                end = smaller(end, index(self.reduced))
            end = self._let("end", end, body)
        rows: list[Stmt] = []
        body.append(For(row, first, end, rows))
        axis = self._axis(self.outer)
        middle = self._axis(self.outer * self.reduced)
        points.axes.append(Axis(axis, middle, row))
        points.enter(rows, [row])
        column = Var(INDEX, self.names.fresh("i"))
        inner: list[Stmt] = []
        rows.append(For(column, low, high, inner))
        points.axes.append(Axis(middle, len(kernel.dims), column))
        points.enter(inner, [column])
        stores: list[Stmt] = []
        for value in kernel.writes:
            if kernel.is_full(value.node):
                stores.append(store(points, value, points.member(value.node)))
        for fold, name in self.sums.items():
            element = points.fold_operand(fold)
            at = column - low
            held = Load(fold.types[0].dtype, name, at)
            stores.append(Store(name, at, fold_step(self._spec(fold).kind, held, element)))
        inner.extend(stores)
        points.leave()
        points.leave()
        points.axes.pop()
        points.axes.pop()

    def _partials(self) -> dict[Node, str]:
        if self.kernel.blocks == 1:
            return {}
        partials, offset = {}, 0
        for fold in self.kernel.folds:
            name = partials[fold] = self.names.fresh("partial")
            self.body.append(workspace_pointer(name, fold.types[0].dtype, offset))
            offset += self.kernel.partial_bytes(fold)
        return partials

    def _put(
        self, body: list[Stmt], partials: dict[Node, str], outer: Expr, block: Expr, low: Expr,
        high: Expr,
    ) -> None:  # fmt: skip
        """The sums of a unit, to the result or, of one block of several, to the workspace."""
        column = Var(INDEX, self.names.fresh("j"))
        stores: list[Stmt] = []
        for fold, name in self.sums.items():
            value = Load(fold.types[0].dtype, name, column - low)
            if partials:
                start = (outer * self.kernel.blocks if self.outer > 1 else index(0)) + block
                stores.append(Store(partials[fold], start * self.inner + column, value))
            elif fold.outputs[0] in self.kernel.writes:
                stores.append(self._result(fold, outer, column, value))
        if stores:
            body.append(For(column, low, high, stores))

    def _result(self, fold: Node, outer: Expr, column: Expr, value: Expr) -> Store:
        place = self.kernel.storage.places[fold.outputs[0]]
        at = (outer * self.inner if self.outer > 1 else index(0)) + column
        return Store(self.points.arrays[place.root], at, value)

    def _merge(self, partials: dict[Node, str]) -> None:
        """The blocks' results of each column, folded in order."""
        blocks, points = self.kernel.blocks, self.points
        unit, body = self._shared("part", "n", self.outer * self.inner, blocks)
        outer: Expr = index(0)
        column: Expr = unit
        if self.outer > 1:
            outer = self._let("i", unit // self.inner, body)
            column = self._let("j", unit % self.inner, body)
        for fold, name in partials.items():
            if fold.outputs[0] not in self.kernel.writes:
                continue
            dtype = fold.types[0].dtype
            total = Var(dtype, self.names.fresh("total"))
            block = Var(INDEX, self.names.fresh("block"))
            start = (outer * blocks if self.outer > 1 else index(0)) + block
            element = Load(dtype, name, start * self.inner + column)
            kind = self._spec(fold).kind
            body.append(Declare(total, fold_unit(kind, dtype)))
            body.append(
                For(
                    block, index(0), index(blocks), [Assign(total, fold_step(kind, total, element))]
                )
            )
            body.append(self._result(fold, outer, column, total))
        points.leave()


def fold_step(kind: str, held: Expr, element: Expr) -> Expr:
    """One step of a fold, by its kind."""
    return _STEPS[kind](held, element)


def _extreme(sign: str):
    def step(held: Expr, element: Expr) -> Expr:
        name = "maximum" if sign == ">" else "minimum"
        return call(f"gx_{name}_{held.dtype.suffix}", held.dtype, held, element)

    return step


def _logical(op: str):
    return lambda held, element: logical(op, held, element)


_STEPS = {
    "sum": lambda held, element: held + element,
    "prod": lambda held, element: held * element,
    "max": _extreme(">"),
    "min": _extreme("<"),
    "any": _logical("|"),
    "all": _logical("&"),
}


def fold_unit(kind: str, dtype: DType) -> Expr:
    if kind in ("sum", "any"):
        return const(0, dtype)
    if kind in ("prod", "all"):
        return const(1, dtype)
    if dtype.is_float:
        return const(-np.inf if kind == "max" else np.inf, dtype)
    if dtype.kind == "b":
        return const(kind == "min", dtype)
    bounds = np.iinfo(dtype.numpy)
    return const(bounds.min if kind == "max" else bounds.max, dtype)
