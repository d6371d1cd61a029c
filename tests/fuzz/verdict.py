"""Compiles cases, many at a time, and finds those whose results are wrong."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import networkx
import numpy as np

import graphc as gx
from graphc.build import library
from graphc.codegen.preamble import CDEF
from graphc.compiled import Compiled
from graphc.errors import GraphcError, MemoryBudgetError
from graphc.stepcode import StepCode
from tests.compiled.checking import check_plan
from tests.fuzz.case import Case
from tests.fuzz.knobs import turned
from tests.fuzz.slopes import wrong_slopes

#: Relative to the largest element of a result.
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}
#: A difference of at most so many times what a change of the arguments in their last digits makes
#: is rounding.
ROUNDING = 2000.0

_TRIPS = (
    GraphcError, ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError,
    StopIteration, TypeError, ValueError, networkx.NetworkXException,
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """How cases are compiled: the threads of each build, the settings that hold for all, and the
    effort of the C compiler, which takes most of the time (empty: that of every compiled step).
    """

    threads: tuple[int, ...]
    setting: Mapping[str, Any]
    effort: str = ""
    #: Builds but the first keep within this share of the way from the smallest arena to the usual.
    budget: float = 0.0
    #: The C compiler (empty: the one that every compiled step has).
    compiler: str = ""


@dataclass(frozen=True)
class Failure:
    case: Case
    plan: Plan
    what: str


def trace_all(cases: Sequence[Case]) -> tuple[Any, list, list]:
    """Several cases as one function, traced, and its two arguments."""
    states, others = [c.state_arrays for c in cases], [c.other_arrays for c in cases]

    def step(states: list, others: list) -> tuple[list, list]:
        built = [c.build(s, o) for c, s, o in zip(cases, states, others, strict=True)]
        return [new for new, _ in built], [results for _, results in built]

    donate = (0,) if any(states) else ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return gx.trace(step, states, others, donate_argnums=donate), states, others


def failures(cases: Sequence[Case], plan: Plan) -> list[Failure]:
    """The cases that go wrong, each compiled alone to make sure."""
    suspects: dict[int, str] = {}
    try:
        suspects = dict(_differences(cases, plan))
    except _TRIPS as e:
        # Whatever the compiler trips over: the case that does it alone is looked for.
        suspects = dict.fromkeys(range(len(cases)), f"{type(e).__name__}: {str(e)[:600]}")
    if len(cases) == 1:
        return [Failure(cases[0], plan, what) for what in suspects.values()]
    alone = [f for k in suspects for f in failures([cases[k]], plan)]
    if suspects and not alone:
        first = next(iter(suspects))
        print(f"only together with others: {cases[first].label}, {plan}: {suspects[first]}")
        alone = [Failure(cases[first], plan, "only together with others: " + suspects[first])]
    return alone


def _differences(cases: Sequence[Case], plan: Plan) -> Iterator[tuple[int, str]]:
    traced, states, others = trace_all(cases)
    with np.errstate(all="ignore"):
        want = traced.evaluate(states, others)
    for k, case in enumerate(cases):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            what = wrong_slopes(case)
        if what:
            yield k, what
    runs = []
    with turned(plan.setting):
        for number, threads in enumerate(plan.threads):
            lowered = traced.lower(threads=threads)
            if plan.budget and number:
                lowered = _tighter(traced, lowered, plan.budget)
            check_plan(lowered)
            step = _compiled(lowered, plan)
            # What is read before it is written differs from run to run, or is not a number.
            step._frame.arena[:] = 0xFF if number == 0 else 0x35
            runs.append(step([[x.copy() for x in s] for s in states], others))
    for k, case in enumerate(cases):
        wanted = [*want[0][k], *want[1][k]]
        for threads, run in zip(plan.threads, runs, strict=True):
            got = [*run[0][k], *run[1][k]]
            what = _mismatch(case, got, wanted)
            if what:
                yield k, f"{threads} threads: {what}"
                break
            if any(a.tobytes() != b.tobytes() for a, b in zip(got, _first(runs, k), strict=True)):
                yield k, f"{threads} threads: other bits than with {plan.threads[0]}"
                break


def _tighter(traced: Any, lowered: Any, share: float) -> Any:
    """The step with a part of the memory that it would use."""
    usual = lowered.memory.peak_bytes
    try:
        return traced.lower(threads=lowered.threads, memory_budget=0)
    except MemoryBudgetError as refused:
        least = refused.smallest_bytes
    return traced.lower(threads=lowered.threads, memory_budget=int(least + share * (usual - least)))


def _compiled(lowered: Any, plan: Plan) -> Compiled:
    if not plan.effort:
        return lowered.compile()
    code = StepCode.of(lowered.program, [library.Unit(lowered.c_source, (plan.effort,))])
    with _found(plan.compiler):
        return Compiled(lowered, code, library.load(code.units, CDEF, target=lowered.target))


@contextmanager
def _found(compiler: str) -> Iterator[None]:
    """A compiler where it is installed, and the user has not chosen another."""
    chosen = compiler if shutil.which(compiler) and not os.environ.get("CC") else ""
    if chosen:
        os.environ["CC"] = chosen
    try:
        yield
    finally:
        if chosen:
            del os.environ["CC"]


def _first(runs: Sequence[Any], k: int) -> list[np.ndarray]:
    return [*runs[0][0][k], *runs[0][1][k]]


def _mismatch(case: Case, got: Sequence[np.ndarray], want: Sequence[np.ndarray]) -> str:
    names = [*(new for _, new in case.state), *case.results]
    spread: list[np.ndarray] | None = None
    for k, (a, b) in enumerate(zip(got, want, strict=True)):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{names[k]} is {a.dtype}{a.shape}, not {b.dtype}{b.shape}"
        limit = 0.0
        if a.dtype.kind == "f":
            finite = np.abs(b[np.isfinite(b)])
            limit = TOLERANCE[case.precision] * max(1.0, float(finite.max(initial=0.0)))
        off = _distance(a, b)
        if (off > limit).any():
            spread = spread or _rounding(case)
            if (off > np.maximum(limit, spread[k])).any():
                return f"{names[k]}: {_worst(a, b)}"
    return ""


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How far elements are apart: not at all where both are NaN, infinitely where one is."""
    with np.errstate(all="ignore"):
        off = np.abs(a.astype(np.float64) - b.astype(np.float64))
    off = np.asarray(off)
    off[(a == b) | ((a != a) & (b != b))] = 0.0
    return np.where(np.isnan(off), np.inf, off)


