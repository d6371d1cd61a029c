"""Planning problems for tests, and the optimum by brute force."""

from __future__ import annotations

import itertools
import random

from graphc.schedule.arena import Lifetime


def random_buffers(seed: int, count: int, steps: int, largest: int) -> list[Lifetime]:
    random_ = random.Random(seed)
    result = []
    for _ in range(count):
        first = random_.randrange(steps)
        last = random_.randrange(first, steps) + 1
        result.append(Lifetime(random_.randrange(largest), first, last))
    return result


def training_like(layers: int, seed: int = 0) -> list[Lifetime]:
    """A value a layer that lives until its layer's backward step, and short-lived gradients."""
    random_ = random.Random(seed)
    result = []
    for k in range(layers):
        result.append(Lifetime(random_.choice([64, 4096, 100_000]), k, 2 * layers - k))
        result.append(Lifetime(random_.randrange(1, 100_000), layers + k, layers + k + 3))
    return result


def smallest_peak(buffers: list[Lifetime]) -> int:
    """By brute force: first fit in every order (some order gives an optimal arena)."""
    best = sum(b.size for b in buffers)
    for order in itertools.permutations(range(len(buffers))):
        placed: list[tuple[int, int, Lifetime]] = []
        for k in order:
            b = buffers[k]
            at = 0
            for begin, end, other in sorted(placed, key=lambda p: p[:2]):
                if other.first < b.last and b.first < other.last and begin < at + b.size:
                    at = max(at, end)
            placed.append((at, at + b.size, b))
        best = min(best, max((end for _, end, _ in placed), default=0))
    return best


def perfect_packing(seed: int, count: int, steps: int = 400, size: int = 1 << 16) -> list[Lifetime]:
    """A rectangle of time and address cut into buffers: an arena of `size` without a gap."""
    random_ = random.Random(seed)
    unit = 64
    rectangles = [(0, steps, 0, size // unit)]
    while len(rectangles) < count:
        k = max(
            random_.sample(range(len(rectangles)), min(len(rectangles), 4)),
            key=lambda k: (
                (rectangles[k][1] - rectangles[k][0]) * (rectangles[k][3] - rectangles[k][2])
            ),
        )
        left, right, bottom, top = rectangles[k]
        if random_.random() < 0.5 and right - left > 1:
            cut = random_.randrange(left + 1, right)
            rectangles[k] = (left, cut, bottom, top)
            rectangles.append((cut, right, bottom, top))
        elif top - bottom > 1:
            cut = random_.randrange(bottom + 1, top)
            rectangles[k] = (left, right, bottom, cut)
            rectangles.append((left, right, cut, top))
    random_.shuffle(rectangles)
    return [Lifetime((top - bottom) * unit, left, right) for left, right, bottom, top in rectangles]
