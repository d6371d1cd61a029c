"""Plans are functions of their problems: those of the past, to the byte. A planner that becomes
better renews them with `python -m tests.schedule.test_golden_plans`, and no peak grows unseen.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

import graphc as gx
from graphc import nn
from graphc.ir.graph import Graph
from graphc.schedule import order, remat
from graphc.schedule.arena import Lifetime, plan
from graphc.schedule.layouts import choose_layouts
from graphc.schedule.packing import Sections, fit, pack, smallest
from graphc.schedule.packing import _rank as rank
from graphc.schedule.placement import Buffers, Placement
from graphc.schedule.placement import place as placed_greedily
from graphc.schedule.remat import choose
from graphc.schedule.storage import Storage
from graphc.tensor import Tensor
from tests.memory.steps import chain, some_step
from tests.schedule.buffers import perfect_packing, random_buffers, training_like

#: Limits of greedy placement: buffers in all, certain attempts, attempts without success.
LIMITS = ((0, 1, 1), (0, 3, 9), (400, 2, 3), (9000, 9, 12))
#: The same where the local search ends early, for one or another reason.
TIGHT = ((2000, 9, 1), (2000, 9, 2), (2000, 9, 5), (200, 9, 30), (230, 9, 30), (2000, 9, 60))

Figures: TypeAlias = Iterator[tuple[str, list[object]]]

GOLDEN = Path(__file__).with_name("golden_plans.txt")


def columns(buffers: list[Lifetime]) -> tuple[list[int], list[int], list[int]]:
    real = [b for b in buffers if b.size]
    return [b.size for b in real], [b.first for b in real], [b.last for b in real]


def problems() -> Iterator[tuple[str, list[Lifetime]]]:
    for seed in range(6):
        yield f"random {seed}", random_buffers(seed, 6 + 9 * seed, 5 + 6 * seed, 5000)
        yield f"crowded {seed}", random_buffers(seed, 14, 9, 40)
    for seed in range(4):
        yield f"perfect {seed}", perfect_packing(seed, 20 + 12 * seed)
        yield f"training {seed}", training_like(9 + 5 * seed, seed)


def whole_plans() -> Figures:
    """What the planner makes of every problem."""
    for name, buffers in problems():
        for alignment, effort in ((64, 1.0), (1, 1.0), (1, 0.01), (48, 0.0)):
            found = plan(buffers, alignment, effort)
            parts = (found.peak, found.max_live, *found.offsets)
            yield f"plan of {name}, {alignment}, {effort}", [*parts]


def placements() -> Figures:
    """What greedy placement makes of every problem."""
    for name, buffers in problems():
        given = columns(buffers)
        for most, certain, patience in LIMITS:
            placed = placed_greedily(Buffers(*given), most, certain, patience)
            what = f"place {name}, {most}, {certain}, {patience}"
            yield what, [placed.peak, *placed.offsets.tolist()]
        for best_fit in (False, True):
            for number, ordering in enumerate(Buffers(*given).orderings()):
                one = Placement(Buffers(*given), ordering, best_fit)
                yield f"greedy {name}, {number}, {best_fit}", [one.run(), *one.offsets.tolist()]
                limited = Placement(Buffers(*given), ordering, best_fit)
                yield f"limited {name}, {number}, {best_fit}", [limited.run(one.peak)]


def local_searches() -> Figures:
    """What is not solved by greedy placement alone, in few attempts and in more."""
    for seed in range(24):
        given = columns(random_buffers(100 + seed, 23, 16, 700))
        for most, certain, patience in TIGHT:
            placed = placed_greedily(Buffers(*given), most, certain, patience)
            what = f"local {seed}, {most}, {certain}, {patience}"
            yield what, [placed.peak, *placed.offsets.tolist()]


def divisions() -> Figures:
    """Where the least arena lies between the bounds: how the distance is halved."""
    for seed in range(24):
        given = columns(random_buffers(200 + seed, 11, 8, 60))
        sections = Sections(*given)
        low = int(sections.load.max())
        for high in (low + 3, low + low // 2, 3 * low):
            for nodes in (len(given[0]), 2 * len(given[0]), 60, 900):
                for tolerance in (0.0, 0.02, 0.2):
                    best = smallest(sections, low, high, nodes, tolerance)
                    yield f"divided {seed}, {high}, {nodes}, {tolerance}", [best]


def searches() -> Figures:
    """What the complete search makes of every problem, and in how many choices."""
    for name, buffers in problems():
        yield from _searches(name, Sections(*columns(buffers)))


def _searches(name: str, sections: Sections) -> Figures:
    low = int(sections.load.max())
    yield f"sections of {name}", [*sections.left, *sections.right, *sections.load, sections.pairs]
    for number in range(8):
        yield f"rank {name}, {number}", rank(sections, number).tolist()
    for capacity in (low - 1, low, low + low // 40, low + low // 8):
        for nodes in (0, 40, 250):
            found = pack(sections, capacity, rank(sections, 0), nodes)
            yield f"pack {name}, {capacity}, {nodes}", [found.complete, found.nodes, found.offsets]
            found = fit(sections, capacity, nodes)
            yield f"fit {name}, {capacity}, {nodes}", [found.complete, found.nodes, found.offsets]
    for nodes, tolerance in ((90, 0.0), (700, 0.0), (700, 0.1)):
        for high in (low, low + low // 9, 2 * low):
            best = smallest(sections, low, high, nodes, tolerance)
            yield f"smallest {name}, {nodes}, {tolerance}, {high}", [best]


def drawn(seed: int) -> Graph:
    """A random graph of primitive operators, numbers among them, and values computed early."""
    choice = random.Random(seed)
    inputs = [
        gx.input("x", (12, 12)),
        gx.input("y", (12, 12)),
        gx.input("n", ()),
        gx.input("m", ()),
    ]
    seen, numbers = inputs[:2], inputs[2:]
    for k in range(30):
        a, b, n = choice.choice(seen), choice.choice(seen[-6:]), choice.choice(numbers)
        made = [
            a @ b,
            a + b,
            gx.exp(a),
            gx.sum(a, axis=0) + b,
            a * n,
            gx.concat([a[6:], b[:6]]),
            a.T,
        ]
        if k % 5 == 4:
            numbers.append(choice.choice([n * choice.choice(numbers), gx.sum(a), gx.sqrt(n)]))
        else:
            seen.append(choice.choice(made))
        if choice.random() < 0.15:
            seen[-1].value.node.meta.early = choice.randrange(9)
    return Graph.from_outputs([seen[-1], numbers[-1], choice.choice(seen[2:])])


def orders() -> Figures:
    """The places of the nodes in each order, for thresholds that small arrays are above."""
    for seed in range(12):
        graph = drawn(seed)
        place = {node: k for k, node in enumerate(graph.nodes)}
        storage = Storage(graph, choose_layouts(graph))
        yield f"order {seed}", [place[n] for n in order.written(graph)]
        for large, near in ((576, 1), (577, 1), (1, 3), (48, 2)):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(order, "_LARGE", large)
                patch.setattr(order, "_NEAR", near)
                moved = order.late(graph, storage)
            late = order.delayed(graph, storage, moved) if moved else []
            yield f"late {seed}", [place[n] for n in late]


def budgets() -> Figures:
    """Where a forward pass is cut, and the plans that a budget may choose from: the places of what
    each computes again, its peak and its work.
    """
    steps = [chain(4), chain(11, 16, 8), *(some_step(seed)[0] for seed in (1, 3))]
    for number, traced in enumerate(steps):
        search = traced.lower(threads=1).search
        place = {v: k for k, v in enumerate(v for n in search.graph.nodes for v in n.outputs)}
        forward, name = search.forward, f"budget {number}"
        yield f"{name}, bytes", [forward.crossing, forward.filled, forward.computed]
        for count in range(1, 7):
            ends = forward.equal(count)
            yield f"{name}, equal", [*ends, -1, *sorted(place[v] for v in forward.kept(ends))]
        for part in (0.5, 0.8, 1.0, 1.2, 1.7, 9.0):
            limit = round(part * forward.smallest)
            yield f"{name}, within", [limit, forward.within(limit)]
        for one in search.pareto:
            again = choose(search.graph, search.turn, one.policy)
            repeated = sorted(place[v] for n in again for v in n.outputs)
            yield f"{name}, plans", [one.peak_bytes, one.recompute_flops, *repeated]


def encoded(depth: int) -> Graph:
    """The optimized graph of a step with checkpointed calls, masks, taps and keys."""
    weights = [gx.spec((16, 16)) for _ in range(depth)]

    def layer(x: Tensor, w: Tensor) -> Tensor:
        return nn.relu(gx.tanh(x @ w) @ w)

    def step(weights: list[Tensor], images: Tensor) -> object:
        pooled = nn.max_pool2d(nn.relu(images), 2, layout="NHWC")
        x = gx.reshape(pooled, (-1, 16))
        for k, w in enumerate(weights):
            x = gx.checkpoint(layer)(x, w) if k % 2 else layer(x, w)
        loss = gx.mean(gx.exp(x) * x)
        return loss, gx.grad(loss, [*weights, images])

    traced = gx.trace(step, weights, gx.spec((3, 8, 8, 4)))
    graph: Graph = traced.stages[-1].graph
    return graph


def again() -> Figures:
    """What is kept and what is computed again under several policies, and the graph that does."""
    for depth in (1, 4):
        graph = encoded(depth)
        turn, name = remat.turn_of(graph), f"again {depth}"
        place = {v: k for k, v in enumerate(v for n in graph.nodes for v in n.outputs)}
        own = remat.checkpointed(graph, turn)
        yield f"{name}, least", [remat.least_kept_bytes(graph)]
        policies = [own, remat.Policy(), remat.Policy(weight=1 / 64, repeatable=turn.forward)]
        computed = [v for n in graph.nodes if n in turn.forward and n.inputs for v in n.outputs]
        policies += [own.without(v) for v in computed[::3] if remat.is_pure(v.node)]
        policies += [replace(own, keep=own.keep | {v}) for v in turn.wanted[::2]]
        for policy in policies:
            kept = remat.kept(graph, turn, policy)
            repeated = [v for n in choose(graph, turn, policy) for v in n.outputs]
            yield f"{name}, kept", sorted(map(place.__getitem__, kept))
            yield f"{name}, repeated", sorted(map(place.__getitem__, repeated))
            built = remat.rebuild(graph, policy)
            yield f"{name}, built", [(n.op.name, n.meta.clone) for n in built.nodes]
        built = remat.rebuild(graph)
        yield f"{name}, usual", [(n.op.name, n.meta.clone) for n in built.nodes]


PARTS: dict[str, Callable[[], Figures]] = {
    "plans": whole_plans,
    "placements": placements,
    "local searches": local_searches,
    "divisions": divisions,
    "searches": searches,
    "orders": orders,
    "budgets": budgets,
    "again": again,
}


def digests(part: str) -> dict[str, str]:
    """One digest for each part of the planner and kind of problem."""
    parts: dict[str, list[str]] = {}
    for name, numbers in PARTS[part]():
        shown = [x.tolist() if isinstance(x, (np.ndarray, np.generic)) else x for x in numbers]
        parts.setdefault(f"{part}: {name.split(',')[0]}", []).append(repr(shown))
    return {k: blake2b("".join(v).encode(), digest_size=6).hexdigest() for k, v in parts.items()}


@pytest.mark.parametrize("part", PARTS)
def test_plans_are_those_of_the_past(part: str) -> None:
    lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    wanted = dict(line.rsplit(" ", 1) for line in lines if line.startswith(f"{part}:"))
    found = digests(part)
    assert [k for k in wanted | found if wanted.get(k) != found.get(k)] == []


def main() -> int:
    found = [f"{k} {v}\n" for part in PARTS for k, v in digests(part).items()]
    GOLDEN.write_text("".join(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
