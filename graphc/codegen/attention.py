"""`Attention` kernels: packed operands, and the loops over tiles of queries and keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from graphc.codegen.emit_c import address
from graphc.codegen.kernel import Arguments, workspace_pointer
from graphc.codegen.points import Names
from graphc.dtypes import bool_
from graphc.ir.expr import (
    INDEX,
    Const,
    Expr,
    Load,
    Var,
    call,
    compare,
    const,
    index,
    logical,
    select,
    smaller,
)
from graphc.ir.graph import Value
from graphc.ir.loops import Do, For, If, Let, Share, Stmt, Store
from graphc.schedule.attention import TILE, Attention

#: The mode of a tile function that overwrites.
SET = Var(INDEX, "GX_SET")


def attention_body(kernel: Attention, arguments: Arguments) -> list[Stmt]:
    generator = _Generator(kernel, arguments)
    return generator.backward() if kernel.attend.gradient else generator.forward()


def tile_function(kernel: Attention) -> tuple[str, str]:
    """The name of the register tile's function, and the line that defines it."""
    rows, columns = kernel.tile
    suffix = kernel.dtype.suffix
    name = f"gx_tile_{suffix}_{rows}x{columns}"
    return name, f"GX_TILE_{suffix.upper()}({name}, {rows}, {columns})"


@dataclass(frozen=True)
class _Sum:
    """Where a cotangent is summed up: from `at` on in an array, in rows `stride` elements apart."""

    array: str
    at: Expr
    stride: int
    in_place: bool


def _adds_after(before: Expr) -> Expr:
    """The mode of a tile function that overwrites what nothing was added to before."""
    if isinstance(before, Const):
        return SET
    return select(compare("==", before, index(0)), SET, Var(INDEX, "GX_ACCUMULATE"))


def _begins(column: Expr) -> Expr:
    """Whether a tile of keys is the first one."""
    return index(1) if isinstance(column, Const) else compare("==", column, index(0))


