"""Rules for elementwise work, views and whatever puts elements elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable

from tests.fuzz.draft import Draft, Known

#: Smooth functions of one number.
SMOOTH = (
    "gx.tanh({0})", "gx.sin({0})", "gx.cos({0})", "gx.sigmoid({0})", "gx.erf({0})",
    "gx.atan({0})", "gx.exp(-gx.square({0}))", "gx.log1p(gx.square({0}))", "gx.nn.softplus({0})",
    "gx.sqrt(gx.square({0}) + 0.3)", "gx.asinh({0})", "gx.nn.gelu({0})", "gx.nn.silu({0})",
    "{0} * 0.5 + 1.0", "1.0 - {0}", "{0} * {0} * 0.1", "gx.rsqrt(1.0 + gx.square({0}))",
    "gx.reciprocal(2.0 + gx.sin({0}))", "gx.expm1(gx.tanh({0}))", "gx.pow(2.0 + gx.tanh({0}), 1.7)",
    "gx.log(1.5 + gx.cos({0}))", "gx.exp2(gx.sin({0}))", "gx.checkpoint(gx.tanh)({0})",
)  # fmt: skip
_KINKED = (
    "gx.nn.relu({0})", "gx.abs({0})", "gx.maximum({0}, 0.1)", "gx.clip({0}, -1.0, 0.5)",
    "gx.nn.leaky_relu({0})", "gx.where({0} > 0.2, {0}, 0.0)",
)  # fmt: skip
_BINARY = (
    "{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / (1.5 + gx.tanh({1}))", "gx.logaddexp({0}, {1})",
    "gx.hypot({0}, {1} + 3.0)", "gx.atan2({0}, 3.0 + gx.sin({1}))", "{0} * {1} + {0}",
)  # fmt: skip
_KINKED_BINARY = ("gx.maximum({0}, {1})", "gx.minimum({0}, {1})", "gx.where({0} < {1}, {0}, {1})")
#: Elements of what is made larger.
_ELEMENTS = 20_000


def unary(d: Draft) -> None:
    x = d.floats()
    if x is None:
        return
    if d.chance(0.15):
        d.emit(d.pick(_KINKED).format(x.name), exact=True, smooth=x.exact)
    elif d.chance(0.1):
        d.emit(f"-{x.name}", exact=True)
    else:
        d.emit(d.pick(SMOOTH).format(x.name))


def partner(d: Draft, x: Known) -> Known:
    """A value that broadcasts with another: one at hand, or a new argument."""
    if d.chance(0.7):
        found = d.floats(lambda k: k is not x and k.ndim and meet(k.shape, x.shape), 0.3)
        if found is not None:
            return found
    shape = [1 if d.chance(0.25) else n for n in x.shape]
    if shape and d.chance(0.3):
        shape = shape[int(d.rng.integers(len(shape) + 1)) :]
    return d.argument(shape)


def meet(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(a[::-1], b[::-1], strict=False))


def binary(d: Draft) -> None:
    x = d.floats()
    if x is None:
        return
    y = partner(d, x)
    pair = (x.name, y.name) if d.chance(0.6) else (y.name, x.name)
    if d.chance(0.12):
        d.emit(d.pick(_KINKED_BINARY).format(*pair), exact=True, smooth=x.exact and y.exact)
    else:
        d.emit(d.pick(_BINARY).format(*pair))


def view(d: Draft) -> None:
    x = d.choose()
    if x is None:
        return
    d.emit(d.pick(_VIEWS)(d, x), exact=True)


def _permuted(d: Draft, x: Known) -> str:
    return f"gx.permute_dims({x.name}, {tuple(int(a) for a in d.rng.permutation(x.ndim))})"


def _reshaped(d: Draft, x: Known) -> str:
    """Axes merged, or cut at divisors, or ones put in."""
    shape = list(x.shape)
    for _ in range(int(d.rng.integers(1, 4))):
        k = int(d.rng.integers(len(shape))) if shape else 0
        if d.chance(0.4) and len(shape) > 1 and k + 1 < len(shape):
            shape[k : k + 2] = [shape[k] * shape[k + 1]]
        elif d.chance(0.6) and shape and shape[k] > 1:
            divisors = [n for n in range(1, min(shape[k], 70) + 1) if shape[k] % n == 0]
            n = d.pick(divisors)
            shape[k : k + 1] = [n, shape[k] // n]
        elif len(shape) < 5:
            shape.insert(k, 1)
    return f"gx.reshape({x.name}, {tuple(shape)})"


def _sliced(d: Draft, x: Known) -> str:
    if not x.ndim:
        return f"{x.name}[None]"
    parts = []
    for n in x.shape:
        r = d.rng.random()
        start = int(d.rng.integers(0, max(1, n)))
        if r < 0.4:
            parts.append(":")
        elif r < 0.55:
            parts.append(f"{start}:")
        elif r < 0.75:
            parts.append(f"{start}:{int(d.rng.integers(start, n + 1))}")
        elif r < 0.85:
            parts.append(f"::{d.pick((2, 3, -1, -2))}")
        elif r < 0.93 and n:
            parts.append(str(start))
        else:
            parts.append("None, :")
    return f"{x.name}[{', '.join(parts)}]"


def _flipped(d: Draft, x: Known) -> str:
    if not x.ndim:
        return f"{x.name}[None]"
    return f"gx.flip({x.name}, axis={int(d.rng.integers(x.ndim))})"


def _broadcast(d: Draft, x: Known) -> str:
    shape = [d.pick(d.extents) if n == 1 and d.chance(0.7) else n for n in x.shape]
    if d.chance(0.6):
        shape = [d.pick(d.extents), *shape]
    if math.prod(shape) > _ELEMENTS:
        return f"{x.name}[None]"
    return f"gx.broadcast_to({x.name}, {tuple(shape)})"


_VIEWS: tuple[Callable[[Draft, Known], str], ...] = (
    _permuted, _permuted, _reshaped, _reshaped, _sliced, _sliced, _flipped, _broadcast,
)  # fmt: skip


def some_axis(d: Draft, x: Known) -> int:
    return int(d.rng.integers(x.ndim))


def joining(d: Draft) -> None:
    x = d.choose(lambda k: k.ndim > 0 and math.prod(k.shape) <= _ELEMENTS)
    if x is None:
        return
    axis = some_axis(d, x)
    y = d.choose(lambda k: k.shape == x.shape and k.array.dtype == x.array.dtype, 0.2) or x
    n = x.shape[axis]
    form = int(d.rng.integers(10))
    if form == 0:
        d.emit(f"gx.concat([{x.name}, {y.name}], axis={axis})", exact=True)
    elif form == 1:
        d.emit(f"gx.concat([{y.name}[:1], {x.name}, {x.name}], axis=0)", exact=True)
    elif form == 2:
        place = int(d.rng.integers(x.ndim + 1))
        d.emit(f"gx.stack([{x.name}, {y.name}], axis={place})", exact=True)
    elif form == 3:
        widths = [tuple(int(w) for w in d.rng.integers(0, 3, 2)) for _ in x.shape]
        modes = ["constant", *(["edge"] if min(x.shape) else [])]
        modes += ["reflect"] if min(x.shape) > 2 else []
        d.emit(f"gx.pad({x.name}, {widths}, mode={d.pick(modes)!r})", exact=True)
    elif form == 4:
        d.emit(f"gx.roll({x.name}, {int(d.rng.integers(-3, 4))}, axis={axis})", exact=True)
    elif form == 5:
        d.emit(f"gx.repeat({x.name}, 2, axis={axis})", exact=True)
    elif form == 6:
        d.emit(f"gx.tile({x.name}, {tuple(int(t) for t in d.rng.integers(1, 3, x.ndim))})", 1, True)
    elif form == 7 and 2 <= n <= 5:
        d.emit(f"gx.unstack({x.name}, axis={axis})", n, exact=True)
    elif form == 8 and n >= 2:
        cut = int(d.rng.integers(0, n))
        d.emit(f"gx.split({x.name}, [{cut}], axis={axis})", 2, exact=True)
    elif x.ndim >= 2 and x.is_float:
        d.emit(f"gx.{d.pick(('tril', 'triu'))}({x.name}, k={int(d.rng.integers(-2, 3))})", 1, True)


def logical(d: Draft) -> None:
    x = d.floats(lambda k: k.exact, 0.2)
    if x is None:
        return
    form = int(d.rng.integers(9))
    n = x.name
    if form == 0:
        mask = d.emit(f"{n} > {round(float(d.rng.uniform(-1, 1)), 2)}")
        y = d.floats(lambda k: meet(k.shape, x.shape))
        if mask and y is not None:
            d.emit(f"gx.where({mask[0].name}, {n}, {y.name})", exact=True)
    elif form == 1 and x.ndim:
        m = x.shape[-1]
        d.emit(f"gx.where(gx.arange({m}) < {m // 2}, {n}, 0.25)", exact=True)
    elif form == 2 and x.ndim >= 2:
        r, c = x.shape[-2:]
        d.emit(f"gx.where(gx.arange({r})[:, None] >= gx.arange({c}), {n}, -1.0)", exact=True)
    elif form == 3 and x.ndim and math.prod(x.shape):
        d.emit(f"gx.{d.pick(('argmax', 'argmin'))}({n}, axis={some_axis(d, x)})")
    elif form == 4 and x.ndim:
        d.emit(f"gx.count_nonzero({n} > 0.1, axis={some_axis(d, x)})")
    elif form == 5:
        b = d.choose(lambda k: k.array.dtype == bool)
        if b is not None:
            d.emit(f"gx.astype({b.name}, {d.dtype!r})", exact=True)
            if b.ndim:
                d.emit(f"gx.{d.pick(('any', 'all'))}({b.name}, axis={some_axis(d, b)})")
    elif form == 6:
        i = d.choose(lambda k: k.array.dtype.kind == "i")
        if i is not None:
            d.emit(d.pick(("{0} * 3 - 1", "{0} % 3", "{0} // 2", "{0} ^ 5")).format(i.name))
    elif form == 7:
        i = d.choose(lambda k: k.array.dtype.kind == "i" and k.ndim > 0)
        if i is not None:
            d.emit(f"gx.sum({i.name}, axis={some_axis(d, i)})")
            d.emit(f"gx.astype({i.name}, {d.dtype!r}) * 0.1")
    elif x.ndim and x.shape[-1] <= 300 and math.prod(x.shape):
        d.emit(f"gx.argsort({n}, axis=-1)")


def update(d: Draft) -> None:
    """A new value for an argument, of the same shape."""
    x = d.floats(lambda k: k.name in d.arguments, 0.2)
    if x is None:
        return
    y = d.floats(lambda k: k.shape == x.shape and k is not x)
    n = x.name
    if y is not None and d.chance(0.5):
        d.emit(f"0.9 * {n} + 0.1 * {y.name}")
    elif x.ndim >= 2 and x.shape[-1] == x.shape[-2]:
        d.emit(f"gx.matrix_transpose({n})" + d.pick(("", " * 0.5", f" + {n}")), exact=True)
    elif x.ndim:
        d.emit(f"gx.flip({n}, axis={some_axis(d, x)})" + d.pick(("", " * 0.5", f" - {n}")), 1, True)
