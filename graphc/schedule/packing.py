"""Packing into a given capacity: a complete search for an arena of exactly that size.

Buffers fixed in time are rectangles of fixed left and right edges that may slide up and down only.
Time is cut into sections, the maximal sets of buffers live at once, so two buffers overlap in time
if and only if they share a section. Placed buffers form a skyline, its height in a section being
the least offset that an unplaced buffer may have there. A *valley* is a run of sections of equal
height between higher ones. Take any section of a valley. In a packing in which every buffer rests
on another one or on the ground, either an unplaced buffer that lies within the valley stands on
its floor and covers that section, or the floor of the section is wasted up to the next height at
which something can rest. These are the branches, and the valley and section with the fewest are
taken first, so that what is forced is done at once.

The waste in a section can be at most the capacity less the sum of its buffers, which bounds the
search. Sections in which all is placed separate the others; a dead end in one part returns to the
last decision that touched this part.

MiniMalloc (Moffitt, ASPLOS 2023) has the sections, their bound and the decomposition; it branches
on the buffer with the next offset of all, where a valley looks at one place. Covering the lowest
place first is how perfect rectangle packings are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np

#: The height of a section in which everything is placed.
_WALL = 1 << 60
#: The choice to waste the floor of a section instead of covering it.
_WASTE = -1
#: The first searches give up after as many choices as this many ways to the bottom have.
_DIVES = 2

Range = tuple[int, int]


class Sections:
    """Buffers as ranges of sections: `left[k]` to `right[k] - 1` are those of buffer k, `pairs` is
    the number of pairs of a section and a buffer in it. Sizes are positive; there is a buffer.
    """

    def __init__(self, sizes: Sequence[int], first: Sequence[int], last: Sequence[int]) -> None:
        self.sizes = np.asarray(sizes, np.int64)
        self.left = np.zeros(len(sizes), np.int64)
        self.right = np.zeros(len(sizes), np.int64)
        # At equal steps ends come before beginnings: lifetimes are half open.
        ends = [(step, 0, k) for k, step in enumerate(last)]
        events = sorted(ends + [(step, 1, k) for k, step in enumerate(first)])
        section, grown = 0, False
        for _, begins, buffer in events:
            if begins:
                self.left[buffer] = section
                grown = True
            else:
                # The set of live buffers was maximal if it has grown since one ended.
                section += grown
                grown = False
                self.right[buffer] = section
        self.count = section
        self.pairs = int((self.right - self.left).sum())

    @cached_property
    def _by_section(self) -> tuple[np.ndarray, np.ndarray]:
        spans = self.right - self.left
        buffers = np.repeat(np.arange(len(spans)), spans)
        within = np.arange(len(buffers)) - np.repeat(np.cumsum(spans) - spans, spans)
        sections = self.left[buffers] + within
        order = np.argsort(sections, kind="stable")
        return buffers[order], np.searchsorted(sections[order], np.arange(self.count + 1))

    def members(self, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """The buffers of each of some sections, one section after the other, and where in them each
        section begins.
        """
        buffers, start = self._by_section
        rows = start[begin : end + 1]
        return buffers[rows[0] : rows[-1]], rows[:-1] - rows[0]

    @cached_property
    def load(self) -> np.ndarray:
        """The sum of the sizes in each section."""
        change = np.zeros(self.count + 1, np.int64)
        np.add.at(change, self.left, self.sizes)
        np.subtract.at(change, self.right, self.sizes)
        return np.cumsum(change)[:-1]


@dataclass(slots=True, eq=False)
class _Part:
    """An unfinished run of sections between walls, and its unplaced buffers."""

    begin: int
    end: int
    buffers: np.ndarray


def _digest(height: np.ndarray, part: _Part) -> bytes:
    """The state of a part in 16 bytes: sections, skyline and unplaced buffers."""
    state = (np.int64(part.begin), height[part.begin : part.end], part.buffers)
    return blake2b(b"".join([x.tobytes() for x in state]), digest_size=16).digest()


@dataclass(slots=True, eq=False)
class _Frame:
    """A node of the search: the state, the part that is worked on, and what is left to try there.

    `height` has one section more, a wall; `load` is the sum of unplaced sizes in each section;
    `touched` the sections that the current choice changed.
    """

    height: np.ndarray
    load: np.ndarray
    parts: list[_Part]
    section: int
    rise: int
    choices: list[int]
    touched: Range = (0, 0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`offsets` of a packing if one was found; `complete` if the search had no reason to stop, so
    that no offsets means that there is no packing; `nodes` is what it took.
    """

    offsets: np.ndarray | None
    complete: bool
    nodes: int


