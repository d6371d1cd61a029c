"""The gradient of attention, from the log-sum-exp of the scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType, bool_, float32, float64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.graph import Node, Value, apply
from graphc.ir.site import located
from graphc.ir.spec import Attend, Expand
from graphc.ops.attention import (
    Attending,
    Attention,
    Slopes,
    along,
    cases,
    merged,
    score_tangent,
    shared,
    total,
)
from graphc.ops.samples import Refusal, Sample, Source, refuses


@dataclass(frozen=True)
class AttentionGradient(Attending):
    """The cotangents of q, k and v from lse[b, h, t], the log-sum-exp of the scores, delta[b, h, t]
    and g[b, h, t, e], the cotangent of attention's result: with P = exp(scores - lse) and
    S = P·(g vᵀ - delta) they are scale·S k, scale·Sᵀ q and Pᵀ g.
    """

    name = "attention_gradient"

    def infer(
        self,
        q: TensorType,
        k: TensorType,
        v: TensorType,
        lse: TensorType,
        delta: TensorType,
        g: TensorType,
        *mask: TensorType,
    ):
        what = f"attention_gradient({q}, {k}, {v}, {lse}, {delta}, {g})"
        self.check(what, q, k, v, mask)
        row, out = q.with_shape(q.shape[:3]), q.with_shape((*q.shape[:3], v.shape[3]))
        if lse != row or delta != row or g != out:
            raise ShapeError(located(f"{what}: {row}, {row} and {out} required"))
        return q, k, v

    def reference(self, q, k, v, lse, delta, g, *mask):
        heads = k.shape[0], k.shape[1], q.shape[1] // k.shape[1]
        with np.errstate(all="ignore"):
            weights = np.exp(self.numpy_scores(q, k, mask) - lse[..., None])
            slopes = weights * (np.matmul(g, shared(v, q).swapaxes(2, 3)) - delta[..., None])
            slopes = slopes * q.dtype.type(self.scale)
            dq = np.matmul(slopes, shared(k, q))
            dk = np.matmul(slopes.swapaxes(2, 3), q).reshape(*heads, *k.shape[2:]).sum(2)
            dv = np.matmul(weights.swapaxes(2, 3), g)
            dv = dv.reshape(*heads, *v.shape[2:]).sum(2)
        return dq.astype(q.dtype), dk.astype(q.dtype), dv.astype(q.dtype)

    def flops(self, q: TensorType, k: TensorType, v: TensorType, *rest: TensorType) -> int:
        return self.count(q, k) * 2 * (3 * k.shape[3] + 2 * v.shape[3])

    def spec(self, q: TensorType, k: TensorType, v: TensorType, *rest: TensorType):
        if self.blocked(q, k, v):
            return Attend(self.decompose, self.scale, self.causal, gradient=True)
        return Expand(self.decompose)

    def decompose(self, q: Value, k: Value, v: Value, *rest: Value) -> Sequence[Value]:
        lse, delta, g, *mask = rest
        parts = Slopes(self, q, k, v, lse, delta, g, mask)
        scaled = ops.multiply(parts.slopes, self.scale)
        return (
            ops.reshape(ops.matmul(scaled, k), q.shape),
            ops.matmul(ops.transpose(scaled), merged(q, k)),
            ops.matmul(ops.transpose(parts.weights), merged(g, k)),
        )

    def vjp(self, node: Node, gq: Value, gk: Value, gv: Value) -> Sequence[Value | None]:
        q, k, v, lse, delta, g, *mask = node.inputs
        p = Slopes(self, q, k, v, lse, delta, g, mask)
        rows_q, rows_g, rows_gq = merged(q, k), merged(g, k), merged(gq, k)
        # With E = P·(dP - delta), dq = scale·E k and dk = scale·Eᵀ q.
        by_e = ops.add(ops.matmul(rows_gq, ops.transpose(k)), ops.matmul(rows_q, ops.transpose(gk)))
        by_e = ops.multiply(by_e, self.scale)
        by_p = ops.add(ops.matmul(rows_g, ops.transpose(gv)), ops.multiply(by_e, p.lessened))
        by_dp = ops.multiply(by_e, p.weights)
        by_score = ops.multiply(by_p, p.weights)
        scaled = ops.multiply(by_score, self.scale)
        slopes = ops.multiply(p.slopes, self.scale)
        dq = ops.add(ops.matmul(scaled, k), ops.matmul(slopes, gk))
        dk = ops.add(
            ops.matmul(ops.transpose(scaled), rows_q), ops.matmul(ops.transpose(slopes), rows_gq)
        )
        dv = ops.matmul(ops.transpose(by_dp), rows_g)
        dg = ops.add(ops.matmul(by_dp, v), ops.matmul(p.weights, gv))
        return [
            ops.reshape(dq, q.shape),
            dk,
            dv,
            ops.negative(ops.reshape(ops.sum(by_score, (3,)), lse.shape)),
            ops.negative(ops.reshape(ops.sum(by_dp, (3,)), delta.shape)),
            ops.reshape(dg, g.shape),
            *[None if m.dtype is bool_ else ops.reshape(by_score, m.shape) for m in mask],
        ]

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        q, k, v, lse, delta, g, *mask = node.inputs
        tq, tk, tv, tlse, tdelta, tg, *tmask = tangents
        p = Slopes(self, q, k, v, lse, delta, g, mask)
        rows_q, rows_g = merged(q, k), merged(g, k)
        moved = score_tangent(self.scale, q, k, tq, tk, tmask)
        less = None if tlse is None else ops.negative(along(merged(tlse, k), p.weights))
        t_weights = total(moved, less, like=p.weights)
        t_weights = ops.multiply(p.weights, t_weights)
        t_dp = total(
            None if tg is None else ops.matmul(merged(tg, k), ops.transpose(v)),
            None if tv is None else ops.matmul(rows_g, ops.transpose(tv)),
            None if tdelta is None else ops.negative(along(merged(tdelta, k), p.weights)),
            like=p.weights,
        )
        t_slopes = ops.add(ops.multiply(t_weights, p.lessened), ops.multiply(p.weights, t_dp))
        t_scaled = ops.multiply(t_slopes, self.scale)
        scaled = ops.multiply(p.slopes, self.scale)
        dq = total(
            ops.matmul(t_scaled, k), None if tk is None else ops.matmul(scaled, tk), like=rows_q
        )
        dk = total(
            ops.matmul(ops.transpose(t_scaled), rows_q),
            None if tq is None else ops.matmul(ops.transpose(scaled), merged(tq, k)),
            like=k,
        )
        dv = total(
            ops.matmul(ops.transpose(t_weights), rows_g),
            None if tg is None else ops.matmul(ops.transpose(p.weights), merged(tg, k)),
            like=v,
        )
        return ops.reshape(dq, q.shape), dk, dv

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return ops.batch_merged(self, size, inputs, batched)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for note, options, (q, k, v, *mask) in cases(source):
            _, lse = Attention(*options).reference(q, k, v, *mask)
            dtype = float64 if q.dtype == np.float64 else float32
            delta = source.floats(lse.shape, dtype)
            g = source.floats((*lse.shape, v.shape[3]), dtype)
            smooth = q.dtype == np.float64 and "empty" not in note
            yield Sample(note, cls(*options), (q, k, v, lse, delta, g, *mask), smooth)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        x, row = ((1, 4, 5, 6), float32), ((1, 4, 5), float32)
        op = cls(1.0, False)
        yield refuses(op, ShapeError, "float32[1,4,5] and", x, x, x, row, ((1, 4, 1), float32), x)
        yield refuses(op, DTypeError, "one float dtype", x, x, (x[0], float64), row, row, x)


def attention_gradient(op: Attending, *inputs: Value) -> tuple[Value, ...]:
    """The cotangents of q, k and v of an application of attention."""
    return apply(AttentionGradient(op.scale, op.causal), *inputs)