class _Generator:
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
        self.wide, self.value_wide = kernel.padded(self.width), kernel.padded(self.values)
        self.causal = kernel.attend.causal
        self.body: list[Stmt] = []
        per_thread = kernel.workspace.per_thread
        for name, (offset, _) in kernel.parts.items():
            self.body.append(workspace_pointer(name, self.dtype, offset, per_thread))

    # Loops and names.

    def _loop(
        self, body: list[Stmt], prefix: str, begin: Expr, end: Expr, step: int = 1
    ) -> tuple[Var, list[Stmt]]:
        var, inner = Var(INDEX, self.names.fresh(prefix)), []  # type: tuple[Var, list[Stmt]]
        body.append(For(var, begin, end, inner, step))
        return var, inner

    def _tiles(
        self, body: list[Stmt], prefix: str, begin: Expr, end: Expr
    ) -> tuple[Expr, list[Stmt]]:
        """The loop over tiles of queries or keys; a single one needs none."""
        if isinstance(begin, Const) and isinstance(end, Const) and end.value - begin.value <= TILE:
            return begin, body
        return self._loop(body, prefix, begin, end, TILE)

    def _let(self, body: list[Stmt], prefix: str, value: Expr) -> Expr:
        """A named value; constants and names stay as they are."""
        if isinstance(value, (Const, Var)):
            return value
        var = Var(value.dtype, self.names.fresh(prefix))
        body.append(Let(var, value))
        return var

    def _units(self) -> tuple[Var, Var, list[Stmt]]:
        """The loop over the thread's units: their number, the thread's first, the body."""
        share = self.names.fresh("part")
        self.body.append(Share(share, index(self.kernel.units), self.kernel.grain))
        first = Var(INDEX, f"{share}.begin")
        unit, body = self._loop(self.body, "unit", first, Var(INDEX, f"{share}.end"))
        return unit, first, body

    # Memory.

    def _offset(self, value: Value, *at: Expr) -> Expr:
        place = self.kernel.storage.places[value].strided
        offset: Expr = index(place.offset)
        for k, stride in zip(at, place.strides, strict=True):
            offset = offset + k * stride
        return offset

    def _array(self, value: Value) -> str:
        return self.arrays[self.kernel.storage.places[value].root]

    def _strides(self, value: Value) -> tuple[int, int]:
        return self.kernel.storage.places[value].strided.strides[-2:]  # type: ignore[return-value]

    def _pack(self, value: Value, head: Sequence[Expr], row: Expr, rows: Expr, to: str, wide: int):
        """Rows of a head's matrix, one after the other, filled up with zeros to `wide` numbers."""
        down, across = self._strides(value)
        source = address(self._array(value), self._offset(value, *head, row, index(0)))
        extents = (index(value.shape[3]), rows, source, index(across), index(down))
        return Do(f"gx_pack_{self.suffix}", (*extents, index(wide), to))

    def _pack_turned(self, value: Value, head: Sequence[Expr], to: str) -> Do:
        """The transpose of a head's matrix in blocks of columns."""
        down, across = self._strides(value)
        source = address(self._array(value), self._offset(value, *head, index(0), index(0)))
        extents = (index(value.shape[2]), index(value.shape[3]), source, index(down), index(across))
        return Do(f"gx_pack_{self.suffix}", (*extents, index(TILE), to))

    def _unpack(
        self, body: list[Stmt], value: Value, head: Sequence[Expr], row: Expr, rows: Expr,
        source: str, wide: int,
    ) -> None:  # fmt: skip
        """Rows of a working array to a result."""
        r, inner = self._loop(body, "r", index(0), rows)
        c, innermost = self._loop(inner, "c", index(0), index(value.shape[3]))
        element = Load(self.dtype, source, r * wide + c)
        innermost.append(Store(self.arrays[value], self._offset(value, *head, row + r, c), element))

    def _product(
        self, body: list[Stmt], rows: Expr, columns: int, depth: Callable[[Expr], Expr],
        left: Callable[[Expr], tuple[str, Expr, int, int]],
        right: Callable[[Expr], tuple[str, Expr, int]], into: tuple[str, Expr, int], mode: Expr,
        last: Callable[[Expr], Expr] | None = None,
    ) -> None:  # fmt: skip
        """Tiles of a product of working arrays. `left` and `right` give, for the first row of a
        tile, array, offset and strides; so does `into`, of whose `columns` those before `last` are
        computed.
        """
        tile_rows, tile_columns = self.kernel.tile
        function = f"{tile_function(self.kernel)[0]}_into"
        r, inner = self._loop(body, "r", index(0), rows, tile_rows)
        terms = depth(r)
        end = last(r) if last else index(columns)
        c, innermost = self._loop(inner, "c", index(0), end, tile_columns)
        (a, a_at, a_row, a_step), (b, b_at, b_step) = left(r), right(r)
        innermost.append(Do(function, (
            terms, address(a, a_at), index(a_row), index(a_step), address(b, b_at + c),
            index(b_step), address(into[0], into[1] + r * into[2] + c), index(into[2]), mode,
        )))  # fmt: skip

    def _scores(
        self, body: list[Stmt], rows: Expr, queries: Expr, column: Expr, head: Sequence[Expr],
        row: Expr,
    ) -> tuple[Expr, Expr]:  # fmt: skip
        """A tile of q kᵀ, with the mask; gives the factor and the keys that exist."""
        width, wide = self.width, self.wide
        self._product(
            body, rows, TILE, lambda r: index(width),
            lambda r: ("queries", (queries + r) * wide, wide, 1),
            lambda r: ("keys_turned", column * width, TILE), ("scores", index(0), TILE), SET,
            None if self.kernel.mask else self._seen(index(TILE), row, column),
        )  # fmt: skip
        count = self._count(body, self.keys, column)
        scale = const(self.kernel.attend.scale, self.dtype)
        mask = self.kernel.mask
        if mask is None:
            return scale, count
        r, inner = self._loop(body, "r", index(0), rows)
        c, innermost = self._loop(inner, "c", index(0), count)
        at = r * TILE + c
        score = Load(self.dtype, "scores", at) * scale
        entry = Load(mask.dtype, self._array(mask), self._offset(mask, *head, row + r, column + c))
        masked = select(entry, score, const(-inf, self.dtype)) if mask.dtype is bool_ else (
            score + entry
        )  # fmt: skip
        innermost.append(Store("scores", at, masked))
        return const(1, self.dtype), count

    def _count(self, body: list[Stmt], whole: int, at: Expr) -> Expr:
        """How many of a tile's rows exist."""
        if whole % TILE == 0:
            return index(TILE)
        return self._let(body, "count", smaller(index(whole) - at, index(TILE)))

    def _edge(self, row: Expr, column: Expr) -> Expr:
        return row - column if self.causal else index(TILE)

    def _seen(self, count: Expr, row: Expr, column: Expr) -> Callable[[Expr], Expr]:
        """The keys of a tile that the rows of a register tile see."""
        if not self.causal:
            return lambda r: count
        last, edge = self.kernel.tile[0], row - column
        whole = isinstance(count, Const) and count.value == self.time and self.time % last == 0
        if isinstance(edge, Const) and whole:
            return lambda r: r + last
        return lambda r: smaller(count, edge + r + last)

    def forward(self) -> list[Stmt]:
        q, k, v = self.kernel.node.inputs[:3]
        out, lse = self.kernel.node.outputs
        unit, first, body = self._units()
        blocks = self.kernel.blocks
        head = self._let(body, "head", unit // blocks)
        batch = self._let(body, "b", head // self.heads)
        h = self._let(body, "h", head % self.heads)
        row = self._let(body, "i", unit % blocks * TILE)
        kv = (batch, h // self.group)
        shared: list[Stmt] = [
            self._pack_turned(k, kv, "keys_turned"),
            self._pack(v, kv, index(0), index(self.keys), "values", self.value_wide),
        ]
        if blocks * self.group == 1:
            body += shared
        else:
            new = compare("==", unit % (blocks * self.group), index(0))
            body.append(If(logical("||", new, compare("==", unit, first)), shared))
        rows = self._count(body, self.time, row)
        body.append(self._pack(q, (batch, h), row, rows, "queries", self.wide))
        state = ("largest", "total", "mixed")
        last: Expr = index(self.keys)
        if self.causal:
            last = smaller(last, row + rows)
        column, inner = self._tiles(body, "j", index(0), last)
        scale, count = self._scores(inner, rows, index(0), column, (batch, h), row)
        edge, wide = self._edge(row, column), index(self.value_wide)
        inner.append(
            Do(f"gx_attend_rows_{self.suffix}",
               (rows, count, edge, scale, _begins(column), wide, "scores", *state))
        )  # fmt: skip
        self._product(
            inner, rows, self.value_wide, self._seen(count, row, column),
            lambda r: ("scores", r * TILE, TILE, 1),
            lambda r: ("values", column * self.value_wide, self.value_wide),
            ("mixed", index(0), self.value_wide), _adds_after(column),
        )  # fmt: skip
        body.append(Do(f"gx_attend_end_{self.suffix}", (rows, wide, *state)))
        if out in self.arrays:
            self._unpack(body, out, (batch, h), row, rows, "mixed", self.value_wide)
        if lse in self.arrays:
            r, inner = self._loop(body, "r", index(0), rows)
            at = self._offset(lse, batch, h, row + r)
            inner.append(Store(self.arrays[lse], at, Load(self.dtype, "largest", r)))
        return self.body

    def backward(self) -> list[Stmt]:
        q, k, v, lse, delta, g = self.kernel.node.inputs[:6]
        dq, dk, dv = self.kernel.node.outputs
        unit, _, body = self._units()
        batch = self._let(body, "b", unit // self.kv_heads)
        kv = (batch, self._let(body, "h", unit % self.kv_heads))
        whole = index(0)
        body.append(self._pack(k, kv, whole, index(self.keys), "keys", self.wide))
        body.append(self._pack_turned(k, kv, "keys_turned"))
        body.append(self._pack_turned(v, kv, "values_turned"))
        outer = body
        head, member = kv[1], whole  # type: Expr, Expr
        results = [(dk, "dk"), (dv, "dv")]
        sums = {v: self._sum(outer, v, kv, name) for v, name in results if v in self.arrays}
        if self.group > 1:
            member, body = self._loop(body, "g", whole, index(self.group))
            head = self._let(body, "q", kv[1] * self.group + member)
        own = (batch, head)
        body.append(self._pack(q, own, whole, index(self.time), "queries", self.wide))
        body.append(self._pack(g, own, whole, index(self.time), "pulls", self.value_wide))
        for value, name in ((lse, "lse"), (delta, "delta")):
            r, inner = self._loop(body, "r", whole, index(self.time))
            element = Load(self.dtype, self._array(value), self._offset(value, *own, r))
            inner.append(Store(name, r, element))
        if dq in self.arrays:
            sums[dq] = self._sum(body, dq, own, "dq")
        column, inner = self._tiles(body, "j", whole, index(self.kernel.keys_seen))
        begin = column if self.causal else whole
        row, tile = self._tiles(inner, "i", begin, index(self.time))
        before = whole if row is begin else row - begin
        self._backward_tile(tile, row, column, own, sums, before + member)
        for value, total in sums.items():
            if not total.in_place:
                inner, at = (body, own) if value is dq else (outer, kv)
                extent = index(value.shape[2])
                self._unpack(inner, value, at, whole, extent, total.array, total.stride)
        return self.body

    def _sum(self, body: list[Stmt], value: Value, head: Sequence[Expr], name: str) -> _Sum:
        """Where a cotangent is summed up; rows to which nothing is added begin as zeros."""
        if self.kernel.sums_in_place(value):
            down, _ = self._strides(value)
            at = self._offset(value, *head, index(0), index(0))
            return _Sum(self.arrays[value], at, down, in_place=True)
        _, count = self.kernel.parts[name]
        if not self.kernel.reaches_all(value):
            i, inner = self._loop(body, "n", index(0), index(count))
            inner.append(Store(name, i, const(0, self.dtype)))
        return _Sum(name, index(0), self.kernel.padded(value.shape[3]), in_place=False)

    def _backward_tile(
        self, body: list[Stmt], row: Expr, column: Expr, own: Sequence[Expr],
        sums: Mapping[Value, _Sum], before: Expr,
    ) -> None:  # fmt: skip
        """What a tile of scores adds to the cotangents; `before` is 0 in the first tile of those
        with the same keys.
        """
        wide, value_wide = self.wide, self.value_wide
        dq, dk, dv = map(sums.get, self.kernel.node.outputs)
        rows = self._count(body, self.time, row)
        scale, count = self._scores(body, rows, row, column, own, row)
        self._product(
            body, rows, TILE, lambda r: index(self.values),
            lambda r: ("pulls", (row + r) * value_wide, value_wide, 1),
            lambda r: ("values_turned", column * self.values, TILE),
            ("slopes", index(0), TILE), SET, self._seen(index(TILE), row, column),
        )  # fmt: skip
        slope = const(self.kernel.attend.scale, self.dtype)
        body.append(Do(f"gx_attend_slopes_{self.suffix}", (
            rows, count, self._edge(row, column), scale, slope,
            address("lse", row), address("delta", row), "scores", "slopes",
        )))  # fmt: skip

        def skipped(r: Expr) -> Expr:
            """Queries of the tile that see none of a register tile's keys, which begin at r."""
            if not self.causal:
                return index(0)
            if row is column:
                return r
            return call("gx_larger", INDEX, column + r - row, index(0))

        def summed(array: str, source: str, into: _Sum | None, size: int) -> None:
            """The rows of keys of a tile's transpose times rows of queries."""
            if into is None:
                return
            self._product(
                body, count, size, lambda r: rows - skipped(r),
                lambda r: (array, skipped(r) * TILE + r, 1, TILE),
                lambda r: (source, (row + skipped(r)) * size, size),
                (into.array, into.at + column * into.stride, into.stride), _adds_after(before),
            )  # fmt: skip

        summed("scores", "pulls", dv, value_wide)
        summed("slopes", "queries", dk, wide)
        if dq is not None:
            self._product(
                body, rows, wide, self._seen(count, row, column),
                lambda r: ("slopes", r * TILE, TILE, 1),
                lambda r: ("keys", column * wide, wide),
                (dq.array, dq.at + row * dq.stride, dq.stride), _adds_after(column),
            )  # fmt: skip
