"""What a deep network repeats for every layer is written once: runs of lines that differ in numbers
alone become a loop over the turns.
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from graphc.codegen.emit_c import wrapped

#: A number of its own, or at the end of a quoted name.
_NUMBER = re.compile(r'(?<![\w.])\d+(?![\w.])|\d+(?=")')
#: Lines of one turn at most, and turns at least.
_LONGEST, _TURNS = 1024, 3
#: A loop is worth reading where it stands for so many lines more than it has.
_WORTH = 8

#: A number of a line, in each turn.
Column = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Turns:
    """Lines that stand `count` times in a row: of each the text around its numbers, and these."""

    count: int
    lines: tuple[tuple[tuple[str, ...], tuple[Column, ...]], ...]

    def write(self, number: Callable[[Column, str], str]) -> Iterator[str]:
        """The lines of any turn, given the text of a column and of what follows it."""
        for around, columns in self.lines:
            pairs = zip(columns, around[1:], strict=True)
            yield around[0] + "".join(number(c, behind) + behind for c, behind in pairs)


def folded(lines: Sequence[str], straight: bool = False) -> list[str | Turns]:
    """The same lines with runs taken together, those first that save the most. In a `straight` run
    every number grows evenly from turn to turn.
    """
    around = [tuple(_NUMBER.split(line)) for line in lines]
    numbers = [tuple(map(int, _NUMBER.findall(line))) for line in lines]
    found: list[str | Turns] = []
    at = 0
    for start, length, count in _disjoint(_runs(around, numbers if straight else None)):
        found += lines[at:start]
        at = start + length * count
        turns = [numbers[k : k + length] for k in range(start, at, length)]
        columns = [tuple(zip(*line, strict=True)) for line in zip(*turns, strict=True)]
        repeated = zip(around[start : start + length], columns, strict=True)
        found.append(Turns(count, tuple(repeated)))
    return [*found, *lines[at:]]


#: (first line, lines of a turn, turns)
_Run = tuple[int, int, int]


def _runs(
    around: Sequence[tuple[str, ...]], numbers: Sequence[tuple[int, ...]] | None
) -> Iterator[_Run]:
    """Every longest run of equal turns; straight ones where numbers are given."""
    known: dict[tuple[str, ...], int] = {}
    kinds = np.array([known.setdefault(a, len(known)) for a in around])
    values = _table(numbers) if numbers is not None else None
    for length in range(1, min(_LONGEST, len(around) // _TURNS) + 1):
        goes_on = kinds[length:] == kinds[:-length]
        shown = 1
        if values is not None:
            steps = values[length:] - values[:-length]
            even = (steps[length:] == steps[:-length]).all(axis=1)
            goes_on = goes_on[length:] & goes_on[:-length] & even
            shown = 2
        edges = np.flatnonzero(np.diff(goes_on.astype(np.int8), prepend=0, append=0))
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            count = (end - start) // length + shown
            if count >= _TURNS:
                yield start, length, count


def _table(rows: Sequence[tuple[int, ...]]) -> np.ndarray:
    table = np.zeros((len(rows), max(map(len, rows), default=0)), np.int64)
    for row, values in zip(table, rows, strict=True):
        row[: len(values)] = values
    return table


def _disjoint(runs: Iterator[_Run]) -> list[_Run]:
    """Runs that do not overlap, in order, taken by what they save; of one that overlaps what was
    taken, the turns that are free may still be worth it.
    """
    heap = [(-_saved(run), run) for run in runs if _saved(run) >= _WORTH]
    heapq.heapify(heap)
    taken: list[tuple[int, int, _Run]] = []
    while heap:
        _, run = heapq.heappop(heap)
        start, length, count = run
        end = start + length * count
        place = bisect_right(taken, start, key=lambda t: t[0])
        low = max(start, taken[place - 1][1] if place else 0)
        high = min(end, taken[place][0] if place < len(taken) else end)
        if (low, high) == (start, end):
            taken.insert(place, (start, end, run))
            continue
        rest = (low, length, max(0, high - low) // length)
        if rest[2] >= _TURNS and _saved(rest) >= _WORTH:
            heapq.heappush(heap, (-_saved(rest), rest))
    return [run for _, _, run in taken]


def _saved(run: _Run) -> int:
    _, length, count = run
    return length * (count - 1)


def as_loops(lines: Sequence[str]) -> list[list[str]]:
    """Statements of C, with runs as loops over `i`: numbers that do not grow evenly stand in a
    table. What is in one list stays together.
    """
    return [[part] if isinstance(part, str) else _loop(part) for part in folded(lines)]


def as_comment(lines: Sequence[str]) -> Iterator[str]:
    """Lines of a comment, with straight runs as formulas of `i`."""
    for part in folded(lines, straight=True):
        if isinstance(part, str):
            yield part
            continue
        yield f"  for i = 0 … {part.count - 1}:"
        yield from (f"  {line}" for line in part.write(_in_words))


def _loop(turns: Turns) -> list[str]:
    table: dict[Column, int] = {}

    def number(column: Column, behind: str) -> str:
        base, step = column[0], column[1] - column[0]
        if all(b - a == step for a, b in pairwise(column)):
            return _formula(base, step, " * ")
        # Columns that differ by a constant are one.
        k = table.setdefault(tuple(n - base for n in column), len(table))
        return f"{base} + at[i][{k}]" if base else f"at[i][{k}]"

    body = [f"    {line}" for line in turns.write(number)]
    loop = [f"for (int64_t i = 0; i < {turns.count}; i++) {{", *body, "}"]
    if not table:
        return loop
    rows = ["{" + ", ".join(map(str, row)) + "}" for row in zip(*table, strict=True)]
    head = f"    static const int64_t at[{turns.count}][{len(table)}] = {{"
    return ["{", head, *wrapped("        ", rows, ""), "    };", *[f"    {x}" for x in loop], "}"]


def _in_words(column: Column, behind: str) -> str:
    text = _formula(column[0], column[1] - column[0], " ")
    return f"{{{text}}}" if behind.startswith('"') and not text.isdecimal() else text


def _formula(base: int, step: int, times: str) -> str:
    """base + step · i"""
    if step == 0:
        return str(base)
    term = "i" if abs(step) == 1 else f"{abs(step)}{times}i"
    return f"{base} {'+' if step > 0 else '-'} {term}" if base else term
