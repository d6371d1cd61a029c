"""Graphs that once went wrong: found by `python -m tests.fuzz`, cut down by hand."""

from __future__ import annotations

import numpy as np

import graphc as gx
from graphc.autodiff import cut
from tests.compiled.checking import assert_same, check, compiled
from tests.fuzz.knobs import turned

rng = np.random.default_rng(0)


def normal(*shape: int, dtype: str = "float64") -> np.ndarray:
    return rng.normal(size=shape).astype(dtype)


def test_a_window_of_a_large_region_from_which_nothing_is_read(monkeypatch):
    """Regions are cut window by window; one without a value that the backward pass reads has no
    sink."""
    monkeypatch.setattr(cut, "MAX_REGION", 2)

    def fn(x):
        y = x
        for _ in range(6):
            y = gx.sin(-(y + 1.0))
        return gx.grad(gx.sum(gx.square(gx.permute_dims(y, (1, 0)))), x)

    check(fn, normal(5, 4))


def test_a_result_that_waits_to_be_copied_back_is_not_written_over():
    """The new value waits in the arena until its argument has been read for the last time; what
    was computed from it on the way took over its memory."""
    x, w, state = normal(7, 12), normal(7, 12), normal(7, 7)

    def fn(state, x, w):
        new = x @ w.T
        centred = (new - gx.mean(new, axis=0)) * gx.rsqrt(gx.var(new, axis=0) + 0.5)
        return new, gx.sum(centred.at[[3, 0, 1]].add(state[:3]))

    want = gx.trace(fn, state, x, w).evaluate(state, x, w)
    step = compiled(fn, state, x, w, donate_argnums=0)
    assert_same(step(state, x, w), want)


def test_a_result_of_another_dtype_does_not_take_an_operand_s_memory():
    """Both have eight bytes an element; one pointer of one type was used for both."""
    x, y = rng.integers(-9, 9, (5, 8)), normal(5, 8)

    def fn(x, y):
        ranks = gx.argsort(x, axis=1)
        return gx.sort(gx.where(ranks < 4, y, 0.25), axis=0)

    check(fn, x, y)


def test_rows_of_one_element_in_a_loop_over_several_axes():
    """There is no loop inside the row, before which what does not move in it could be read: it was
    read before the position was known."""
    x, shift = normal(7, 5, 2, 1), normal(7, 1, 2, 1)

    def fn(x, shift):
        y = gx.sum(gx.sin(x + shift), axis=-1, keepdims=True)
        return gx.sum(gx.square(x * y), axis=-1)

    with turned({"REPEATED": "fold"}):
        check(fn, x, shift)


def test_the_first_element_of_a_row_beside_the_row():
    """A number of each row, copied from its first element, joined the loop over rows: what was
    computed for it stood for all elements."""
    x = normal(3, 5)

    def fn(x):
        scaled = x * gx.rsqrt(gx.mean(gx.square(x), axis=-1, keepdims=True) + 0.5)
        return gx.cumulative_sum(scaled, axis=-1), scaled[:, 0]

    check(fn, x)
    check(lambda row: fn(row[None]), x[0])


def test_a_reduction_of_what_columns_of_one_row_give():
    """The result of columns of one row has as many elements as what was reduced; it was asked for
    its place within a row that is not there."""
    x = normal(32, 1, 1, 23)
    with turned({"REPEATED": "fold"}):
        check(lambda x: gx.argmax(gx.max(x, axis=2), axis=1), x)


def test_a_result_that_its_own_kernel_reads_back():
    """Everything has one element: what a later loop reads of an earlier one's result does not move,
    and was read before all loops."""
    x, power = np.array([0.485]), np.array(1.92)

    def fn(x, power):
        angle = gx.asin(gx.pow(gx.min(x, axis=0), power))
        wide = gx.broadcast_to(angle, (1,))
        twice = gx.concat([wide, wide], axis=0)
        total = gx.sum(gx.square(twice)) + gx.sum(gx.square(gx.min(wide, axis=0)))
        return gx.grad(total, x)

    with turned({"REPEATED": "merge"}):
        check(fn, x, power)


def test_a_result_in_front_of_a_predicate_that_is_computed_early():
    """A gradient is a result itself and leads to the mask that is kept: computed in the forward
    pass, it was not to be found when the results were put together."""
    x, limit = normal(7), normal(7, 7)

    def fn(x, limit):
        slope = gx.grad(gx.mean(gx.square(gx.tanh(x))), x)
        again = gx.checkpoint(lambda r: gx.tanh(r) * gx.exp(r))(gx.sigmoid(slope))
        return slope, gx.where(again < limit, again, limit)

    check(fn, x, limit)


def test_an_operand_that_is_overwritten_by_a_kernel_that_reads_it_on():
    """A result lies where an operand was; what else needs that operand read it after the store."""
    x, state = normal(6), normal(6)

    def fn(state, x):
        y = gx.checkpoint(lambda r: gx.exp(-gx.square(r)) * gx.nn.silu(r))(x)
        return gx.grad(gx.sum(gx.sin(y)) * 0.577, x)

    with turned({"MAX_BODY": 12}):
        want = gx.trace(fn, state, x).evaluate(state, x)
        assert_same(compiled(fn, state, x, donate_argnums=0)(state, x), want)


def test_a_reader_joins_no_kernel_that_runs_before_its_producer():
    """A sum along a diagonal and a norm of the same matrices, added and turned around."""
    x = normal(2, 5, 5, dtype="float32")

    def fn(x):
        norm = gx.linalg.matrix_norm(gx.tanh(x) + 9.5 * gx.eye(5, dtype="float32"))
        return gx.flip(gx.linalg.trace(x) + norm, axis=0)

    with turned({"_FREE_COST": 0}):
        check(fn, x)
