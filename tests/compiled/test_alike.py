"""Kernels that are told to be alike before they are written have the same text."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

import graphc as gx
from graphc import nn, optim
from graphc.codegen import unit as c_unit
from graphc.codegen.unit import Functions, KernelText
from graphc.stages import Lowered
from tests.fuzz.generate import generate
from tests.fuzz.verdict import trace_all


def texts(kernels: list[KernelText]) -> list[str]:
    """The C of kernels and of those that they call, without comments and names."""
    found = []
    for kernel in kernels:
        code = re.sub(r"/\*.*?\*/|\bk\d+_\w+", "", kernel.text, flags=re.S)
        found += [" ".join(code.split()), *texts(kernel.inner)]
    return found


def written_anew(lowered: Lowered, functions: Functions) -> list[str]:
    """The texts of a program whose kernels are compared with all that `functions` has seen."""
    return texts(c_unit.generate(lowered.program, functions=functions).kernels)


class Forgetful(dict):
    def __contains__(self, key: object) -> bool:
        return False


def deep_step(depth: int) -> Lowered:
    def loss(params, x):
        for w, b in params[:-1]:
            x = x + nn.gelu(nn.layer_norm(x) @ w + b)
        w, b = params[-1]
        return gx.mean(nn.softmax(x @ w + b) ** 2)

    optimizer = optim.adam(1e-3)

    def step(state, x):
        params, moments = state
        value, slopes = gx.value_and_grad(loss)(params, x)
        changes, moments = optimizer.update(slopes, moments, params)
        return (optim.apply_updates(params, changes), moments), value

    params = [(np.ones((16, 16), "f4"), np.ones(16, "f4")) for _ in range(depth)]
    state = (params, optimizer.init(params))
    return gx.trace(step, state, np.ones((8, 16), "f4"), donate_argnums=0).lower(threads=2)


def test_layers_are_written_once() -> None:
    functions, deep = Functions(), deep_step(12)
    plain = written_anew(deep, Functions(written=Forgetful()))
    assert written_anew(deep, functions) == plain
    assert len(functions.written) < len(plain) / 4
    assert len(functions.named) == len(set(plain))


def test_what_one_step_has_written_serves_the_next_only_where_it_is_the_same() -> None:
    shared = Functions()
    hits: Counter[bool] = Counter()
    for seed in range(24):
        traced, _, _ = trace_all([generate(seed)])
        lowered = traced.lower(threads=2)
        before = len(shared.written)
        again = written_anew(lowered, shared)
        assert again == written_anew(lowered, Functions(written=Forgetful()))
        hits.update({True: len(again) - (len(shared.written) - before), False: len(again)})
    assert 0 < hits[True] < hits[False]
