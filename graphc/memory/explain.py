"""Why a step is as large as it is, in words and on one screen."""

from __future__ import annotations

import linecache
from collections.abc import Iterator, Sequence
from itertools import chain
from textwrap import shorten

from graphc.ir.site import Site
from graphc.memory.ledger import Saved
from graphc.memory.report import MemoryReport
from graphc.memory.sizes import megabytes
from graphc.schedule.budget import Plan, Search

#: A file and a line of it.
Place = tuple[str, int]

#: What the classes of live bytes are called.
_WORDS = {
    "saved": "kept from the forward pass for the backward pass",
    "forward": "passing through the forward pass",
    "backward": "gradients on their way through the backward pass",
    "recomputed": "computed again for the backward pass",
    "update": "waiting for the update",
    "workspace": "working memory of the kernel that runs",
    "padding": "padding to multiples of 64",
    "gaps": "gaps that nothing fits into",
}
#: Groups of values alike that are listed, the part of what is kept from which on they are, and the
#: characters of a line of the user's.
_GROUPS = 8
_SMALL = 0.005
_WIDTH = 76
#: The part of the arena that a change has to save to be worth naming.
_WORTH = 0.05


def explain(memory: MemoryReport, search: Search, name: str, flops: float) -> list[str]:
    """Lines of text: where the bytes are when the arena is fullest, which lines of the user's keep
    them, how good the plan is, and what to change first. `flops` are those of the step.
    """
    peak = memory.peak_bytes
    lines = [
        f"{name}: an arena of {_mb(peak)}; {_mb(memory.total_bytes)} with all that the step reads"
        " and writes",
        "",
        f"when the arena is fullest, in {memory.peak_line}:",
    ]
    for kind, size in sorted(memory.at_peak.items(), key=lambda item: -item[1]):
        if size:
            lines.append(f"{megabytes(size)} {_percent(size, peak)}  {_WORDS[kind]}")
    outside = {
        "state, updated in place": memory.state_bytes,
        "arguments": memory.input_bytes,
        "results": memory.output_bytes,
        "constants": memory.const_bytes,
    }
    lines += ["", "outside of it:"]
    lines += [f"{megabytes(size)}        {what}" for what, size in outside.items() if size]
    if memory.saved:
        count = len(memory.saved)
        kept = f"{_mb(memory.kept_bytes)} in {count} value{'s' if count > 1 else ''}"
        lines += ["", f"kept for the backward pass, by your line: {kept}", *_by_line(memory)]
    lines += ["", "how good the plan is:", *_certificates(memory)]
    if memory.frozen is not None:
        lines += ["", f"frozen: {memory.frozen}"]
    return [*lines, "", f"what to change first: {_advice(memory, search, flops)}"]


def _by_line(memory: MemoryReport) -> Iterator[str]:
    """The lines of the user's that keep the most, as they are written, and what they keep: values
    alike, the type of one, and why it is kept.
    """
    groups: dict[tuple[Place, str, str], list[Saved]] = {}
    written: dict[Place, Site | None] = {}
    for row, line in zip(memory.saved, _lines(memory.saved), strict=True):
        groups.setdefault((_place(line), row.value, row.kind), []).append(row)
        written[_place(line)] = line
    ordered = sorted(groups.items(), key=lambda item: -sum(r.bytes for r in item[1]))
    shown = [g for g in ordered if sum(r.bytes for r in g[1]) >= _SMALL * memory.kept_bytes]
    shown = shown[:_GROUPS]
    before: Place | None = None
    for (place, value, kind), rows in shown:
        line = written[place]
        if line is not None and place != before:
            yield f"  {line}  {_text(line)}"
        before = place
        size = sum(r.bytes for r in rows)
        many = f"{len(rows)} × " if len(rows) > 1 else ""
        why = rows[0].rule.split("; ")[0]
        yield f"{megabytes(size)} {_percent(size, memory.kept_bytes)}  {many}{value}, {kind}: {why}"
    rest = [r for _, rows in ordered[len(shown) :] for r in rows]
    size = sum(r.bytes for r in rest)
    if size:
        yield f"{megabytes(size)} {_percent(size, memory.kept_bytes)}  {len(rest)} others"


def _lines(rows: Sequence[Saved]) -> list[Site | None]:
    """For each row the innermost line that tells it from others: the line of a helper that several
    lines call says less than theirs.
    """
    calls = [row.calls for row in rows]
    while True:
        callers: dict[Place, set[Place]] = {}
        for path in calls:
            if len(path) > 1:
                callers.setdefault(_place(path[0]), set()).add(_place(path[1]))
        shared = {place for place, by in callers.items() if len(by) > 1}
        moved = [p[1:] if len(p) > 1 and _place(p[0]) in shared else p for p in calls]
        if moved == calls:
            return [path[0] if path else None for path in calls]
        calls = moved


def _place(line: Site | None) -> Place:
    return ("", 0) if line is None else (line.filename, line.line)


def _text(line: Site) -> str:
    """A line of the user's as it is written."""
    return shorten(linecache.getline(line.filename, line.line), _WIDTH, placeholder=" …")


def _certificates(memory: MemoryReport) -> Iterator[str]:
    ratios = (
        (memory.peak_bytes, memory.max_live_bytes, "of the most that is live at once"),
        (memory.max_live_bytes, memory.order_lower_bound_bytes, "of what any order must hold live"),
        (memory.kept_bytes, memory.min_cut_bytes, "of the least that could be kept"),
    )
    for have, least, what in ratios:
        if least:
            yield f"{have / least:12.3f}        {what}"


def _advice(memory: MemoryReport, search: Search, flops: float) -> str:
    """The first thing to change, with what it brings."""
    arena = _advice_on_arena(memory, search, flops)
    if memory.state_bytes <= memory.peak_bytes:
        return arena
    return (
        f"the state, {_mb(memory.state_bytes)} of parameters and what the optimizer keeps for them,"
        " is larger than the arena; an optimizer with less state (sgd) or fewer parameters make it"
        f" smaller. In the arena: {arena}"
    )


def _advice_on_arena(memory: MemoryReport, search: Search, flops: float) -> str:
    smaller = _cheapest(memory, search) if memory.at_peak.get("saved", 0) else None
    if smaller is not None:
        work = max(0, smaller.recompute_flops - memory.recompute_flops)
        less = memory.peak_bytes - smaller.peak_bytes
        return (
            f"compute some of what is kept again: memory_budget={_option(smaller.peak_bytes)} takes"
            f" {_mb(less)} less ({_percent(less, memory.peak_bytes).strip()}) for"
            f" {100 * work / max(flops, 1):.1f} % more arithmetic"
        )
    return (
        "the batch: what is live in this kernel grows with it, and computing more again would save"
        " little; gx.microbatch takes the batch in parts"
        if memory.peak_bytes > memory.const_bytes
        else "the constants, arrays that the function closes over; give them as arguments"
    )


def _cheapest(memory: MemoryReport, search: Search) -> Plan | None:
    """The first plan that is smaller by enough to be named, the least work first. Cuts are tried
    first, for there are few of them.
    """
    enough = (1 - _WORTH) * memory.peak_bytes
    plans = chain(search.cuts(), _all(search))
    return next((plan for plan in plans if plan.peak_bytes <= enough), None)


def _all(search: Search) -> Iterator[Plan]:
    yield from search.pareto


def _option(size: int) -> str:
    return f'"{-(-size // 10**4) / 100:.2f}MB"'


def _mb(size: int) -> str:
    return megabytes(size).strip()


def _percent(size: int, whole: int) -> str:
    return f"{100 * size / max(whole, 1):3.0f} %"
