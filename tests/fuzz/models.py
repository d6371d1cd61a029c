"""Rules for parts of models: convolutions, pooling, recurrent layers, norms, systems, dropout."""

from __future__ import annotations

import math

from tests.fuzz.draft import Draft, Known

#: Elements of the largest image or system.
_ELEMENTS = 4_000


def image(d: Draft) -> None:
    """Convolutions and pooling, of a value of four axes or of a new argument."""
    fits = d.floats(lambda k: k.ndim in (3, 4) and 0 < k.array.size <= _ELEMENTS)
    if fits is None or d.chance(0.3):
        size = [d.pick((1, 2, 3)), d.pick((1, 2, 4)), d.pick((3, 5, 8)), d.pick((2, 4, 7))]
        fits = d.argument(size[: d.pick((3, 4))])
    x, space = fits, fits.ndim - 2
    last = d.chance(0.4)
    layout = "NHWC" if last else "NCHW"
    sides = x.shape[1:-1] if last else x.shape[2:]
    channels = x.shape[-1] if last else x.shape[1]
    form = int(d.rng.integers(8))
    if form < 4:
        _convolved(d, x, channels, sides, layout)
    elif form == 4:
        width, stride = min(d.pick((2, 3)), *sides), d.pick((1, 2, 3))
        call = f"{d.pick(('max', 'avg'))}_pool{space}d"
        most = d.pick((0, width - 1)) if width > 1 else 0
        rest = f"{width}, stride={stride}, padding={most}, layout={layout!r}"
        smooth = x.exact or call[0] == "a"
        d.emit(f"gx.nn.{call}({x.name}, {rest})", smooth=smooth)
    elif form == 5:
        d.emit(f"gx.nn.global_avg_pool({x.name}, layout={layout!r})")
    elif form == 6:
        groups = d.pick([n for n in range(1, channels + 1) if channels % n == 0])
        scale, bias = d.argument((channels,)), d.argument((channels,))
        rest = f"{groups}, {scale.name}, {bias.name}, eps=0.5, layout={layout!r}"
        d.emit(f"gx.nn.group_norm({x.name}, {rest})")
    else:
        four = [d.argument((channels,)) for _ in range(4)]
        names = [k.name for k in four]
        names[3] = f"gx.square({names[3]})"
        training = math.prod(x.shape) > channels and d.chance(0.6)
        rest = f"training={training}, eps=0.5, layout={layout!r}"
        d.emit(f"gx.nn.batch_norm({x.name}, {', '.join(names)}, {rest})[0]")


