"""The minimum cut against all sets of nodes that could be computed again."""

from __future__ import annotations

import itertools
import random

import pytest

from graphc import ops
from graphc.autodiff import cut
from graphc.dtypes import float32, tensor_type
from graphc.ir.graph import Node, Value, new_input


class Problem:
    """A random graph with random prices: some nodes cannot be repeated, some values not kept."""

    def __init__(self, seed: int, count: int):
        choice = random.Random(seed)
        values = [new_input("x", tensor_type((2,), float32)) for _ in range(2)]
        self.given = {v.node for v in values}
        self.again: dict[Node, float | None] = dict.fromkeys(self.given)
        self.keep: dict[Value, float | None] = dict.fromkeys(values, 0.0)
        self.nodes: list[Node] = []
        for _ in range(count):
            value = ops.add(choice.choice(values[-4:]), choice.choice(values))
            repeatable = choice.random() < 0.8
            self.again[value.node] = float(choice.randrange(6)) if repeatable else None
            unkept = repeatable and choice.random() < 0.15
            self.keep[value] = None if unkept else float(choice.randrange(12))
            values.append(value)
            self.nodes.append(value.node)
        self.wanted = list(dict.fromkeys(choice.choices(values[2:], k=3)))
        self.prices = cut.Prices(self.again.__getitem__, self.keep.__getitem__)

    def cost(self, again: set[Node]) -> float | None:
        """What a set costs, None where something can neither be kept nor be computed again."""
        total = 0.0
        demanded = set(self.wanted)
        for node in again:
            price = self.again[node]
            if price is None:
                return None
            total += price
            demanded.update(node.inputs)
        for value in demanded:
            if value.node not in again:
                price = self.keep[value]
                if price is None:
                    return None
                total += price
        return total


@pytest.mark.parametrize("seed", range(60))
def test_no_other_set_is_cheaper(seed):
    problem = Problem(seed, 4 + seed % 7)
    found = problem.cost(cut.smallest(problem.wanted, problem.prices).again)
    assert found is not None
    subsets = itertools.chain.from_iterable(
        itertools.combinations(problem.nodes, n) for n in range(len(problem.nodes) + 1)
    )
    costs = [problem.cost(set(subset)) for subset in subsets]
    assert found == min(c for c in costs if c is not None)


@pytest.mark.parametrize("seed", range(20))
def test_windows_are_sound(seed, monkeypatch):
    """Cut window by window the result may cost more, but everything wanted can be had."""
    monkeypatch.setattr(cut, "MAX_REGION", 3)
    problem = Problem(seed, 10)
    assert problem.cost(cut.smallest(problem.wanted, problem.prices).again) is not None
