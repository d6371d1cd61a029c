"""Rules for loops and choices, and for functions that are transformed as a whole."""

from __future__ import annotations

import math

from tests.fuzz.draft import Draft, Known
from tests.fuzz.simple import SMOOTH, meet, partner

#: Steps of the longest loop.
_STEPS = 40
_ELEMENTS = 4_000


def loop(d: Draft) -> None:
    """`gx.scan` over the first axis of a value, perhaps with another value closed over."""
    x = d.floats(lambda k: k.ndim > 0 and k.shape[0] <= _STEPS and k.array.size <= _ELEMENTS)
    if x is None:
        return
    start = d.floats(lambda k: k.shape == x.shape[1:]) or d.argument(x.shape[1:])
    inner = d.pick(SMOOTH).format("c")
    outside = _closed_over(d, x.shape[1:])
    form = int(d.rng.integers(5))
    if form == 0 and x.ndim > 1 and x.shape[-1] <= 20:
        w = d.argument((x.shape[-1], x.shape[-1]))
        step = f"(gx.tanh(0.3 * {_product('c', w, x.ndim - 1)} + x{outside}), c)"
    elif form == 1:
        step = f"(0.5 * {inner} + 0.5 * x, c * x{outside})"
    elif form == 2:
        step = f"((0.4 * c[0] + gx.sin(x){outside}, gx.tanh(c[0] + c[1])), c[1])"
        made = d.emit(f"gx.scan(lambda c, x: {step}, ({start.name}, {start.name}), {x.name})[0]", 2)
        if made and d.chance(0.3):
            d.emit(f"{made[0].name} * {made[1].name}")
        return
    elif form == 3 and x.ndim > 1 and x.shape[1] > 0:
        rows = "gx.scan(lambda a, b: (gx.tanh(0.5 * a + b), a * b), gx.zeros_like(x[0]), x)[1]"
        step = f"(0.3 * c + {rows}, gx.sum(c * x) * 0.1)"
    else:
        step = f"(gx.tanh(0.5 * c + x){outside}, {d.pick(SMOOTH).format('x')} + c)"
    tail = ", reverse=True" if d.chance(0.2) else ""
    d.emit(f"gx.scan(lambda c, x: {step}, {start.name}, {x.name}{tail})", 2)


def _product(c: str, w: Known, ndim: int) -> str:
    return f"({c} @ {w.name})" if ndim else f"gx.sum({c} * {w.name})"


def _closed_over(d: Draft, shape: tuple[int, ...]) -> str:
    found = d.floats(lambda k: k.ndim <= len(shape) and _spreads(k.shape, shape), 0.3)
    return f" + 0.2 * {found.name}" if found is not None and d.chance(0.6) else ""


def _spreads(small: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    tail = shape[len(shape) - len(small) :]
    return all(m in (1, n) for m, n in zip(small, tail, strict=True))


def choice(d: Draft) -> None:
    """`gx.cond`, and `gx.while_loop` that counts to a number given as data."""
    x = d.floats(lambda k: k.array.size <= _ELEMENTS)
    if x is None:
        return
    outside = _closed_over(d, x.shape)
    yes, no = (d.pick(SMOOTH).format("a") for _ in range(2))
    if d.chance(0.5):
        b = d.choose(lambda k: k.array.dtype == bool and k.ndim == 0) or d.argument((), "bool")
        d.emit(f"gx.cond({b.name}, lambda a: {yes}{outside}, lambda a: 0.5 * {no}, {x.name})")
        return
    n = d.argument((), "int64", 6)
    body = f"lambda s: (s[0] + 1, gx.tanh(0.7 * s[1]){outside} + 0.1)"
    limit = d.pick((4, 8))
    d.emit(f"gx.while_loop(lambda s: s[0] < {n.name}, {body}, (0, {x.name}), max_steps={limit})[1]")


def transformed(d: Draft) -> None:
    """Functions under vmap, checkpoint, grad and jvp."""
    x = d.floats(lambda k: k.ndim > 0 and 0 < math.prod(k.shape) <= _ELEMENTS)
    if x is None:
        return
    f, g = (d.pick(SMOOTH) for _ in range(2))
    both = f"{f.format('r')} * {g.format('r')}"
    form = int(d.rng.integers(6))
    if form == 0:
        d.emit(f"gx.checkpoint(lambda r: {both})({x.name})")
    elif form == 1:
        y = partner(d, x)
        if meet(x.shape, y.shape):
            d.emit(f"gx.checkpoint(lambda r, s: {both} + gx.cos(s))({x.name}, {y.name})")
    elif form == 2:
        d.emit(f"gx.vmap(lambda r: {both} + gx.mean(r))({x.name})")
    elif form == 3:
        d.emit(f"gx.grad(lambda r: gx.sum({both}))({x.name}) * 0.3")
    elif form == 4:
        d.emit(f"gx.vmap(gx.grad(lambda r: gx.sum({both}) * gx.mean(r)))({x.name}) * 0.3")
    elif x.ndim > 1:
        scan = "gx.scan(lambda c, v: (gx.tanh(0.5 * c + v), c), gx.zeros_like(r[0]), r)[1]"
        axis = d.pick((0, x.ndim - 1)) if x.ndim > 2 else 0
        if x.shape[1 if axis == 0 else 0] <= _STEPS:
            d.emit(f"gx.vmap(lambda r: {scan}, in_axes={axis})({x.name})")
