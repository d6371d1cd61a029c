"""The transformations that optimizers are chains of. Formulas and states: optax."""

from __future__ import annotations

from typing import Any, NamedTuple

from graphc import functions as F
from graphc import tree
from graphc.errors import ArgumentError
from graphc.functions.required import number
from graphc.ir.site import located
from graphc.optim.base import (
    EmptyState,
    GradientTransformation,
    PyTree,
    Schedule,
    as_argument,
    cast,
    counted,
    full_like,
    identity,
    moving_average,
    moving_average_of_squares,
    no_updates_yet,
    stateful,
    stateless,
    unbiased,
)
from graphc.optim.masking import masked
from graphc.tensor import Tensor


class TraceState(NamedTuple):
    trace: PyTree


class ScaleByAdamState(NamedTuple):
    count: Any
    mu: PyTree
    nu: PyTree


class ScaleByLionState(NamedTuple):
    count: Any
    mu: PyTree


class ScaleByRmsState(NamedTuple):
    nu: PyTree


class ScaleByRmsWithCountState(NamedTuple):
    count: Any
    nu: PyTree


class ScaleByRStdDevState(NamedTuple):
    mu: PyTree
    nu: PyTree


class ScaleByRStdDevWithCountState(NamedTuple):
    count: Any
    mu: PyTree
    nu: PyTree


class ScaleByRssState(NamedTuple):
    sum_of_squares: PyTree


class ScaleByScheduleState(NamedTuple):
    count: Any


class WeightDecaySchedule(NamedTuple):
    count: Any


def scale(step_size: Any) -> GradientTransformation:
    """step_size·g."""
    return stateless(lambda updates, params: tree.map(lambda g: step_size * g, updates))


def scale_by_schedule(schedule: Schedule) -> GradientTransformation:
    """schedule(count)·g, in g's dtype; count is 0 at the first update."""

    def init(params: PyTree) -> ScaleByScheduleState:
        return ScaleByScheduleState(no_updates_yet(params))

    def update(updates: PyTree, state: ScaleByScheduleState, params: PyTree = None):
        step_size = schedule(as_argument(state.count))
        scaled = tree.map(lambda g: _as(step_size, g) * g, updates)
        return scaled, ScaleByScheduleState(counted(state.count))

    return stateful(ScaleByScheduleState, init, update)


def scale_by_learning_rate(learning_rate: Any, *, flip_sign: bool = True) -> GradientTransformation:
    """-learning_rate·g, the rate being a number, a 0-d tensor or a schedule; with
    `flip_sign=False` without the minus.
    """
    sign = -1 if flip_sign else 1
    if callable(learning_rate):
        return scale_by_schedule(lambda count: sign * learning_rate(count))
    if not hasattr(learning_rate, "shape"):
        number(learning_rate, "an optimizer", "learning_rate (if no tensor or schedule)")
    return scale(sign * learning_rate)


def trace(
    decay: float, nesterov: bool = False, accumulator_dtype: Any = None
) -> GradientTransformation:
    """Momentum: t ← g + decay·t; gives t, with `nesterov` g + decay·t of the new t."""

    def init(params: PyTree) -> TraceState:
        return TraceState(full_like(params, 0, accumulator_dtype))

    def update(updates: PyTree, state: TraceState, params: PyTree = None):
        def step(g: Tensor, t: Tensor) -> Tensor:
            return g + decay * t

        moved = tree.map(step, updates, state.trace)
        result = tree.map(step, updates, moved) if nesterov else moved
        return result, TraceState(cast(moved, accumulator_dtype))

    return stateful(TraceState, init, update)


