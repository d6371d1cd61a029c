"""Why a step is as large as it is, in words and on one screen."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from graphc.memory.ledger import Saved
from graphc.memory.report import MemoryReport
from graphc.memory.sizes import megabytes
from graphc.schedule.budget import Plan, Search

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
#: Lines of the user's that are listed.
_LINES = 8
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
    return [*lines, "", f"what to change first: {_advice(memory, search, flops)}"]


def _by_line(memory: MemoryReport) -> Iterator[str]:
    """The lines of the user's that keep the most, with the largest value and why it is kept."""
    groups: dict[str, list[Saved]] = {}
    for row in memory.saved:
        groups.setdefault(row.site or "no line", []).append(row)
    ordered = sorted(groups.items(), key=lambda item: -sum(r.bytes for r in item[1]))
    for site, rows in ordered[:_LINES]:
        size = sum(r.bytes for r in rows)
        many = f"{len(rows)} × " if len(rows) > 1 else ""
        why = rows[0].rule.split("; ")[0]
        yield (
            f"{megabytes(size)} {_percent(size, memory.kept_bytes)}  {site}: {many}{rows[0].value},"
            f" {rows[0].kind} ({why})"
        )
    rest = sum(r.bytes for _, rows in ordered[_LINES:] for r in rows)
    if rest:
        yield f"{megabytes(rest)} {_percent(rest, memory.kept_bytes)}  other lines"


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
    saved = memory.at_peak.get("saved", 0)
    if memory.state_bytes > memory.peak_bytes:
        return (
            f"the state, {_mb(memory.state_bytes)} of parameters and what the optimizer keeps for"
            " them, is larger than the arena; an optimizer with less state (sgd) or fewer"
            " parameters make it smaller"
        )
    smaller = _cheapest(memory, search) if saved else None
    if smaller is not None:
        work = max(0, smaller.recompute_flops - memory.recompute_flops)
        less = memory.peak_bytes - smaller.peak_bytes
        return (
            f"compute some of what is kept again: memory_budget={_option(smaller.peak_bytes)} takes"
            f" {_mb(less)} less ({_percent(less, memory.peak_bytes).strip()}) for"
            f" {100 * work / max(flops, 1):.1f} % more arithmetic"
        )
    return (
        "the batch: what is live in this kernel grows with it"
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
