"""What a self-test expects: results of the NumPy reference for arrays that C can make too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from graphc import ops, reference
from graphc.autodiff import reverse
from graphc.errors import NotDifferentiableError
from graphc.export.filling import Filling, filled, weight_range
from graphc.export.interface import Entry, Field, Interface
from graphc.ir.graph import Graph, Value

#: Elements of every result that are compared.
_PROBES = 64
#: Errors allowed: in units of the largest change of an array that is updated, of the largest value
#: of another result, and of the largest value for the rounding of an update.
_OF_CHANGE = {4: 1e-3, 8: 1e-8}
_OF_VALUE = {4: 1e-4, 8: 1e-9}
_ROUNDING = {4: 2.0**-21, 8: 2.0**-50}
#: How much arguments are moved, relative to them, and how many times, to see what rounding can do:
#: where a maximum or a relu is nearly a tie, results jump. A few of these jumps are allowed.
_SHAKEN, _SHAKES, _JUMPS = 2.0**-18, 2, 4
#: Optimizers' statistics begin small and positive: a square root of theirs exists, and the gradient
#: shows in what becomes of them.
_STATISTIC = (2.0**-12, 2.0**-10)
#: Steps of the difference quotient that are tried, how well the reference's own has to agree with
#: its gradient, and how well C's has to.
_STEPS = (2.0**-5, 2.0**-7, 2.0**-3, 2.0**-9, 2.0**-11)
_AGREED, _ALLOWED = 0.02, 0.06
#: Streams of random bits: the state's fields from 0 on, an entry's inputs, directions.
_INPUTS, _DIRECTIONS = 1 << 20, 1 << 30


@dataclass(frozen=True)
class Check:
    """Some elements of a result, by their places in row-major order."""

    field: Field
    updated: bool
    tolerance: float
    places: tuple[int, ...]
    wanted: tuple[float, ...]


@dataclass(frozen=True)
class Slope:
    """The derivative of a loss along a direction: of each field of the state, numbers up to a
    size from a stream. `wanted` is the inner product of gradient and direction.
    """

    loss: Field
    directions: tuple[tuple[Field, Filling], ...]
    step: float
    wanted: float
    tolerance: float


@dataclass(frozen=True)
class Expectation:
    """A test of one entry. Where there is no `slope`, `reason` says why."""

    entry: Entry
    inputs: tuple[Filling, ...]
    checks: tuple[Check, ...]
    slope: Slope | None
    reason: str


def expect(artifact: Interface) -> tuple[tuple[Filling, ...], tuple[Expectation, ...]]:
    """How the state is filled, and what every entry makes of it.

    Weights are numbers of either sign; if some result is then not finite, positive ones.
    """
    for positive in (False, True):
        state = _state_fillings(artifact, positive)
        found = tuple(
            _expectation(entry, number, artifact, state, positive)
            for number, entry in enumerate(artifact.entries)
        )
        if all(np.isfinite(c.wanted).all() for e in found for c in e.checks):
            break
    return state, found


def _state_fillings(artifact: Interface, positive: bool) -> tuple[Filling, ...]:
    """Weights for what some entry's loss depends on, small positive numbers for the rest."""
    fillings = []
    for stream, field in enumerate(artifact.state):
        if field in artifact.weights:
            fillings.append(_weights(field, stream, positive))
        else:
            fillings.append(Filling(*_STATISTIC, stream))
    return tuple(fillings)


def _weights(field: Field, stream: int, positive: bool) -> Filling:
    size = weight_range(field.type)
    return Filling(size / 16 if positive else -size, size, stream)


def _expectation(
    entry: Entry, number: int, artifact: Interface, state: Sequence[Filling], positive: bool
) -> Expectation:
    graph = entry.lowered.traced.graph
    by_field = dict(zip(artifact.state, state, strict=True))
    inputs = tuple(
        Filling(0.0625 if positive else -1.0, 1.0, _INPUTS * (number + 1) + k)
        for k in range(len(entry.inputs))
    )
    by_field |= dict(zip(entry.inputs, inputs, strict=True))
    given: dict[Value, np.ndarray] = {}
    hidden = iter(entry.lowered.signature.hidden)
    for value, (kind, field) in zip(graph.inputs, entry.reads, strict=False):
        made = next(hidden) if kind == "constants" else filled(field.type, by_field[field])
        given[value] = made
    with np.errstate(all="ignore"):
        results = reference.evaluate(graph, given)
        moved = [_shaken(given, seed) for seed in range(_SHAKES)]
        others = [reference.evaluate(graph, arrays) for arrays in moved]
        nearby = list(zip(moved, others, strict=True))
        checks = tuple(_checks(entry, graph, given, results, nearby))
        slope, reason = _slope(entry, graph, given, by_field)
    return Expectation(entry, inputs, checks, slope, reason)