def scale_by_adam(
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """m̂ / (√(v̂ + eps_root) + eps), with m̂ and v̂ the unbiased averages of g and g².

    Source: Kingma and Ba, arXiv:1412.6980; `nesterov`: Dozat, "Incorporating Nesterov momentum
    into Adam", 2016, without the extra b2.
    """

    def init(params: PyTree) -> ScaleByAdamState:
        mu = full_like(params, 0, mu_dtype)
        return ScaleByAdamState(no_updates_yet(params), mu, full_like(params, 0))

    def update(updates: PyTree, state: ScaleByAdamState, params: PyTree = None):
        mu = moving_average(updates, state.mu, b1)
        nu = moving_average_of_squares(updates, state.nu, b2)
        count = counted(state.count)
        if nesterov:
            ahead = unbiased(mu, b1, counted(count))
            mu_hat = tree.map(
                lambda m, g: b1 * m + (1 - b1) * g, ahead, unbiased(updates, b1, count)
            )
        else:
            mu_hat = unbiased(mu, b1, count)
        nu_hat = unbiased(nu, b2, count)

        def root(v: Tensor) -> Tensor:
            return F.sqrt(v + eps_root if eps_root else v)

        scaled = tree.map(lambda m, v: m / (root(v) + eps), mu_hat, nu_hat)
        return scaled, ScaleByAdamState(count, cast(mu, mu_dtype), nu)

    return stateful(ScaleByAdamState, init, update)


def scale_by_lion(
    b1: float = 0.9, b2: float = 0.99, mu_dtype: Any = None
) -> GradientTransformation:
    """sign((1 - b1)·g + b1·m), then m ← (1 - b2)·g + b2·m. Source: arXiv:2302.06675."""

    def init(params: PyTree) -> ScaleByLionState:
        return ScaleByLionState(no_updates_yet(params), full_like(params, 0, mu_dtype))

    def update(updates: PyTree, state: ScaleByLionState, params: PyTree = None):
        signs = tree.map(F.sign, moving_average(updates, state.mu, b1))
        mu = cast(moving_average(updates, state.mu, b2), mu_dtype)
        return signs, ScaleByLionState(counted(state.count), mu)

    return stateful(ScaleByLionState, init, update)


def scale_by_rms(
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> GradientTransformation:
    """g / √(v + eps), or g / (√v + eps), with v the average of g²; the state has a count only
    with bias correction.
    """

    def init(params: PyTree) -> ScaleByRmsState | ScaleByRmsWithCountState:
        nu = full_like(params, initial_scale)
        if bias_correction:
            return ScaleByRmsWithCountState(no_updates_yet(params), nu)
        return ScaleByRmsState(nu)

    def update(updates: PyTree, state: Any, params: PyTree = None):
        nu = moving_average_of_squares(updates, state.nu, decay)
        new: ScaleByRmsState | ScaleByRmsWithCountState = ScaleByRmsState(nu)
        nu_hat = nu
        if bias_correction:
            new = ScaleByRmsWithCountState(counted(state.count), nu)
            nu_hat = unbiased(nu, decay, new.count)
        return tree.map(lambda g, v: g * _inverse_root(v, eps, eps_in_sqrt), updates, nu_hat), new

    kind: type = ScaleByRmsWithCountState if bias_correction else ScaleByRmsState
    return stateful(kind, init, update)


def scale_by_stddev(
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> GradientTransformation:
    """As `scale_by_rms` with the variance v - m² in place of v."""

    def init(params: PyTree) -> ScaleByRStdDevState | ScaleByRStdDevWithCountState:
        mu, nu = full_like(params, 0), full_like(params, initial_scale)
        if bias_correction:
            return ScaleByRStdDevWithCountState(no_updates_yet(params), mu, nu)
        return ScaleByRStdDevState(mu, nu)

    def update(updates: PyTree, state: Any, params: PyTree = None):
        mu = moving_average(updates, state.mu, decay)
        nu = moving_average_of_squares(updates, state.nu, decay)
        new: ScaleByRStdDevState | ScaleByRStdDevWithCountState = ScaleByRStdDevState(mu, nu)
        mu_hat, nu_hat = mu, nu
        if bias_correction:
            new = ScaleByRStdDevWithCountState(counted(state.count), mu, nu)
            mu_hat = unbiased(mu, decay, new.count)
            nu_hat = unbiased(nu, decay, new.count)
        scaled = tree.map(
            lambda g, m, v: g * _inverse_root(v - F.square(m), eps, eps_in_sqrt),
            updates,
            mu_hat,
            nu_hat,
        )
        return scaled, new

    kind: type = ScaleByRStdDevWithCountState if bias_correction else ScaleByRStdDevState
    return stateful(kind, init, update)


def scale_by_rss(
    initial_accumulator_value: float = 0.1, eps: float = 1e-7
) -> GradientTransformation:
    """g / √(s + eps), with s the sum of all g² so far; 0 where s is 0."""

    def init(params: PyTree) -> ScaleByRssState:
        return ScaleByRssState(full_like(params, initial_accumulator_value))

    def update(updates: PyTree, state: ScaleByRssState, params: PyTree = None):
        total = tree.map(lambda g, s: F.square(g) + s, updates, state.sum_of_squares)
        scaled = tree.map(lambda g, s: F.where(s > 0, F.rsqrt(s + eps), 0.0) * g, updates, total)
        return scaled, ScaleByRssState(total)

    return stateful(ScaleByRssState, init, update)


def add_decayed_weights(weight_decay: Any = 0.0, mask: Any = None) -> GradientTransformation:
    """g + weight_decay·p. The decay is a number or a schedule; `mask` as in `masked`."""

    def init(params: PyTree) -> WeightDecaySchedule | EmptyState:
        return (
            WeightDecaySchedule(no_updates_yet(params)) if callable(weight_decay) else EmptyState()
        )

    def update(updates: PyTree, state: Any, params: PyTree = None):
        if params is None:
            raise ArgumentError(
                located("weight decay needs the parameters: update(grads, state, params)")
            )
        rate = weight_decay
        if callable(weight_decay):
            rate = weight_decay(as_argument(state.count))
            state = WeightDecaySchedule(counted(state.count))
        elif isinstance(weight_decay, (int, float)) and weight_decay == 0:
            return updates, state
        return tree.map(lambda g, p: g + _as(rate, p) * p, updates, params), state

    kind: type = WeightDecaySchedule if callable(weight_decay) else object
    decay = stateful(kind, init, update)
    return decay if mask is None else masked(decay, mask)


def momentum_or_nothing(
    momentum: float | None, nesterov: bool, accumulator_dtype: Any = None
) -> GradientTransformation:
    return identity() if momentum is None else trace(momentum, nesterov, accumulator_dtype)


def _inverse_root(v: Tensor, eps: float, eps_in_sqrt: bool) -> Tensor:
    return F.rsqrt(v + eps) if eps_in_sqrt else 1 / (F.sqrt(v) + eps)


def _as(number: Any, like: Tensor) -> Any:
    """A hyper-parameter in a leaf's dtype; Python numbers adapt by themselves."""
    return number.astype(like.dtype) if isinstance(number, Tensor) else number
