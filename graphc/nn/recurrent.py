"""Recurrent layers: one product for the inputs of all steps, and a loop around the rest."""

from __future__ import annotations

from typing import Any

from graphc import functions as F
from graphc.errors import ShapeError
from graphc.functions.promotion import as_tensor
from graphc.ir.site import located
from graphc.tensor import Tensor
from graphc.transforms import scan


def lstm(
    x: Any, state: tuple[Any, Any], w_ih: Any, w_hh: Any, b: Any = None
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """A layer of long short-term memory: all hidden states, and the last (h, c).

    x is [time, batch, in], `state` is (h, c) with [batch, hidden] each, w_ih [in, 4·hidden], w_hh
    [hidden, 4·hidden], b [4·hidden] or None. The columns are the gates i, f, g, o:
    c' = σ(f)·c + σ(i)·tanh(g) and h' = σ(o)·tanh(c'). Weights and biases of PyTorch are these
    transposed, and the sum of its two biases. Gives ys [time, batch, hidden] and (h, c).
    Source: Hochreiter and Schmidhuber, Neural Computation 9, 1997.
    """
    if not isinstance(state, (tuple, list)) or len(state) != 2:
        raise ShapeError(located(f"lstm: a state (h, c) required, got {state!r}"))
    h, c = map(as_tensor, state)
    given = _given("lstm", 4, x, w_ih, w_hh, (b,), (h, c))

    def step(before: Any, arriving: Tensor) -> Any:
        h, c = before
        i, f, g, o = F.split(arriving + F.matmul(h, w_hh), 4, axis=-1)
        c = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
        h = F.sigmoid(o) * F.tanh(c)
        return (h, c), h

    state, ys = scan(step, (h, c), given if b is None else given + b)
    return ys, state


def gru(
    x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> tuple[Tensor, Tensor]:
    """A layer of gated recurrent units: all hidden states, and the last one.

    x is [time, batch, in], h [batch, hidden], w_ih [in, 3·hidden], w_hh [hidden, 3·hidden], the
    biases [3·hidden] or None. The columns are r, z, n: of a = x·w_ih + b_ih and u = h·w_hh + b_hh
    n = tanh(a_n + σ(a_r + u_r)·u_n) and h' = (1 - z)·n + z·h with z = σ(a_z + u_z), as in PyTorch.
    Gives ys [time, batch, hidden] and h. Source: Cho and others, arXiv:1406.1078.
    """
    h = as_tensor(h)
    given = _given("gru", 3, x, w_ih, w_hh, (b_ih, b_hh), (h,))

    def step(h: Tensor, arriving: Tensor) -> Any:
        u = F.matmul(h, w_hh)
        a_r, a_z, a_n = F.split(arriving, 3, axis=-1)
        u_r, u_z, u_n = F.split(u if b_hh is None else u + b_hh, 3, axis=-1)
        z = F.sigmoid(a_z + u_z)
        n = F.tanh(a_n + F.sigmoid(a_r + u_r) * u_n)
        h = n + z * (h - n)
        return h, h

    last, ys = scan(step, h, given if b_ih is None else given + b_ih)
    return ys, last


def _given(
    name: str,
    gates: int,
    x: Any,
    w_ih: Any,
    w_hh: Any,
    biases: tuple[Any, ...],
    states: tuple[Tensor, ...],
) -> Tensor:
    """x·w_ih for all steps, [time, batch, gates·hidden]. Raises ShapeError."""
    x, w_ih, w_hh = as_tensor(x), as_tensor(w_ih), as_tensor(w_hh)
    what = f"{name}({', '.join(str(t.type) for t in (x, *states, w_ih, w_hh))})"
    if x.ndim != 3 or w_ih.ndim != 2 or w_hh.ndim != 2:
        raise ShapeError(located(f"{what}: [time, batch, in] and two matrices required"))
    hidden = w_hh.shape[0]
    required = [
        ("w_hh", w_hh.shape, (hidden, gates * hidden)),
        ("w_ih", w_ih.shape, (x.shape[2], gates * hidden)),
        *(("a state", s.shape, (x.shape[1], hidden)) for s in states),
        *(("a bias", as_tensor(b).shape, (gates * hidden,)) for b in biases if b is not None),
    ]
    for part, shape, wanted in required:
        if shape != wanted:
            raise ShapeError(located(f"{what}: {part} of shape {wanted} required, got {shape}"))
    return F.matmul(x, w_ih)