def _shaken(given: Mapping[Value, np.ndarray], seed: int) -> dict[Value, np.ndarray]:
    """The arguments, each floating-point number of them a little larger or smaller."""
    rng = np.random.default_rng(seed)
    moved = dict(given)
    for value, array in given.items():
        if value.dtype.is_float:
            sign = rng.integers(0, 2, array.shape) * 2 - 1
            moved[value] = (array * (1 + _SHAKEN * sign)).astype(array.dtype)
    return moved


def _checks(
    entry: Entry,
    graph: Graph,
    given: Mapping[Value, np.ndarray],
    results: Sequence[np.ndarray],
    nearby: Sequence[tuple[Mapping[Value, np.ndarray], Sequence[np.ndarray]]],
) -> Iterator[Check]:
    donated = {j: graph.inputs[i] for i, j in entry.lowered.signature.donated}
    for j, result in enumerate(results):
        field = entry.writes[j]
        if field is None:
            field = entry.updated[j]
        flat = result.reshape(-1)
        before = given[donated[j]] if j in donated else None
        tolerance = _tolerance(flat, None if before is None else before.reshape(-1))
        if result.dtype.kind == "f":
            change = result - (0 if before is None else before)
            jumps = [
                other[j] - (0 if before is None else arrays[donated[j]]) - change
                for arrays, other in nearby
            ]
            tolerance = max(tolerance, _JUMPS * max(map(_largest, jumps)))
        places = _places(flat.size, j)
        wanted = tuple(float(x) for x in flat[list(places)])
        yield Check(field, j in donated, tolerance, places, wanted)


def _tolerance(result: np.ndarray, before: np.ndarray | None) -> float:
    if result.dtype.kind != "f":
        return 0.0
    size = result.dtype.itemsize
    if before is None:
        return _OF_VALUE[size] * _largest(result)
    return _OF_CHANGE[size] * _largest(result - before) + _ROUNDING[size] * _largest(result)


def _largest(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.abs(finite).max()) if finite.size else 0.0


def _places(size: int, seed: int) -> tuple[int, ...]:
    """All places of a small array; of a large one a random place in each of equal parts."""
    if size <= _PROBES:
        return tuple(range(size))
    bounds = [k * size // _PROBES for k in range(_PROBES + 1)]
    rng = np.random.default_rng(seed)
    return tuple(int(rng.integers(a, b)) for a, b in pairwise(bounds))


def _slope(
    entry: Entry,
    graph: Graph,
    given: Mapping[Value, np.ndarray],
    fillings: Mapping[Field, Filling],
) -> tuple[Slope | None, str]:
    """A direction and a step for which the reference's difference quotient is its gradient's."""
    j = entry.loss
    if j is None:
        return None, "no result is a number"
    loss = graph.outputs[j]
    fields = {
        value: field
        for value, (kind, field) in zip(graph.inputs, entry.reads, strict=False)
        if kind == "state" and value.dtype.is_float and field.type.size
    }
    try:
        found = reverse.grad([loss], list(fields), [ops.full_like(loss, 1)])
    except NotDifferentiableError as error:
        return None, str(error)
    paired = [(v, g) for v, g in zip(fields, found, strict=True) if g is not None]
    if not paired:
        return None, "the result does not depend on the state"
    gradients = reference.evaluate([g for _, g in paired], given)
    for attempt in range(2):
        directions = []
        for value, _ in paired:
            size = weight_range(value.type)
            stream = _DIRECTIONS * (attempt + 1) + fillings[fields[value]].stream
            directions.append((fields[value], Filling(-size, size, stream)))
        along = [filled(f.type, how).astype(np.float64) for f, how in directions]
        wanted = sum(float(np.sum(g * d)) for g, d in zip(gradients, along, strict=True))
        for step in _STEPS:
            moved = [
                reference.evaluate([loss], _moved(given, paired, along, sign * step))[0]
                for sign in (1, -1)
            ]
            quotient = (float(moved[0]) - float(moved[1])) / (2 * step)
            if abs(quotient - wanted) <= _AGREED * abs(wanted):
                field = entry.writes[j]
                assert field is not None
                tolerance = _ALLOWED * abs(wanted)
                return Slope(field, tuple(directions), step, wanted, tolerance), ""
    return None, "the reference's own difference quotient is too rough here"


def _moved(
    given: Mapping[Value, np.ndarray],
    paired: Sequence[tuple[Value, Any]],
    along: Sequence[np.ndarray],
    step: float,
) -> dict[Value, np.ndarray]:
    moved = dict(given)
    for (value, _), direction in zip(paired, along, strict=True):
        moved[value] = (given[value] + step * direction).astype(value.dtype.numpy)
    return moved
