"""A state goes from one system to the other in safetensors files, and no bit of it is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphc as gx
from graphc import tree
from graphc.build.toolchain import find
from tests.export.building import data, initial, make, needs, run, traced

STEPS = 48  # a multiple of the batches: every run of the program begins with the first


def test_c_pytorch_jax_and_python_go_on_where_another_stopped(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    from safetensors import flax, torch

    needs("gcc")
    traced().lower(threads=1).export(tmp_path)
    program = make(tmp_path, ("gcc",), "example", *find().flags()[1:])
    x, y = data(4)
    gx.save(tmp_path / "data.safetensors", {"x": x, "y": y})

    def in_c(before: str, after: str) -> None:
        files = ["--data", "data.safetensors", "--state", before, "--save", after]
        run([program, *files, "--steps", STEPS], tmp_path)

    compiled = traced().lower(threads=1).compile()

    def in_python(state: object) -> object:
        for k in range(STEPS):
            batch = slice(k % 4 * 24, k % 4 * 24 + 24)
            state, _ = compiled(state, x[batch], y[batch])
        return state

    gx.save(tmp_path / "0.safetensors", initial())
    torch.save_file(torch.load_file(tmp_path / "0.safetensors"), tmp_path / "torch.safetensors")
    in_c("torch.safetensors", "1.safetensors")
    flax.save_file(flax.load_file(tmp_path / "1.safetensors"), tmp_path / "jax.safetensors")
    in_c("jax.safetensors", "2.safetensors")
    state = in_python(gx.load(tmp_path / "2.safetensors", initial()))
    gx.save(tmp_path / "3.safetensors", state)
    in_c("3.safetensors", "4.safetensors")

    wanted = initial()
    for _ in range(4):
        wanted = in_python(wanted)
    found = gx.load(tmp_path / "4.safetensors", initial())
    for a, b in zip(tree.leaves(found), tree.leaves(wanted), strict=True):
        assert a.tobytes() == b.tobytes()
    in_torch, in_jax = (f.load_file(tmp_path / "4.safetensors") for f in (torch, flax))
    w1 = found["params"]["w1"]
    assert np.array_equal(in_torch["params.w1"].numpy(), w1)
    assert np.array_equal(np.asarray(in_jax["params.w1"]), w1)
