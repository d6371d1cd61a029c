"""Assertions for the tests of those who use graphc."""

from __future__ import annotations

from typing import Any

from graphc.ir.site import required
from graphc.memory.sizes import byte_count, megabytes
from graphc.trace import Traced

_LIMITS = ("peak", "kept", "total")


def assert_memory(
    traced: Traced[Any, Any],
    *,
    peak: int | str | None = None,
    kept: int | str | None = None,
    total: int | str | None = None,
    **options: Any,
) -> None:
    """Raises AssertionError where a traced step needs more memory than it may: `peak` limits the
    arena, `kept` what the backward pass keeps of the forward pass, `total` the arena with state,
    arguments, results and constants. Limits are bytes or text such as "40MB"; options are those of
    `lower`. Needs no C compiler. Raises ArgumentError for a limit that cannot be read.
    """
    memory = required(traced, Traced, "assert_memory").lower(**options).memory
    limits = dict(zip(_LIMITS, (peak, kept, total), strict=True))
    over = []
    for name, limit in limits.items():
        have = getattr(memory, f"{name}_bytes")
        if limit is not None and have > byte_count(limit):
            over.append(f"{name}: {have:,} bytes, at most {byte_count(limit):,} are allowed")
    if over:
        rows = [f"{megabytes(r.bytes)}  {r.value}  {r.producer}" for r in memory.saved[:5]]
        largest = ["the largest values that are kept:", *rows] if rows else []
        raise AssertionError("\n".join([f"{traced.signature.name}:", *over, *largest]))
