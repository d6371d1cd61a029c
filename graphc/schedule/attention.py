"""The kernel of attention, forward and backward."""

from __future__ import annotations

from functools import cached_property

from graphc.ir.graph import Node, Value
from graphc.ir.spec import Attend
from graphc.schedule.cost import OPERATIONS, PACK, Work, vectors
from graphc.schedule.kernel import Kernel, Workspace
from graphc.schedule.product import PRODUCT_GRAIN
from graphc.schedule.tiles import attention_tile, round_up, tile_cycles

#: Queries, and keys, of a tile of scores (GX_ATTEND_KEYS in runtime/attention.h).
TILE = 64

#: Simple operations of a score, exponential included, forward and backward.
SCORE_COST = 28
SLOPE_COST = 30


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

    @cached_property
    def tile(self) -> tuple[int, int]:
        """Rows and columns of the register tile."""
        return attention_tile(self.isa, self.dtype)

    def padded(self, width: int) -> int:
        """The length of a packed row."""
        return round_up(width, self.tile[1])

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
        """Products and exponentials of the pairs of tiles that see one another."""
        batch, heads, _, time, keys, width, value_width = self.sizes
        across = -(-keys // TILE)
        seen = [min(across, i + 1) if self.attend.causal else across for i in range(self.blocks)]

        def product(n: int, k: int) -> float:
            return tile_cycles(self.isa, self.dtype, (min(TILE, time), n, k), self.tile)

        if self.attend.gradient:
            products = product(TILE, width) + product(TILE, value_width)
            products += 2 * product(width, TILE) + product(value_width, TILE)
        else:
            products = product(TILE, width) + product(value_width, TILE)
        each = SLOPE_COST if self.attend.gradient else SCORE_COST
        rows = min(TILE, time) * vectors(TILE, self.isa, self.dtype)
        cycles = sum(seen) * (products + rows * each / OPERATIONS)
        cycles += self.workspace.per_thread * PACK
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
        rows, columns = self.tile
        *_, count, width = value.shape
        unit_stride = self.storage.places[value].strided.strides[-1] == 1
        fits = unit_stride and count % rows == 0 and width % columns == 0
        return fits and self.reaches_all(value)

    @cached_property
    def parts(self) -> dict[str, tuple[int, int]]:
        """The working arrays: where each begins, in bytes, and its elements. "turned" arrays are
        blocks of 64 columns of the transpose, the others rows, padded to whole register tiles; what
        a unit sums up comes last.
        """
        *_, time, keys, width, value_width = self.sizes
        wide, value_wide = self.padded(width), self.padded(value_width)
        rows, key_rows = round_up(time, TILE), round_up(keys, TILE)
        if self.attend.gradient:
            sizes = {
                "keys": key_rows * wide,
                "keys_turned": key_rows * width,
                "values_turned": key_rows * value_width,
                "queries": rows * wide,
                "pulls": rows * value_wide,
                "scores": TILE * TILE,
                "slopes": TILE * TILE,
                "lse": rows,
                "delta": rows,
            }
            # Register tiles divide tiles: what they sum ends with the last of them.
            sums, key_sums = (round_up(n, self.tile[0]) for n in (time, keys))
            results = {"dq": sums * wide, "dk": key_sums * wide, "dv": key_sums * value_wide}
            for (name, count), value in zip(results.items(), self.node.outputs, strict=True):
                if not self.sums_in_place(value):
                    sizes[name] = count
        else:
            sizes = {
                "keys_turned": key_rows * width,
                "values": key_rows * value_wide,
                "queries": TILE * wide,
                "scores": TILE * TILE,
                "largest": TILE,
                "total": TILE,
                "mixed": round_up(min(time, TILE), self.tile[0]) * value_wide,
            }
        parts, offset = {}, 0
        for name, count in sizes.items():
            parts[name] = (offset, count)
            offset += round_up(count * self.dtype.itemsize, 64)
        return parts

    @property
    def workspace(self) -> Workspace:
        offset, count = list(self.parts.values())[-1]
        return Workspace(per_thread=round_up(offset + count * self.dtype.itemsize, 64))
