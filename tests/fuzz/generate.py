"""Random cases: which rules add lines to a draft, and how often each is tried."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.case import Case
from tests.fuzz.control import choice, loop, transformed
from tests.fuzz.draft import Draft
from tests.fuzz.larger import composite, gradient, indexing, layer, product, reduction
from tests.fuzz.models import image, recurrent, system
from tests.fuzz.sampled import sampled
from tests.fuzz.simple import binary, joining, logical, unary, update, view

RULES: tuple[tuple[Callable[[Draft], None], float], ...] = (
    (unary, 5), (binary, 5), (view, 5), (joining, 2), (logical, 1.2), (update, 1),
    (reduction, 4), (composite, 2.5), (layer, 1.5), (product, 1.5), (indexing, 1.2), (gradient, 2),
    (sampled, 6), (loop, 1), (choice, 0.7), (transformed, 1), (image, 0.8), (recurrent, 0.5),
    (system, 0.5),
)  # fmt: skip


def generate(seed: int) -> Case:
    """The case of a seed: the same in every run."""
    d = Draft(seed)
    for _ in range(int(d.rng.integers(2, 5))):
        d.argument(d.shape())
    length = int(d.rng.integers(2, 26 if d.chance(0.2) else 10))
    weights = [w for _, w in RULES]
    total = sum(weights)
    for _ in range(length):
        rule = d.rng.choice(len(RULES), p=[w / total for w in weights])
        RULES[rule][0](d)
    gradient(d)
    if d.chance(0.5):
        gradient(d)
    return d.finish()
