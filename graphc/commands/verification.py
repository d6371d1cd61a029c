"""A compiled step against the NumPy reference, on random arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc import reference, tree
from graphc.dtypes import TensorType
from graphc.errors import GraphcError
from graphc.ir.graph import Graph
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

    Where they differ the reference also evaluates the graph after every pass, which tells whether
    a pass or the generated code is at fault.
    """
    lowered = traced.lower(threads=threads)
    compiled = lowered.compile()
    signature = traced.signature
    comparisons: list[Comparison] = []
    cause = ""
    for number, kind in enumerate(_ROUNDS):
        rng = np.random.default_rng([seed, number])
        leaves = [_array(leaf.type, rng, number == 1) for leaf in signature.arguments]
        given = [
            leaf.item() if place.python else leaf for leaf, place in _paired(leaves, signature)
        ]
        wanted = _evaluate(traced.graph, leaves, signature)
        found = tree.leaves(compiled(*_arguments(signature, [_copied(x) for x in given])))
        part = _compare(signature, kind, wanted, found)
        comparisons.extend(part)
        if not cause and not all(c.ok for c in part):
            cause = "every pass keeps the values: the generated code is wrong"
            for stage in lowered.stages:
                after = _evaluate(stage.graph, leaves, signature)
                if not all(c.ok for c in _compare(signature, kind, wanted, after)):
                    cause = f"the pass {stage.name!r} is the first that changes a value"
                    break
    return Verdict(tuple(comparisons), cause)


def _paired(leaves: Sequence[np.ndarray], signature: Signature) -> list[tuple[np.ndarray, Any]]:
    return list(zip(leaves, signature.arguments, strict=True))


def _copied(leaf: Any) -> Any:
    """Donated arguments are written over, and the reference needs the old values."""
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


def _arguments(signature: Signature, leaves: Sequence[Any]) -> list[Any]:
    dynamic = iter(tree.unflatten(signature.in_tree, leaves))
    static = dict(signature.static)
    return [static[k] if k in static else next(dynamic) for k in range(signature.arity)]


def _evaluate(graph: Graph, leaves: Sequence[np.ndarray], signature: Signature) -> list[np.ndarray]:
    given = dict(zip(graph.inputs, [*leaves, *signature.hidden], strict=True))
    results = graph.outputs[: len(signature.results)]  # what taps measure comes behind them
    with np.errstate(all="ignore"):
        return reference.evaluate(results, given)


def _array(kind: TensorType, rng: np.random.Generator, positive: bool) -> np.ndarray:
    """Integers are 0 or 1, which are indices of almost any axis."""
    dtype = kind.dtype.numpy
    if not kind.dtype.is_float:
        return rng.integers(0, 2, kind.shape).astype(dtype)
    values = rng.uniform(0.05, 1.0, kind.shape) if positive else rng.standard_normal(kind.shape)
    return np.asarray(values, dtype)


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
