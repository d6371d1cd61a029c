"""What a kernel may write over what: the rule itself, kernel by kernel, beside the replays."""

from __future__ import annotations

from typing import Any

import pytest

import graphc as gx

SQUARE, WIDE, STACK = gx.spec((16, 16)), gx.spec((64, 48)), gx.spec((9, 16, 16))


def over(fn: Any, *args: Any) -> set[tuple[int, int]]:
    """Which results may be written over which arguments, by the kernels that do both."""
    found = gx.trace(fn, *args).lower(threads=1).program
    inputs = {v: k for k, v in enumerate(found.graph.inputs)}
    outputs = {v: k for k, v in enumerate(found.graph.outputs)}
    return {
        (inputs[root], outputs[value])
        for kernel in found.kernels
        for root in inputs.keys() & set(kernel.reads)
        for value in outputs.keys() & set(kernel.writes)
        if kernel.may_overwrite(root, value)
    }


def test_element_by_element_and_of_one_type() -> None:
    assert over(lambda a: a + 1, SQUARE) == {(0, 0)}
    assert over(lambda a: (a + 1, a > 0), SQUARE) == {(0, 0)}
    assert over(lambda a: gx.logical_not(a), gx.spec((16, 16), "bool")) == {(0, 0)}
    assert over(lambda a: a + a.T, SQUARE) == set()
    assert over(lambda a: a + gx.flip(a, axis=0), SQUARE) == set()
    assert over(lambda a: a @ a, SQUARE) == set()
    assert over(lambda a, b: a + b, SQUARE, gx.spec((16,))) == {(0, 0)}


@pytest.mark.parametrize("side", ["reads", "writes"])
def test_packed_predicates_are_no_arrays_of_elements(side: str) -> None:
    found = gx.trace(gx.logical_not, gx.spec((16, 16), "bool")).lower(threads=1).program
    (kernel,) = found.kernels
    (root,), (value,) = kernel.reads, kernel.writes
    assert kernel.may_overwrite(root, value)
    with pytest.MonkeyPatch.context() as patch:
        packed: Any = {root if side == "reads" else value: None}
        patch.setattr(kernel.storage, "packed", packed)
        assert not kernel.may_overwrite(root, value)


def test_rows_that_are_read_again_stay() -> None:
    def centred(x: Any) -> Any:
        off = x - gx.sum(x, axis=1, keepdims=True)
        return off, x * gx.sum(off * off, axis=1, keepdims=True)

    assert over(centred, WIDE) == {(0, 1)}


def test_a_carry_takes_over_what_it_begins_with() -> None:
    """If that is whole, as it lies, and nothing else reads it."""

    def one(a: Any, xs: Any) -> Any:
        return gx.scan(lambda c, x: (c * x, c), a, xs)

    def shared(a: Any, xs: Any) -> Any:
        return gx.scan(lambda c, x: (c * x + a, c), a, xs)

    def two(a: Any, b: Any, w: Any, xs: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            return (gx.sin(c[0]) @ w, c[1] + c[0]), c[1] + x

        return gx.scan(body, (a, b), xs)

    assert over(one, SQUARE, STACK) == {(0, 0)}
    assert over(two, SQUARE, SQUARE, SQUARE, STACK) == {(0, 0), (1, 1)}
    assert over(lambda a, xs: one(a.reshape(16, 16), xs), gx.spec((256,)), STACK) == {(0, 0)}
    assert over(lambda a, xs: one(a.T, xs), SQUARE, STACK) == set()
    assert over(lambda a, xs: one(a[0], xs), gx.spec((2, 16, 16)), STACK) == set()
    assert over(shared, SQUARE, STACK) == set()
