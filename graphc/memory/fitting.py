"""The largest size of a step that fits, found by planning without running."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphc.errors import MemoryBudgetError

#: A size that is not looked beyond.
_MOST = 1 << 20


@dataclass(frozen=True)
class Fit:
    """A size, the bytes of the step there, and how many sizes were planned to find it."""

    size: int
    total_bytes: int
    tried: int


def largest(family: Callable[[int], Any], limit: int, options: Mapping[str, Any]) -> Fit:
    """The largest size for which `family(size)`, a traced step, needs at most `limit` bytes with
    everything that it reads and writes. Bytes are taken to grow with size. With a `memory_budget`
    among the options of `lower` a size that cannot be brought within it does not fit. Raises
    MemoryBudgetError where a size of 1 is too large.
    """
    needs: dict[int, int | None] = {}

    def fits(size: int) -> bool:
        try:
            needs[size] = total = family(size).lower(**options).memory.total_bytes
        except MemoryBudgetError:
            needs[size] = None
            return False
        return total <= limit

    size = largest_fitting(fits)
    if size == 0:
        raise MemoryBudgetError(
            f"a size of 1 takes {needs[1] or 'more'} bytes, {limit} are given", budget_bytes=limit
        )
    return Fit(size, needs[size] or 0, len(needs))


def largest_fitting(fits: Callable[[int], bool]) -> int:
    """The largest size that fits, 0 if not even 1 does. Sizes double, then the gap is halved."""
    if not fits(1):
        return 0
    low, high = 1, 2
    while high <= _MOST and fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
