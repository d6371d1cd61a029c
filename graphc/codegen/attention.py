"""`Attention` kernels: packed operands, and the loops over tiles of queries and keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from graphc.codegen.emit_c import address
from graphc.codegen.kernel import Arguments, workspace_pointer
from graphc.codegen.points import Names
from graphc.dtypes import bool_
from graphc.ir.expr import INDEX, Expr, Load, Var, call, compare, const, index, logical, select
from graphc.ir.graph import Value
from graphc.ir.loops import Do, For, If, Let, Share, Stmt, Store
from graphc.schedule.attention import TILE, Attention
from graphc.schedule.tiles import round_up


def attention_body(kernel: Attention, arguments: Arguments) -> list[Stmt]:
    generator = _Generator(kernel, arguments)
    return generator.backward() if kernel.attend.gradient else generator.forward()


def tile_function(kernel: Attention) -> tuple[str, str]:
    """The name of the register tile's function, and the line that defines it."""
    rows, columns = kernel.tile
    suffix = kernel.dtype.suffix
    name = f"gx_tile_{suffix}_{rows}x{columns}"
    return name, f"GX_TILE_{suffix.upper()}({name}, {rows}, {columns})"


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

    def _let(self, body: list[Stmt], prefix: str, value: Expr) -> Expr:
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
        if value not in self.arrays:
            return
        r, inner = self._loop(body, "r", index(0), rows)
        c, innermost = self._loop(inner, "c", index(0), index(value.shape[3]))
        element = Load(self.dtype, source, r * wide + c)
        innermost.append(Store(self.arrays[value], self._offset(value, *head, row + r, c), element))

    def _product(
        self, body: list[Stmt], rows: Expr, columns: int, depth: Callable[[Expr], Expr],
        left: Callable[[Expr], tuple[str, Expr, int, int]],
        right: Callable[[Expr], tuple[str, Expr, int]], into: tuple[str, Expr], mode: str,
        last: Callable[[Expr], Expr] | None = None,
    ) -> None:  # fmt: skip
        """Tiles of a product of working arrays. `left` and `right` give, for the first row of a
        tile, array, offset and strides; `into` has rows of `columns`, of which those before `last`
        are computed.
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
            index(b_step), address(into[0], into[1] + r * columns + c), index(columns),
            Var(INDEX, mode),
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
            lambda r: ("keys_turned", column * width, TILE), ("scores", index(0)), "GX_SET",
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
        return self._let(body, "count", call("gx_smaller", INDEX, index(whole) - at, index(TILE)))

    def _edge(self, row: Expr, column: Expr) -> Expr:
        return row - column if self.causal else index(TILE)

    def _seen(self, count: Expr, row: Expr, column: Expr) -> Callable[[Expr], Expr]:
        """The keys of a tile that the rows of a register tile see."""
        if not self.causal:
            return lambda r: count
        last = self.kernel.tile[0]
        return lambda r: call("gx_smaller", INDEX, count, row - column + r + last)

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
        new = compare("==", unit % (blocks * self.group), index(0))
        body.append(If(logical("||", new, compare("==", unit, first)), shared))
        rows = self._count(body, self.time, row)
        body.append(self._pack(q, (batch, h), row, rows, "queries", self.wide))
        state = (index(self.value_wide), "largest", "total", "mixed")
        # Rows that fill up the last register tile begin as zeros too.
        every = index(round_up(min(self.time, TILE), self.kernel.tile[0]))
        body.append(Do(f"gx_attend_begin_{self.suffix}", (every, *state)))
        last: Expr = index(self.keys)
        if self.causal:
            last = call("gx_smaller", INDEX, last, row + rows)
        column, inner = self._loop(body, "j", index(0), last, TILE)
        scale, count = self._scores(inner, rows, index(0), column, (batch, h), row)
        edge = self._edge(row, column)
        inner.append(
            Do(f"gx_attend_rows_{self.suffix}",
               (rows, count, edge, scale, state[0], "scores", *state[1:]))
        )  # fmt: skip
        self._product(
            inner, rows, self.value_wide, self._seen(count, row, column),
            lambda r: ("scores", r * TILE, TILE, 1),
            lambda r: ("values", column * self.value_wide, self.value_wide),
            ("mixed", index(0)), "GX_ACCUMULATE",
        )  # fmt: skip
        body.append(Do(f"gx_attend_end_{self.suffix}", (rows, *state)))
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
        key_rows = round_up(self.keys, TILE)
        self._clear(body, "dk", key_rows * self.wide)
        self._clear(body, "dv", key_rows * self.value_wide)
        outer = body
        head: Expr = kv[1]
        if self.group > 1:
            member, body = self._loop(body, "g", index(0), index(self.group))
            head = self._let(body, "q", kv[1] * self.group + member)
        own = (batch, head)
        body.append(self._pack(q, own, whole, index(self.time), "queries", self.wide))
        body.append(self._pack(g, own, whole, index(self.time), "pulls", self.value_wide))
        for value, name in ((lse, "lse"), (delta, "delta")):
            r, inner = self._loop(body, "r", index(0), index(self.time))
            element = Load(self.dtype, self._array(value), self._offset(value, *own, r))
            inner.append(Store(name, r, element))
        self._clear(body, "dq", round_up(self.time, TILE) * self.wide)
        last = min(self.keys, self.time) if self.causal else self.keys
        column, inner = self._loop(body, "j", index(0), index(last), TILE)
        row, tile = self._loop(inner, "i", column if self.causal else whole, index(self.time), TILE)
        self._backward_tile(tile, row, column, own)
        self._unpack(body, dq, own, whole, index(self.time), "dq", self.wide)
        self._unpack(outer, dk, kv, whole, index(self.keys), "dk", self.wide)
        self._unpack(outer, dv, kv, whole, index(self.keys), "dv", self.value_wide)
        return self.body

    def _clear(self, body: list[Stmt], name: str, count: int) -> None:
        i, inner = self._loop(body, "n", index(0), index(count))
        inner.append(Store(name, i, const(0, self.dtype)))

    def _backward_tile(self, body: list[Stmt], row: Expr, column: Expr, own) -> None:
        wide, value_wide = self.wide, self.value_wide
        rows = self._count(body, self.time, row)
        scale, count = self._scores(body, rows, row, column, own, row)
        self._product(
            body, rows, TILE, lambda r: index(self.values),
            lambda r: ("pulls", (row + r) * value_wide, value_wide, 1),
            lambda r: ("values_turned", column * self.values, TILE),
            ("slopes", index(0)), "GX_SET", self._seen(index(TILE), row, column),
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
            return call("gx_larger", INDEX, column + r - row, index(0))

        def summed(array: str, source: str, into: str, size: int) -> None:
            """The rows of keys of a tile's transpose times rows of queries."""
            self._product(
                body, count, size, lambda r: rows - skipped(r),
                lambda r: (array, skipped(r) * TILE + r, 1, TILE),
                lambda r: (source, (row + skipped(r)) * size, size),
                (into, column * size), "GX_ACCUMULATE",
            )  # fmt: skip

        summed("scores", "pulls", "dv", value_wide)
        summed("slopes", "queries", "dk", wide)
        self._product(
            body, rows, wide, self._seen(count, row, column),
            lambda r: ("slopes", r * TILE, TILE, 1),
            lambda r: ("keys", column * wide, wide),
            ("dq", row * wide), "GX_ACCUMULATE",
        )  # fmt: skip
