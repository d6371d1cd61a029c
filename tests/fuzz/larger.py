"""Rules for reductions, products, layers, indexing and gradients."""

from __future__ import annotations

import math

from tests.fuzz.draft import Draft
from tests.fuzz.simple import meet, some_axis

#: Elements of the largest operand of what works with copies.
_ELEMENTS = 20_000


def reduction(d: Draft) -> None:
    x = d.floats(lambda k: math.prod(k.shape) > 0)
    if x is None:
        return
    axes = tuple(a for a in range(x.ndim) if d.chance(0.5))
    if not axes and x.ndim:
        axes = (some_axis(d, x),)
    tail = f"axis={axes if d.chance(0.85) else None}, keepdims={d.chance(0.4)}"
    kind = int(d.rng.integers(10))
    n = x.name
    if kind < 3:
        size = math.prod(x.shape[a] for a in axes)
        d.emit(f"gx.sum({n} * {round(1 / math.sqrt(size), 3)}, {tail})")
    elif kind == 3:
        d.emit(f"gx.sum({n}, {tail})")
    elif kind == 4:
        d.emit(f"gx.mean({n}, {tail})")
    elif kind == 5:
        d.emit(f"gx.{d.pick(('max', 'min'))}({n}, {tail})", exact=True, smooth=x.exact)
    elif kind == 6:
        d.emit(f"gx.prod(1.0 + 0.1 * gx.sin({n}), {tail})")
    elif kind == 7:
        d.emit(f"gx.var({n}, {tail})")
    elif kind == 8:
        d.emit(f"gx.logsumexp({n}, {tail})")
    else:
        d.emit(f"gx.sqrt(gx.sum(gx.square({n}), {tail}) + 0.1)")


def composite(d: Draft) -> None:
    x = d.floats(lambda k: k.ndim > 0 and math.prod(k.shape) > 0)
    if x is None:
        return
    n, axis = x.name, some_axis(d, x)
    d.emit(
        d.pick((
            f"gx.nn.softmax({n}, axis={axis})", f"gx.nn.log_softmax({n}, axis={axis})",
            f"gx.nn.softmax({n})", f"gx.nn.layer_norm({n}, eps=0.5)",
            f"gx.nn.rms_norm({n}, eps=0.5)", f"{n} - gx.mean({n}, axis={axis}, keepdims=True)",
            f"{n} / (1.0 + gx.sum(gx.square({n}), axis={axis}, keepdims=True))",
            f"({n} - gx.mean({n}, axis=0)) * gx.rsqrt(gx.var({n}, axis=0) + 0.5)",
            f"gx.cumulative_sum({n} * 0.1, axis={axis})",
            f"gx.cumulative_logsumexp({n}, axis={axis})",
            f"gx.diff({n}, axis={axis})", f"gx.exp({n} - gx.logsumexp({n}))",
            f"gx.sum(gx.max({n}, axis=-1, keepdims=True) * gx.tanh({n}), axis=-1)"
            if x.exact else f"gx.tanh({n}) * gx.mean({n})",
        ))
    )  # fmt: skip


def layer(d: Draft) -> None:
    """Longer pieces of models, of two axes or more."""
    x = d.floats(lambda k: k.ndim >= 2 and 0 < math.prod(k.shape) <= _ELEMENTS)
    if x is None:
        return
    n, width = x.name, x.shape[-1]
    form = int(d.rng.integers(7))
    if form == 0 and x.ndim == 4 and width <= 70:
        d.emit(f"gx.nn.attention({n}, {n}, gx.tanh({n}), causal={d.chance(0.5)})")
    elif form == 1:
        labels = d.argument(x.shape[:-1], "int32", width)
        loss = "gx.nn.softmax_cross_entropy_with_integer_labels"
        d.emit(f"{loss}({n}, {labels.name}, label_smoothing={d.pick((0.0, 0.1))})")
    elif form == 2:
        scale, bias = d.argument((width,)), d.argument((width,))
        d.emit(f"gx.nn.layer_norm({n}, {scale.name}, {bias.name}, eps=0.5)")
    elif form == 3 and width <= 300:
        w, b = d.argument((width, d.pick(d.extents))), d.argument(())
        factor = round(1 / math.sqrt(width), 3)
        d.emit(f"gx.nn.gelu(gx.nn.linear({n}, {w.name}, {b.name}) * {factor}) + {b.name}")
    elif form == 4:
        d.emit(f"gx.vmap(lambda r: gx.nn.softmax(gx.sin(r)) * gx.sum(r) * 0.1)({n})")
    elif form == 5:
        e = d.floats(lambda k: k.shape == x.shape) or x
        d.emit(f"gx.einsum('...i,...i->...', {n}, gx.tanh({e.name})) * 0.1")
    elif x.ndim == 2 and max(x.shape) <= 300:
        d.emit(f"gx.einsum('ij,kj->ik', {n}, gx.cos({n})) * {round(1 / math.sqrt(width), 3)}")