def _convolved(d: Draft, x: Known, channels: int, sides: tuple[int, ...], layout: str) -> None:
    space = len(sides)
    kernel = [min(d.pick((1, 2, 3)), n) for n in sides]
    groups = d.pick([n for n in range(1, channels + 1) if channels % n == 0])
    features = groups * d.pick((1, 2))
    turned = d.chance(0.3)
    out, into = (channels, features // groups) if turned else (features, channels // groups)
    shape = [out, into, *kernel] if layout == "NCHW" else [*kernel, into, out]
    scale = round(1 / math.sqrt(max(1, math.prod(kernel) * channels // groups)), 3)
    rest = f"stride={d.pick((1, 1, 2))}, dilation={d.pick((1, 1, 2))}, groups={groups}"
    if turned:
        call, padding = f"conv_transpose{space}d", d.pick(("0", "1"))
    else:
        call, padding = f"conv{space}d", d.pick(("0", "1", "2", "'SAME'", "'VALID'"))
    if padding in ("0", "'VALID'") and "dilation=2" in rest and min(sides) < 5:
        padding = "2"
    w = d.argument(shape)
    d.emit(
        f"gx.nn.{call}({x.name}, {w.name}, {rest}, padding={padding}, layout={layout!r}) * {scale}"
    )


def recurrent(d: Draft) -> None:
    """LSTM and GRU over [time, batch, features]; CTC; embeddings; rotary positions; dropout."""
    form = int(d.rng.integers(7))
    if form < 3:
        steps, batch, width, hidden = (d.pick((1, 2, 3, 5)) for _ in range(4))
        x = d.floats(lambda k: k.ndim == 3 and 0 < k.array.size <= 400)
        x = x or d.argument((steps, batch, width))
        _, batch, width = x.shape
        h = d.argument((batch, hidden))
        gates = 4 if form < 2 else 3
        w_ih, w_hh = d.argument((width, gates * hidden)), d.argument((hidden, gates * hidden))
        half = f"{w_ih.name} * 0.3, {w_hh.name} * 0.3"
        if form < 2:
            c, b = d.argument((batch, hidden)), d.argument((gates * hidden,))
            call = f"gx.nn.lstm({x.name}, ({h.name}, {c.name}), {half}, {b.name})"
            d.emit(f"[{call}[0], *{call}[1]]", 3)
        else:
            d.emit(f"gx.nn.gru({x.name}, {h.name}, {half})", 2)
    elif form == 3:
        steps, batch, classes, most = d.pick((5, 9)), d.pick((1, 3)), 4, d.pick((1, 2))
        x = d.argument((steps, batch, classes))
        targets = d.argument((batch, most), "int32", classes - 1)
        lengths = f"gx.full(({batch},), {steps}, dtype='int32')"
        sizes = f"gx.full(({batch},), {most}, dtype='int32')"
        probabilities = f"gx.nn.log_softmax({x.name})"
        d.emit(f"gx.nn.ctc_loss({probabilities}, {targets.name} + 1, {lengths}, {sizes})")
    elif form == 4:
        table = d.floats(lambda k: k.ndim == 2 and 0 < k.array.size <= _ELEMENTS)
        if table is not None:
            i = d.argument(d.shape(0, 2), "int32", table.shape[0])
            if i.array.size * table.shape[1] <= _ELEMENTS:
                d.emit(f"gx.nn.embedding({table.name}, {i.name})", exact=True)
    elif form == 5:
        x = d.floats(lambda k: k.array.size <= _ELEMENTS)
        if x is not None:
            key = f"gx.random.key({int(d.rng.integers(1000))})"
            d.emit(f"gx.nn.dropout({x.name}, 0.5, {key})", exact=True)
            d.emit(f"{x.name} + 0.1 * gx.random.normal({key}, {x.shape}, {d.dtype!r})")
    else:
        x = d.floats(lambda k: k.ndim == 4 and k.shape[-1] == 2 and k.array.size <= _ELEMENTS)
        if x is not None:
            d.emit(f"gx.nn.softmax(gx.square({x.name}), axis=(-1, -2))")


def system(d: Draft) -> None:
    """Inverses, determinants, factors and solutions of matrices that are far from singular."""
    n = d.pick((1, 2, 3, 5, 9))
    lead = d.pick(((), (), (2,), (2, 3)))
    a = d.floats(lambda k: k.ndim >= 2 and k.shape[-1] == k.shape[-2] and 0 < k.shape[-1] <= 12)
    if a is None or a.array.size > 800 or d.chance(0.4):
        a = d.argument((*lead, n, n))
    n = a.shape[-1]
    strong = f"(gx.tanh({a.name}) + {2.0 + 1.5 * n} * gx.eye({n}, dtype={d.dtype!r}))"
    positive = f"({strong} @ gx.matrix_transpose({strong}) * {round(1 / n / n, 3)})"
    form = int(d.rng.integers(7))
    if form == 0:
        d.emit(f"gx.linalg.inv({strong}) * {n}")
    elif form == 1:
        d.emit(f"gx.log(gx.linalg.det({strong}))")
    elif form == 2:
        d.emit(f"gx.linalg.slogdet({strong})[1]")
    elif form == 3:
        b = d.floats(lambda k: k.shape[:-1] == a.shape[:-1] and k.ndim == a.ndim)
        b = b or d.argument((*a.shape[:-1], d.pick((1, 3))))
        d.emit(f"gx.linalg.solve({strong}, {b.name})")
    elif form == 4:
        d.emit(f"gx.linalg.cholesky({positive})")
    elif form == 5:
        b = d.argument((*a.shape[:-1], d.pick((1, 4))))
        d.emit(f"gx.linalg.triangular_solve(gx.tril({strong}), {b.name}, lower=True)")
    else:
        d.emit(f"gx.linalg.trace({a.name}) + gx.linalg.matrix_norm({strong})")