def _worst(a: np.ndarray, b: np.ndarray) -> str:
    off = _distance(a, b)
    at = int(np.argmax(off))
    count = int(np.count_nonzero(off > 1e-3))
    place = tuple(int(i) for i in np.unravel_index(at, a.shape))
    return f"{a.flat[at]} at {place} of {list(a.shape)}, wanted {b.flat[at]}; {count} such"


def _rounding(case: Case) -> list[np.ndarray]:
    """How far results move, at most, when the arguments change in their last digits."""
    traced, states, others = trace_all([case])
    rng = np.random.default_rng(0)

    def changed(x: np.ndarray) -> np.ndarray:
        if x.dtype.kind != "f":
            return x
        factor = 1 + rng.uniform(-4, 4, x.shape) * np.finfo(x.dtype).eps
        return np.asarray(x * factor).astype(x.dtype)

    with np.errstate(all="ignore"):
        base = traced.evaluate(states, others)
        moved = traced.evaluate(
            [[changed(x) for x in s] for s in states], [[changed(x) for x in o] for o in others]
        )
    pairs = zip([*base[0][0], *base[1][0]], [*moved[0][0], *moved[1][0]], strict=True)
    return [np.asarray(ROUNDING * _distance(a, b).max(initial=0.0)) for a, b in pairs]