def smallest(
    sections: Sections, low: int, high: int, nodes: int, tolerance: float
) -> np.ndarray | None:
    """Offsets with a peak below `high`, where `low` is a lower bound, in at most `nodes` choices;
    None where none were found. Tries `low` itself with half of the nodes, then halves the
    distance until it is less than `tolerance` of `high`.
    """
    best = None
    share = nodes // 2
    capacity = low
    while low < high and share >= len(sections.sizes):
        outcome = fit(sections, capacity, share)
        nodes -= outcome.nodes
        if outcome.offsets is not None:
            best = outcome.offsets
            high = int((best + sections.sizes).max())
        else:
            low = capacity + 1
        if high - low <= tolerance * high:
            break
        capacity = (low + high) // 2
        share = nodes // 2
    return best


def fit(sections: Sections, capacity: int, nodes: int) -> Outcome:
    """Looks for offsets such that all buffers end at or below `capacity`, in at most `nodes`
    choices, by searches that prefer large, long and spacious buffers in turn. A search that went
    astray early does not come back, so each gets little, and later ones see sizes blurred.
    """
    used = number = 0
    while used < nodes:
        share = min(nodes - used, _DIVES * len(sections.sizes) << number // 3)
        outcome = pack(sections, capacity, _rank(sections, number), share)
        used += outcome.nodes
        number += 1
        if outcome.complete:
            return Outcome(outcome.offsets, True, used)
    return Outcome(None, False, used)


def _rank(sections: Sections, number: int) -> np.ndarray:
    """The place of each buffer by size, number of sections or area, blurred from round to round."""
    spans = sections.right - sections.left
    measures = (
        sections.sizes + spans / (sections.count + 1),
        spans + sections.sizes / (sections.sizes.max() + 1),
        spans * sections.sizes,
    )
    round_, which = divmod(number, len(measures))
    # Multiples of an odd number, modulo 2³²: spread evenly, and the same on every machine.
    spread = np.arange(len(spans)) * (2654435761 * round_) % 2**32 / 2**32
    blurred = measures[which] * (1 + spread)
    return np.argsort(np.argsort(-blurred, kind="stable"))


def pack(sections: Sections, capacity: int, rank: np.ndarray, nodes: int) -> Outcome:
    """One search of at most `nodes` choices. Where several buffers could be chosen, one with a
    lower `rank` comes first.
    """
    return _Search(sections, capacity, rank).run(nodes)


class _Search:
    def __init__(self, sections: Sections, capacity: int, rank: np.ndarray) -> None:
        self.sections = sections
        self.capacity = capacity
        self.rank = rank
        self.offsets = np.zeros(len(sections.sizes), np.int64)
        self.reach = np.full(len(sections.sizes), _WALL, np.int64)
        # Parts without a packing: the same skyline over the same buffers comes up in many orders.
        self.dead: set[bytes] = set()

    def run(self, nodes: int) -> Outcome:
        s = self.sections
        height = np.zeros(s.count + 1, np.int64)
        height[-1] = _WALL
        everything = _Part(0, s.count, np.arange(len(s.sizes)))
        if s.load.max() > self.capacity:
            return Outcome(None, True, 0)
        root = self._frame(height, s.load, [everything])
        assert root is not None, "nothing is placed yet, so nothing is wasted"
        frames = [root]
        used = 0
        while frames:
            frame = frames[-1]
            if not frame.choices:
                self._return(frames)
                continue
            if used == nodes:
                return Outcome(None, False, used)
            used += 1
            child = self._step(frame, frame.choices.pop(0))
            if child is None:
                continue
            if not child.parts:
                return Outcome(self.offsets, True, used)
            frames.append(child)
        return Outcome(None, True, used)

    def _return(self, frames: list[_Frame]) -> None:
        """Back from a dead end to the last choice that touched the part where it lies."""
        dead = frames.pop()
        part = dead.parts[0]
        self.dead.add(_digest(dead.height, part))
        while frames:
            begin, end = frames[-1].touched
            if begin < part.end and end > part.begin:
                return
            frames.pop()

    def _step(self, frame: _Frame, choice: int) -> _Frame | None:
        """The state after a choice; None where it cannot lead to a packing."""
        s, part = self.sections, frame.parts[0]
        height, load, buffers = frame.height.copy(), frame.load, part.buffers
        if choice == _WASTE:
            frame.touched = (frame.section, frame.section + 1)
            height[frame.section] += frame.rise
        else:
            left, right = int(s.left[choice]), int(s.right[choice])
            frame.touched = (left, right)
            self.offsets[choice] = height[frame.section]
            height[left:right] += s.sizes[choice]
            load = load.copy()
            load[left:right] -= s.sizes[choice]
            buffers = buffers[buffers != choice]
        return self._frame(height, load, [_Part(part.begin, part.end, buffers), *frame.parts[1:]])

    def _frame(self, height: np.ndarray, load: np.ndarray, parts: list[_Part]) -> _Frame | None:
        """Raises the skyline of the first part as far as it must, cuts the part at its walls, and
        finds the choices of one section; None where a section has more waste than it can have.
        """
        part = parts[0]
        if not self._raise(height, load, part):
            return None
        cut = self._cut(height, part)
        if not self.dead.isdisjoint([_digest(height, p) for p in cut]):
            return None
        parts = cut + parts[1:]
        if not parts:
            return _Frame(height, load, parts, 0, 0, [])
        return self._choices(height, load, parts)

    def _raise(self, height: np.ndarray, load: np.ndarray, part: _Part) -> bool:
        """No unplaced buffer lies lower than the skyline over its sections, and what all unplaced
        buffers of a section leave below them is waste: repeated until nothing rises.
        """
        s, buffers = self.sections, part.buffers
        here = slice(part.begin, part.end)
        ends = np.stack((s.left[buffers], s.right[buffers]), 1).ravel()
        members, rows = s.members(part.begin, part.end)
        while True:
            self.reach[members] = _WALL
            if len(buffers):
                self.reach[buffers] = np.maximum.reduceat(height, ends)[::2]
            lowest = np.minimum.reduceat(self.reach[members], rows)
            if not (lowest > height[here]).any():
                return True
            np.maximum(height[here], lowest, out=height[here])
            full = (height[here] + load[here] > self.capacity) & (height[here] < _WALL)
            if full.any():
                return False

    def _cut(self, height: np.ndarray, part: _Part) -> list[_Part]:
        """The runs of sections between walls, with the buffers of each."""
        s = self.sections
        open_ = np.flatnonzero(height[part.begin : part.end] < _WALL) + part.begin
        if not len(open_):
            return []
        gaps = np.flatnonzero(np.diff(open_) > 1)
        if not len(gaps):
            return [_Part(int(open_[0]), int(open_[-1]) + 1, part.buffers)]
        begins = open_[np.concatenate(([0], gaps + 1))].tolist()
        ends = (open_[np.concatenate((gaps, [len(open_) - 1]))] + 1).tolist()
        at = s.left[part.buffers]
        return [
            _Part(b, e, part.buffers[(at >= b) & (at < e)])
            for b, e in zip(begins, ends, strict=True)
        ]

    def _choices(self, height: np.ndarray, load: np.ndarray, parts: list[_Part]) -> _Frame:
        """The section of the first part where the fewest choices are open, and these choices."""
        s, part = self.sections, parts[0]
        h = height[part.begin : part.end]
        edge = np.flatnonzero(np.diff(h)) + 1
        begins = np.concatenate(([0], edge))
        ends = np.concatenate((edge, [len(h)]))
        floor = h[begins]
        banks = np.concatenate(([_WALL], floor, [_WALL]))
        rise = np.minimum(banks[:-2], banks[2:]) - floor
        run = np.repeat(np.arange(len(begins)), ends - begins)

        left, right = s.left[part.buffers] - part.begin, s.right[part.buffers] - part.begin
        fits = (run[left] == run[right - 1]) & (rise[run[left]] > 0)
        change = np.bincount(left[fits], minlength=len(h) + 1)
        change -= np.bincount(right[fits], minlength=len(h) + 1)
        covers = np.cumsum(change[:-1])
        spare = self.capacity - h - load[part.begin : part.end]
        smallest = int(s.sizes[part.buffers].min())
        branches = covers + (spare >= np.minimum(rise[run], smallest))
        branches[rise[run] <= 0] = len(part.buffers) + 2
        section = int(np.lexsort((spare, branches))[0])

        valley = int(run[section])
        covering = (left <= section) & (right > section)
        beside = ~covering & (left < ends[valley]) & (right > begins[valley])
        least = int(s.sizes[part.buffers[beside]].min()) if beside.any() else _WALL
        waste = min(int(rise[valley]), least)
        candidates = part.buffers[fits & covering]
        choices = self._distinct(candidates[np.argsort(self.rank[candidates], kind="stable")])
        if waste <= spare[section]:
            choices.append(_WASTE)
        return _Frame(height, load, parts, section + part.begin, waste, choices)

    def _distinct(self, buffers: np.ndarray) -> list[int]:
        """One of each set of buffers with equal sections and sizes."""
        s = self.sections
        kinds: dict[tuple[int, int, int], int] = {}
        for k in buffers.tolist():
            kinds.setdefault((int(s.left[k]), int(s.right[k]), int(s.sizes[k])), k)
        return list(kinds.values())
