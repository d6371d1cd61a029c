"""Scaled dot-product attention, and what its gradient has in common with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType, bool_, float32, float64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.site import located
from graphc.ir.spec import Attend, Expand
from graphc.ops.samples import Refusal, Sample, Source, refuses


@dataclass(frozen=True)
class Attending(Op):
    """What attention and its gradient share. The scores of q[b, h, t, d] and k[b, kv, s, d] are
    scale·q kᵀ, where head i of h reads head i // (h / kv) of kv; a mask[b, h, t, s] of float32 or
    float64 is added, one of bool says which scores count, the others being -inf; with `causal`
    those of key j > query i do not count. The blocked kernel does not read what no query of a tile
    sees by `causal`, so a NaN there does not reach the result.
    """

    scale: float
    causal: bool

    def check(self, what: str, q: TensorType, k: TensorType, v: TensorType, mask: tuple) -> None:
        if not q.ndim == k.ndim == v.ndim == 4:
            raise ShapeError(located(f"{what}: [batch, heads, time, width] required"))
        if k.shape[0] != q.shape[0] or k.shape[3] != q.shape[3] or v.shape[:3] != k.shape[:3]:
            raise ShapeError(located(f"{what}: batch, width or number of keys differ"))
        if k.shape[1] == 0 or q.shape[1] % k.shape[1]:
            heads = f"{k.shape[1]} key heads do not divide {q.shape[1]} heads"
            raise ShapeError(located(f"{what}: {heads}"))
        if q.dtype.kind != "f" or not q.dtype is k.dtype is v.dtype:
            raise DTypeError(located(f"{what}: required one float dtype"))
        for m in mask:
            if m.shape != (*q.shape[:3], k.shape[2]):
                raise ShapeError(located(f"{what}: a mask of every score required"))
            if m.dtype is not bool_ and m.dtype is not q.dtype:
                raise DTypeError(located(f"{what}: a bool mask, or one of {q.dtype}, required"))

    def count(self, q: TensorType, k: TensorType) -> int:
        """How many scores count."""
        batch, heads, time, _ = q.shape
        keys = k.shape[2]
        seen = min(time, keys) if self.causal else 0
        pairs = seen * (seen + 1) // 2 + (time - seen) * keys
        return batch * heads * pairs

    def blocked(self, q: TensorType, k: TensorType, v: TensorType) -> bool:
        """Whether there is anything for the blocked kernel to do."""
        return min(q.size, k.size, v.size) > 0

    def scores(self, q: Value, k: Value, mask: Sequence[Value]) -> Value:
        """The scores as [b, kv, h/kv·t, s]: heads that share keys are rows of one product."""
        rows = ops.matmul(merged(q, k), ops.transpose(k))
        shape = (*q.shape[:3], k.shape[2])
        scores = ops.reshape(ops.multiply(rows, self.scale), shape)
        nothing = ops.full(shape, -math.inf, q.dtype)
        for m in mask:
            scores = ops.where(m, scores, nothing) if m.dtype is bool_ else ops.add(scores, m)
        if self.causal:
            time, keys = shape[2:]
            seen = ops.less_equal(ops.iota((time, keys), 1), ops.iota((time, keys), 0))
            scores = ops.where(ops.broadcast(seen, shape), scores, nothing)
        return ops.reshape(scores, rows.shape)

    def numpy_scores(self, q: np.ndarray, k: np.ndarray, mask: Sequence[np.ndarray]) -> np.ndarray:
        scores = np.matmul(q, shared(k, q).swapaxes(2, 3)) * q.dtype.type(self.scale)
        for m in mask:
            scores = np.where(m, scores, -np.inf) if m.dtype == bool else scores + m
        if self.causal:
            scores = np.where(np.tri(*scores.shape[2:]) > 0, scores, -np.inf)
        return scores.astype(q.dtype)


@dataclass(frozen=True)
class Attention(Attending):
    """(softmax(scores) v, log Σ exp(scores)) of q, k, v[b, kv, s, e] and perhaps a mask: float
    [b, h, t, e] and [b, h, t]. A query that sees no key gives 0, and +inf as its log-sum-exp, from
    which the gradient finds probabilities of 0.

    Rabe and Staats, "Self-attention Does Not Need O(n²) Memory", arXiv:2112.05682; Dao et al.,
    "FlashAttention", arXiv:2205.14135.
    """

    name = "attention"

    def infer(self, q: TensorType, k: TensorType, v: TensorType, *mask: TensorType):
        self.check(f"attention({q}, {k}, {v})", q, k, v, mask)
        return (q.with_shape((*q.shape[:3], v.shape[3])), q.with_shape(q.shape[:3]))

    def reference(self, q: np.ndarray, k: np.ndarray, v: np.ndarray, *mask: np.ndarray):
        with np.errstate(all="ignore"):
            scores = self.numpy_scores(q, k, mask)
            largest = scores.max(-1, initial=-np.inf, keepdims=True)
            shift = np.where(largest == -np.inf, 0, largest)
            e = np.exp(scores - shift)
            total = e.sum(-1, keepdims=True)
            weights = e / np.where(total == 0, 1, total)
            lse = np.where(total == 0, np.inf, shift + np.log(total))[..., 0]
            mixed = np.matmul(weights, shared(v, q))
        return mixed.astype(q.dtype), lse.astype(q.dtype)

    def flops(self, q: TensorType, k: TensorType, v: TensorType, *mask: TensorType) -> int:
        return self.count(q, k) * 2 * (k.shape[3] + v.shape[3])

    def spec(self, q: TensorType, k: TensorType, v: TensorType, *mask: TensorType):
        if self.blocked(q, k, v):
            return Attend(self.decompose, self.scale, self.causal)
        return Expand(self.decompose)

    def decompose(self, q: Value, k: Value, v: Value, *mask: Value) -> Sequence[Value]:
        scores = self.scores(q, k, mask)
        rows = scores.shape[:3]
        if scores.shape[3] == 0:
            out = ops.full((*q.shape[:3], v.shape[3]), 0, q.dtype)
            return out, ops.full(q.shape[:3], math.inf, q.dtype)
        largest = ops.max(scores, (3,))
        lowest = ops.full(rows, -math.inf, q.dtype)
        zero, one = ops.full(rows, 0, q.dtype), ops.full(rows, 1, q.dtype)
        shift = ops.where(ops.equal(largest, lowest), zero, largest)
        e = ops.exp(ops.subtract(scores, along(shift, scores)))
        total = ops.sum(e, (3,))
        empty = ops.equal(total, zero)
        safe = ops.where(empty, one, total)
        mixed = ops.matmul(ops.multiply(e, along(ops.reciprocal(safe), e)), v)
        infinite = ops.full(rows, math.inf, q.dtype)
        lse = ops.where(empty, infinite, ops.add(shift, ops.log(safe)))
        return ops.reshape(mixed, (*q.shape[:3], v.shape[3])), ops.reshape(lse, q.shape[:3])

    def vjp(self, node: Node, g: Value, g_lse: Value) -> Sequence[Value | None]:
        q, k, v, *mask = node.inputs
        out, lse = node.outputs
        # Σ_j P_ij dP_ij is what every dP_ij of a row is lessened by, and o·g is the same sum.
        delta = ops.subtract(ops.sum(ops.multiply(g, out), (3,)), g_lse)
        found: list[Value | None] = []
        found += ops.attention_gradient(self, q, k, v, lse, delta, g, *mask)
        for m in mask:
            parts = Slopes(self, q, k, v, lse, delta, g, mask)
            found.append(None if m.dtype is bool_ else ops.reshape(parts.slopes, m.shape))
        return found

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        q, k, v, *mask = node.inputs
        out, lse = node.outputs
        tq, tk, tv, *tmask = tangents
        scores = self.scores(q, k, mask)
        weights = ops.exp(ops.subtract(scores, along(merged(lse, k), scores)))
        moved = score_tangent(self.scale, q, k, tq, tk, tmask)
        zero = None if tv is None else ops.reshape(ops.matmul(weights, tv), out.shape)
        if moved is None:
            return zero, None
        by_row = ops.sum(ops.multiply(weights, moved), (3,))
        turned = ops.multiply(weights, ops.subtract(moved, along(by_row, moved)))
        mixed = ops.reshape(ops.matmul(turned, v), out.shape)
        return (mixed if zero is None else ops.add(mixed, zero)), ops.reshape(by_row, lse.shape)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return ops.batch_merged(self, size, inputs, batched)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for note, options, arrays in cases(Source(cls.name)):
            smooth = arrays[0].dtype == np.float64 and "empty" not in note
            yield Sample(note, cls(*options), arrays, smooth)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        op = cls(1.0, False)
        x, m = ((1, 4, 5, 6), float32), ((1, 4, 5, 5), bool_)
        yield refuses(op, ShapeError, "batch, heads, time, width", x, x, ((4, 5, 6), float32))
        yield refuses(
            op, ShapeError, "3 key heads do not divide", x, *[((1, 3, 5, 6), float32)] * 2
        )
        yield refuses(op, ShapeError, "number of keys differ", x, x, ((1, 4, 4, 6), float32))
        yield refuses(op, DTypeError, "one float dtype", x, x, ((1, 4, 5, 6), float64))
        yield refuses(op, ShapeError, "a mask of every score", x, x, x, ((1, 4, 5, 1), bool_))
        yield refuses(op, DTypeError, "a bool mask, or one of float32", x, x, x, (m[0], float64))


class Slopes:
    """Probabilities P, g vᵀ - delta, and their product, as graph: [b, kv, h/kv·t, s] each."""

    def __init__(self, op: Attending, q, k, v, lse, delta, g, mask):
        scores = op.scores(q, k, mask)
        self.weights = ops.exp(ops.subtract(scores, along(merged(lse, k), scores)))
        pulled = ops.matmul(merged(g, k), ops.transpose(v))
        self.lessened = ops.subtract(pulled, along(merged(delta, k), scores))
        self.slopes = ops.multiply(self.weights, self.lessened)


def score_tangent(
    scale: float, q: Value, k: Value, tq: Value | None, tk: Value | None, tmask: Sequence
) -> Value | None:
    """How the scores move; None where they stand still."""
    parts: list[Value] = []
    if tq is not None:
        parts.append(ops.multiply(ops.matmul(merged(tq, k), ops.transpose(k)), scale))
    if tk is not None:
        parts.append(ops.multiply(ops.matmul(merged(q, k), ops.transpose(tk)), scale))
    for t in tmask:
        if t is not None:
            heads = k.shape[1]
            batch, all_heads, time, keys = t.shape
            parts.append(ops.reshape(t, (batch, heads, all_heads // heads * time, keys)))
    return ops.add_all(parts)


def total(*parts: Value | None, like: Value) -> Value:
    """The sum of what is there; zeros like another value where nothing is."""
    total = ops.add_all([p for p in parts if p is not None])
    return ops.zeros_like(like) if total is None else total


def merged(x: Value, k: Value) -> Value:
    """[b, h, t, …] as [b, kv, h/kv·t, …]: heads that share keys one after the other."""
    batch, heads, time, *rest = x.shape
    return ops.reshape(x, (batch, k.shape[1], heads // k.shape[1] * time, *rest))


def along(rows: Value, scores: Value) -> Value:
    """A number of each row, at every score of the row."""
    return ops.broadcast(rows, scores.shape, (0, 1, 2))


def shared(k: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The keys or values of every head of q."""
    return np.repeat(k, q.shape[1] // k.shape[1], axis=1)


def cases(source: Source) -> Iterator[tuple[str, tuple[float, bool], tuple[np.ndarray, ...]]]:
    """(what is special, scale and causal, arrays of attention), with finite results."""

    def qkv(dtype=float64, heads=2, kv_heads=2, time=5, keys=5, width=3, value_width=3, batch=1):
        return (
            source.floats((batch, heads, time, width), dtype),
            source.floats((batch, kv_heads, keys, width), dtype),
            source.floats((batch, kv_heads, keys, value_width), dtype),
        )

    yield "ordinary", (0.5, False), qkv()
    yield "float32 causal", (0.5, True), qkv(float32, time=70, keys=70, width=20)
    yield "causal, more keys", (0.5, True), qkv(keys=7)
    yield "causal, fewer keys", (0.5, True), qkv(keys=3, value_width=2)
    yield "grouped", (0.5, False), qkv(heads=4, batch=2)
    yield "one key head, causal", (0.5, True), qkv(heads=4, kv_heads=1, time=3)
    seen = source.integers((1, 2, 5, 5), bool_, 0, 2).astype(bool)
    seen[..., 0] = True
    yield "mask", (0.5, False), (*qkv(), seen)
    added = source.floats((1, 2, 5, 5), float64)
    yield "added mask, causal", (0.5, True), (*qkv(), added)
    large = source.floats((1, 2, 130, 70), float32)
    yield "float32, added mask", (0.2, False), (*qkv(float32, time=130, keys=70, width=33), large)
    hidden = seen.copy()
    hidden[0, 1, 2] = False
    yield "empty row", (0.5, False), (*qkv(), hidden)
    yield "no keys: empty", (0.5, False), qkv(keys=0)
    yield "no queries: empty", (0.5, True), qkv(time=0)


def attention(
    q: Value, k: Value, v: Value, *mask: Value, scale: float, causal: bool = False
) -> Value:
    """The result alone, without the log-sum-exp."""
    return apply(Attention(float(scale), causal), q, k, v, *mask)[0]