def product(d: Draft) -> None:
    x = d.floats(lambda k: k.ndim > 0)
    if x is None:
        return
    k, n = x.shape[-1], x.name
    scale = round(1 / math.sqrt(max(1, k)), 3)
    form = int(d.rng.integers(6))
    other = d.floats(lambda y: y.ndim > 1 and y.shape[-2] == k and meet(x.shape[:-2], y.shape[:-2]))
    turned = d.floats(lambda y: y.ndim == 2 and y.shape[1] == k)
    if form == 0 and other is not None:
        d.emit(f"({n} @ {other.name}) * {scale}")
    elif form == 1 and turned is not None:
        d.emit(f"{n} @ {turned.name}.T * {scale}")
    elif form == 2 and x.ndim >= 2:
        rows = round(1 / math.sqrt(max(1, x.shape[-2])), 3)
        d.emit(f"gx.matrix_transpose({n}) @ {n} * {rows}")
    elif form == 3 and x.ndim >= 2:
        d.emit(f"{n} @ gx.matrix_transpose({n}) * {scale}")
    elif form == 4:
        w = d.argument((d.pick(d.extents), k))
        d.emit(f"{n} @ {w.name}.T * {scale}")
    elif k <= 6000:
        width = d.pick(d.extents) if k <= 300 else d.pick((1, 2, 5))
        w = d.argument((k, width))
        d.emit(f"{n} @ {w.name} * {scale}")


def indexing(d: Draft) -> None:
    x = d.floats(lambda k: k.ndim > 0 and 0 < math.prod(k.shape) <= _ELEMENTS)
    if x is None:
        return
    n, axis = x.name, some_axis(d, x)
    extent, dtype = x.shape[axis], d.pick(("int32", "int64"))
    form = int(d.rng.integers(8))
    if form == 0:
        i = d.argument(d.shape(0, 2), dtype, extent)
        d.emit(f"gx.take({n}, {i.name}, axis={axis})", exact=True)
    elif form == 1:
        shape = list(x.shape)
        shape[axis] = d.pick((1, 2, 5))
        i = d.argument(shape, dtype, extent)
        d.emit(f"gx.take_along_axis({n}, {i.name}, axis={axis})", exact=True)
    elif form in (2, 3):
        i = d.argument((d.pick((1, 3, 7)),), dtype, x.shape[0])
        u = d.argument((*i.shape, *x.shape[1:]))
        kind = d.pick(("add", "set", "add"))
        d.emit(f"{n}.at[{i.name}].{kind}({u.name})", exact=kind == "set")
    elif form == 4:
        i = d.argument(d.shape(0, 2), dtype, 6)
        if i.array.size * 6 <= _ELEMENTS:
            d.emit(f"gx.one_hot({i.name}, 6, {d.dtype!r})", exact=True)
    elif form == 5:
        d.emit(f"{n}.at[{int(d.rng.integers(x.shape[0]))}:].multiply(0.5)")
    elif form == 6 and extent <= 300:
        d.emit(f"gx.sort({n}, axis={axis})", exact=True, smooth=x.exact)
    elif x.exact and extent <= 300:
        k = int(d.rng.integers(1, extent + 1))
        d.emit(f"gx.top_k({n}, {min(k, 4)}, axis={axis})", 2, exact=True)


def gradient(d: Draft) -> None:
    y = d.floats(lambda k: k.smooth and k.array.size > 0 and d.behind[k.name], 0.8)
    if y is None:
        return
    sources = [k for k in d.known if k.name in d.behind[y.name] and k.is_float and k.smooth]
    if not sources:
        return
    count = min(len(sources), int(d.rng.integers(1, 4)))
    wrt = [sources[int(k)] for k in d.rng.choice(len(sources), count, replace=False)]
    scale = round(1 / math.sqrt(y.array.size), 3)
    form = int(d.rng.integers(4))
    loss = f"gx.sum({y.name} * {scale})"
    if form == 0:
        loss = f"gx.mean(gx.square({y.name}))"
    elif form == 1:
        c = d.argument(y.shape)
        loss = f"gx.sum({y.name} * {c.name}) * {scale}"
    elif form == 2:
        loss = f"gx.sum(gx.sin({y.name})) * {scale}"
    if count == 1:
        d.emit(f"gx.grad({loss}, {wrt[0].name})")
    else:
        names = ", ".join(k.name for k in wrt)
        made = d.emit(f"gx.grad({loss}, [{names}])", count)
        for k, g in zip(wrt, made, strict=False):
            if d.chance(0.3):
                d.emit(f"{k.name} - 0.1 * {g.name}")
