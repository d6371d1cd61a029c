"""Safetensors files: round trips, what other readers see, refusals, atomic replacement."""

from __future__ import annotations

import dataclasses
import os
from typing import NamedTuple

import numpy as np
import pytest
from safetensors.numpy import load_file

import graphc as gx
from graphc import io, optim, tree
from graphc.errors import ArgumentError


class Pair(NamedTuple):
    left: np.ndarray
    right: np.ndarray


@dataclasses.dataclass
class Model:
    w: np.ndarray
    layers: list


DTYPES = ["bool", "uint8", "uint32", "int32", "int64", "float32", "float64"]


def state() -> dict:
    params = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": [np.zeros(3, np.float32)]}
    return {
        "params": params,
        "opt": optim.adam(1e-3).init(params),
        "model": Model(np.ones((0, 3), np.int64), [Pair(np.float32(2.5), np.arange(4)[::2])]),
        "nothing": None,
        "step": 7,
    }


def same(a, b) -> None:
    assert tree.structure(a) == tree.structure(b)
    for x, y in zip(tree.leaves(a), tree.leaves(b), strict=True):
        assert np.asarray(x).dtype == np.asarray(y).dtype
        np.testing.assert_array_equal(x, y)


def test_round_trip(tmp_path):
    path = tmp_path / "state.safetensors"
    io.save(path, state())
    loaded = io.load(path, state())
    same(loaded, state())
    assert type(loaded["step"]) is int
    arrays = [leaf for leaf in tree.leaves(loaded) if isinstance(leaf, np.ndarray)]
    for leaf in arrays:
        assert leaf.flags.writeable and leaf.flags.c_contiguous
        assert not any(np.shares_memory(leaf, x) for x in arrays if x is not leaf)
        assert leaf.base.nbytes <= leaf.nbytes + 4096  # not a part of the file


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(tmp_path, dtype):
    array = np.array([0, 1, 1, 0]).astype(dtype)
    io.save(tmp_path / "a", {"x": array})
    same(io.load(tmp_path / "a", {"x": gx.spec((4,), dtype)}), {"x": array})


def test_names_in_the_file(tmp_path):
    io.save(tmp_path / "a", state())
    names = set(load_file(tmp_path / "a"))
    assert {"params.w", "params.b.0", "opt.0.mu.b.0", "opt.0.count", "model.layers.0.left"} <= names


def test_other_byte_orders_and_strides(tmp_path):
    array = np.arange(12, dtype=">f4").reshape(3, 4).T
    io.save(tmp_path / "a", array)
    loaded = io.load(tmp_path / "a", gx.spec((4, 3)))
    np.testing.assert_array_equal(loaded, array)


def test_torch_reads_and_gives(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file as torch_load

    io.save(tmp_path / "a", {"w": torch.arange(3.0), "b": np.ones(2)})
    back = torch_load(tmp_path / "a")
    assert back["w"].tolist() == [0.0, 1.0, 2.0] and back["b"].dtype == torch.float64
    loaded = io.load(tmp_path / "a", {"w": torch.zeros(3), "b": np.zeros(2)})
    assert isinstance(loaded["w"], np.ndarray)


def test_every_misfit_is_named(tmp_path):
    io.save(tmp_path / "a", {"w": np.zeros((2, 3)), "b": np.zeros(3, np.float32), "c": np.zeros(1)})
    like = {"w": gx.spec((2, 3)), "b": gx.spec((4,)), "d": gx.spec((1,))}
    with pytest.raises(ArgumentError) as caught:
        io.load(tmp_path / "a", like)
    text = str(caught.value)
    assert "w: expected float32[2,3], got float64[2,3]" in text
    assert "b: expected float32[4], got float32[3]" in text
    assert "d: missing" in text
    assert "c: not expected" in text


def test_a_part_of_a_file(tmp_path):
    io.save(tmp_path / "a", {"w": np.ones(2), "b": np.zeros(3)})
    same(io.load(tmp_path / "a", {"w": gx.spec((2,), "float64")}, strict=False), {"w": np.ones(2)})


def test_refusals(tmp_path):
    with pytest.raises(ArgumentError, match=r"two leaves are called 'a\.b'"):
        io.save(tmp_path / "a", {"a.b": 1, "a": {"b": 2}})
    with pytest.raises(ArgumentError, match=r"save: x\.0 is str"):
        io.save(tmp_path / "a", {"x": ["text"]})
    with pytest.raises(ArgumentError, match="save: x: dtype"):
        io.save(tmp_path / "a", {"x": np.zeros(2, np.complex64)})
    with pytest.raises(ArgumentError, match="__metadata__"):
        io.save(tmp_path / "a", {"__metadata__": 1})
    assert not (tmp_path / "a").exists()
    (tmp_path / "junk").write_bytes(b"not a safetensors file at all")
    with pytest.raises(ArgumentError, match="junk: not a readable safetensors file"):
        io.load(tmp_path / "junk", {})
    with pytest.raises(FileNotFoundError):
        io.load(tmp_path / "absent", {})
    with pytest.raises(FileNotFoundError):
        io.save(tmp_path / "absent" / "a", {"x": 1})


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch, broken):
    path = tmp_path / "a"
    io.save(path, {"x": np.ones(3)})

    def fail(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="no space"):
        io.save(path, {"x": np.zeros(3)})
    np.testing.assert_array_equal(io.load(path, {"x": np.ones(3)})["x"], np.ones(3))
    assert os.listdir(tmp_path) == ["a"]
