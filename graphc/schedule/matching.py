"""Whether members of a group number its elements alike: questions about shapes and strides."""

from __future__ import annotations

from graphc.ir.spec import Reduce, Strided, row_major
from graphc.schedule.cuts import merged_cuts, shape_cuts
from graphc.schedule.group import Group, Level

#: Rows this long are reduced by several threads where there are fewer than MIN_ROWS of them, so
#: what follows such a reduction is a kernel of its own.
LONG_ROW = 16384
MIN_ROWS = 8


def is_split_row(group: Group) -> bool:
    """Whether several threads share a row of a group's reductions: a function of shape alone."""
    return (
        not group.whole
        and group.row is not None
        and group.row >= LONG_ROW
        and group.rows < MIN_ROWS
    )


def level_cuts(group: Group, shape: tuple[int, ...], level: Level) -> frozenset[int] | None:
    """The cuts of a group with one more member; a row's number moves by whole rows."""
    own = shape_cuts(shape)
    if level is Level.ROW:
        assert group.row is not None
        own = frozenset(cut * group.row for cut in own)
    return merged_cuts(group.cuts, own)


def matches(shape: tuple[int, ...], have: Strided, wanted: Level, row: int | None) -> bool:
    """Whether an access numbers the elements of a shape as the group does."""
    if have.offset:
        return False
    for extent, stride, step in zip(shape, have.strides, row_major(shape), strict=True):
        if extent == 1:
            continue
        if wanted is Level.ROW:
            assert row is not None
            if stride != step * row:
                return False
        elif stride != step and not (stride == 0 and row is not None and step * extent <= row):
            return False
    if wanted is Level.FULL and row is not None:
        # Either everything moves (a full member) or nothing does within a row (a row's number).
        inside = [
            s != 0
            for n, s, step in zip(shape, have.strides, row_major(shape), strict=True)
            if n > 1 and step * n <= row
        ]
        return all(inside) or not any(inside)
    return True


def is_canonical(spec: Reduce, shape: tuple[int, ...]) -> bool:
    """Whether a reduction's axes already are in the order outer, reduced, inner."""
    moved = [a for a in spec.order(len(shape)) if shape[a] != 1]
    return moved == sorted(moved)
