"""How an operator computes: the few declarations from which kernels and loops are made.

Fusion, scheduling and code generation look at a node's declaration, never at its operator, so a
new operator needs no change outside its own class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from graphc.ir.expr import Expr, index

if TYPE_CHECKING:
    from graphc.dtypes import DType
    from graphc.ir.graph import Graph, Value
    from graphc.ir.loops import Stmt
    from graphc.ir.site import Site

Index = tuple[Expr, ...]
Reader = Callable[[int, Index], Expr]


@dataclass(frozen=True, slots=True)
class Strided:
    """A rectangular part of a buffer: element (i, j, …) lies at offset + i·s0 + j·s1 + …"""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @classmethod
    def contiguous(cls, shape: tuple[int, ...]) -> Strided:
        return cls(shape, row_major(shape))

    @property
    def at_start(self) -> Strided:
        """The same steps from the buffer's first element."""
        return Strided(self.shape, self.strides)

    @property
    def is_contiguous(self) -> bool:
        return self.offset == 0 and all(
            extent == 1 or have == want
            for extent, have, want in zip(
                self.shape, self.strides, row_major(self.shape), strict=True
            )
        )


@lru_cache(maxsize=1 << 14)
def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides = []
    step = 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


def unravel(flat: Expr, shape: tuple[int, ...]) -> Index:
    """The position in a shape of an element counted in row-major order."""
    result: list[Expr] = []
    outermost = True
    for extent, step in zip(shape, row_major(shape), strict=True):
        at = index(0) if extent == 1 else flat // step
        result.append(at if outermost else at % extent)
        outermost = outermost and extent == 1
    return tuple(result)


@dataclass(frozen=True, slots=True)
class Spec:
    pass


@dataclass(frozen=True, slots=True)
class Routine:
    """A C function with a body of a user's: the text of its definition, whose `name` is made from
    it, and what the user calls it, where.
    """

    name: str
    text: str
    label: str
    site: Site | None


@dataclass(frozen=True, slots=True)
class Scalar(Spec):
    """out[i] = body(in0[i], in1[i], …); all shapes are equal. `cost` is in simple operations, and
    `routines` are what the body calls besides the runtime.
    """

    body: Callable[..., Expr]
    cost: int = 1
    routines: tuple[Routine, ...] = ()


@dataclass(frozen=True, slots=True)
class View(Spec):
    """out[i] = in[index(i)]: no arithmetic, so consumers read through it.

    `strided` gives the same map on a strided buffer, or None where it has no such form.
    """

    index: Callable[[Index], Index]
    strided: Callable[[Strided], Strided | None]


@dataclass(frozen=True, slots=True)
class Pointwise(Spec):
    """out[i] = body(i, read), where read(k, j) is element j of the k-th input.

    For results that depend on their position or read their inputs elsewhere (iota, pad, concat,
    gather, random bits). With no inputs it is free to compute again wherever it is read.
    """

    body: Callable[[Index, Reader], Expr]
    cost: int = 1


