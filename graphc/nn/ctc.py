"""Connectionist temporal classification."""

from __future__ import annotations

import math
from typing import Any

from graphc import functions as F
from graphc.errors import DTypeError, ShapeError
from graphc.functions.promotion import as_tensor
from graphc.ir.site import located
from graphc.tensor import Tensor
from graphc.transforms import scan

#: The logarithm of zero: finite, so that no derivative is infinite times zero. No sum of logarithms
#: of probabilities comes near it.
_NEVER = -1e30


def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    *,
    blank: int = 0,
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability that a sequence of frames reads as its target: the sum over all
    alignments, in which every symbol holds one frame or more, blanks may stand between symbols, and
    do between equal ones. One loss for each sequence, float[batch].

    `log_probs` is float[time, batch, classes], logarithms of probabilities (of `log_softmax`);
    `targets` integer[batch, longest] of classes other than `blank`; the lengths are integer[batch],
    and what lies behind them is not looked at. A target that no alignment fits has the loss +inf
    and the gradient 0; with `zero_infinity` the loss 0. The gradient is that by log_probs; PyTorch
    gives the one by what a log_softmax was taken of, which agrees once it has passed through that.
    Raises ShapeError and DTypeError. Source: Graves and others, ICML 2006.
    """
    log_probs, targets = as_tensor(log_probs), as_tensor(targets)
    lengths = as_tensor(input_lengths), as_tensor(target_lengths)
    _check(log_probs, targets, lengths, blank)
    frames, symbols = (F.astype(n, "int64") for n in lengths)
    time, batch, _ = log_probs.shape
    # Blanks around every symbol: the states of an alignment.
    labels = F.astype(targets, "int64")
    between = F.full((batch, labels.shape[1]), blank, dtype="int64")
    states = F.reshape(F.stack([between, labels], axis=2), (batch, -1))
    states = F.concat([states, F.full((batch, 1), blank, dtype="int64")], axis=1)
    # A blank is skipped between symbols that differ.
    skips = F.concat(
        [F.zeros((batch, 2), dtype="bool"), (states[:, 2:] != states[:, :-2])], axis=1
    )[:, : states.shape[1]]
    skips = skips & (states != blank)
    everywhere = F.broadcast_to(states, (time, *states.shape))
    emitted = F.maximum(F.take_along_axis(log_probs, everywhere, axis=2), _NEVER)
    running = F.arange(time)[:, None] < frames

    def step(reached: Tensor, arriving: Any) -> Any:
        emission, goes_on = arriving
        once = _later(reached, 1)
        twice = F.where(skips, _later(reached, 2), _NEVER)
        new = emission + F.logsumexp(F.stack([reached, once, twice], axis=0), axis=0)
        return F.where(goes_on[:, None], F.maximum(new, _NEVER), reached), None

    never = F.full(states.shape, _NEVER, dtype=log_probs.dtype)
    before = F.where(F.arange(states.shape[1]) == 0, 0.0, never)
    reached, _ = scan(step, before, (emitted, running))
    last = F.take_along_axis(reached, 2 * symbols[:, None], axis=1)[:, 0]
    symbol = F.take_along_axis(reached, F.maximum(2 * symbols - 1, 0)[:, None], axis=1)[:, 0]
    total = F.logaddexp(last, F.where(symbols > 0, symbol, _NEVER))
    impossible = total < _NEVER / 2
    return F.where(impossible, 0.0 if zero_infinity else math.inf, -total)


def _later(reached: Tensor, count: int) -> Tensor:
    """Each state's value of `count` states before."""
    return F.pad(reached, ((0, 0), (count, 0)), constant_values=_NEVER)[:, : reached.shape[1]]


def _check(log_probs: Tensor, targets: Tensor, lengths: tuple[Tensor, Tensor], blank: int) -> None:
    what = f"ctc_loss({log_probs.type}, {targets.type})"
    if log_probs.ndim != 3 or not log_probs.dtype.is_float:
        raise ShapeError(located(f"{what}: float[time, batch, classes] required"))
    batch, classes = log_probs.shape[1:]
    if targets.ndim != 2 or targets.shape[0] != batch:
        raise ShapeError(located(f"{what}: targets [batch, longest] required"))
    for name, length in zip(("input_lengths", "target_lengths"), lengths, strict=True):
        if length.shape != (batch,):
            raise ShapeError(located(f"{what}: {name} [{batch}] required, got {length.type}"))
    for tensor in (targets, *lengths):
        if not tensor.dtype.is_integer:
            raise DTypeError(located(f"{what}: integers required, got {tensor.type}"))
    if not 0 <= blank < classes:
        raise ShapeError(located(f"{what}: blank is one of {classes} classes, got {blank}"))
