"""A compiled step against the NumPy reference, on random arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from graphc import reference, tree
from graphc.compiled import Debugged
from graphc.errors import GraphcError
from graphc.ir.graph import Graph, Value
from graphc.ir.names import value_names
from graphc.ir.printer import node_text, origin_text
from graphc.sample_arguments import as_arguments, random_leaves
from graphc.stages import Lowered
from graphc.trace import Signature, Traced

#: Errors are measured in units of a result's largest magnitude; sums of a few thousand terms in
#: another order stay far below these.
_TOLERANCE = {np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-10}
#: Arguments of either sign, then positive ones: logarithms, roots and states of optimizers, which
#: are NaN elsewhere.
_ROUNDS = ("of either sign", "positive")


@dataclass(frozen=True)
class Comparison:
    """One result in one round; `error` is in units of its largest magnitude."""

    result: str
    arguments: str
    error: float
    tolerance: float

    @property
    def ok(self) -> bool:
        return self.error <= self.tolerance


@dataclass(frozen=True)
class Verdict:
    comparisons: tuple[Comparison, ...]
    cause: str

    @property
    def ok(self) -> bool:
        return all(c.ok for c in self.comparisons)

    def lines(self) -> list[str]:
        wrong = [c for c in self.comparisons if not c.ok]
        lines = [
            f"{c.result}: differs by {c.error:.3g} of its largest magnitude, for arguments"
            f" {c.arguments} ({c.tolerance:g} allowed)"
            for c in wrong
        ]
        if wrong:
            return [*lines, self.cause]
        worst = max((c.error for c in self.comparisons), default=0.0)
        results = len({c.result for c in self.comparisons})
        return [f"{results} results agree with the reference, to {worst:.2g} of their magnitude"]

    def record(self) -> dict[str, Any]:
        rows = [
            {
                "result": c.result,
                "arguments": c.arguments,
                "error": c.error,
                "tolerance": c.tolerance,
                "ok": c.ok,
            }
            for c in self.comparisons
        ]
        return {"ok": self.ok, "cause": self.cause, "results": rows}


def verify(traced: Traced[..., Any], seed: int, threads: int | None) -> Verdict:
    """Runs both on the same arguments and compares all results.

    Where they differ, the reference evaluates the graph after every pass, and the compiled step is
    held against it kernel by kernel: that names the pass or the kernel at fault, and the first node
    that differs.
    """
    # What the cache has may have been right: what this process makes is verified.
    lowered = replace(traced.lower(threads=threads), key=None, known=None)
    compiled = lowered.compile()
    signature = traced.signature
    comparisons: list[Comparison] = []
    cause = ""
    for number, kind in enumerate(_ROUNDS):
        leaves = random_leaves(signature, [seed, number], positive=number == 1)
        wanted = _evaluate(traced.graph, leaves, signature)
        found = tree.leaves(compiled(*as_arguments(signature, leaves)))
        part = _compare(signature, kind, wanted, found)
        comparisons.extend(part)
        if not cause and not all(c.ok for c in part):
            cause = _pass_at_fault(lowered, leaves) or _kernel_at_fault(lowered, leaves)
    return Verdict(tuple(comparisons), cause)


def _pass_at_fault(lowered: Lowered[..., Any], leaves: Sequence[np.ndarray]) -> str:
    """The first pass that changes a result, with the first node that it changes; "" if none does.
    A value is the same one before and after as long as it stands for the same as written.
    """
    signature = lowered.signature
    written = lowered.stages[0].graph
    wanted = _evaluate(written, leaves, signature)
    for before, after in pairwise(lowered.stages):
        found = _evaluate(after.graph, leaves, signature)
        if all(_agrees(a, b) for a, b in zip(wanted, found, strict=True)):
            continue
        old = _all_values(before.graph, leaves, signature)
        as_written = {(v.node.written.meta, v.index): array for v, array in old.items()}
        new = _all_values(after.graph, leaves, signature)
        names = value_names(after.graph)
        text = f"the pass {after.name!r} is the first that changes a value"
        for value, array in new.items():
            known = as_written.get((value.node.written.meta, value.index))
            if known is not None and known.shape == array.shape and not _agrees(known, array):
                return f"{text}: {_told(value, names)}"
        for value, a, b in zip(after.graph.outputs, wanted, found, strict=True):
            if not _agrees(a, b):
                return f"{text}: {_told(value, names)} is given as a result"
        return text
    return ""


def _kernel_at_fault(lowered: Lowered[..., Any], leaves: Sequence[np.ndarray]) -> str:
    """The first kernel that makes of what it reads something else than the reference does."""
    names = value_names(lowered.graph)
    stepped = lowered.compile(debug=True)
    assert isinstance(stepped, Debugged)
    for moment in stepped.moments(*as_arguments(lowered.signature, leaves)):
        with np.errstate(all="ignore"):
            nodes = [n for n in moment.kernel.nodes if set(n.outputs) & moment.writes.keys()]
            values = [v for n in nodes for v in n.outputs if v in moment.writes]
            wanted = reference.evaluate(values, moment.reads)
        for value, array in zip(values, wanted, strict=True):
            if not _agrees(array, moment.writes[value]):
                kernel = lowered.kernels[moment.number].name
                return (
                    f"every pass keeps the values; kernel {moment.number}, {kernel}, is the first"
                    f" whose C is wrong: {_told(value, names)}"
                )
    return (
        "every pass keeps the values, and every kernel is right when it runs by itself: the order,"
        " a barrier between threads or the arena is wrong"
    )


def _told(value: Value, names: dict[Value, str]) -> str:
    where = origin_text(value.node)
    text = f"{names[value]}: {value.type} = {node_text(value.node, names)}"
    return f"{text}   ({where})" if where else text


def _all_values(
    graph: Graph, leaves: Sequence[np.ndarray], signature: Signature
) -> dict[Value, np.ndarray]:
    """Every value of a graph, in order."""
    values = [v for n in graph.nodes if n.inputs for v in n.outputs]
    given = dict(zip(graph.inputs, [*leaves, *signature.hidden], strict=True))
    with np.errstate(all="ignore"):
        return dict(zip(values, reference.evaluate(values, given), strict=True))


def _evaluate(graph: Graph, leaves: Sequence[np.ndarray], signature: Signature) -> list[np.ndarray]:
    given = dict(zip(graph.inputs, [*leaves, *signature.hidden], strict=True))
    results = graph.outputs[: len(signature.results)]  # what taps measure comes behind them
    with np.errstate(all="ignore"):
        return reference.evaluate(results, given)


def _agrees(wanted: np.ndarray, found: np.ndarray) -> bool:
    return _error(wanted, found) <= _TOLERANCE.get(wanted.dtype, 0.0)


def _compare(
    signature: Signature, kind: str, wanted: Sequence[np.ndarray], found: Sequence[np.ndarray]
) -> list[Comparison]:
    return [
        Comparison(leaf.path, kind, _error(a, b), _TOLERANCE.get(a.dtype, 0.0))
        for leaf, a, b in zip(signature.results, wanted, found, strict=True)
    ]


def _error(wanted: np.ndarray, found: Any) -> float:
    """Largest difference in units of the largest magnitude; infinite where one is not finite and
    the other differs.
    """
    found = np.asarray(found)
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        raise GraphcError(f"a result is {found.dtype}{list(found.shape)}, not as declared")
    a, b = wanted.astype(np.float64), found.astype(np.float64)
    finite = np.isfinite(a)
    if (
        not np.array_equal(a[~finite], b[~finite], equal_nan=True)
        or not np.isfinite(b[finite]).all()
    ):
        return float("inf")
    if not finite.any():
        return 0.0
    scale = max(float(np.abs(a[finite]).max()), float(np.finfo(np.float32).tiny))
    return float(np.abs(a[finite] - b[finite]).max()) / scale