@dataclass(frozen=True, slots=True)
class Reduce(Spec):
    """Folds `axes` of the one input with the runtime's reduction `kind` (sum, prod, max, min,
    argmax, argmin, any, all); the axes disappear. The order of the fold is that of
    runtime/reduce.h. A fold that is `whole` cannot be put together from those of parts.
    """

    kind: str
    axes: tuple[int, ...]
    whole: bool = False

    def order(self, ndim: int) -> tuple[int, ...]:
        """Axes in the order outer, reduced, inner. Inner are the kept axes behind the last reduced
        one; a whole fold has none.
        """
        last = ndim if self.whole else max(self.axes)
        outer = [a for a in range(last) if a not in self.axes]
        return (*outer, *self.axes, *range(last + 1, ndim))

    def extents(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """The product of the outer, of the reduced and of the inner axes' extents."""
        sizes = [shape[a] for a in self.order(len(shape))]
        reduced = math.prod(shape[a] for a in self.axes)
        inner = 1 if self.whole else math.prod(shape[max(self.axes) + 1 :])
        outer = math.prod(sizes[: len(sizes) - len(self.axes) - self._inner_axes(len(shape))])
        return outer, reduced, inner

    def _inner_axes(self, ndim: int) -> int:
        return 0 if self.whole else ndim - 1 - max(self.axes)


@dataclass(frozen=True, slots=True)
class Contract(Spec):
    """out[b, m, n] = sum over k of left[b, m, k] · right[b, k, n], with any number of leading b."""


@dataclass(frozen=True, slots=True)
class Decomposed(Spec):
    """`build(*inputs)` gives the results as graph of other operators."""

    build: Callable[..., Sequence[Value]]


@dataclass(frozen=True, slots=True)
class Attend(Decomposed):
    """Attention of q, k, v and perhaps a mask, or with `gradient` that of q, k, v, lse, delta, g
    and perhaps a mask: what `ops/attention.py` says, a tile of queries and keys at a time.
    """

    scale: float
    causal: bool
    gradient: bool = False


@dataclass(frozen=True, slots=True)
class Scatter(Spec):
    """out = in0, then for all i in row-major order and all r the element out[position(read, i), r…]
    is combined with in1[i…, r…] by `kind`: "add", "multiply", "min", "max" or "set". The position
    has `count` coordinates. The first `batch` of them are those of i, so that parts of the result
    with different ones are independent.
    """

    position: Callable[[Reader, Index], Index]
    count: int
    kind: str = "add"
    batch: int = 0


@dataclass(frozen=True, slots=True)
class Nest(Spec):
    """A loop nest of the operator's own: `body(io)` gives the statements for one unit of
    `parallel` independent units of work, unit number `io.unit`. `scratch` lists the working arrays
    that each thread needs, by dtype and number of elements; they hold nothing when a unit begins.
    Of the operand `streams` every element is fetched about once (`io.fetch`): it need not lie in
    memory, elementwise work in front of it is done there.
    """

    parallel: int
    body: Callable[[NestIO], Sequence[Stmt]]
    cost: int = 1
    scratch: tuple[tuple[DType, int], ...] = ()
    streams: int | None = None

    @property
    def scratch_offsets(self) -> tuple[int, ...]:
        """Where each working array begins, in bytes, at a multiple of 64; then where they end."""
        offsets = [0]
        for dtype, count in self.scratch:
            offsets.append(offsets[-1] + -(-count * dtype.itemsize // 64) * 64)
        return tuple(offsets)


@dataclass(frozen=True, slots=True)
class Native(Spec):
    """A routine that is called once, with the addresses of all inputs and then of all results, each
    contiguous and in row-major order.
    """

    routine: Routine


@dataclass(frozen=True, slots=True)
class Convolve(Spec):
    """One of the three products of x[n, i…, g·c], w[k…, c, g·f] and y[n, o…, g·f], where g counts
    `groups` and i = o·stride + k·dilation - padding along each spatial axis; outside of x there are
    zeros. `result` names the array that is computed, "x", "w" or "y", as the sum of the products of
    the elements of the other two, which are the inputs in this order.
    """

    result: str = "y"
    strides: tuple[int, ...] = ()
    #: Zeros before and after each axis of x.
    padding: tuple[tuple[int, int], ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1


@dataclass(slots=True)
class NestIO:
    """What a `Nest` body reads and writes: `read(k, index)`, `write(k, index, value) -> Stmt`,
    `fetch(index)`, an element of the operand that it streams with statements that stand before it,
    the number of the unit, the names of the working arrays (typed pointers) and a maker of fresh
    names.
    """

    unit: Expr
    read: Reader
    write: Callable[[int, Index, Expr], Stmt]
    fetch: Callable[[Index], tuple[list[Stmt], Expr]]
    scratch: tuple[str, ...]
    fresh: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Loop(Spec):
    """Runs `body` at most `length` times, from the last slice to the first if `reverse`. The
    operands are, in this order: the number of steps if `counted` (an int64; at most `length` are
    taken, slices beyond it are not read, and results there are zero), constants, first values of
    the carries, arrays of which a step reads one slice along the leading axis. The body's inputs
    are the same without the number, slices in the place of arrays; its outputs are the next values
    of the carries and one slice of each further result. The results are the last values of the
    carries, and arrays of the slices. With a `condition`, of constants and carries, the first step
    for which it is false and all further ones are not taken.
    """

    body: Graph
    consts: int
    carries: int
    length: int
    reverse: bool = False
    counted: bool = False
    condition: Graph | None = None


@dataclass(frozen=True, slots=True)
class Branch(Spec):
    """The results of `yes` where the first operand, a bool, is true, else those of `no`; both have
    the other operands as inputs, and only one of them is computed.
    """

    yes: Graph
    no: Graph


@dataclass(frozen=True, slots=True)
class Expand(Decomposed):
    """A macro operator: what it stands for replaces it before kernels are chosen. It exists for a
    derivative better than that of its parts.
    """


@dataclass(frozen=True, slots=True)
class Table(Spec):
    """A constant array in row-major order: it lies in memory for the life of the program."""

    data: bytes
