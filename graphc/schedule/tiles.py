"""Register tiles and blocks of matrix products: pure functions of shape and target."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.dtypes import DType

#: Terms of one chain of multiply-adds (GX_CHAIN in runtime/gemm.h).
CHAIN = 1536
#: A longer inner dimension is taken in blocks of this many terms (whole chains).
DEPTH = 2 * CHAIN
#: Bytes of packed right operand that are kept at a time.
PANEL_BYTES = 1 << 19
#: Bytes of packed left operand that one thread keeps: a quarter of a common second-level cache.
BLOCK_BYTES = 1 << 18
#: Products of a batch below this many operations each are computed by one thread each.
PRIVATE_FLOPS = 1 << 25

_VECTOR_BYTES = {"avx512": 64, "avx2": 32}


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a product [m, k] · [k, n] is cut.

    `rows` × `columns`: the register tile. `panel`: columns of the right operand packed at a time;
    `block`: rows of the left operand packed at a time; `depth`: terms taken at a time.
    `by_panel`: threads share the columns instead of the rows.
    """

    rows: int
    columns: int
    panel: int
    block: int
    depth: int
    by_panel: bool


def choose_tiling(isa: str, dtype: DType, m: int, n: int, k: int) -> Tiling:
    """The tiling of a product on an instruction set ("avx512", "avx2", …; others have 16 bytes)."""
    lanes = max(1, _VECTOR_BYTES.get(isa, 16) // dtype.itemsize)
    vectors = 1 if n <= lanes else 2
    rows = min({"avx512": 8, "avx2": 6}.get(isa, 4), max(1, m))
    columns = lanes * vectors
    depth = max(1, min(k, DEPTH))
    fitting = PANEL_BYTES // (depth * dtype.itemsize) // columns * columns
    panel = min(max(columns, fitting), round_up(max(n, 1), columns))
    fitting = BLOCK_BYTES // (depth * dtype.itemsize) // rows * rows
    block = min(max(rows, fitting), round_up(max(m, 1), rows))
    row_tiles, panels = -(-m // rows), -(-n // columns)
    return Tiling(rows, columns, panel, block, depth, row_tiles < 4 and panels > row_tiles)


def round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
