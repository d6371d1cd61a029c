"""Losses, with optax's meaning: no reduction over the batch."""

from __future__ import annotations

import math
from typing import Any

from graphc import functions as F
from graphc import ops
from graphc.errors import DTypeError, ShapeError
from graphc.functions.promotion import as_tensor
from graphc.ir.site import located
from graphc.nn.activations import relu, softplus
from graphc.nn.softmax import log_softmax
from graphc.tensor import Tensor
from graphc.transforms.frozen import detached


def softmax_cross_entropy(logits: Any, probabilities: Any) -> Tensor:
    """-Σ p·log_softmax(logits) over the last axis: one loss per row.

    `probabilities` broadcast against `[…, classes]`; rows sum to 1 (this is not checked).
    """
    return -F.sum(as_tensor(probabilities) * log_softmax(logits), axis=-1)


def softmax_cross_entropy_with_integer_labels(
    logits: Any,
    labels: Any,
    *,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> Tensor:
    """-log softmax(logits)[label]: one loss per row.

    `logits` is float[…, classes], `labels` integer[…]. With `label_smoothing` a the target is
    (1 - a)·onehot + a / classes. Rows whose label is `ignore_index` have loss 0 and gradient 0.
    Labels count from 0; what a label outside [0, classes) gives is that of `take`.
    Raises ShapeError or DTypeError for labels that do not fit.
    """
    logits, labels = as_tensor(logits), as_tensor(labels)
    if not labels.dtype.is_integer:
        raise DTypeError(located(f"cross-entropy: integer labels required, got {labels.type}"))
    if logits.ndim == 0 or labels.shape != logits.shape[:-1]:
        raise ShapeError(
            located(
                f"cross-entropy of logits {logits.type}: labels of shape {logits.shape[:-1]} "
                f"required, got {labels.type}"
            )
        )
    ignored = None
    if ignore_index is not None:
        ignored = labels == ignore_index
        labels = F.where(ignored, 0, labels)
    # Picked first, so that nobody reads the logits behind what makes their gradient of them.
    aim = _pick(logits, labels)
    # The largest is a mere shift, which keeps exp from overflowing: it carries no derivative.
    classes = logits.shape[-1]
    largest = detached(F.max(logits, axis=-1)) if classes else F.zeros_like(aim)
    aim, z = aim - largest, logits - F.expand_dims(largest, axis=-1)
    if label_smoothing:
        aim = (1 - label_smoothing) * aim + label_smoothing * F.mean(z, axis=-1)
    loss = F.log(F.sum(F.exp(z), axis=-1)) - aim
    return loss if ignored is None else F.where(ignored, 0.0, loss)


def _pick(rows: Tensor, labels: Tensor) -> Tensor:
    """One element of each row; its derivative is a comparison, which fuses, not a scatter."""
    return Tensor(ops.pick(rows.value, labels.value))


def sigmoid_binary_cross_entropy(logits: Any, labels: Any) -> Tensor:
    """-labels·log σ(logits) - (1 - labels)·log σ(-logits), elementwise, labels in [0, 1]."""
    logits = as_tensor(logits)
    labels = F.astype(labels, logits.dtype)
    return labels * softplus(-logits) + (1 - labels) * softplus(logits)


def squared_error(a: Any, b: Any) -> Tensor:
    """(a - b)², elementwise."""
    return F.square(F.subtract(a, b))


def huber_loss(a: Any, b: Any, delta: float = 1.0) -> Tensor:
    """d²/2 where d = |a - b| is at most delta, delta·(d - delta/2) beyond; elementwise."""
    distance = F.abs(F.subtract(a, b))
    near = F.minimum(distance, delta)
    return 0.5 * F.square(near) + delta * (distance - near)


def l2_loss(a: Any, b: Any = 0.0) -> Tensor:
    """(a - b)² / 2, elementwise."""
    return 0.5 * squared_error(a, b)


def log_cosh(a: Any, b: Any = 0.0) -> Tensor:
    """log cosh(a - b), elementwise, without overflow."""
    distance = F.subtract(a, b)
    return F.logaddexp(distance, -distance) - math.log(2)


def hinge_loss(scores: Any, labels: Any) -> Tensor:
    """max(0, 1 - scores·labels), elementwise, for labels of -1 and 1."""
    return relu(1 - as_tensor(scores) * as_tensor(labels))


def kl_divergence(log_predictions: Any, targets: Any) -> Tensor:
    """Σ t·(log t - log_predictions) over the last axis, the terms of t = 0 being 0: one divergence
    per row of probabilities t.
    """
    log_predictions, targets = as_tensor(log_predictions), as_tensor(targets)
    some = targets > 0
    terms = targets * (F.log(F.where(some, targets, 1.0)) - log_predictions)
    return F.sum(F.where(some, terms, 0.0), axis=-1)


def cosine_similarity(a: Any, b: Any, *, epsilon: float = 0.0, axis: int = -1) -> Tensor:
    """⟨a, b⟩ / (‖a‖·‖b‖) along `axis`; squared norms below `epsilon` count as epsilon."""

    def unit(x: Tensor) -> Tensor:
        squares = F.sum(F.square(x), axis=axis, keepdims=True)
        return x * F.rsqrt(F.maximum(squares, epsilon))

    return F.sum(unit(as_tensor(a)) * unit(as_tensor(b)), axis=axis)


def safe_norm(
    x: Any,
    min_norm: float = 0.0,
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
) -> Tensor:
    """max(‖x‖, min_norm), the 2-norm over `axis`, with gradient 0 where `min_norm` wins: at 0 too,
    where that of the norm is NaN.
    """
    squares = F.sum(F.square(as_tensor(x)), axis=axis, keepdims=keepdims)
    small = squares <= min_norm * min_norm
    # The root's argument is made safe first: where() alone would leave 0 · inf in its derivative.
    return F.where(small, min_norm, F.sqrt(F.where(small, 1.0, squares)))
