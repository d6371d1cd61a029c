"""Register tiles and blocks of matrix products: pure functions of shape, strides and target."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from graphc.dtypes import DType

#: Terms of one chain of multiply-adds (GX_CHAIN in runtime/gemm.h).
CHAIN = 1536
#: Of a left operand whose columns lie far apart a unit uses a block of rows and of so many terms
#: at a time, of which a chain is a multiple; it takes about so many bytes of the second-level
#: cache, and about so many columns use it.
FAR_DEPTH = 256
FAR_BYTES = 768 * 1024
FAR_COLUMNS = 768
#: Terms so many bytes apart, each on another page, come too late, and those that have one place in
#: the first-level cache are lost before the next tile: a block is copied. Otherwise its rows are
#: read where they lie.
FAR_APART = 8192
#: Threads for which such a product is cut into equal shares.
FAR_UNITS = 4
#: Multiply-adds of vectors that an element costs which a unit copies, or reads from far away.
COPIED, FETCHED = 12.0, 7.0
#: Units of work that a product is cut into at least, where it has as many rows.
UNITS = 16
#: Rows from which on packing the right operand pays in any case.
PACKING_ROWS = 256
#: Register tiles that a measurement tries.
TRIED = 4
#: Bytes of a panel that stays in the first-level cache, and what the second one, and the last one,
#: give in a cycle; cycles of a line lost from the first, and of a row that is stored apart.
FIRST_BYTES, SECOND, LAST, FETCH, ROW = 32768, 38.0, 19.0, 2.0, 10.0
#: Cycles of an element that is stored alone, one of another tile beside it.
STORED = 1.5
#: Rows of a unit at least: below, packing the right operand again would show.
UNIT_ROWS = 64
#: Cycles of a byte of the right operand that is packed, most of them until it is there.
PACKED = 0.07
#: Terms of such a strip for each row of a tile.
STRIP = 16
#: A way of the first-level cache, and of the second: what lies so far apart has the same places.
#: Lines at one place that rows of a left operand may take in the first, and rows of a right one in
#: the second: the rest is for everything else.
FIRST_WAY, SECOND_WAY = 4096, 65536
FIRST_LINES, SECOND_LINES = 8, 8
LINE = 64
#: How far rows and columns of a left operand lie apart whose tiles are packed.
PACKED_LEFT = 1, 0

#: Vector bytes and number of vector registers by instruction set; others as "generic".
_VECTORS = {"avx512": (64, 32), "avx2": (32, 16), "neon": (16, 32), "generic": (16, 16)}


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a product [m, k] · [k, n] is cut.

    `rows` × `columns`: the register tile. `packs`: the right operand is packed, a panel of
    `columns` at a time; else it is read where it lies. `depth`: terms taken at a time. `block`:
    rows of one unit of work, whole tiles. `group`: panels of one unit. `packs_left`: the rows of a
    unit are packed too, for all of its panels.
    """

    rows: int
    columns: int
    packs: bool
    depth: int
    block: int
    group: int = 1
    packs_left: bool = False


Operands = tuple[tuple[int, int], tuple[int, int], bool]
"""How far rows and columns of the left operand, and of the right one, lie apart; whether the right
one's panels are packed already."""


@lru_cache(maxsize=4096)
def choose_tiling(
    isa: str, dtype: DType, shape: tuple[int, int, int, int], operands: Operands
) -> Tiling:
    """The tiling of a product (batch, m, n, k). The tile is the one with the fewest cycles by a
    model of the inner loop, `tile_cycles`.
    """
    _, m, n, k = shape
    left, right, prepared = operands
    rows, columns = register_tile(isa, dtype, m, n, k, left=left)
    if _is_far(dtype, shape, left, (rows, columns)):
        apart = left[1] * dtype.itemsize
        beside = left[0] == 1 and apart < FAR_APART and apart % FIRST_WAY != 0
        return _far_tiling(isa, dtype, shape, not beside)
    packs = right[1] != 1 or prepared or n < columns or m >= PACKING_ROWS
    if not packs:
        tiling = _in_place(isa, dtype, shape, right[0], left)
        if tiling is not None:
            return tiling
    return _near_tiling(isa, dtype, shape, (rows, columns), k > 0)


