from __future__ import annotations

import math

import numpy as np
import pytest

import graphc as gx
from graphc import nn
from graphc.schedule.convolution import Convolution
from graphc.schedule.cost import Machine, Sources, Work
from graphc.schedule.kernel import Kernel, PointKernel
from graphc.schedule.product import Panels
from graphc.schedule.program import Program
from graphc.schedule.traffic import predicted, sources_of

MACHINE = Machine(threads=2, clock=3.0, memory=40.0)


def program(fn, *shapes, threads=2):
    return gx.trace(fn, *(gx.spec(shape) for shape in shapes)).lower(threads=threads).program


def everything(images, filters, queries, rows, steps):
    """A step with a kernel of every class."""
    kept = nn.conv2d(images, filters, layout="NHWC")
    kept = gx.sum(kept**2) + gx.sum(
        nn.conv2d(kept, gx.permute_dims(filters[:, :, :2], (0, 1, 3, 2)), layout="NHWC") ** 2
    )
    mixed = nn.attention(queries, queries, queries, causal=True)
    loss = kept + gx.sum(mixed**2) + gx.sum(nn.softmax(rows @ rows.T))
    last, _ = gx.scan(lambda h, x: (gx.tanh(h @ rows.T + x), h), rows[:, :8], steps)
    chosen = gx.cond(loss > 0, lambda h: gx.sort(h), lambda h: h * 2, last)
    return gx.grad(loss + gx.sum(gx.sum(last, axis=0) ** 2), (filters, queries, rows)), chosen


@pytest.fixture(scope="module")
def mixed() -> Program:
    shapes = (2, 8, 8, 3), (3, 3, 3, 5), (1, 2, 9, 4), (8, 8), (3, 8, 8)
    return program(everything, *shapes)


def kernels_of(whole: Program) -> list[Kernel]:
    return [kernel for part in whole.nested() for kernel in part.kernels]


def test_every_class_of_kernel_has_a_rule(mixed: Program) -> None:
    abstract = {PointKernel, Convolution}
    every = {Kernel}
    while more := {sub for cls in every for sub in cls.__subclasses__()} - every:
        every |= more
    # Panels are packed where a loop begins, as a part of it.
    assert {type(k) for k in kernels_of(mixed)} == every - abstract - {Kernel, Panels}
    times = predicted(mixed, MACHINE)
    assert len(times) == len(mixed.kernels)
    assert all(math.isfinite(t) and t > 0 for t in times)


def test_every_byte_has_a_source(mixed: Program) -> None:
    for kernel, sources in zip(mixed.kernels, sources_of(mixed, MACHINE), strict=True):
        assert sum(sources[:3]) == pytest.approx(kernel.bytes)
        arrays = {*kernel.reads, *kernel.writes}
        assert 0 <= sources.begin_last + sources.begin_memory <= len(arrays) + 1


def test_what_is_larger_than_a_cache_comes_from_behind_it() -> None:
    small, large = (program(lambda x: (x + 1) * x, (n,)) for n in (1 << 12, 1 << 24))
    near, far = sources_of(small, MACHINE)[0], sources_of(large, MACHINE)[0]
    assert near[1:] == (0, 0, 0, 0)
    # Its code has run 128 MiB ago, too.
    assert far[:2] == (0, 0) and far.begin_memory == 3


def test_of_a_long_array_the_next_kernel_finds_no_more_in_the_cache() -> None:
    """Both go from its beginning to its end, so as much lies between everywhere."""

    def two(x, w):
        y = x * 2
        return y, y @ w

    whole = program(two, (1 << 14, 1 << 9), (1 << 9, 32))
    writes, reads = sources_of(whole, MACHINE)
    assert writes.memory == whole.kernels[0].bytes
    assert reads.memory > whole.kernels[0].bytes / 2


def test_more_rows_cost_as_much_more() -> None:
    one, four = (
        program(lambda x, w: x @ w, (m, 256), (256, 256)).kernels[0].work for m in (256, 1024)
    )
    assert 3.5 < four.cycles / one.cycles < 4.5


def test_the_thread_with_the_most_units_counts() -> None:
    assert Work(300.0, units=3).busiest(2) == 200.0
    assert Work(300.0, units=3).busiest(1) == 300.0
    assert Work(300.0, units=3, meetings=1).busiest(8) == 100.0


def test_rows_that_are_picked_are_what_is_read() -> None:
    table, rows = 10_000, 3

    def pick(x):
        return x[np.arange(rows)[::-1].copy()] * 2

    (kernel,) = program(pick, (table, 64)).kernels
    assert kernel.bytes < 4 * rows * 64 * 4


def test_a_kernel_of_one_thread_waits_little() -> None:
    """The others are there already when it comes to the meeting."""
    near = Sources(0, 0, 0)
    alone, shared = (MACHINE.time(Work(100.0, 2), workers, near) for workers in (1, 2))
    assert shared - alone > MACHINE.MEETING / MACHINE.clock / 2
    cold = Sources(0, 0, 0, begin_memory=3)
    assert MACHINE.time(Work(100.0), 1, cold) - alone == 3 * MACHINE.BEGIN_MEMORY / MACHINE.clock
