from __future__ import annotations

from pathlib import Path

import pytest

from graphc.build import cpu
from graphc.errors import ArgumentError

ZEN5 = "vendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n"
V3 = "sse2 sse4_2 popcnt avx avx2 bmi2 fma"


def pretend(monkeypatch: pytest.MonkeyPatch, machine: str, cpuinfo: str) -> None:
    monkeypatch.setattr(cpu, "machine", lambda: machine)
    monkeypatch.setattr(cpu, "_cpuinfo", lambda: cpuinfo)
    monkeypatch.setattr(cpu.sys, "platform", "linux")
    cpu.features.cache_clear()
    cpu.identity.cache_clear()


@pytest.fixture(autouse=True)
def fresh() -> object:
    yield
    cpu.features.cache_clear()
    cpu.identity.cache_clear()


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", f"{V3} avx512f avx512bw avx512dq avx512vl", "avx512"),
        ("x86_64", f"{V3} avx512f", "avx2"),
        ("x86_64", "sse2 sse4_2 popcnt avx avx2", "sse2"),
        ("x86_64", "sse2", "sse2"),
        ("x86_64", "", "generic"),
        ("aarch64", "fp asimd", "neon"),
        ("riscv64", "", "generic"),
    ],
)
def test_native_instructions_follow_the_processor(
    monkeypatch: pytest.MonkeyPatch, machine: str, flags: str, expected: str
) -> None:
    word = "Features" if machine == "aarch64" else "flags"
    pretend(monkeypatch, machine, f"{ZEN5}{word}\t\t: {flags}\n")
    assert cpu.isa("native") == expected


def test_named_targets_do_not_depend_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "riscv64", "")
    assert [cpu.isa(target) for target in cpu.TARGETS] == [
        "generic",
        "generic",
        "sse2",
        "avx2",
        "avx512",
        "neon",
    ]


def test_unknown_target_is_refused_with_the_list() -> None:
    with pytest.raises(ArgumentError, match=r"native, generic, .* got 'x86-64-v5'"):
        cpu.isa("x86-64-v5")


@pytest.mark.parametrize(
    ("machine", "flags", "runs"),
    [
        ("x86_64", V3, {"native", "generic", "x86-64-v2", "x86-64-v3"}),
        ("x86_64", V3.replace("fma", ""), {"native", "generic", "x86-64-v2"}),
        ("x86_64", "avx512f avx512bw avx512dq avx512vl", {"native", "generic"}),
        ("x86_64", "", {"native", "generic", "x86-64-v2", "x86-64-v3", "x86-64-v4"}),
        ("aarch64", "asimd", {"native", "generic", "aarch64"}),
    ],
)
def test_what_runs_here(
    monkeypatch: pytest.MonkeyPatch, machine: str, flags: str, runs: set[str]
) -> None:
    pretend(monkeypatch, machine, f"{ZEN5}flags\t\t: {flags}\n")
    for target in cpu.TARGETS:
        if target in runs:
            cpu.check_runs(target)
        else:
            with pytest.raises(ArgumentError, match=f"{target} needs .*, which this processor"):
                cpu.check_runs(target)


def test_identity_tells_processors_apart_and_not_clock_rates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = set()
    for info in (ZEN5, ZEN5 + "cpu MHz\t\t: 2596.1\n", ZEN5.replace("26", "25"), ZEN5 + "flags: a"):
        pretend(monkeypatch, "x86_64", info)
        seen.add(cpu.identity())
    assert len(seen) == 3


def test_cores_are_those_of_the_affinity_and_of_the_quota(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cpu.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for quota, expected in ((None, 8), (3, 3), (100, 8)):
        monkeypatch.setattr(cpu, "_cgroup_quota", lambda quota=quota: quota)
        assert cpu.cores() == expected
    monkeypatch.undo()
    for text, quota in (("max 100000", None), ("150000 100000", 2), ("200000 100000", 2)):
        file = tmp_path / "cpu.max"
        file.write_text(text + "\n")
        monkeypatch.setattr(cpu, "_QUOTA", file)
        assert cpu._cgroup_quota() == quota
