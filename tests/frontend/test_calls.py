"""Calls one after another: what a call remembers of the last one must never show in a result."""

from __future__ import annotations

import gc
import weakref
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field

import numpy as np
import pytest

import graphc as gx
from graphc import tree
from graphc.treecode import flattener, unflattener

Pair = namedtuple("Pair", "left right")


@dataclass
class Model:
    weight: object
    bias: object
    name: str = field(default="m", metadata={"static": True})


def filled(value, shape=(4,)):
    return np.full(shape, value, np.float32)


@pytest.fixture(scope="module")
def weighted():
    """sum(weight · x) + scale over a structure of every kind of container."""

    def fn(model, pair, extra):
        return {
            "sum": gx.sum(model.weight * pair.left) + gx.sum(model.bias * pair.right),
            "extra": [extra["a"][0] * 2, None],
        }

    return gx.compile(fn, *arguments())


def arguments(weight=1, bias=1, left=1, right=1, extra=1):
    return (
        Model(filled(weight), filled(bias)),
        Pair(filled(left), filled(right)),
        {"a": (filled(extra), None)},
    )


def total(step, args):
    return float(step(*args)["sum"])


def test_each_call_sees_its_own_arrays(weighted):
    first = arguments()
    assert total(weighted, first) == 8
    first[0].weight = filled(3)
    assert total(weighted, first) == 16
    first[0].weight[:] = 5
    assert total(weighted, first) == 24
    assert total(weighted, arguments(right=10)) == 44
    assert total(weighted, first) == 24
    result = weighted(*arguments(extra=7))["extra"]
    assert isinstance(result, list)
    assert result[0].tolist() == [14] * 4
    assert result[1] is None


def test_a_copied_argument_is_read_anew(weighted):
    wide = np.ones((4, 2), np.float32)
    args = (Model(wide[:, 0], filled(0)), Pair(filled(1), filled(1)), {"a": (filled(1), None)})
    assert total(weighted, args) == 4
    for k in range(4):
        wide[k, 0] = 2 + k
    assert total(weighted, args) == 2 + 3 + 4 + 5


def test_a_refused_call_leaves_the_next_one_right(weighted):
    good = arguments()
    assert total(weighted, good) == 8
    bad = (good[0], Pair(filled(100), filled(1, (5,))), good[2])
    with pytest.raises(gx.ArgumentError, match=r"args\[1\].right: expected float32\[4\]"):
        weighted(*bad)
    assert total(weighted, good) == 8


@pytest.mark.parametrize(
    "change",
    [
        lambda m, p, e: (m, (p.left, p.right), e),
        lambda m, p, e: (m, p, OrderedDict(e)),
        lambda m, p, e: (m, p, {"b": e["a"]}),
        lambda m, p, e: (m, p, {**e, "b": filled(1)}),
        lambda m, p, e: (Model(m.weight, m.bias, "other"), p, e),
        lambda m, p, e: (m, p, {"a": (e["a"][0], filled(1))}),
        lambda m, p, e: (m, p, {"a": ([filled(1)], None)}),
        lambda m, p, e: (m, Pair(None, p.right), e),
    ],
)
def test_another_structure_is_refused_after_a_good_call(weighted, change):
    args = arguments()
    weighted(*args)
    with pytest.raises(gx.ArgumentError, match="structure"):
        weighted(*change(*args))


def test_nothing_is_kept_alive(weighted):
    args = arguments()
    gone = weakref.ref(args[0].weight)
    weighted(*args)
    del args
    gc.collect()
    assert gone() is None


def test_bound_arrays_live_as_long_as_the_callable(weighted):
    args = arguments()
    bound = weighted.bind(*args)
    args[0].weight = filled(50)
    gc.collect()
    assert float(bound()["sum"]) == 8


def test_a_bound_array_is_never_a_copy(weighted):
    wide = np.ones((4, 2), np.float32)
    model, pair, extra = arguments()
    with pytest.raises(gx.ArgumentError, match=r"args\[1\].left: a bound array is read in place"):
        weighted.bind(model, Pair(wide[:, 0], pair.right), extra)


def test_donated_memory_is_guarded_at_every_call():
    def fn(state, x):
        return {"a": state["a"] + x, "b": state["b"] * x}

    memory = np.ones(12, np.float32)
    state = {"a": memory[:4], "b": memory[4:8]}
    step = gx.compile(fn, state, memory[8:], donate_argnums=0)
    assert step(state, memory[8:])["a"] is state["a"]
    for overlapping in (memory[3:7], memory[7:11], memory[:4]):
        with pytest.raises(gx.ArgumentError, match="share memory"):
            step(state, overlapping)
    with pytest.raises(gx.ArgumentError, match="share memory"):
        step({"a": memory[:4], "b": memory[2:6]}, memory[8:])
    step(state, memory[8:])
    assert state["a"].tolist() == [3] * 4


def test_another_donated_array_is_held_against_what_stayed():
    step = gx.compile(lambda s, x: s + x, filled(0), filled(0), donate_argnums=0)
    memory = np.zeros(8, np.float32)
    step(memory[:4], x := memory[4:])
    other, bad = memory[2:6], filled(0, (5,))
    for refused in (bad, other, other):
        with pytest.raises(gx.ArgumentError, match=r"expected float32|share memory"):
            step(refused, x)
    with pytest.raises(gx.ArgumentError, match="expected float32"):
        step(filled(0), bad)
    with pytest.raises(gx.ArgumentError, match="share memory"):
        step(other, x)


@pytest.mark.parametrize("size", [1, 1024, 1025])
def test_results_are_arrays_of_their_own(size):
    step = gx.compile(lambda x: (x + 1, x * 2), gx.spec(size))
    results = [step(filled(k, size)) for k in range(3)]
    for k, (more, double) in enumerate(results):
        assert more.tolist() == [k + 1] * size
        assert double.tolist() == [2 * k] * size
        assert more.flags.owndata
    arrays = [array for pair in results for array in pair]
    assert len({id(array) for array in arrays}) == 6
    assert not any(np.shares_memory(a, b) for a in arrays for b in arrays if a is not b)
    x = filled(5, size)
    bound = step.bind(x)
    first = bound()
    x[:] = 6
    assert bound() is first
    assert first[0].tolist() == [7] * size


def test_structures_that_only_the_library_knows():
    structure = tree.structure(OrderedDict(a=1, b=(2, None)))
    flatten = flattener(structure)
    assert flatten(OrderedDict(a=5, b=(6, None)), [int, int]) == ([5, 6], [0, 1])
    assert flatten({"a": 5, "b": (6, None)}, [int, int]) is None
    made = unflattener(structure, ["a", "b"], ["b[0]", "a[1]"])([1, 2], [3])
    assert made == OrderedDict(a=3, b=(2, None))
    assert type(made) is OrderedDict
