"""`Loops` kernels: a loop over rows, and inside it one loop over the row for each pass."""

from __future__ import annotations

from graphc.codegen.emit_c import address
from graphc.codegen.kernel import (
    Arguments,
    local_or_work,
    plain_loop,
    shared_loop,
    store,
    workspace_pointer,
)
from graphc.codegen.points import Axis, Names, Points
from graphc.codegen.transposed import crossed, in_tiles, leave_tiles
from graphc.dtypes import float64
from graphc.ir.expr import INDEX, Expr, Load, Var, call, cast, const, index, smaller
from graphc.ir.graph import Node
from graphc.ir.loops import Assign, Barrier, Declare, For, Let, Only, Share, Stmt, Store
from graphc.ir.spec import Reduce
from graphc.schedule.kernel import grain
from graphc.schedule.loops import Loops
from graphc.schedule.rows import Pass
from graphc.schedule.runs import is_positional, merged_axes
from graphc.schedule.share import row_axes


def loops_body(kernel: Loops, arguments: Arguments) -> list[Stmt]:
    return _Generator(kernel, arguments).build()


class _Generator:
    def __init__(self, kernel: Loops, arguments: Arguments):
        self.kernel = kernel
        self.plan = kernel.rows
        self.names = Names()
        self.points = Points(kernel, arguments.names, arguments.mutable, self.names)
        self.positional = is_positional(kernel)
        self.buffer: dict[Node, str] = {}
        self.body: list[Stmt] = []

    def build(self) -> list[Stmt]:
        self.points.enter(self.body)
        if self.kernel.group.row is None:
            self._map()
        elif self.kernel.is_split:
            self._split_rows()
        else:
            self._rows()
        return self.body

    @property
    def cost(self) -> int:
        return max(1, self.kernel.group.cost)

    def _map(self) -> None:
        """No reduction: one loop nest over all elements."""
        kernel, points = self.kernel, self.points
        runs = merged_axes(kernel, 0, len(kernel.dims), self.positional)
        step = self.plan.passes[0]
        if kernel.share is not None:
            self._shared_rows(row_axes(kernel, kernel.share.rows), step)
            return
        if len(runs) == 1:
            inner = shared_loop(points, self.body, runs, self.cost, self.names)
            self._points(step)
            points.leave()
            return
        across = crossed(kernel, runs)
        if across is not None:
            in_tiles(points, self.body, runs, across, self.cost)
            self._points(step)
            leave_tiles(points)
            return
        last = runs[-1]
        width = 1
        for d in range(*last):
            width *= kernel.dims[d]
        inner = shared_loop(points, self.body, runs[:-1], self.cost * width, self.names)
        nest = plain_loop(points, inner, *last, self.names, "i")
        points.enter(nest, [points.axes[-1].position])  # type: ignore[list-item]
        self._points(step)
        points.leave()
        points.leave()

    def _shared_rows(self, axes: int | None, step: Pass) -> None:
        """A loop over the thread's rows, and inside it the rest."""
        kernel, points = self.kernel, self.points
        assert axes is not None
        runs = merged_axes(kernel, 0, axes, self.positional)
        inner = shared_loop(points, self.body, runs, self.cost, self.names)
        within = merged_axes(kernel, axes, len(kernel.dims), self.positional)
        for run in within:
            inner = plain_loop(points, inner, *run, self.names, "i")
            points.enter(inner, [points.axes[-1].position])  # type: ignore[list-item]
        self._points(step)
        for _ in range(len(within) + 1):
            points.leave()

    def _rows(self) -> None:
        kernel, points = self.kernel, self.points
        self._declare_buffers()
        row = kernel.group.row
        assert row is not None
        if kernel.group.rows == 1:
            # One short row: not worth a second thread.
            inner: list[Stmt] = []
            self.body.append(Only(inner))
            points.enter(inner)
        else:
            runs = merged_axes(kernel, 0, kernel.row_axis, self.positional)
            inner = shared_loop(points, self.body, runs, self.cost * row, self.names)
        for step in self.plan.passes:
            self._pass(step, inner)
        self._row_stores(inner)
        points.leave()

    def _declare_buffers(self) -> None:
        per_thread = self.kernel.workspace.per_thread
        offset = self.kernel.workspace.shared
        for node, buffer in self.plan.buffers.items():
            name = self.buffer[node] = self.names.fresh("row")
            local_or_work(
                name, buffer.dtype, buffer.length, buffer.local, self.body, offset, per_thread
            )
            if not buffer.local:
                offset += buffer.bytes

    def _pass(self, step: Pass, inner: list[Stmt]) -> None:
        points = self.points
        for node in step.before:
            points.define(node, points.bind(points.member(node), level=points.depth))
        buffered = [f for f in step.folds if f in self.buffer]
        if step.points or step.stores or buffered:
            self._row_loop(step, inner, buffered)
        for fold in step.folds:
            points.define(fold, points.bind(self._fold(fold), "r", points.depth))

    def _row_loop(self, step: Pass, inner: list[Stmt], buffered: list[Node]) -> None:
        kernel, points = self.kernel, self.points
        outer_axes = len(points.axes)
        body = inner
        counters = []
        for run in merged_axes(kernel, kernel.row_axis, len(kernel.dims), self.positional):
            body = plain_loop(points, body, *run, self.names, "i")
            counters.append(points.axes[-1].position)
        points.enter(body, counters)  # type: ignore[arg-type]
        self._points(step, buffered)
        points.leave()
        del points.axes[outer_axes:]

    def _points(self, step: Pass, buffered: list[Node] | tuple = ()) -> None:
        """The element code of a pass: earlier values read back, members computed, results stored
        last, so that a stored element may lie where an operand lay.
        """
        points = self.points
        for node in self.kernel.nodes:
            if self._is_earlier(node, step):
                points.define(node, self._read_back(node))
        stores: list[Stmt] = []
        for node in step.points:
            value = points.member(node)
            if node in self.buffer and self.plan.first_pass(node) is step:
                value = self._named(node, value)
                stores.append(Store(self.buffer[node], self._in_row(), value))
        for fold in buffered:
            stores.append(Store(self.buffer[fold], self._in_row(), points.fold_operand(fold)))
        stores.extend(store(points, v, points.member(v.node)) for v in step.stores)
        points.scopes[-1].body.extend(stores)

    def _number(self, step: Pass) -> int:
        return self.plan.passes.index(step)

    def _named(self, node: Node, value: Expr) -> Expr:
        named = self.points.bind(value, "s", self.points.depth)
        self.points.define(node, named)
        return named

    def _is_earlier(self, node: Node, step: Pass) -> bool:
        known = node in self.buffer or self.plan.is_stored(node)
        return (
            known
            and self.plan.is_point(node)
            and self.plan.phase[node] < self._number(step)
            and node not in step.points
        )

    def _read_back(self, node: Node) -> Expr:
        if node in self.buffer:
            return Load(node.types[0].dtype, self.buffer[node], self._in_row())
        value = node.outputs[0]
        place = self.kernel.storage.places[value]
        return self.points.element(value, self.kernel.strides(node, place.strided), 0)

    def _in_row(self) -> Expr:
        """The position inside the row (of a split row: inside the chunk)."""
        at: Expr = index(0)
        for axis in self.points.axes:
            if axis.first >= self.kernel.row_axis:
                inner = 1
                for d in range(axis.last, len(self.kernel.dims)):
                    inner *= self.kernel.dims[d]
                at = at + axis.position * inner
        return at - self._chunk_begin if self.kernel.is_split else at

    _chunk_begin: Expr = index(0)

    def _fold(self, fold: Node) -> Expr:
        """The reduction of the current row."""
        row = self.kernel.group.row
        assert row is not None
        return self._fold_call(fold, self._fold_pointer(fold), index(row))

    def _fold_call(self, fold: Node, pointer: str, length: Expr) -> Expr:
        spec = self.kernel.spec(fold)
        assert isinstance(spec, Reduce)
        suffix = fold.inputs[0].dtype.suffix
        operand = Var(INDEX, pointer)
        return call(f"gx_{spec.kind}_{suffix}", fold.types[0].dtype, operand, length)

    def _fold_pointer(self, fold: Node, start: Expr | None = None) -> str:
        """Where the operand of the current row (or chunk) begins."""
        member = self.kernel.member_of(fold.inputs[0])
        holder = member if member is not None and member in self.buffer else fold
        if holder in self.buffer:
            return self.buffer[holder]
        points = self.points
        value = fold.inputs[0]
        if member is not None:
            value = member.outputs[0]
            place = self.kernel.storage.places[value]
            strides = self.kernel.strides(member, place.strided)
        else:
            place = self.kernel.storage.places[value]
            strides = self.kernel.fold_strides(fold)
        offset = points.offset(strides, place.strided.offset)
        if start is not None:
            offset = offset + start
        return address(points.arrays[place.root], offset)

    def _row_stores(self, inner: list[Stmt]) -> None:
        """Results that are one number a row."""
        for value in self.kernel.writes:
            if not self.plan.is_point(value.node):
                inner.append(store(self.points, value, self.points.member(value.node)))

    def _split_rows(self) -> None:
        """Few long rows: threads fold chunks, then one thread folds the chunks' results."""
        kernel, points, plan = self.kernel, self.points, self.plan
        folds = [n for n in kernel.nodes if plan.is_fold(n)]
        partials = self._partials(folds)
        self._declare_buffers()
        rows, chunks, size = kernel.group.rows, plan.chunks, plan.chunk
        row = kernel.group.row
        assert row is not None
        share = self.names.fresh("part")
        number = Var(INDEX, self.names.fresh("n"))
        inner: list[Stmt] = []
        self.body.append(Share(share, index(rows * chunks), grain(size * self.cost)))
        self.body.append(
            For(number, Var(INDEX, f"{share}.begin"), Var(INDEX, f"{share}.end"), inner)
        )
        points.enter(inner, [number])
        at_row = number // chunks
        if kernel.row_axis:
            var = Var(INDEX, self.names.fresh("i"))
            inner.append(Let(var, at_row))
            points.level_of[var.name] = points.depth
            points.axes.append(Axis(0, kernel.row_axis, var))
        begin = Var(INDEX, self.names.fresh("begin"))
        end = Var(INDEX, self.names.fresh("end"))
        inner.append(Let(begin, (number % chunks) * size if rows > 1 else number * size))
        limit = begin + size
        inner.append(Let(end, smaller(limit, index(row)) if row % size else limit))
        for name in (begin, end):
            points.level_of[name.name] = points.depth
        self._chunk_begin = begin
        step = plan.passes[0]
        buffered = [f for f in step.folds if f in self.buffer]
        if step.points or step.stores or buffered:
            counter = Var(INDEX, self.names.fresh("i"))
            body: list[Stmt] = []
            inner.append(For(counter, begin, end, body))
            points.axes.append(Axis(kernel.row_axis, len(kernel.dims), counter))
            points.enter(body, [counter])
            self._points(step, buffered)
            points.leave()
            points.axes.pop()
        for fold in step.folds:
            pointer = self._fold_pointer(fold, None if self._has_buffer(fold) else begin)
            inner.append(Store(partials[fold], number, self._fold_call(fold, pointer, end - begin)))
        points.leave()
        points.axes.clear()
        self.body.append(Barrier())
        self._finish(folds, partials)

    def _has_buffer(self, fold: Node) -> bool:
        member = self.kernel.member_of(fold.inputs[0])
        return fold in self.buffer or (member is not None and member in self.buffer)

    def _partials(self, folds: list[Node]) -> dict[Node, str]:
        partials = {}
        offset = 0
        for fold in folds:
            name = partials[fold] = self.names.fresh("partial")
            self.body.append(workspace_pointer(name, fold.types[0].dtype, offset))
            offset += self.plan.partial_bytes(fold)
        return partials

    def _finish(self, folds: list[Node], partials: dict[Node, str]) -> None:
        """Folds the chunks' results of each row, and computes what follows, on one thread."""
        kernel, points, plan = self.kernel, self.points, self.plan
        only: list[Stmt] = []
        self.body.append(Only(only))
        inner = only
        if kernel.row_axis:
            inner = plain_loop(points, only, 0, kernel.row_axis, self.names, "i")
            points.enter(inner, [points.axes[-1].position])  # type: ignore[list-item]
        else:
            points.enter(inner)
        for fold in folds:
            points.define(fold, self._total(fold, partials[fold], inner))
        for step in plan.passes:
            for node in step.before:
                points.member(node)
        self._row_stores(inner)
        points.leave()

    def _total(self, fold: Node, partial: str, inner: list[Stmt]) -> Expr:
        """Chunks' results folded in order, in double where they are floating sums or products."""
        chunks = self.plan.chunks
        spec = self.kernel.spec(fold)
        assert isinstance(spec, Reduce)
        dtype = fold.types[0].dtype
        start: Expr = index(0)
        if self.kernel.row_axis:
            start = self.points.axes[-1].position * chunks
        operator = {"sum": "+", "prod": "*"}.get(spec.kind)
        if operator is None or not dtype.is_float:
            pointer = address(partial, start)
            total = call(
                f"gx_{spec.kind}_{dtype.suffix}", dtype, Var(INDEX, pointer), index(chunks)
            )
            return self.points.bind(total, "r", self.points.depth)
        total_var = Var(float64, self.names.fresh("total"))
        inner.append(Declare(total_var, const(0 if operator == "+" else 1, float64)))
        counter = Var(INDEX, self.names.fresh("n"))
        element = cast(Load(dtype, partial, start + counter), float64)
        step = total_var + element if operator == "+" else total_var * element
        inner.append(For(counter, index(0), index(chunks), [Assign(total_var, step)]))
        return self.points.bind(cast(total_var, dtype), "r", self.points.depth)