@lru_cache(maxsize=4096)
def is_better_turned(
    isa: str, dtype: DType, shape: tuple[int, int, int, int], operands: Operands
) -> bool:
    """Whether the transposed product is computed sooner, the operands changing places: rows of the
    result that fill no vector become the rows of its tiles.
    """
    _, m, n, k = shape
    left, right, prepared = operands
    if prepared or n > vector_bytes(isa) // dtype.itemsize or m <= n:
        return False

    def cycles(m: int, n: int, left: tuple[int, int], right: tuple[int, int]) -> float:
        tile = register_tile(isa, dtype, m, n, k, left=left)
        packing = k * n * dtype.itemsize * PACKED if right[1] != 1 else 0.0
        return tile_cycles(isa, dtype, (m, n, k), tile, left) + packing

    apart = STORED * m * n if n > 1 else 0.0
    return cycles(n, m, right[::-1], left[::-1]) + apart < cycles(m, n, left, right)


def _near_tiling(
    isa: str, dtype: DType, shape: tuple[int, int, int, int], tile: tuple[int, int], packs: bool
) -> Tiling:
    """Units of one panel, of whole chains."""
    batch, m, n, k = shape
    rows, columns = tile
    depth = min(k, CHAIN)
    if m <= 2 * rows and not packs:
        depth = k
    elif m <= 2 * rows and depth * columns * dtype.itemsize > FIRST_BYTES:
        # A panel that is read once or twice does not leave the first-level cache.
        depth = 1 << (FIRST_BYTES // (columns * dtype.itemsize)).bit_length() - 1
    panels = batch * -(-n // columns)
    fewest = max(UNIT_ROWS, rows) if packs else rows
    blocks = 1
    while panels * blocks < UNITS and m // (2 * blocks) >= fewest:
        blocks *= 2
    block = round_up(-(-max(m, 1) // blocks), rows)
    return Tiling(rows, columns, packs, max(1, depth), block)


def _in_place(
    isa: str,
    dtype: DType,
    shape: tuple[int, int, int, int],
    apart: int,
    left: tuple[int, int],
) -> Tiling | None:
    """A tiling that reads the right operand where it lies, its rows so many elements `apart`; None
    where it is better packed. Every panel comes from far away for its first tile. Where rows take
    the same places of the caches, a strip of few of them is used for all rows of the result, and
    then the one beside it; its tiles wait in memory for the next terms.
    """
    batch, m, n, k = shape
    far = k * n * dtype.itemsize

    def cost(tile: tuple[int, int]) -> float:
        rows, columns = tile
        cycles = tile_cycles(isa, dtype, (m, n, k), tile, left)
        fetched = far * (1 + LINE / (columns * dtype.itemsize)) / LAST
        return cycles + max(0.0, fetched - cycles * rows / round_up(m, rows))

    tiles = register_tiles(isa, dtype, m, n, k, 1, left)
    rows, columns = min((t for t in tiles if t[1] <= n), key=cost)
    most = _held(apart * dtype.itemsize, SECOND_WAY, SECOND_LINES)
    if k <= most:
        return _near_tiling(isa, dtype, shape, (rows, columns), False)
    depth = 1 << min(most, STRIP * rows).bit_length() - 1
    whole, kept = (
        tile_cycles(isa, dtype, (m, n, k), (rows, columns), left, parts)
        for parts in (1, -(-k // depth))
    )
    adds = k > CHAIN and not dtype.is_float
    if adds or kept - whole > far * PACKED:
        return None
    group = -(-n // (columns * (1 if batch >= FAR_UNITS else FAR_UNITS)))
    return Tiling(rows, columns, False, depth, round_up(m, rows), group)


def _held(apart: int, way: int, lines: int) -> int:
    """How many rows so many bytes apart a cache holds at once: at every place so many lines."""
    return lines * (way // max(LINE, math.gcd(apart, way)))


def tilings(
    isa: str, dtype: DType, shape: tuple[int, int, int, int], operands: Operands
) -> list[Tiling]:
    """Tilings among which a measurement may choose, the one that is chosen without at first: other
    register tiles, larger and smaller units, operands that are packed or not. No bit of a result
    depends on them.
    """
    first = choose_tiling(isa, dtype, shape, operands)
    _, m, n, k = shape
    left, right, prepared = operands
    found = {first: None}
    for rows, columns in register_tiles(isa, dtype, m, n, k, 1, left)[:TRIED]:
        group = max(1, first.group * first.columns // columns)
        if n >= columns or first.packs:
            block = round_up(first.block, rows)
            found[replace(first, rows=rows, columns=columns, block=block, group=group)] = None
    for block in (first.block // 2, first.block * 2):
        if first.rows <= block < 2 * m:
            found[replace(first, block=round_up(block, first.rows))] = None
    if _is_far(dtype, shape, left, register_tile(isa, dtype, m, n, k, left=left)):
        if left[0] == 1:
            found[replace(first, packs_left=not first.packs_left)] = None
    elif right[1] == 1 and not prepared and n >= first.columns and k > 0:
        found[replace(first, packs=not first.packs, depth=max(1, min(k, CHAIN)))] = None
    return list(found)


def _is_far(
    dtype: DType, shape: tuple[int, int, int, int], left: tuple[int, int], tile: tuple[int, int]
) -> bool:
    """Whether the left operand is stored transposed, and leaves the second-level cache."""
    _, m, n, k = shape
    large = m * k * dtype.itemsize >= FAR_BYTES and k >= 64
    return left[1] != 1 and large and m >= 2 * tile[0] and n > tile[1]


def _far_tiling(
    isa: str, dtype: DType, shape: tuple[int, int, int, int], packs_left: bool
) -> Tiling:
    """The right operand packed for a block of rows, the left one for a group of panels or not at
    all. Units are cut so that they copy and fetch little and threads get equal shares. Tiles of few
    rows would read the panel faster than the second-level cache gives it.
    """
    batch, m, n, k = shape
    fewest = 8 if _VECTORS.get(isa, _VECTORS["generic"])[1] >= 32 else 4
    rows, columns = register_tile(isa, dtype, m, n, k, fewest)
    # Parts of a chain are resumed; several chains are cut alike, those of integers not at all.
    several = FAR_DEPTH if dtype.is_float else CHAIN
    depth = round_up(-(-k // -(-k // FAR_DEPTH)), 8) if k <= CHAIN else several
    panels = -(-n // columns)
    blocks = -(-m // max(rows, FAR_BYTES // (depth * dtype.itemsize)))
    groups = -(-panels // max(2, FAR_COLUMNS // columns))

    def cost(cut: tuple[int, int]) -> float:
        block, group = cut
        units = batch * -(-m // block) * -(-panels // group)
        moved = COPIED / block + (COPIED if packs_left else FETCHED) / (group * columns)
        return round_up(units, FAR_UNITS) / units * (1 + moved)

    cuts = [
        (round_up(-(-m // b), rows), -(-panels // g))
        for b in range(blocks, blocks + FAR_UNITS)
        for g in range(groups, min(groups + FAR_UNITS, panels + 1))
        if b == blocks or m // b >= UNIT_ROWS
    ]
    block, group = min(cuts, key=cost)
    return Tiling(rows, columns, True, min(depth, k), block, group, packs_left)


def row_tiling(
    isa: str, dtype: DType, shape: tuple[int, int, int, int], grain: int, packed: bool
) -> Tiling:
    """The tiling of a product of which threads take rows in whole grains, and all columns. Tiles
    lie within a grain, where there are several. They are as high as they can be: the right operand
    comes from the second-level cache.
    """
    _, m, n, k = shape
    high = high_tile(isa)
    whole = grain < m
    step = high if grain % high == 0 or (not whole and m > high) else 1
    rows, columns = register_tile(isa, dtype, grain, n, k, step, whole)
    return Tiling(rows, columns, packed, k, grain)


def high_tile(isa: str) -> int:
    """Rows of a tile that is high and two vectors wide."""
    return 8 if _VECTORS.get(isa, _VECTORS["generic"])[1] >= 32 else 4


def register_tile(
    isa: str, dtype: DType, m: int, n: int, k: int, step: int = 1, whole: bool = False,
    left: tuple[int, int] = PACKED_LEFT,
) -> tuple[int, int]:  # fmt: skip
    """Rows (a multiple of `step`; with `whole` m is one of them) and columns of the register tile
    for products of k terms. It is no wider than the product, but has at least one vector. `left`:
    how far rows and columns of the left operand lie apart.
    """
    found = register_tiles(isa, dtype, m, n, k, step, left)
    return next(tile for tile in found if not whole or m % tile[0] == 0)


@lru_cache(maxsize=4096)
def register_tiles(
    isa: str, dtype: DType, m: int, n: int, k: int, step: int = 1,
    left: tuple[int, int] = PACKED_LEFT,
) -> tuple[tuple[int, int], ...]:  # fmt: skip
    """All register tiles for such products, those of the fewest cycles first."""
    registers = _VECTORS.get(isa, _VECTORS["generic"])[1]
    lanes = max(1, vector_bytes(isa) // dtype.itemsize)
    m, n = max(m, 1), max(n, 1)
    found: list[tuple[float, tuple[int, int]]] = []
    for vectors in range(1, 6):
        for rows in range(step, max(step, min(m, 24)) + 1, step):
            if rows * vectors + vectors + 1 > registers:
                continue
            cycles = tile_cycles(isa, dtype, (m, n, k), (rows, vectors * lanes), left)
            found.append((cycles, (rows, max(lanes, min(n, vectors * lanes)))))
    found.sort(key=lambda f: f[0])
    return tuple(dict.fromkeys(tile for _, tile in found)) or ((1, 1),)


def tile_cycles(
    isa: str, dtype: DType, shape: tuple[int, int, int], tile: tuple[int, int],
    left: tuple[int, int] = PACKED_LEFT, parts: int = 1,
) -> float:  # fmt: skip
    """Cycles of a core for a product (m, n, k) in tiles. A term of a tile takes its multiply-adds,
    two vectors a cycle, at least as long as one of them waits for the one before, the loads, and
    what it reads from the second-level cache of a large panel, and of a left operand whose terms
    lie apart. Rows of the left operand that the first-level cache cannot hold together are fetched
    for every term. Terms are taken in so many `parts`, between which a tile waits in memory.
    """
    (m, n, k), (rows, columns) = shape, tile
    vectors = -(-columns // max(1, vector_bytes(isa) // dtype.itemsize))
    term = max(rows * vectors / 2, 4.6, (rows + vectors) / 2) + 0.02 * (rows + vectors)
    if m > rows and k * columns * dtype.itemsize > FIRST_BYTES:
        term = max(term, (columns * dtype.itemsize + LINE * (left[1] > 1)) / SECOND)
    term += FETCH * max(0, rows - _held(left[0] * dtype.itemsize, FIRST_WAY, FIRST_LINES))
    tiles = -(-m // rows) * -(-n // columns)
    # The more accumulators wait to be stored, the less of the next tile is begun meanwhile.
    sums = rows * vectors
    end = 6 + sums * sums / 9
    apart = ROW * rows if n > columns else 0.0
    return tiles * (k * term + parts * end + (parts - 1) * sums + apart)


def fills_registers(isa: str, dtype: DType, tile: tuple[int, int]) -> bool:
    """Whether a tile, a term of the right operand and an element of the left one take all vector
    registers. Hazard: with more loops around it gcc 12 keeps sums of such a tile in memory.
    """
    rows, columns = tile
    vectors = -(-columns // max(1, vector_bytes(isa) // dtype.itemsize))
    return (rows + 1) * vectors + 1 >= _VECTORS.get(isa, _VECTORS["generic"])[1]


def lane_tiles(isa: str, dtype: DType, m: int, n: int, k: int) -> list[tuple[int, int]]:
    """Register tiles for m rows of n columns with k terms each, of which every column has a left
    operand of its own; those of the fewest cycles first.
    """
    registers = _VECTORS.get(isa, _VECTORS["generic"])[1]
    lanes = max(1, vector_bytes(isa) // dtype.itemsize)
    shape = max(m, 1), max(n, 1), k
    tiles = [
        (rows, vectors * lanes)
        for vectors in (4, 3, 2, 1)
        for rows in range(1, min(shape[0], 12) + 1)
        if (rows + 1) * vectors < registers
    ]
    return sorted(tiles, key=lambda tile: lane_cycles(isa, dtype, shape, tile))


def lane_cycles(
    isa: str, dtype: DType, shape: tuple[int, int, int], tile: tuple[int, int]
) -> float:
    """Cycles of such a tile's product: every multiply-add reads memory, two vectors a cycle."""
    (m, n, k), (rows, columns) = shape, tile
    vectors = -(-columns // max(1, vector_bytes(isa) // dtype.itemsize))
    term = max(4.6, (rows + 1) * vectors / 2)
    tiles = -(-m // rows) * -(-n // columns)
    return tiles * (k * term + 2 * rows * vectors + 20)


def attention_tile(isa: str, dtype: DType) -> tuple[int, int]:
    """Rows and columns of the register tile of scores, both of which divide a tile of them."""
    registers = _VECTORS.get(isa, _VECTORS["generic"])[1]
    lanes = max(1, vector_bytes(isa) // dtype.itemsize)
    return (8 if registers >= 32 else 4), 2 * lanes


@lru_cache(maxsize=256)
def width_tile(isa: str, dtype: DType, width: int) -> tuple[int, int]:
    """Rows and columns of the register tile of products that are a head wide: columns that divide
    the width, where as many do as a vector has or more.
    """
    rows, columns = attention_tile(isa, dtype)
    lanes = columns // 2
    whole = [c for c in range(lanes, 3 * lanes + 1) if width % c == 0]
    if not whole:
        return rows, columns
    shape = 8 * rows, width, 8 * rows
    return rows, min(whole, key=lambda c: tile_cycles(isa, dtype, shape, (rows, c)))


def vector_bytes(isa: str) -> int:
    """The widest vectors that tiles for an instruction set are made of."""
    return _VECTORS.get(isa, _VECTORS["generic"])[0]


def round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
