"""The kernel of attention, forward and backward."""

from __future__ import annotations

from functools import cached_property

from graphc.ir.graph import Node, Value
from graphc.ir.spec import Attend
from graphc.schedule.cost import OPERATIONS, PACK, PACK_TURNED, Work, vectors
from graphc.schedule.kernel import Kernel, Workspace
from graphc.schedule.product import PRODUCT_GRAIN
from graphc.schedule.tiles import attention_tile, round_up, tile_cycles, width_tile

#: Queries, and keys, of a tile of scores (GX_ATTEND_TILE in runtime/attention.h).
TILE = 64
#: Bytes of the queries that see the same keys, as far as scores are computed.
GROUP_BYTES = 64

#: Simple operations of a score, exponential included, forward and backward.
SCORE_COST = 18
SLOPE_COST = 20


class Attention(Kernel):
    """Tiles of queries against tiles of keys, whose scores live in the first-level cache alone.

    A unit of work is, forward, a tile of queries of one head; backward, all heads that share one
    head of keys, since their slopes are summed over the queries in order. Threads share the units.
    """

    @property
    def node(self) -> Node:
        return self.nodes[0]

    @property
    def attend(self) -> Attend:
        spec = self.spec(self.node)
        assert isinstance(spec, Attend)
        return spec

    @property
    def mask(self) -> Value | None:
        rest = self.node.inputs[6 if self.attend.gradient else 3 :]
        return rest[0] if rest else None

    @cached_property
    def sizes(self) -> tuple[int, int, int, int, int, int, int]:
        """(batch, heads, heads of keys, queries, keys, width, width of values)."""
        q, k, v = (value.shape for value in self.node.inputs[:3])
        return q[0], q[1], k[1], q[2], k[2], q[3], v[3]

    @property
    def dtype(self):
        return self.node.inputs[0].dtype

    @property
    def together(self) -> int:
        """Queries that see the same keys, as far as scores are computed."""
        return GROUP_BYTES // self.dtype.itemsize

    @cached_property
    def tile(self) -> tuple[int, int]:
        """Rows (keys) and columns (queries) of the register tile of scores."""
        return attention_tile(self.isa, self.dtype)

    @cached_property
    def narrow(self) -> tuple[int, int] | None:
        """The register tile of a single group, where the other one is wider than that."""
        return None if self.tile[1] <= self.together else (self.together, self.together)

    def across(self, width: int) -> tuple[int, int]:
        """Rows and columns of the register tile of products that are `width` wide."""
        return width_tile(self.isa, self.dtype, width)

    def padded(self, width: int) -> int:
        """The length of a packed row."""
        return round_up(width, self.across(width)[1])

    @property
    def panel(self) -> int:
        """Queries of a block of turned rows."""
        return min(TILE, round_up(self.sizes[3], self.together))

    @property
    def blocks(self) -> int:
        """Tiles of queries."""
        return -(-self.sizes[3] // TILE)

    @property
    def units(self) -> int:
        batch, heads, kv_heads, *_ = self.sizes
        return batch * kv_heads if self.attend.gradient else batch * heads * self.blocks

    @property
    def grain(self) -> int:
        """Units that one thread takes at least."""
        return max(1, PRODUCT_GRAIN * self.units // max(1, self.flops // 2))

    def workers(self, threads: int) -> int:
        return min(threads, max(1, -(-self.units // self.grain)))

    @property
    def work(self) -> Work:
        """Products and exponentials of the pairs of tiles that see one another; of a pair on the
        diagonal those of groups.
        """
        batch, heads, _, time, keys, width, value_width = self.sizes
        across = -(-keys // TILE)
        half = (1 + self.together / TILE) / 2
        seen = [min(across, i + half) if self.attend.causal else across for i in range(self.blocks)]
        rows = min(TILE, time)

        def product(n: int, k: int) -> float:
            tile = self.tile if n == TILE else self.across(n)
            return tile_cycles(self.isa, self.dtype, (rows, n, k), tile)

        if self.attend.gradient:
            products = product(TILE, width) + product(TILE, value_width)
            products += 2 * product(width, TILE) + product(value_width, TILE)
        else:
            products = product(TILE, width) + product(value_width, TILE)
        each = SLOPE_COST if self.attend.gradient else SCORE_COST
        exponentials = rows * vectors(TILE, self.isa, self.dtype) * each / OPERATIONS
        cycles = sum(seen) * (products + exponentials)
        operands = width + value_width if self.attend.gradient else width
        copied = sum(self.parts[name][1] for name in self.packed)
        cycles += self.dtype.itemsize * (time * operands * PACK_TURNED + copied * PACK)
        return Work(batch * heads * cycles, self.units)

    @property
    def keys_seen(self) -> int:
        """The keys before this one are seen by some query."""
        *_, time, keys, _, _ = self.sizes
        return min(keys, time) if self.attend.causal else keys

    def reaches_all(self, value: Value) -> bool:
        """Whether every row of a cotangent is in a tile that some query sees."""
        *_, rows, _ = value.shape
        return value is self.node.outputs[0] or rows <= round_up(self.keys_seen, TILE)

    def sums_in_place(self, value: Value) -> bool:
        """Whether a cotangent is summed up where it lies: register tiles fill its rows."""
        *_, count, width = value.shape
        rows, columns = self.across(width)
        return (
            self._beside(value)
            and count % rows == 0
            and width % columns == 0
            and self.reaches_all(value)
        )

    def _beside(self, value: Value) -> bool:
        """Whether the numbers of a row lie side by side."""
        return self.storage.places[value].strided.strides[-1] == 1

    @cached_property
    def packed(self) -> dict[str, Value]:
        """The operands of which rows are copied, by the name of the working array. Others are read
        where they lie: rows that are multiplied with, a vector at a time, are whole register tiles;
        those whose numbers multiply come in whole groups.
        """
        q, k, v = self.node.inputs[:3]
        gradient = self.attend.gradient
        operands = [("keys", k, True, gradient), ("values", v, gradient, not gradient)]
        if gradient:
            operands += [("queries", q, False, True), ("pulls", self.node.inputs[5], False, True)]

        def is_copied(value: Value, multiplies: bool, is_multiplied: bool) -> bool:
            *_, count, width = value.shape
            whole = not multiplies or count % self.together == 0
            whole = whole and (not is_multiplied or width % self.across(width)[1] == 0)
            return not (whole and self._beside(value))

        return {name: value for name, value, *use in operands if is_copied(value, *use)}

    @cached_property
    def parts(self) -> dict[str, tuple[int, int]]:
        """The working arrays: where each begins, in bytes, and its elements. "turned" arrays are
        blocks of 64 columns of the transpose, "scores", "slopes" and "masks" rows of 64 queries,
        one for each key, others rows, padded to whole register tiles; what a unit sums up is last.
        """
        *_, time, keys, width, value_width = self.sizes
        blocks = self.blocks if self.attend.gradient else 1
        sizes = {"queries_turned": blocks * self.panel * width}
        if self.attend.gradient:
            sizes["pulls_turned"] = blocks * self.panel * value_width
        for name, value in self.packed.items():
            *_, count, wide = value.shape
            sizes[name] = round_up(count, self.together) * self.padded(wide)
        tile = min(TILE, round_up(keys, self.together)) * TILE
        sizes["scores"] = tile
        if self.mask is not None:
            sizes["masks"] = tile
            if self.mask.dtype is not self.dtype:
                sizes["marks"] = min(TILE, time) * TILE
        if self.attend.gradient:
            sizes |= {"slopes": tile, "lse": self.blocks * TILE, "delta": self.blocks * TILE}
            for name, value in zip(("dq", "dk", "dv"), self.node.outputs, strict=True):
                *_, count, wide = value.shape
                if not self.sums_in_place(value):
                    sizes[name] = round_up(count, self.across(wide)[0]) * self.padded(wide)
        else:
            rows = self.across(value_width)[0]
            sizes |= {"largest": TILE, "total": TILE}
            sizes["mixed"] = round_up(min(time, TILE), rows) * self.padded(value_width)
        parts, offset = {}, 0
        for name, count in sizes.items():
            parts[name] = (offset, count)
            offset += round_up(count * self.dtype.itemsize, 64)
        return parts

    @property
    def workspace(self) -> Workspace:
        offset, count = list(self.parts.values())[-1]
        return Workspace(per_thread=round_up(offset + count * self.dtype.itemsize, 64))
