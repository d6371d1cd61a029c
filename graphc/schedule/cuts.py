"""Cuts: the strides, in a row-major numbering of elements, at which axes of a shape meet. Shapes
of equal size whose cuts have a common refinement can be gone through by one set of loops.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

from graphc.ir.spec import row_major


@lru_cache(maxsize=4096)
def shape_cuts(shape: tuple[int, ...]) -> frozenset[int]:
    """Where axes meet, as strides: (2, 3, 4) has 1, 4, 12 and 24."""
    return frozenset((*row_major(shape), math.prod(shape), 1))


@lru_cache(maxsize=4096)
def merged_cuts(cuts: frozenset[int], others: frozenset[int]) -> frozenset[int] | None:
    """The cuts of a common refinement of axes, or None where there is none."""
    union = cuts | others
    ordered = sorted(union)
    for small, large in pairwise(ordered):
        if small == 0 or large % small:
            return None
    return union
