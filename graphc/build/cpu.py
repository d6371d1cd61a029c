"""This machine's processor, and what each compile target can assume; needs no C compiler."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

from graphc.errors import ArgumentError

__all__ = [
    "TARGETS",
    "check_runs",
    "check_target",
    "cores",
    "family",
    "features",
    "identity",
    "isa",
    "machine",
    "name",
]

#: Compile targets and the vector instructions that each may use; "native" is this machine's own.
TARGETS = {
    "native": "",
    "generic": "generic",
    "x86-64-v2": "sse2",
    "x86-64-v3": "avx2",
    "x86-64-v4": "avx512",
    "aarch64": "neon",
}

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_MACHINES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}

# What tells the x86-64 levels apart, by Linux's names of features; each level has the ones before.
_LEVELS = {
    "x86-64-v2": {"sse4_2", "popcnt"},
    "x86-64-v3": {"avx2", "bmi2", "fma"},
    "x86-64-v4": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
}


def check_target(target: str) -> str:
    """The target itself, or `ArgumentError` when there is none of that name."""
    if target not in TARGETS:
        raise ArgumentError(f"target: expected one of {', '.join(TARGETS)}, got {target!r}")
    return target


def machine() -> str:
    """The processor's family in one spelling: "x86_64", "aarch64", or as the system says."""
    name = platform.machine().lower()
    return _MACHINES.get(name, name)


def isa(target: str = "native") -> str:
    """Vector instructions of a target: "avx512", "avx2", "sse2", "neon" or "generic".

    A pure function of the target and, for "native", of this processor, so that a plan is the same
    with any compiler and with none. "generic" means C whose vectors the compiler may split.
    """
    if check_target(target) != "native":
        return TARGETS[target]
    if machine() == "aarch64":
        return "neon"
    if machine() != "x86_64" or not features():
        return "generic"
    best = [level for level in _LEVELS if not _missing(level)]
    return TARGETS[best[-1]] if best else "sse2"


def family(target: str, here: str) -> str:
    """The processor family of a target, for a machine or compiler of the family `here`."""
    if check_target(target) in ("native", "generic"):
        return here
    return "aarch64" if target == "aarch64" else "x86_64"


def check_runs(target: str) -> None:
    """`ArgumentError` if this processor cannot run code for a target: it would end the process."""
    wanted = family(target, machine())
    lacks = [wanted] if wanted != machine() else _missing(target)
    if lacks:
        raise ArgumentError(
            f"target: {target} needs {', '.join(lacks)}, which this processor ({name()}) does not "
            "have; export the C, or lower for native"
        )


def _missing(target: str) -> list[str]:
    """What a target needs and this processor lacks; nothing where the system does not tell."""
    levels = list(_LEVELS)
    needed = levels[: levels.index(target) + 1] if target in levels else []
    present = features()
    return sorted(set().union(*(_LEVELS[n] for n in needed)) - present) if present else []


@lru_cache(maxsize=1)
def features() -> frozenset[str]:
    """The processor's features under Linux's names; empty where the system does not tell."""
    if sys.platform == "darwin":
        text = _sysctl("machdep.cpu.features") + " " + _sysctl("machdep.cpu.leaf7_features")
        return frozenset(text.lower().replace("sse4.2", "sse4_2").split())
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", _cpuinfo(), re.M)
    return frozenset(match[1].split()) if match else frozenset()


@lru_cache(maxsize=1)
def identity() -> str:
    """What code for "native" depends on: family, model and features of this processor."""
    if sys.platform == "darwin":
        model = _sysctl("machdep.cpu.brand_string")
    else:
        lines = re.findall(r"^(?:vendor_id|cpu family|model|CPU \w+)\s*:.*$", _cpuinfo(), re.M)
        model = "; ".join(" ".join(line.split()) for line in lines) or platform.processor()
    return f"{machine()}; {model}; {' '.join(sorted(features()))}"


def name() -> str:
    """What the maker calls this processor; its family where the system does not tell."""
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string") or machine()
    match = re.search(r"^model name\s*:\s*(.+)$", _cpuinfo(), re.M)
    return match[1] if match else machine()


def cores() -> int:
    """How many threads can run at once: this process's affinity, limited by its cgroup's quota."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min(count, _cgroup_quota() or count))


def _cgroup_quota() -> int | None:
    """Processors that the control group (version 2) grants, rounded up; None where unlimited."""
    if not _QUOTA.is_file():
        return None
    quota, period = _QUOTA.read_text(encoding="ascii").split()
    return None if quota == "max" else -(-int(quota) // int(period))


@lru_cache(maxsize=1)
def _cpuinfo() -> str:
    """Linux's description of the first processor; empty on other systems."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return ""
    # The file describes every processor anew; the first paragraph is enough, and cheap.
    with path.open(encoding="utf-8", errors="replace") as lines:
        return "".join(takewhile(str.strip, lines))


def _sysctl(name: str) -> str:
    """A value of macOS's sysctl; empty where it has none of that name."""
    done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False)
    return done.stdout.strip()
