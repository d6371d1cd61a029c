"""Operators that write at positions which come from data, one class for each way of combining.

Positions are those of `gather`. Updates are taken in row-major order of their indices, so equal
positions are combined in a fixed order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from graphc import dtypes, ops
from graphc.dtypes import TensorType, float32, float64, int64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.graph import Node, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.plain import in_numpy as plain
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Index, Reader, Scatter
from graphc.ir.terms import Term
from graphc.ops.families import Linear, kind_names
from graphc.ops.indexing import Indexed, index_cases, index_refusals
from graphc.ops.samples import Refusal, Sample, Source, of_dtypes, refuses


class ScatterOp(Indexed):
    """out = x; out[b…, j0[b…, i…], …, r…] is combined with updates[b…, i…, r…], for all i…"""

    kind: ClassVar[str]
    kinds: ClassVar[str] = "uif"
    first_index = 2

    def infer(
        self, x: TensorType, updates: TensorType, *indices: TensorType
    ) -> tuple[TensorType, ...]:
        self.check(x, indices)
        what = f"{self.name}({x}, {updates})"
        if updates.shape != self.taken(x, indices):
            raise ShapeError(located(f"{what}: updates of shape {self.taken(x, indices)} required"))
        if updates.dtype is not x.dtype:
            raise DTypeError(located(f"{what}: dtypes differ"))
        if x.dtype.kind not in self.kinds:
            raise DTypeError(located(f"{what}: required {kind_names(self.kinds)}"))
        return (x,)

    #: What combines: NumPy's ufunc, the name of PyTorch's reduction and that of ONNX; "" of `set`.
    ufunc: ClassVar[np.ufunc | None] = None
    torch: ClassVar[str] = ""
    in_onnx: ClassVar[str] = ""

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        x, updates, *indices = operands
        places = Term(f"({self.index_text(to, types[0], types[2:], indices)},)")
        if self.ufunc is None:
            return to.plain("scatter_set", x, updates, places)
        how = to.either(f"np.{self.ufunc.__name__}", repr(self.torch))
        return to.plain("scatter", Term(how), x, updates, places)

    def onnx(
        self, to: Builder, types: Sequence[TensorType], *operands: str
    ) -> Sequence[str] | None:
        """ONNX leaves open which of several updates at one place wins."""
        if not self.in_onnx or types[0].dtype.kind in "bu":
            return None
        x, updates, *indices = operands
        positions = self.onnx_positions(to, types[0], types[2], indices)
        return (to.node("ScatterND", x, positions, updates, reduction=self.in_onnx),)

    def reference(self, x: np.ndarray, updates: np.ndarray, *indices: np.ndarray) -> np.ndarray:
        places = self.places(x, indices)
        with np.errstate(all="ignore"):
            if self.ufunc is None:
                return plain.scatter_set(x, updates, places)
            return plain.scatter(self.ufunc, x, updates, places)

    def spec(self, x: TensorType, updates: TensorType, *indices: TensorType) -> Scatter:
        def position(read: Reader, i: Index) -> Index:
            return self.position(x, i, read, 2)

        return Scatter(position, self.batches + self.count, self.kind, self.batches)

    def flops(self, x: TensorType, updates: TensorType, *indices: TensorType) -> int:
        return updates.size if x.dtype.is_float else 0

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        every = ops.batch_all(size, inputs, batched)
        return apply(type(self)(self.count, self.batches + 1), *every), (True,)

    def at_updates(self, x: Value, indices: Sequence[Value]) -> Value:
        """The elements of x at the positions of the updates."""
        return ops.gather(x, indices, self.batches)

    def added(self, x: Value, updates: Value, indices: Sequence[Value]) -> Value:
        return ops.scatter_add(x, updates, indices, self.batches)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for dtype in of_dtypes(dtypes.ALL, cls.kinds):
            at = source.integers((4,), int64, -7, 7)
            arrays = source.array((5, 3), dtype), source.array((4, 3), dtype), at
            yield Sample(f"ordinary {dtype}", cls(1), arrays, True)
        for op, shape, at_shape, at_dtype in index_cases(cls):
            places = [source.integers(at_shape, at_dtype, 0, 4) for _ in range(op.count)]
            updates = source.array((*at_shape, *shape[op.batches + op.count :]), float64)
            note = f"{shape} at {at_dtype}{at_shape}"
            yield Sample(note, op, (source.array(shape, float64), updates, *places), True)
        many = np.zeros(9, np.int64)
        arrays = source.array((2,), float32), source.array((9,), float32), many
        yield Sample("all at one place", cls(1), arrays)
        special = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 0.0, 1.0])
        arrays = np.roll(special, 2), special, np.array([0, 1, 2, 3, 3, 5, 0])
        yield Sample("special", cls(1), arrays)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        x, at = ((3, 4), float32), ((2,), int64)
        yield from index_refusals(cls, (((2, 4), float32),))
        yield refuses(cls(1), ShapeError, "of shape (2, 4) required", x, ((2, 3), float32), at)
        yield refuses(cls(1), DTypeError, "dtypes differ", x, ((2, 4), float64), at)
        for dtype in [d for d in dtypes.ALL if d.kind not in cls.kinds]:
            wrong = ((3, 4), dtype), ((2, 4), dtype)
            yield refuses(cls(1), DTypeError, "required", *wrong, at)


class ScatterAdd(Linear, ScatterOp):
    name = "scatter_add"
    kind = "add"
    ufunc = np.add
    torch = "sum"
    in_onnx = "add"

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        indices = node.inputs[2:]
        return (g, self.at_updates(g, indices), *[None] * self.count)


class ScatterSet(Linear, ScatterOp):
    """Of several updates at one position the last one wins, and alone receives a gradient."""

    name = "scatter_set"
    kind = "set"
    kinds = "buif"

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        x, updates, *indices = node.inputs
        lead = indices[0].shape
        size = indices[0].type.size
        numbers = ops.reshape(ops.iota((size,), 0, int64), lead)
        nobody = ops.full(x.shape[: self.batches + self.count], -1, int64)
        winners = apply(self, nobody, numbers, *indices)[0]
        won = ops.equal(self.at_updates(winners, indices), numbers)
        zero = ops.zeros_like(updates)
        kept = apply(self, g, zero, *indices)[0]
        won = ops.broadcast(won, updates.shape, tuple(range(len(lead))))
        passed = ops.where(won, self.at_updates(g, indices), zero)
        return (kept, passed, *[None] * self.count)


class ScatterMultiply(ScatterOp):
    """The derivative by an update is the product of all others at its position, to second order
    right where factors are zero; third derivatives by three zeros at one place are taken as zero.
    """

    name = "scatter_multiply"
    kind = "multiply"
    ufunc = np.multiply
    torch = "prod"
    in_onnx = "mul"

    def others(self, x: Value, updates: Value, indices: Sequence[Value]) -> Value:
        """For each update the product of x and of all other updates at its position."""
        zero, one = ops.zeros_like(updates), ops.full_like(updates, 1)
        vanishes = ops.equal(updates, zero)
        count = self.added(ops.zeros_like(x), ops.astype(vanishes, x.dtype), indices)
        factors = ops.where(vanishes, one, updates)
        product = self.at_updates(apply(self, x, factors, *indices)[0], indices)
        # The product of the factors that vanish, as a function of them: its value is 0 or 1.
        vanishing = ops.where(vanishes, updates, one)
        ones = ops.full_like(x, 1)
        vanished = self.at_updates(apply(self, ones, vanishing, *indices)[0], indices)
        zeros = self.at_updates(count, indices)
        # Of two factors that vanish each has the other, the sum of both without itself, as factor.
        absent = self.added(ops.zeros_like(x), ops.where(vanishes, updates, zero), indices)
        other = ops.subtract(self.at_updates(absent, indices), updates)
        paired = ops.where(ops.equal(zeros, ops.full_like(zeros, 2)), other, zero)
        return ops.where(
            vanishes,
            ops.multiply(product, ops.where(ops.equal(zeros, one), one, paired)),
            ops.multiply(ops.divide(product, factors), vanished),
        )

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        x, updates, *indices = node.inputs
        slope = ops.multiply(self.at_updates(g, indices), self.others(x, updates, indices))
        return (apply(self, g, updates, *indices)[0], slope, *[None] * self.count)

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        x, updates, *indices = node.inputs
        tx, tu = tangents[:2]
        moved = None if tx is None else apply(self, tx, updates, *indices)[0]
        if tu is None:
            return (moved,)
        part = ops.multiply(tu, self.others(x, updates, indices))
        return (self.added(ops.zeros_like(x) if moved is None else moved, part, indices),)


class ScatterExtremum(ScatterOp):
    """NaN wins; all that are equal to the result share its gradient."""

    kinds = "buif"

    def shares(self, node: Node) -> tuple[Value, Value, Value]:
        """Where x and where the updates equal the result, and how many there are that do."""
        x, updates, *indices = node.inputs
        out = node.outputs[0]
        kept = ops.equal(x, out)
        chosen = ops.equal(updates, self.at_updates(out, indices))
        count = self.added(ops.astype(kept, x.dtype), ops.astype(chosen, updates.dtype), indices)
        return kept, chosen, count

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        indices = node.inputs[2:]
        kept, chosen, count = self.shares(node)
        share = ops.divide(g, count)
        passed = self.at_updates(share, indices)
        return (
            ops.where(kept, share, ops.zeros_like(share)),
            ops.where(chosen, passed, ops.zeros_like(passed)),
            *[None] * self.count,
        )

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        x, updates, *indices = node.inputs
        if tangents[0] is None and tangents[1] is None:
            return (None,)
        kept, chosen, count = self.shares(node)
        base, added = (
            ops.zeros_like(value) if t is None else ops.where(where, t, ops.zeros_like(value))
            for value, t, where in ((x, tangents[0], kept), (updates, tangents[1], chosen))
        )
        return (ops.divide(self.added(base, added, indices), count),)


class ScatterMax(ScatterExtremum):
    __doc__ = ScatterExtremum.__doc__
    name = "scatter_max"
    kind = "max"
    ufunc = np.maximum
    torch = "amax"
    in_onnx = "max"


class ScatterMin(ScatterExtremum):
    __doc__ = ScatterExtremum.__doc__
    name = "scatter_min"
    kind = "min"
    ufunc = np.minimum
    torch = "amin"
    in_onnx = "min"


def scatter_add(x: Value, updates: Value, indices: Sequence[Value], batches: int = 0) -> Value:
    return apply(ScatterAdd(len(indices), batches), x, updates, *indices)[0]


def scatter_set(x: Value, updates: Value, indices: Sequence[Value], batches: int = 0) -> Value:
    return apply(ScatterSet(len(indices), batches), x, updates, *indices)[0]


def scatter_multiply(x: Value, updates: Value, indices: Sequence[Value], batches: int = 0) -> Value:
    return apply(ScatterMultiply(len(indices), batches), x, updates, *indices)[0]


def scatter_max(x: Value, updates: Value, indices: Sequence[Value], batches: int = 0) -> Value:
    return apply(ScatterMax(len(indices), batches), x, updates, *indices)[0]


def scatter_min(x: Value, updates: Value, indices: Sequence[Value], batches: int = 0) -> Value:
    return apply(ScatterMin(len(indices), batches), x, updates, *indices)[0]
