"""Every public function with arguments of wrong kinds, shapes and values: what does not work raises
an error of graphc's, or Python's own for a wrong signature, and names the user's line. Methods,
initial values and files: `test_bad_methods.py`.
"""

from __future__ import annotations

import inspect
import itertools
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gx

X = gx.input("x", (2, 3))
#: Operands of every kind, and things that are none.
OPERANDS = (
    X,
    gx.input("n", (2, 3), "int32"),
    gx.input("row", (3,)),
    gx.input("number", ()),
    gx.input("b", (2, 3), "bool"),
    gx.input("nothing", (0, 3)),
    gx.input("square", (3, 3)),
    None,
    "x",
    -1,
    2.5,
    float("nan"),
    (),
    (0, 1),
    [X, X],
    np.ones((2, 3), np.complex64),
    np.ones((2, 3), object),
    object(),
    1j,
    slice(1),
)
#: Wrong values of keyword arguments, by name.
OPTIONS: dict[str, tuple[Any, ...]] = {
    "axis": (7, -9, "x", 1.5, (0, 0), (0, 9), X, True),
    "axes": (9, -1, "a", ((0,), (7,)), ((0, 0), (0, 1)), (0, 1, 2)),
    "constant_values": ("a", 1j),
    "correction": ("a", X),
    "dtype": ("float16", "nope", complex, 3, X),
    "fn": (X, "x", 3),
    "indexing": ("no",),
    "k": ("a", 2.5, X),
    "mode": ("nope",),
    "n": (-1, 2.5, "a"),
    "num": (-1, 2.5, "a"),
    "offset": ("a", 2.5),
    "ord": ("nope", X),
    "pad_width": (-1, "a", (1, 2, 3), 2.5),
    "repeats": (-1, 2.5, X, [1, 2]),
    "sections": (0, -1, 5, "a"),
    "shape": ((7,), (-1, -1), "a", (2.5,), X, -3),
    "shift": ("a", 2.5, X),
    "side": ("mid",),
    "subscripts": ("ij->k", "i,j,k->", "ij", "@", "i->i->i", ""),
}


#: Arguments that have no default and only a name.
KEYWORDS = {"training": True}
#: Calls of one function, drawn from all combinations.
CALLS = 400

#: What takes anything, or keeps what it is given until it is called with parameters.
LAZY = {
    "cond", "custom_op", "hessian", "jacfwd", "jacrev", "optim.add_decayed_weights", "optim.chain",
    "optim.clip", "optim.clip_by_global_norm", "optim.constant_schedule", "optim.ema",
    "optim.identity", "optim.masked", "optim.piecewise_constant_schedule", "optim.scale",
    "optim.scale_by_adam", "optim.scale_by_lion", "optim.scale_by_rms", "optim.scale_by_rss",
    "optim.scale_by_schedule", "optim.scale_by_stddev", "optim.stateless", "optim.trace",
}  # fmt: skip


def public() -> Iterator[tuple[str, Callable]]:
    others = [n for n in dir(gx) if not n.startswith("_") and n not in ("load", "save", "missing")]
    for prefix, space, names in (
        ("", gx, others),
        ("linalg.", gx.linalg, gx.linalg.__all__),
        ("nn.", gx.nn, gx.nn.__all__),
        ("optim.", gx.optim, gx.optim.__all__),
        ("random.", gx.random, gx.random.__all__),
    ):
        for name in names:
            function = getattr(space, name)
            if inspect.isfunction(function):
                yield prefix + name, function


FUNCTIONS = dict(public())


def calls(function: Callable) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    parameters = list(inspect.signature(function).parameters.values())
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        yield from (([x], {}) for x in OPERANDS)
        yield from (([X, x], {}) for x in OPERANDS)
        return
    needed = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    needed += [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_ONLY]
    named = {p.name: KEYWORDS[p.name] for p in parameters if p.name in KEYWORDS}
    few = OPERANDS if len(needed) < 3 else OPERANDS[::4]
    chosen = list(itertools.product(few, repeat=len(needed)))
    random.Random(0).shuffle(chosen)
    yield from ((list(arguments), named) for arguments in chosen[:CALLS])
    for parameter in parameters:
        for value in OPTIONS.get(parameter.name, ()):
            right = [X if p.name in ("x", "x1", "x2") else 1 for p in needed]
            if parameter in needed:
                right[needed.index(parameter)] = value
                yield right, {}
            else:
                yield right, {parameter.name: value}


def test_there_are_functions_to_call():
    assert len(FUNCTIONS) > 280


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_does_not_work_says_so(name: str):
    function = FUNCTIONS[name]
    refused = 0
    for arguments, options in calls(function):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                function(*arguments, **options)
        except gx.GraphcError as error:
            refused += 1
            assert "test_bad_arguments.py" in str(error), (arguments, options, str(error))
        except TypeError as error:
            # A wrong signature is Python's to refuse.
            signature = ("missing", "positional", "unexpected keyword")
            assert any(word in str(error) for word in signature), (arguments, options, str(error))
    assert refused or name in LAZY


def test_exponents_that_are_not_finite():
    x = np.array([0.5, 1.0, 2.0])
    for exponent in (float("inf"), -float("inf"), float("nan")):
        found = gx.trace(lambda t, e=exponent: t**e, x).evaluate(x)
        np.testing.assert_array_equal(found, x**exponent)
