"""Programs of random graphs, in several orders, replayed: what a kernel reads is where it was
written, memory is taken over where that may be, and never elsewhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import nn
from graphc.ir.graph import Value
from graphc.ir.spec import Scalar
from graphc.schedule import order, program
from graphc.schedule.kernel import Kernel, PointKernel
from graphc.schedule.product import Product
from graphc.schedule.program import Program
from tests.memory.steps import some_step
from tests.replay import replay

#: What the random programs need today: values that take over memory, bytes, copies at the end.
SHARED, LIVE, COPIED = 58, 131072, 7


class Wrong(Exception):
    """Memory is written that is still read."""


def judge(found: Program) -> None:
    """Replays a program; beyond what the replay asks kernels, looks itself at what is written over
    what, and at where donated memory ends up.
    """
    replay(found)
    for kernel in found.kernels:
        for value in kernel.writes:
            for root in kernel.reads:
                if found.buffers[root] is found.buffers[value]:
                    _check_overwritten(kernel, root, value)
    copied = {copy.target: copy.source for copy in found.copies}
    for i, j in found.graph.donated.items():
        target = found.buffers[found.graph.inputs[i]]
        last = copied.get(target, target).values[-1]
        if last.type.nbytes and last is not found.graph.outputs[j]:
            raise Wrong(f"donated input {i} ends as {last}")


def _check_overwritten(kernel: Kernel, root: Value, value: Value) -> None:
    """A kernel writes over what it reads element by element alone, at the place that it reads."""
    if root.dtype is not value.dtype or root.type.nbytes != value.type.nbytes:
        raise Wrong(f"{value} lies over a part of {root}")
    if not isinstance(kernel, PointKernel):
        return
    for node in kernel.nodes:
        for operand in node.inputs:
            place = kernel.place(operand)
            if place is None or place.root is not root:
                continue
            level = kernel.group.level
            beside = isinstance(kernel.spec(node), Scalar) and level[node] is level[value.node]
            if not (beside or _folds_first(kernel, node)) or place.strided.offset:
                raise Wrong(f"{value} is written over {root}, which is read elsewhere")


def _folds_first(kernel: PointKernel, node: Any) -> bool:
    """Rows are folded before anything of them is written."""
    return kernel.group.row is not None


def lively(seed: int) -> Any:
    """A random step with views, donated state, products, rows, columns, tables and numbers."""
    choice = random.Random(seed)
    n = choice.choice([8, 16])
    state = [gx.spec((n, n)), gx.spec((n, n)), gx.spec((n,)), gx.spec((n, n), "float64")]

    def step(state: Any, x: Any) -> Any:
        table = gx.asarray(np.arange(n * n, dtype=np.float32).reshape(n, n))
        seen = [*state[:2], x, table + x]
        for _ in range(12):
            a, b = choice.choice(seen), choice.choice(seen)
            made: list[Callable[[], Any]] = [
                lambda a=a, b=b: a @ b, lambda a=a, b=b: a * b, lambda a=a: gx.exp(-a * a),
                lambda a=a: nn.softmax(a), lambda a=a: a - gx.mean(a, axis=0), lambda a=a: a.T,
                lambda a=a, b=b: a + gx.flip(b, axis=0), lambda a=a: gx.cumulative_sum(a, axis=0),
                lambda a=a, b=b: gx.where(a > b, a, 0.5), lambda a=a, b=b: a + b[:, :1],
                lambda a=a: gx.sort(a, axis=1), lambda a=a, b=b: gx.concat([a[1:], b[:1]]),
            ]  # fmt: skip
            seen.append(choice.choice(made)())
        new = [seen[-1], state[0] if choice.random() < 0.5 else seen[-2], state[2] + seen[-3][0]]
        return [*new, state[3] + seen[-4].astype("float64")], gx.sum(seen[-1]), seen[-5]

    return gx.trace(step, state, gx.spec((n, n)), donate_argnums=0 if seed % 3 else ())


def programs() -> Iterator[Program]:
    for seed in range(14):
        yield lively(seed).lower(threads=1 + seed % 3).program
    for seed in range(6):
        yield some_step(seed)[0].lower(threads=2).program


def cell() -> Any:
    """A loop of which the body has products with weights that stay, and its gradients."""

    def step(w: Any, u: Any, xs: Any) -> Any:
        def loss(w: Any, u: Any) -> Any:
            _, ys = gx.scan(lambda h, x: (gx.tanh(h @ w + x), gx.sin(h @ u) @ w), xs[0], xs)
            return gx.sum(ys * ys)

        return gx.value_and_grad(loss, argnums=(0, 1))(w, u)

    return gx.trace(step, gx.spec((24, 24)), gx.spec((24, 24)), gx.spec((9, 16, 24)))


def test_random_programs() -> None:
    for found in programs():
        judge(found)


def test_bodies_of_loops_and_their_packed_operands() -> None:
    outermost = cell().lower(threads=2).program
    inner = list(outermost.nested())
    assert inner[0] is outermost and len(inner) == 3
    packed = 0
    for found in inner:
        judge(found)
        sizes = {buffer.nbytes for buffer in found.panels.values()}
        for kernel in found.kernels:
            buffer = found.panels_of(kernel)
            prepared = isinstance(kernel, Product) and kernel.is_prepared
            assert (buffer is not None) == prepared
            if buffer is not None:
                (own,) = [k for k, b in found.panels.items() if b is buffer]
                assert own.of.panels == kernel.panels and buffer.nbytes in sizes
                assert found.panels_of(own) is buffer
                packed += 1
    assert packed >= 4


def test_memory_is_taken_over() -> None:
    """Values take over memory where they may: a planner that forgot it would need more."""
    found = list(programs())
    assert sum(len(b.values) > 1 for p in found for b in p.arena_buffers) >= SHARED
    assert sum(p.plan.max_live for p in found) <= LIVE
    assert sum(len(p.copies) for p in found) <= COPIED


def test_other_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "_LARGE", 64)
    monkeypatch.setattr(order, "_NEAR", 1)
    monkeypatch.setattr(program, "_WORTH", 2.0)
    for found in programs():
        judge(found)
