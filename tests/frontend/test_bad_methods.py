"""Methods of what graphc gives, initial values, files and assertions with arguments of wrong kinds:
an error of graphc's, or Python's own for a wrong signature, for what is no path and no sequence.
"""

from __future__ import annotations

import inspect
import itertools
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import optim
from graphc.nn import initializers

from .test_bad_arguments import OPERANDS, OPTIONS, X

ARRAY = np.ones((2, 3), np.float32)
#: What may be given for anything.
GIVEN = (
    *OPERANDS, ARRAY, ARRAY.astype(np.float64), (2, 3), 0, 3, -5, b"x", {"a": ARRAY},
    lambda *arguments: arguments,
)  # fmt: skip
#: Wrong values of options, by name.
WRONG: dict[str, tuple[Any, ...]] = {
    **OPTIONS,
    "arguments": (3, (1, 2, 3)),
    **dict.fromkeys(("in_axis", "out_axis", "column_axis"), ("a", 2.5)),
    **dict.fromkeys(("scale", "stddev", "lower", "upper"), ("a", X)),
    **dict.fromkeys(("min", "max", "decimals"), ("a", 1j)),
    "beside": (3, {"a": 3}),
    "donate_argnums": (7, "a", -3, (0, 0)),
    "form": ("nope", 3),
    "keep": (3, ("x",), X),
    "levels": (("O9",), 3),
    "memory_budget": ("x", "12XB", -5, float("nan"), X),
    "name": ("", "a b", "int", 3, "../x"),
    "peak": ("x", -1, X),
    "recompute": (3, ("x",)),
    "runs": (0, -1, "a"),
    "target": ("nope", "", 3, "x86-64-v4 -o x"),
    "threads": (0, -1, "a", 2.5, 10**9),
    "to": ("nope", 3),
}
#: Options that `lower` has, which others pass on.
LOWERING = ("memory_budget", "threads", "target", "keep", "recompute")
#: Calls of one method.
CALLS = 60
#: The refusals that are Python's: of signatures, of what is no path, of what cannot be iterated.
PYTHONS = ("missing", "positional", "unexpected keyword", "os.PathLike", "not iterable")

TRACED = gx.trace(lambda x: gx.sum(gx.tanh(x) * 2), gx.spec((2, 3)))
LOWERED = TRACED.lower(threads=1)
ADAM = optim.adam(1e-3)
OBJECTS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "Tensor": (X, tuple(n for n in dir(gx.Tensor) if n[0] != "_" and n not in ("T", "mT"))),
    "Tensor operators": (X, ("__getitem__", "__add__", "__matmul__", "__pow__", "__mod__")),
    "at": (X.at[0], ("set", "add", "multiply", "min", "max")),
    "Traced": (TRACED, ("evaluate", "lower")),
    "Lowered": (LOWERED, ("export", "report", "compile")),
    "Graph": (LOWERED.graph, ("diff", "to_python", "from_outputs")),
    "MemoryReport": (LOWERED.memory, ("diff", "to_json", "to_dsa_csv")),
    "optimizer": (ADAM, ("init", "update")),
    "chain": (optim.chain(optim.clip(1.0), optim.ema(0.5)), ("init", "update")),
    "masked": (optim.masked(ADAM, True), ("init", "update")),
    "MultiSteps": (optim.MultiSteps(ADAM, 2), ("init", "update", "has_updated")),
    "initializers": (initializers, tuple(n for n in dir(initializers) if n.endswith(
        ("normal", "uniform", "orthogonal", "variance_scaling", "constant", "zeros", "ones")
    ) and n[0] != "_")),
    "memory": (gx.memory, ("pareto", "byte_count")),
    "testing": (gx.testing, ("assert_memory",)),
    "files": (gx, ("save", "load")),
}  # fmt: skip
METHODS: dict[str, Callable[..., Any]] = {
    f"{owner}.{name}": getattr(thing, name)
    for owner, (thing, names) in OBJECTS.items()
    for name in names
    if callable(getattr(thing, name))
}
METHODS |= {
    f"initializers.{name}()": getattr(initializers, name)()
    for name in ("glorot_normal", "he_uniform", "normal", "orthogonal", "uniform")
}
METHODS["initializers.variance_scaling()"] = initializers.variance_scaling(1, "fan_avg", "uniform")
#: What is only formatted, or keeps what it is given until it is called.
LAZY = {
    "Tensor.copy",
    "Tensor.T",
    "Tensor.flatten",
    "Tensor.ravel",
    "Tensor.round",
    "Lowered.compile",
}


def calls(name: str, method: Callable[..., Any]) -> Iterator[tuple[tuple[Any, ...], dict]]:
    parameters = list(inspect.signature(method).parameters.values())
    bare = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    needed = [p for p in bare if p.kind is not p.KEYWORD_ONLY]
    chosen = list(itertools.product(GIVEN, repeat=len(needed)))
    random.Random(0).shuffle(chosen)
    yield from ((arguments, {}) for arguments in chosen[:CALLS])
    options = [p.name for p in parameters if p not in needed]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        options += LOWERING
    right = [TRACED if p.name == "traced" else (2, 3) for p in needed]
    for option in options:
        yield from ((tuple(right), {option: value}) for value in WRONG.get(option, ()))


@pytest.mark.parametrize("name", METHODS)
def test_what_does_not_work_says_so(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = tried = 0
    for arguments, options in calls(name, METHODS[name]):
        tried += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                METHODS[name](*arguments, **options)
        except (gx.GraphcError, OSError):
            refused += 1
        except AssertionError:
            assert name == "testing.assert_memory"
        except TypeError as error:
            assert any(word in str(error) for word in PYTHONS), (arguments, options, str(error))
            refused += 1
    assert refused or name in LAZY or not tried


def test_there_are_methods_to_call() -> None:
    assert len(METHODS) > 80
