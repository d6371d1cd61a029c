"""Order along an axis: argsort, sort, top_k, searchsorted. NaN is greater than every number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc import ops
from graphc.dtypes import ALL, TensorType, bool_, float64, int64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.expr import INDEX, Expr, Load, Var, binary, cast, index, logical, select
from graphc.ir.graph import Value, apply
from graphc.ir.loops import Assign, Declare, Do, For, Let, Stmt, Store, While
from graphc.ir.onnx_graph import Builder
from graphc.ir.plain import in_numpy as plain
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Nest, NestIO, unravel
from graphc.ir.terms import Term
from graphc.ops.families import Discrete
from graphc.ops.nests import ZERO, Lines, counter
from graphc.ops.samples import Refusal, Sample, Source, refuses


@dataclass(frozen=True)
class Argsort(Discrete):
    """The positions (int64) of the elements of every line along `axis` in ascending order, or in
    descending order. Equal elements (as -0.0 and 0.0 are) stay in their order; NaN is the greatest.
    """

    name = "argsort"
    axis: int
    descending: bool = False

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        if not 0 <= self.axis < x.ndim:
            raise ShapeError(located(f"argsort({x}, axis={self.axis}): no such axis"))
        return (x.with_dtype(int64),)

    def reference(self, x: np.ndarray) -> np.ndarray:
        missing = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
        # Ranks of the values, so that descending order is ascending order of their negatives.
        _, ranks = np.unique(x, return_inverse=True)
        ranks = ranks.reshape(x.shape)
        ranks = np.where(missing, ranks.size, ranks)
        return np.argsort(-ranks if self.descending else ranks, self.axis, kind="stable")

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        if not to.is_numpy:
            order = {"descending": True} if self.descending else {}
            return to.function("argsort", *operands, **to.axis(self.axis), stable=True, **order)
        if self.descending:
            return to.plain("argsort_descending", *operands, Term(str(self.axis)))
        return to.function("argsort", *operands, **to.axis(self.axis), kind="'stable'")

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        (x,) = operands
        if types[0].dtype.kind in "bu":
            x = to.cast(x, int64)
        count = to.constant([types[0].shape[self.axis]])
        return (to.several("TopK", 2, x, count, axis=self.axis, largest=int(self.descending))[1],)

    def spec(self, x: TensorType) -> Nest:
        lines = Lines(x, self.axis)
        n = lines.extent

        def body(io: NestIO) -> list[Stmt]:
            at, k, j = lines.of(io), counter(io), counter(io)
            keys, order, spare = io.scratch
            sort = f"gx_argsort_{x.dtype.suffix}"
            return [
                For(k, ZERO, index(n), [Store(keys, k, io.read(0, at(k)))]),
                Do(sort, (keys, index(n), index(int(self.descending)), order, spare)),
                For(j, ZERO, index(n), [io.write(0, at(j), Load(int64, order, j))]),
            ]

        steps = 4 * n * max(1, n.bit_length())
        return Nest(lines.count, body, steps, ((x.dtype, n), (int64, n), (int64, n)))

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return apply(Argsort(self.axis + 1, self.descending), inputs[0]), (True,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for dtype in ALL:
            for descending in (False, True):
                note = f"{'descending' if descending else 'ascending'} {dtype}"
                yield Sample(note, cls(1, descending), (source.array((3, 40), dtype),))
        for shape, axis in (((37, 2), 0), ((2, 7, 3), 1), ((1,), 0), ((0, 3), 1), ((3, 0), 1)):
            yield Sample(f"{shape} along {axis}", cls(axis), (source.array(shape, float64),))
        yield Sample("long", cls(0), (source.array((5000,), int64),))
        values = np.array([np.nan, 0.0, -0.0, np.inf, -np.inf, 1.0, np.nan, 0.0, -1.0, -0.0])
        for descending in (False, True):
            yield Sample(f"special, {descending=}", cls(0, descending), (values,))

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        yield refuses(cls(1), ShapeError, "no such axis", ((3,), float64))


@dataclass(frozen=True)
class Searchsorted(Discrete):
    """For ascending rows [b…, n] and values [b…, m…], how many elements (int64) of the row come
    before each value: those that are less, and for `side` "right" also the equal ones.
    """

    name = "searchsorted"
    right: bool = False

    def infer(self, row: TensorType, value: TensorType) -> tuple[TensorType, ...]:
        what = f"searchsorted({row}, {value})"
        lead = row.shape[:-1]
        if row.ndim == 0 or value.shape[: len(lead)] != lead:
            raise ShapeError(located(f"{what}: required rows [b…, n] and values [b…, m…]"))
        if row.dtype is not value.dtype:
            raise DTypeError(located(f"{what}: dtypes differ"))
        return (value.with_dtype(int64),)

    def reference(self, row: np.ndarray, value: np.ndarray) -> np.ndarray:
        return plain.searchsorted(row, value, self._side)

    @property
    def _side(self) -> str:
        return "right" if self.right else "left"

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term:
        name = "searchsorted"
        if types[0].dtype is bool_ and not to.is_numpy:
            operands = tuple(to.cast(t, int64) for t in operands)
        if types[0].ndim == 1:
            return to.function(name, *operands, side=repr(self._side))
        return to.plain(name, *operands, Term(repr(self._side)))

    def onnx(
        self, to: Builder, types: Sequence[TensorType], *operands: str
    ) -> Sequence[str] | None:
        if types[0].dtype is bool_ or types[0].ndim > 1:
            return None
        row, value = operands
        value = to.node("Unsqueeze", value, to.constant([types[1].ndim]))
        before = to.node("LessOrEqual" if self.right else "Less", row, value)
        last = to.constant([types[1].ndim])
        return (to.node("ReduceSum", to.cast(before, int64), last, keepdims=0),)

    def spec(self, row: TensorType, value: TensorType) -> Nest:
        lead = row.ndim - 1

        def body(io: NestIO) -> list[Stmt]:
            at = unravel(io.unit, value.shape)
            wanted = Var(value.dtype, io.fresh("wanted"))
            low, high, middle = (Var(INDEX, io.fresh(name)) for name in ("low", "high", "middle"))
            before = self._before(io.read(0, (*at[:lead], middle)), wanted)
            halve = [
                Let(middle, low + (high - low) // 2),
                Assign(low, select(before, middle + 1, low)),
                Assign(high, select(before, high, middle)),
            ]
            return [
                Let(wanted, io.read(1, at)),
                Declare(low, ZERO),
                Declare(high, index(row.shape[-1])),
                While(low < high, halve),
                io.write(0, at, cast(low, int64)),
            ]

        return Nest(value.size, body, 4 * row.shape[-1].bit_length())

    def _before(self, x: Expr, value: Expr) -> Expr:
        """Whether element x comes before the place of the value; NaN is the greatest."""
        less = x <= value if self.right else x < value
        if not x.dtype.is_float:
            return less
        missing = binary("!=", value, value)
        after = missing if self.right else logical("&&", missing, binary("==", x, x))
        return logical("||", less, after)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        return apply(self, *ops.batch_all(size, inputs, batched)), (True,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for right in (False, True):
            for dtype in ALL:
                row = np.sort(source.array((9,), dtype))
                yield Sample(f"ordinary {dtype}", cls(right), (row, source.array((4, 5), dtype)))
            rows = np.sort(source.array((3, 6), float64))
            yield Sample("batched", cls(right), (rows, source.array((3, 4), float64)))
            for n, shape in ((0, (3,)), (4, ()), (4, (0,)), (1, (1,))):
                arrays = np.sort(source.array((n,), float64)), source.array(shape, float64)
                yield Sample(f"{n} elements, values {shape}", cls(right), arrays)
            values = np.array([-np.inf, -1.0, -0.0, 0.0, 2.0, 2.0, np.inf, np.nan, np.nan])
            yield Sample("special", cls(right), (values, values))

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        yield refuses(cls(), ShapeError, "required rows", ((), float64), ((3,), float64))
        yield refuses(cls(), ShapeError, "required rows", ((2, 3), float64), ((3,), float64))
        yield refuses(cls(), DTypeError, "dtypes differ", ((3,), float64), ((3,), int64))


def argsort(x: Value, axis: int, descending: bool = False) -> Value:
    return apply(Argsort(axis, descending), x)[0]


def sort(x: Value, axis: int, descending: bool = False) -> Value:
    """The elements of every line in order; the derivative follows them to their places."""
    return ops.take_along_axis(x, argsort(x, axis, descending), axis)


def top_k(x: Value, k: int, axis: int) -> tuple[Value, Value]:
    """The k largest elements of every line, descending, and their positions (int64). NaN counts as
    the greatest.
    """
    order = argsort(x, axis, descending=True)
    chosen = ops.part(order, axis, 0, k) if k else _none(order, axis)
    return ops.take_along_axis(x, chosen, axis), chosen


def _none(order: Value, axis: int) -> Value:
    shape = list(order.shape)
    shape[axis] = 0
    return ops.slice(order, (0,) * len(shape), tuple(shape), (1,) * len(shape))


def searchsorted(row: Value, value: Value, right: bool = False) -> Value:
    return apply(Searchsorted(right), row, value)[0]
