"""Which of two programs is taken, on either side of each limit: what plans them stands aside."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from graphc.schedule import order, program
from graphc.schedule.program import Buffer, Memory


def planned(peak: int, **more: Any) -> Any:
    return SimpleNamespace(plan=SimpleNamespace(peak=peak), **more)


def scheduled(plain: tuple[int, float], strips: tuple[int, float] | None) -> str:
    """Which is taken of graphs whose programs have these peaks and expected times."""
    found = {"plain": plain} if strips is None else {"plain": plain, "strips": strips}
    programs = {k: planned(peak, name=k, time=time) for k, (peak, time) in found.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "everywhere", lambda change, graph: graph)
        patch.setattr(program, "prologues", lambda graph: graph)
        patch.setattr(program, "strips", lambda graph: tuple(found) if strips else None)
        patch.setattr(program, "_ordered", lambda graph, *_: programs[graph])
        patch.setattr(program, "predicted", lambda p, machine: [p.time / 4, 3 * p.time / 4])
        taken: Any = program.schedule("plain", "generic", 2)  # type: ignore[arg-type]
    name: str = taken.name
    return name


def test_strips_are_taken_where_they_are_faster_and_no_larger() -> None:
    assert scheduled((64, 100.0), None) == "plain"
    assert scheduled((64, 100.0), (64, 99.0)) == "strips"
    assert scheduled((64, 100.0), (64, 100.0)) == "plain"
    assert scheduled((64, 100.0), (128, 50.0)) == "plain"
    assert scheduled((128, 100.0), (64, 50.0)) == "strips"
    assert scheduled((128, 100.0), (64, 200.0)) == "plain"


def ordered(written: int, late: int, moved: bool = True, weigh: bool = True) -> list[Any]:
    """The nodes of which programs are planned, and whose peak the program has that is taken."""
    made: list[Any] = []

    def plan(graph: Any, nodes: Any, *rest: Any, outermost: bool) -> Any:
        assert outermost
        made.append(nodes)
        return planned(written if nodes == "written" else late)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "choose_layouts", lambda graph: None)
        patch.setattr(program, "Storage", lambda *_: SimpleNamespace(unpacked=lambda: None))
        patch.setattr(program, "_planned", plan)
        patch.setattr(program, "_weigh", lambda found, nodes: weigh)
        patch.setattr(order, "written", lambda graph: "written")
        patch.setattr(order, "late", lambda graph, storage: {"moved": 0} if moved else {})
        patch.setattr(order, "delayed", lambda graph, storage, moved: "late")
        taken = program._ordered(None, "generic", 2, {})  # type: ignore[arg-type]
    return [*made, taken.plan.peak]


def test_another_order_is_taken_where_its_arena_is_clearly_smaller() -> None:
    assert ordered(10_000, 9_799) == ["written", "late", 9_799]
    assert ordered(10_000, 9_800) == ["written", "late", 10_000]
    assert ordered(10_000, 1, weigh=False) == ["written", 10_000]
    assert ordered(10_000, 1, moved=False) == ["written", 10_000]


def weigh(live: Sequence[int], *made: tuple[int, int, Memory]) -> bool:
    """Whether values with these lifetimes weigh in an arena with so many live bytes of 10 000."""
    buffers = {k: Buffer(m, 0, 64, [], first, last) for k, (first, last, m) in enumerate(made)}
    node = SimpleNamespace(outputs=[*buffers, "in no memory of its own"])
    found = planned(10_000, buffers=buffers, live_bytes=live)
    return program._weigh(found, [node])  # type: ignore[list-item]


def test_what_is_live_whenever_about_the_most_is_weighs() -> None:
    high = [0, 9_800, 9_799, 9_900, 0]
    assert weigh(high, (1, 4, Memory.ARENA))
    assert weigh(high, (1, 2, Memory.ARENA), (3, 4, Memory.ARENA))
    assert not weigh(high, (1, 3, Memory.ARENA))
    assert not weigh(high, (2, 4, Memory.ARENA))
    assert not weigh(high, (1, 4, Memory.OUTPUT))
    assert not weigh(high)
