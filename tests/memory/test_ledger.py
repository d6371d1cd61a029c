"""The ledger and the figures of `lowered.memory`."""

from __future__ import annotations

import json

import numpy as np
import pytest

import graphc as gx
from graphc import nn
from graphc.memory.report import FIGURES
from graphc.schedule.arena import plan, read_csv
from tests.memory.steps import chain, forward_only, some_step


def traces():
    yield "chain", chain(6)
    yield "forward", forward_only(4)
    yield from ((f"random {seed}", some_step(seed)[0]) for seed in range(6))


@pytest.mark.parametrize(("name", "traced"), list(traces()))
def test_the_arena_at_its_peak_adds_up(name, traced):
    memory = traced.lower(threads=2).memory
    assert sum(memory.at_peak.values()) == memory.peak_bytes
    assert memory.at_peak["gaps"] == memory.peak_bytes - memory.max_live_bytes
    assert all(bytes_ >= 0 for bytes_ in memory.at_peak.values())
    assert memory.order_lower_bound_bytes <= memory.max_live_bytes <= memory.peak_bytes
    assert memory.min_cut_bytes <= memory.kept_bytes


def test_rows_say_what_rule_asked_and_as_what():
    def step(w, x):
        h = nn.layer_norm(x @ w, np.ones(32, np.float32), np.zeros(32, np.float32))
        loss = gx.sum(gx.tanh(nn.relu(h @ w) @ w))
        return gx.grad(loss, w)

    rows = gx.trace(step, gx.spec((32, 32)), gx.spec((64, 32))).lower(threads=1).memory.saved
    hidden = next(row for row in rows if row.value.startswith("relu"))
    assert hidden.bytes == 64 * 32 * 4
    assert "output of relu (test_ledger.py:" in hidden.rule
    assert "input 0 of matmul (test_ledger.py:" in hidden.rule
    assert hidden.kind == "operator output"
    assert "test_ledger.py" in hidden.producer
    product = 2 * 64 * 32 * 32
    assert product < hidden.recompute_flops < product + 8 * 64 * 32
    statistics = [row for row in rows if row.kind == "statistic"]
    assert statistics
    assert all(row.bytes == 64 * 4 for row in statistics)


def test_a_row_drops_the_peak_by_what_it_says():
    traced = chain(8)
    memory = traced.lower(threads=1).memory
    row = memory.saved[0]
    after = traced.lower(threads=1, recompute=[row])
    assert row.peak_drop_bytes == memory.peak_bytes - after.memory.peak_bytes
    assert row.value not in [r.value for r in after.memory.saved if r.place == row.place]
    assert after.memory.recompute_flops > memory.recompute_flops


def test_rows_are_kept_where_the_user_says_so():
    """tanh's result is kept for the derivative; that of cos is rebuilt from x unless it is asked
    for.
    """

    def step(x):
        y = gx.cos(x)
        loss = gx.sum(gx.tanh(y @ y) @ y)
        return gx.grad(loss, x)

    traced = gx.trace(step, gx.spec((48, 48)))
    rows = traced.lower(threads=1).memory.saved
    row = rows[0]
    forced = traced.lower(threads=1, recompute=[row])
    assert row.place not in [r.place for r in forced.memory.saved]
    back = traced.lower(threads=1, keep=[row])
    assert row.place in [r.place for r in back.memory.saved]
    with pytest.raises(gx.ArgumentError, match="is in keep and in recompute"):
        traced.lower(keep=[row], recompute=[row])
    with pytest.raises(gx.ArgumentError, match="another step's ledger"):
        chain(3).lower(recompute=[row])
    with pytest.raises(gx.ArgumentError, match="rows of memory"):
        traced.lower(keep=["relu"])


def test_files_hold_the_same_figures(tmp_path):
    memory = chain(5).lower(threads=1).memory
    memory.to_json(tmp_path / "memory.json")
    written = json.loads((tmp_path / "memory.json").read_text())
    assert [written[name] for name in FIGURES] == [getattr(memory, name) for name in FIGURES]
    assert sum(row["bytes"] for row in written["saved"]) == memory.kept_bytes
    memory.to_dsa_csv(tmp_path / "plan.csv")
    buffers = read_csv((tmp_path / "plan.csv").read_text().splitlines())
    assert plan(buffers).max_live == memory.max_live_bytes


def test_a_comparison_names_figures_and_rows():
    few, many = (chain(depth).lower(threads=1).memory for depth in (3, 5))
    text = few.diff(many)
    assert "peak_bytes" in text
    assert f"{few.kept_bytes:,} -> " in text
    assert few.diff(few) == ""


def test_a_frozen_part_has_no_backward_pass():
    def step(w, x, frozen):
        h = gx.tanh(x @ w)
        h = gx.stop_gradient(h) if frozen else h
        loss = gx.sum(gx.tanh(h @ w))
        return gx.grad(loss, w)

    spec, x = gx.spec((64, 64)), gx.spec((512, 64))
    whole, part = (
        gx.trace(step, spec, x, frozen, static_argnums=2).lower(threads=1)
        for frozen in (False, True)
    )
    assert part.cost_analysis()["flops"] < whole.cost_analysis()["flops"]
    assert part.memory.peak_bytes <= whole.memory.peak_bytes
    receipt = part.memory.frozen
    assert whole.memory.frozen is None and receipt is not None
    assert receipt.lines[0].startswith("test_ledger.py:")
    assert receipt.flops == whole.cost_analysis()["flops"] - part.cost_analysis()["flops"]
    assert receipt.peak_bytes == whole.memory.peak_bytes - part.memory.peak_bytes > 0
    assert receipt.kept_bytes == whole.memory.kept_bytes - part.memory.kept_bytes


def test_the_library_stops_gradients_of_its_own_without_a_receipt():
    def step(x, labels):
        loss = nn.softmax_cross_entropy_with_integer_labels(nn.hard_tanh(x), labels)
        return gx.grad(gx.mean(loss), x)

    memory = gx.trace(step, gx.spec((16, 10)), gx.spec((16,), "int32")).lower(threads=1).memory
    assert memory.frozen is None


def test_values_have_the_names_of_the_users_variables():
    def step(w, x):
        hidden = gx.tanh(x @ w)
        twice = gx.exp(gx.exp(hidden @ w))
        return gx.grad(gx.sum(twice @ w), w)

    memory = gx.trace(step, gx.spec((32, 32)), gx.spec((64, 32))).lower(threads=1).memory
    names = {row.value.split()[0] for row in memory.saved}
    # Of two operators of a name that a line applies neither is named.
    assert "hidden" in names and "twice" not in names


def test_the_stack_holds_no_large_array():
    memory = some_step(2)[0].lower(threads=1).memory
    assert 0 < memory.stack_bytes <= 16384


def test_figures_in_bytes_are_read():
    assert gx.memory.byte_count("64MB") == 64 * 10**6
    assert gx.memory.byte_count("1 GiB") == 2**30
    with pytest.raises(gx.ArgumentError, match="64MB"):
        gx.memory.byte_count("much")
    assert np.isclose(gx.memory.byte_count("1.5KiB"), 1536)


def test_a_picture_has_every_buffer(tmp_path):
    pytest.importorskip("matplotlib")
    memory = chain(6).lower(threads=1).memory
    memory.plot(tmp_path / "memory.svg")
    text = (tmp_path / "memory.svg").read_text()
    for kind in {a.kind for a in memory.allocations}:
        assert f">{kind}<" in text or f"<!-- {kind} -->" in text
    assert text.count('<g id="patch_') > len(memory.allocations)
