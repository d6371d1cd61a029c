"""Register tiles and blocks of matrix products: pure functions of shape, strides and target."""

from __future__ import annotations

import math
from dataclasses import dataclass

from graphc.dtypes import DType

#: Terms of one chain of multiply-adds (GX_CHAIN in runtime/gemm.h).
CHAIN = 1536
#: Terms taken at a time where the left operand's columns lie far apart, so that the lines that a
#: tile reads stay in the first-level cache.
FAR_DEPTH = 256
#: Units of work that a product is cut into at least, where it has as many rows.
UNITS = 16
#: Rows of a unit at least: below, packing the right operand again would show.
UNIT_ROWS = 64

#: Vector bytes and number of vector registers by instruction set; others as "generic".
_VECTORS = {"avx512": (64, 32), "avx2": (32, 16), "neon": (16, 32), "generic": (16, 16)}


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a product [m, k] · [k, n] is cut.

    `rows` × `columns`: the register tile. `packs`: the right operand is packed, a panel of
    `columns` at a time; else it is read where it lies. `depth`: terms taken at a time. `block`:
    rows of one unit of work, whole tiles.
    """

    rows: int
    columns: int
    packs: bool
    depth: int
    block: int


def choose_tiling(
    isa: str, dtype: DType, shape: tuple[int, int, int, int], far: bool, turned: bool
) -> Tiling:
    """The tiling of a product (batch, m, n, k). `far`: the left operand is stored transposed;
    `turned`: the right one is, or has no unit stride.

    The tile is the one with the fewest cycles by a model of the inner loop: a term costs the
    multiply-adds (two vectors a cycle), the loads, or their latency, and every tile its stores.
    """
    batch, m, n, k = shape
    rows, columns = register_tile(isa, dtype, m, n, k)
    packs = turned or n < columns or (k > 256 and n * dtype.itemsize % 4096 == 0)
    packs = k > 0 and (packs or (m > 256 and k > 256))
    is_far = far and m * dtype.itemsize >= 4096 and 512 < k <= CHAIN
    once = not packs and m <= 2 * rows
    depth = FAR_DEPTH if is_far else max(1, k if once else min(k, CHAIN))
    panels = batch * -(-n // columns)
    fewest = max(UNIT_ROWS, rows) if packs else rows
    blocks = 1
    while panels * blocks < UNITS and m // (2 * blocks) >= fewest:
        blocks *= 2
    block = round_up(-(-max(m, 1) // blocks), rows)
    return Tiling(rows, columns, packs, depth, block)


def register_tile(isa: str, dtype: DType, m: int, n: int, k: int) -> tuple[int, int]:
    """Rows and columns of the register tile for products of k terms. It is no wider than the
    product, but has at least one vector.
    """
    vector_bytes, registers = _VECTORS.get(isa, _VECTORS["generic"])
    lanes = max(1, vector_bytes // dtype.itemsize)
    m, n = max(m, 1), max(n, 1)
    best, chosen = math.inf, (1, 1)
    for vectors in range(1, 6):
        for rows in range(1, min(m, 24) + 1):
            if rows * vectors + vectors + 1 > registers:
                continue
            term = max(rows * vectors / 2, 4.6, (rows + vectors) / 2) + 0.02 * (rows + vectors)
            tiles = -(-m // rows) * -(-n // (vectors * lanes))
            cycles = tiles * (k * term + 2 * rows * vectors + 20)
            if cycles < best:
                best, chosen = cycles, (rows, max(lanes, min(n, vectors * lanes)))
    return chosen


def attention_tile(isa: str, dtype: DType) -> tuple[int, int]:
    """Rows and columns of the register tile of attention: both divide a tile of scores."""
    vector_bytes, registers = _VECTORS.get(isa, _VECTORS["generic"])
    lanes = max(1, vector_bytes // dtype.itemsize)
    return (8 if registers >= 32 else 4), 2 * lanes


def round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
