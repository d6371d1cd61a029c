"""Sizes as people write and read them: MB is 10⁶ bytes, MiB 2²⁰."""

from __future__ import annotations

import re

from graphc.errors import ArgumentError

_UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}


def byte_count(size: int | str) -> int:
    """Bytes from a number or from text: "64MB" are 64·10⁶, "1GiB" is 2³⁰. Raises ArgumentError."""
    if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
        return size
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(size))
    if match is None or match.group(2).upper() not in _UNITS:
        raise ArgumentError(
            f"bytes: a number or text such as '64MB' or '1GiB' required, got {size!r}"
        )
    return int(float(match.group(1)) * _UNITS[match.group(2).upper()])


def megabytes(size: int) -> str:
    """ "    1.573 MB", of equal width for up to a terabyte."""
    return f"{size / 1e6:9.3f} MB"
