"""Averages and sums of updates over several steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from graphc import functions as F
from graphc import tree
from graphc.errors import ArgumentError
from graphc.ir.site import required
from graphc.optim.base import (
    GradientTransformation,
    PyTree,
    cast,
    counted,
    full_like,
    moving_average,
    no_updates_yet,
    stateful,
    unbiased,
)
from graphc.tensor import Tensor


class EmaState(NamedTuple):
    count: Any
    ema: PyTree


def ema(decay: float, debias: bool = True, accumulator_dtype: Any = None) -> GradientTransformation:
    """The exponential moving average (1 - decay)·g + decay·e of the updates, divided by the sum
    of its weights when `debias`.
    """

    def init(params: PyTree) -> EmaState:
        return EmaState(no_updates_yet(params), full_like(params, 0, accumulator_dtype))

    def update(updates: PyTree, state: EmaState, params: PyTree = None):
        average = moving_average(updates, state.ema, decay)
        count = counted(state.count)
        result = unbiased(average, decay, count) if debias else average
        return result, EmaState(count, cast(average, accumulator_dtype))

    return stateful(EmaState, init, update)


class MultiStepsState(NamedTuple):
    """`mini_step` counts the gradients accumulated so far, `gradient_step` the updates made."""

    mini_step: Any
    gradient_step: Any
    inner_opt_state: PyTree
    acc_grads: PyTree


class MultiSteps:
    """Accumulates gradients over k steps and lets the inner optimizer make one update of their
    mean (with `use_grad_mean=False`, of their sum); the updates between are zeros.

    `every_k_schedule` is k, or a function that gives it for the number of updates made (an int32
    tensor). Gradients accumulate in `accumulator_dtype`, by default each in its parameter's own.
    """

    def __init__(
        self,
        opt: GradientTransformation,
        every_k_schedule: int | Callable[[Tensor], Any],
        use_grad_mean: bool = True,
        accumulator_dtype: Any = None,
    ) -> None:
        if not callable(every_k_schedule) and every_k_schedule < 1:
            raise ArgumentError(f"MultiSteps: k is at least 1, got {every_k_schedule}")
        self.inner_opt = opt
        self._every_k = every_k_schedule
        self._mean = use_grad_mean
        self._dtype = accumulator_dtype

    def init(self, params: PyTree) -> MultiStepsState:
        return MultiStepsState(
            no_updates_yet(params),
            no_updates_yet(params),
            self.inner_opt.init(params),
            full_like(params, 0, self._dtype),
        )

    def update(self, updates: PyTree, state: MultiStepsState, params: PyTree = None):
        required(state, MultiStepsState, "update: a state that init gave,")
        k = self._every_k(state.gradient_step) if callable(self._every_k) else self._every_k
        total = tree.map(lambda g, a: self._add(g, a, state.mini_step), updates, state.acc_grads)
        whole = tree.map(lambda a, g: a.astype(g.dtype), total, updates)
        stepped, inner = self.inner_opt.update(whole, state.inner_opt_state, params)
        due = state.mini_step == k - 1
        new = MultiStepsState(
            mini_step=F.where(due, 0, counted(state.mini_step)),
            gradient_step=F.where(due, counted(state.gradient_step), state.gradient_step),
            inner_opt_state=tree.map(
                lambda old, new: F.where(due, new, old), state.inner_opt_state, inner
            ),
            acc_grads=tree.map(
                lambda t, a: F.where(due, 0, t).astype(a.dtype), total, state.acc_grads
            ),
        )
        return tree.map(lambda u: F.where(due, u, 0), stepped), new

    def has_updated(self, state: MultiStepsState) -> Any:
        """Whether the step that gave this state made an update."""
        required(state, MultiStepsState, "has_updated: a state that init gave,")
        return (state.mini_step == 0) & (state.gradient_step > 0)

    def gradient_transformation(self) -> GradientTransformation:
        return GradientTransformation(self.init, self.update)

    def _add(self, g: Tensor, total: Tensor, before: Tensor) -> Tensor:
        """The sum, or the running mean of one gradient more than `before`."""
        if not self._mean:
            return g + total
        return total + (g - total) / (before + 1).astype(total.dtype)
