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

__all__ = ["TARGETS", "check_target", "cores", "features", "identity", "isa", "machine", "name"]

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

# The first set that a processor has names its instructions, by Linux's names of features.
_X86_FEATURES = (
    ("avx512", {"avx512f", "avx512bw", "avx512dq", "avx512vl"}),
    ("avx2", {"avx2", "fma"}),
    ("sse2", {"sse2"}),
)


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
    present = features()
    return next((name for name, needed in _X86_FEATURES if needed <= present), "generic")


@lru_cache(maxsize=1)
def features() -> frozenset[str]:
    """The processor's features under Linux's names; empty where the system does not tell."""
    if sys.platform == "darwin":
        text = _sysctl("machdep.cpu.features") + " " + _sysctl("machdep.cpu.leaf7_features")
        return frozenset(text.lower().replace("avx1.0", "avx").split())
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
