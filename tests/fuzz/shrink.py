"""Smaller cases that still go wrong, and files that show them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.fuzz.case import Case
from tests.fuzz.verdict import Failure, failures, trace_all

#: Compiles that shrinking one failure may take.
ATTEMPTS = 120


def shrunk(failure: Failure) -> Failure:
    """A failure of the same plan (with fewer settings where they do not matter) of a case from
    which no result, line or setting can be dropped.
    """
    best, left = failure, ATTEMPTS
    for smaller in (_settings, _results, _lines, _results):
        progress = True
        while progress and left > 0:
            progress = False
            for case, plan in smaller(best):
                left -= 1
                found = failures([case], plan)
                if found:
                    best, progress = found[0], True
                    break
                if left <= 0:
                    break
    return best


def _settings(f: Failure) -> Iterator:
    for name in f.plan.setting:
        rest = {k: v for k, v in f.plan.setting.items() if k != name}
        yield f.case, replace(f.plan, setting=rest)


def _results(f: Failure) -> Iterator:
    case = f.case
    if len(case.results) > 1:
        for k in range(len(case.results)):
            yield replace(case, results=(case.results[k],)).pruned(), f.plan
        for k in range(len(case.results)):
            rest = case.results[:k] + case.results[k + 1 :]
            yield replace(case, results=rest).pruned(), f.plan
    for k in range(len(case.state)):
        state = case.state[:k] + case.state[k + 1 :]
        yield replace(case, state=state).pruned(), f.plan
    for k in range(len(case.smooth)):
        smooth = case.smooth[:k] + case.smooth[k + 1 :]
        yield replace(case, smooth=smooth).pruned(), f.plan
    if len(case.results) == 1 and (case.state or case.smooth):
        yield replace(case, results=()).pruned(), f.plan


def _lines(f: Failure) -> Iterator:
    """Lines replaced by their values, many at a time first, in order."""
    case = f.case
    values = _values(case)
    count = len(case.lines)
    for part in (2, 4):
        if count >= 2 * part:
            cut = case
            for line in case.lines[: count // part]:
                cut = cut.given(line, values)
            yield cut, f.plan
    for line in case.lines:
        yield case.given(line, values), f.plan


def _values(case: Case) -> dict[str, np.ndarray]:
    names = tuple(t for line in case.lines for t in line.targets)
    traced, states, others = trace_all([replace(case, results=names)])
    with np.errstate(all="ignore"):
        _, results = traced.evaluate(states, others)
    return dict(zip(names, results[0], strict=True))


_REPRODUCER = '''"""{label}: {what}

Setting: {setting}
"""

from pathlib import Path

import numpy as np

from tests.fuzz.case import Case, Line
from tests.fuzz.verdict import Plan, failures

arrays = dict(np.load(Path(__file__).with_suffix(".npz")))
lines = [
{lines}
]
case = Case({label!r}, arrays, tuple(lines), {results!r}, {state!r}, {smooth!r})
plan = Plan({threads!r}, {setting!r}, {effort!r}, {budget!r}, {compiler!r})
for failure in failures([case], plan):
    print(case)
    print(failure.what)
'''


def write(failure: Failure, folder: Path, say: Callable[[str], None] = print) -> Path:
    """A program that shows the failure, with its arrays beside it."""
    case, plan = failure.case, failure.plan
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case.label.replace(' ', '_')}.py"
    np.savez(path.with_suffix(".npz"), **case.arrays)  # type: ignore[arg-type]
    lines = "\n".join(f"    Line({line.targets!r}, {line.text!r})," for line in case.lines)
    path.write_text(
        _REPRODUCER.format(
            label=case.label, what=failure.what.replace('"""', "'''"), setting=dict(plan.setting),
            lines=lines, results=case.results, state=case.state, threads=plan.threads,
            effort=plan.effort, smooth=case.smooth, budget=plan.budget,
            compiler=plan.compiler,
        )
    )  # fmt: skip
    say(f"{path}: {failure.what}\n{case}\nthreads {plan.threads}, setting {dict(plan.setting)}\n")
    return path
