"""Hyper-parameters as functions of the number of updates. Formulas: optax.

A schedule takes a number and gives a number (for plots), or takes a scalar tensor and gives a
scalar float64 tensor. It is computed in double precision: it costs one scalar a step, and the end
of a cosine keeps its digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from graphc import functions as F
from graphc.errors import ArgumentError
from graphc.functions.promotion import several
from graphc.functions.required import function, numbers
from graphc.ir.site import located
from graphc.optim.base import Schedule
from graphc.tensor import Tensor


def constant_schedule(value: Any) -> Schedule:
    """The same value always."""
    return lambda count: value


def linear_schedule(
    init_value: float, end_value: float, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """From `init_value` to `end_value` over `transition_steps` updates, constant before and after.

    Without a positive number of steps it stays at `init_value`.
    """
    numbers(
        "linear_schedule", init_value=init_value, end_value=end_value,
        transition_steps=transition_steps, transition_begin=transition_begin,
    )  # fmt: skip
    if transition_steps <= 0:
        return constant_schedule(init_value)
    begin = max(transition_begin, 0)

    def schedule(count: Any) -> Any:
        xp, count = _double(count)
        done = xp.minimum(xp.maximum(count - begin, 0.0), float(transition_steps))
        return (init_value - end_value) * (1 - done / transition_steps) + end_value

    return schedule


def exponential_decay(
    init_value: float, transition_steps: int, decay_rate: float, *, staircase: bool = False
) -> Schedule:
    """init_value · decay_rate^(count / transition_steps), the exponent rounded down when
    `staircase`.
    """
    numbers(
        "exponential_decay", init_value=init_value, transition_steps=transition_steps,
        decay_rate=decay_rate,
    )  # fmt: skip
    if transition_steps <= 0 or decay_rate == 0:
        return constant_schedule(init_value)

    def schedule(count: Any) -> Any:
        xp, count = _double(count)
        exponent = count / transition_steps
        return init_value * decay_rate ** (xp.floor(exponent) if staircase else exponent)

    return schedule


def cosine_decay_schedule(
    init_value: float, decay_steps: int, alpha: float = 0.0, exponent: float = 1.0
) -> Schedule:
    """init_value · ((1 - alpha)·((1 + cos(π·min(count / decay_steps, 1))) / 2)^exponent + alpha).

    Raises ArgumentError unless `decay_steps` is positive.
    """
    name = "cosine_decay_schedule"
    numbers(name, init_value=init_value, decay_steps=decay_steps, alpha=alpha, exponent=exponent)
    if decay_steps <= 0:
        raise ArgumentError(located(f"{name}: decay_steps > 0 required, got {decay_steps}"))

    def schedule(count: Any) -> Any:
        xp, count = _double(count)
        wave = 0.5 * (1 + xp.cos(math.pi * xp.minimum(count, float(decay_steps)) / decay_steps))
        shaped = wave if exponent == 1 else wave**exponent
        return init_value * ((1 - alpha) * shaped + alpha)

    return schedule


def warmup_cosine_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    decay_steps: int,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> Schedule:
    """Linear from `init_value` to `peak_value`, then a cosine down to `end_value`.

    `decay_steps` is the length of the whole, warm-up included.
    """
    numbers(
        "warmup_cosine_decay_schedule", init_value=init_value, peak_value=peak_value,
        warmup_steps=warmup_steps, decay_steps=decay_steps, end_value=end_value,
    )  # fmt: skip
    alpha = 0.0 if peak_value == 0 else end_value / peak_value
    return join_schedules(
        [
            linear_schedule(init_value, peak_value, warmup_steps),
            cosine_decay_schedule(peak_value, decay_steps - warmup_steps, alpha, exponent),
        ],
        [warmup_steps],
    )


def cosine_onecycle_schedule(
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """From peak_value / div_factor up to `peak_value` at the fraction `pct_start`, then down to
    peak_value / (div_factor · final_div_factor), both along a half cosine.
    """
    name = "cosine_onecycle_schedule"
    numbers(
        name, transition_steps=transition_steps, peak_value=peak_value, pct_start=pct_start,
        div_factor=div_factor, final_div_factor=final_div_factor,
    )  # fmt: skip
    if not 0 < transition_steps < math.inf:
        raise ArgumentError(
            located(f"{name}: transition_steps > 0 required, got {transition_steps}")
        )
    if not 0 <= pct_start <= 1:
        raise ArgumentError(located(f"{name}: pct_start in [0, 1] required, got {pct_start}"))
    times = (0, int(pct_start * transition_steps), int(transition_steps))
    values = (
        peak_value / div_factor,
        peak_value,
        peak_value / (div_factor * final_div_factor),
    )

    def schedule(count: Any) -> Any:
        xp, count = _double(count)
        result = xp.asarray(values[-1], dtype="float64")
        parts = zip(pairwise(times), pairwise(values), strict=True)
        for (begin, end), (first, last) in reversed(list(parts)):
            done = (count - begin) / max(end - begin, 1)
            inside = last + (first - last) / 2 * (xp.cos(math.pi * done) + 1)
            result = xp.where(count < end, inside, result)
        return result

    return schedule


def piecewise_constant_schedule(
    init_value: float, boundaries_and_scales: dict[int, float] | None = None
) -> Schedule:
    """`init_value`, multiplied by each scale from its boundary on."""
    steps = sorted((boundaries_and_scales or {}).items())
    if any(factor < 0 for _, factor in steps):
        raise ArgumentError(located("piecewise_constant_schedule: scales >= 0 required"))

    def schedule(count: Any) -> Any:
        xp, count = _double(count)
        value = xp.asarray(init_value, dtype="float64")
        for boundary, factor in steps:
            value = xp.where(count < boundary, value, value * factor)
        return value

    return schedule


def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """One schedule after another; each counts from its own boundary."""
    schedules = several(schedules, "join_schedules", "a list of schedules")
    boundaries = several(boundaries, "join_schedules", "a list of steps")
    for part in schedules:
        function(part, "join_schedules")
    if len(boundaries) != len(schedules) - 1:
        raise ArgumentError(
            located(
                f"join_schedules: {len(schedules)} schedules need {len(schedules) - 1} boundaries, "
                f"got {len(boundaries)}"
            )
        )

    def schedule(count: Any) -> Any:
        xp, count = _double(count)
        result = xp.asarray(schedules[0](count), dtype="float64")
        for boundary, following in zip(boundaries, schedules[1:], strict=True):
            result = xp.where(count < boundary, result, following(count - boundary))
        return result

    return schedule


def _double(count: Any) -> tuple[Any, Any]:
    """The functions to compute with, and the count in double precision."""
    if isinstance(count, Tensor):
        return F, count.astype("float64")
    return np, np.asarray(count, np.float64)
