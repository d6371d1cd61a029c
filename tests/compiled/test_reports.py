"""What a lowered step says of itself: kernels, memory, profile, C text."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest

import graphc as gx
from graphc.build.machine import Limits
from tests.compiled.test_memory import mlp_step


@pytest.fixture(scope="module")
def lowered():
    step, state, x, y = mlp_step(gx.optim.adamw(learning_rate=0.01))
    return gx.trace(step, state, x, y, donate_argnums=0).lower(threads=1), (state, x, y)


def test_the_ledger_names_what_is_kept_and_why(lowered):
    memory = lowered[0].memory
    (row,) = [r for r in memory.saved if r.value.split()[0] == "h"]
    assert row.bytes == 16 * 30 * 4
    assert "output of relu" in row.rule
    assert "input 0 of matmul" in row.rule
    assert memory.kept_bytes == sum(r.bytes for r in memory.saved)


def test_memory_figures_fit_together(lowered):
    memory = lowered[0].memory
    most = max(sum(step.values()) for step in memory.timeline)
    assert memory.max_live_bytes == most
    assert memory.peak_bytes >= most
    assert memory.peak_bytes < memory.naive_bytes
    sizes = (20 * 30, 30, 30 * 7, 7)
    assert memory.state_bytes == 3 * 4 * sum(sizes) + 4
    assert memory.input_bytes == 16 * 20 * 4 + 16 * 4
    assert memory.output_bytes == 4
    assert str(memory).startswith("arena")


def test_memory_is_written_for_other_programs(lowered, tmp_path):
    memory = lowered[0].memory
    memory.to_json(tmp_path / "m.json")
    assert json.loads((tmp_path / "m.json").read_text())["peak_bytes"] == memory.peak_bytes
    memory.to_dsa_csv(tmp_path / "m.csv")
    lines = (tmp_path / "m.csv").read_text().splitlines()
    assert lines[0] == "id,lower,upper,size"
    assert len(lines) == len(memory.allocations) + 1
    assert memory.diff(memory) == ""


def test_a_budget_that_is_too_small_is_refused():
    x = np.ones((64, 64), np.float32)
    traced = gx.trace(lambda x: gx.tanh(x @ x) @ x, x)
    peak = traced.lower(threads=1).memory.peak_bytes
    assert traced.lower(threads=1, memory_budget=peak).memory.peak_bytes == peak
    with pytest.raises(gx.MemoryBudgetError, match="the smallest arena found for <lambda>"):
        traced.lower(threads=1, memory_budget="1KB")
    with pytest.raises(gx.ArgumentError, match="'a lot'"):
        traced.lower(memory_budget="a lot")


def test_the_profile_covers_every_kernel(lowered):
    step, args = lowered
    before = np.array(args[0]["params"]["w1"])
    limits = Limits(threads=1, gflops=50, gbytes_per_s=10)
    profile = step.compile().profile(*args, runs=3, limits=limits)
    assert len(profile.rows) == len(step.kernels)
    assert all(row.least > 0 for row in profile.rows if row.kernel.flops > 10000)
    np.testing.assert_array_equal(before, args[0]["params"]["w1"])
    assert "GFLOP/s" in str(profile)


def test_costs_count_the_products(lowered):
    flops = lowered[0].cost_analysis()["flops"]
    products = 2 * 16 * (20 * 30 + 30 * 7) + 2 * 16 * (20 * 30 + 2 * 30 * 7)
    assert products < flops < 2 * products


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("flags", [["-O1", "-march=native"], ["-O1"]])
def test_the_c_file_is_clean_by_itself(lowered, tmp_path, compiler, flags):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not on the PATH")
    source = tmp_path / "step.c"
    source.write_text(lowered[0].c_source)
    (tmp_path / "step.h").write_text(lowered[0].c_header)
    strict = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-c", "-o", "/dev/null"]
    subprocess.run([compiler, *strict, *flags, str(source)], check=True)


def test_c_text_is_deterministic():
    def text():
        step, state, x, y = mlp_step(gx.optim.sgd(learning_rate=0.01))
        return gx.trace(step, state, x, y, donate_argnums=0).lower(threads=2).c_source

    assert text() == text()


def test_user_names_reach_c_only_inside_comments():
    bad = {"*/ int main(void) {": np.ones(3, np.float32), '";\n??/\\': np.ones(3, np.float32)}
    step = gx.compile(lambda p: {k: v + 1.0 for k, v in p.items()}, bad)
    for value in step(bad).values():
        np.testing.assert_array_equal(value, np.full(3, 2, np.float32))
