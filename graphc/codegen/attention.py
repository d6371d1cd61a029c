"""`Attention` kernels: the loops over tiles of queries and keys, forward and backward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import e, inf, log2

from graphc.codegen.emit_c import address
from graphc.codegen.kernel import Arguments
from graphc.codegen.score_tiles import Rows, ScoreTiles, adds_after
from graphc.dtypes import bool_
from graphc.ir.expr import Const, Expr, Load, compare, const, index, logical, select, smaller
from graphc.ir.graph import Value
from graphc.ir.loops import Do, If, Stmt, Store
from graphc.schedule.attention import TILE, Attention


def attention_body(kernel: Attention, arguments: Arguments) -> list[Stmt]:
    generator = _Generator(kernel, arguments)
    return generator.backward() if kernel.attend.gradient else generator.forward()


def _begins(column: Expr) -> Expr:
    """Whether a tile of keys is the first one."""
    return index(1) if isinstance(column, Const) else compare("==", column, index(0))


class _Generator(ScoreTiles):
    def _scores(
        self, body: list[Stmt], rows: Expr, columns: Expr, keys: Rows, queries: Expr,
        column: Expr, head: Sequence[Expr], row: Expr,
    ) -> tuple[Const, Expr]:  # fmt: skip
        """A tile of k qᵀ, with the mask; gives the factor and the keys that exist. `queries` is the
        number of the first query in the working array.
        """
        count = self.count(body, self.keys, column)
        edge = self.edge(row, column)
        self.turned_product(
            body, count, columns, self.width, keys, column, "queries_turned",
            queries * self.width, "scores", edge,
        )  # fmt: skip
        scale, mask = self.kernel.attend.scale, self.kernel.mask
        if mask is None and scale > 0:
            return const(scale, self.dtype), count
        if mask is not None:
            self._turn_mask(body, mask, head, row, rows, column, count)
        k, inner = self.loop(body, "k", index(0), count)
        c, innermost = self.loop(inner, "c", index(0), columns)
        at = k * TILE + c
        score = Load(self.dtype, "scores", at) * const(scale, self.dtype)
        entry = Load(self.dtype, "masks", at)
        if mask is not None and mask.dtype is bool_:
            # A load under a condition would keep the loop scalar.
            score = self.let(innermost, "score", score)
            counts = compare("!=", entry, const(0, self.dtype))
            score = select(counts, score, const(-inf, self.dtype))
        elif mask is not None:
            score = score + entry
        innermost.append(Store("scores", at, score))
        return const(1, self.dtype), count

    def _turn_mask(
        self, body: list[Stmt], mask: Value, head: Sequence[Expr], row: Expr, rows: Expr,
        column: Expr, count: Expr,
    ) -> None:  # fmt: skip
        """A tile of the mask, a row for each key; of bool as ones and zeros."""
        source = address(self.array(mask), self.offset(mask, *head, row, column))
        down, across = self.strides(mask)
        if mask.dtype is bool_:
            r, inner = self.loop(body, "r", index(0), rows)
            c, innermost = self.loop(inner, "c", index(0), count)
            entry = Load(bool_, self.array(mask), self.offset(mask, *head, row + r, column + c))
            mark = select(entry, const(1, self.dtype), const(0, self.dtype))
            innermost.append(Store("marks", r * TILE + c, mark))
            source, down, across = "marks", TILE, 1
        extents = rows, count, source, index(down), index(across)
        body.append(Do(f"gx_pack_{self.suffix}", (*extents, index(TILE), "masks")))

    def forward(self) -> list[Stmt]:
        q, k, v = self.kernel.node.inputs[:3]
        out, lse = self.kernel.node.outputs
        unit, first, body = self.units()
        blocks = self.kernel.blocks
        head = self.let(body, "head", unit // blocks)
        batch = self.let(body, "b", head // self.heads)
        h = self.let(body, "h", head % self.heads)
        row = self.let(body, "i", unit % blocks * TILE)
        kv = (batch, h // self.group)
        shared: list[Stmt] = []
        keys, values = self.rows(shared, k, kv, "keys"), self.rows(shared, v, kv, "values")
        if shared and blocks * self.group > 1:
            new = compare("==", unit % (blocks * self.group), index(0))
            shared = [If(logical("||", new, compare("==", unit, first)), shared)]
        body += shared
        rows = self.count(body, self.time, row)
        columns = self.computed(body, rows)
        self.turn(body, q, (batch, h), row, rows, "queries_turned")
        last: Expr = index(self.keys)
        if self.causal:
            last = smaller(last, row + rows)
        column, inner = self.tiles(body, "j", index(0), last)
        scale, count = self._scores(inner, rows, columns, keys, index(0), column, (batch, h), row)
        edge, wide = self.edge(row, column), self.kernel.padded(self.values)
        binary = const(scale.value * log2(e), self.dtype)
        inner.append(Do(f"gx_attend_rows_{self.suffix}", (
            columns, count, edge, binary, _begins(column), rows, index(wide), "scores", "largest",
            "total", "mixed",
        )))  # fmt: skip
        self.product(
            inner, rows, self.values, self.seen(count, edge, self.kernel.across(self.values)[0]),
            lambda r: (address("scores", r), 1, TILE), lambda r, c: values.address(column, c),
            values.stride, Rows("mixed", index(0), wide), index(0), adds_after(column), (q, k, v),
        )  # fmt: skip
        body.append(Do(f"gx_attend_end_{self.suffix}", (rows, scale, "largest", "total")))
        if out in self.arrays:
            r, inner = self.loop(body, "r", index(0), rows)
            c, innermost = self.loop(inner, "c", index(0), index(self.values))
            mean = Load(self.dtype, "mixed", r * wide + c) * Load(self.dtype, "total", r)
            at = self.offset(out, batch, h, row + r, c)
            innermost.append(Store(self.arrays[out], at, mean))
        if lse in self.arrays:
            r, inner = self.loop(body, "r", index(0), rows)
            at = self.offset(lse, batch, h, row + r)
            inner.append(Store(self.arrays[lse], at, Load(self.dtype, "largest", r)))
        return self.body

    def backward(self) -> list[Stmt]:
        q, k, v, lse, delta, g = self.kernel.node.inputs[:6]
        dq, dk, dv = self.kernel.node.outputs
        unit, _, body = self.units()
        batch = self.let(body, "b", unit // self.kv_heads)
        kv = (batch, self.let(body, "h", unit % self.kv_heads))
        whole = index(0)
        keys, values = self.rows(body, k, kv, "keys"), self.rows(body, v, kv, "values")
        outer = body
        head, member = kv[1], whole  # type: Expr, Expr
        results = [(dk, "dk"), (dv, "dv")]
        sums = {v: self._sum(outer, v, kv, name) for v, name in results if v in self.arrays}
        if self.group > 1:
            member, body = self.loop(body, "g", whole, index(self.group))
            head = self.let(body, "q", kv[1] * self.group + member)
        own = (batch, head)
        time = index(self.time)
        self.turn(body, q, own, whole, time, "queries_turned")
        self.turn(body, g, own, whole, time, "pulls_turned")
        queries, pulls = self.rows(body, q, own, "queries"), self.rows(body, g, own, "pulls")
        for value, name in ((lse, "lse"), (delta, "delta")):
            r, inner = self.loop(body, "r", whole, time)
            element = Load(self.dtype, self.array(value), self.offset(value, *own, r))
            inner.append(Store(name, r, element))
        if dq in self.arrays:
            sums[dq] = self._sum(body, dq, own, "dq")
        column, inner = self.tiles(body, "j", whole, index(self.kernel.keys_seen))
        begin = column if self.causal else whole
        row, tile = self.tiles(inner, "i", begin, time)
        before = whole if row is begin else row - begin
        operands = queries, keys, values, pulls
        self._backward_tile(tile, row, column, own, operands, sums, before + member)
        for value, total in sums.items():
            if not self.kernel.sums_in_place(value):
                self._unpack(*((body, value, own) if value is dq else (outer, value, kv)), total)
        return self.body

    def _sum(self, body: list[Stmt], value: Value, head: Sequence[Expr], name: str) -> Rows:
        """Where a cotangent is summed up; rows to which nothing is added begin as zeros."""
        if self.kernel.sums_in_place(value):
            return self.in_place(value, head)
        _, count = self.kernel.parts[name]
        if not self.kernel.reaches_all(value):
            i, inner = self.loop(body, "n", index(0), index(count))
            inner.append(Store(name, i, const(0, self.dtype)))
        return Rows(name, index(0), self.kernel.padded(value.shape[3]))

    def _unpack(self, body: list[Stmt], value: Value, head: Sequence[Expr], source: Rows) -> None:
        """The rows of a working array to a result."""
        r, inner = self.loop(body, "r", index(0), index(value.shape[2]))
        c, innermost = self.loop(inner, "c", index(0), index(value.shape[3]))
        element = Load(self.dtype, source.array, source.at + r * source.stride + c)
        innermost.append(Store(self.arrays[value], self.offset(value, *head, r, c), element))

    def _backward_tile(
        self, body: list[Stmt], row: Expr, column: Expr, own: Sequence[Expr],
        operands: tuple[Rows, Rows, Rows, Rows], sums: Mapping[Value, Rows], before: Expr,
    ) -> None:  # fmt: skip
        """What a tile of scores adds to the cotangents; `before` is 0 in the first tile of those
        with the same keys.
        """
        queries, keys, values, pulls = operands
        dq, dk, dv = map(sums.get, self.kernel.node.outputs)
        rows = self.count(body, self.time, row)
        columns = self.computed(body, rows)
        edge = self.edge(row, column)
        scale, count = self._scores(body, rows, columns, keys, row, column, own, row)
        self.turned_product(
            body, count, columns, self.values, values, column, "pulls_turned", row * self.values,
            "slopes", edge,
        )  # fmt: skip
        slope = const(self.kernel.attend.scale, self.dtype)
        body.append(Do(f"gx_attend_slopes_{self.suffix}", (
            columns, count, edge, scale, slope, address("lse", row), address("delta", row),
            "scores", "slopes",
        )))  # fmt: skip

        def summed(
            array: str, source: Rows, into: Rows | None, width: int, wanted: Sequence[Value]
        ) -> None:
            """The rows of keys of a tile times rows of queries."""
            if into is None:
                return
            self.product(
                body, count, width, lambda r: rows - self.unseeing(r, edge),
                lambda r: (address(array, r * TILE + self.unseeing(r, edge)), TILE, 1),
                lambda r, c: source.address(row + self.unseeing(r, edge), c),
                source.stride, into, column, adds_after(before), wanted,
            )  # fmt: skip

        q, k, v, _, _, g = self.kernel.node.inputs[:6]
        summed("scores", pulls, dv, self.values, (v, g))
        summed("slopes", queries, dk, self.width, (q, k))
        if dq is not None:
            self.product(
                body, rows, self.width, self.seen(count, edge, self.kernel.across(self.width)[0]),
                lambda r: (address("slopes", r), 1, TILE), lambda r, c: keys.address(column, c),
                keys.stride, dq, row, adds_after(column),
            )  # fmt: skip
