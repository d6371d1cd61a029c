"""Convolution over any number of spatial axes, and its two gradients: one family, closed under
differentiation, because all three are derivatives of the trilinear form

    Σ x[n, i…, g·c] · w[k…, c, g·f] · y[n, o…, g·f],    i = o·stride + k·dilation - padding.

Channels come last. Other layouts are views: `permute` costs nothing, and the scheduler chooses how
arrays lie in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType, float32, float64, int32
from graphc.errors import DTypeError, ShapeError
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.plain import in_numpy as plain
from graphc.ir.python import Dialect
from graphc.ir.site import located
from graphc.ir.spec import Convolve
from graphc.ir.terms import Term
from graphc.ops.geometry import Geometry
from graphc.ops.samples import Refusal, Sample, Source, refuses


@dataclass(frozen=True)
class Shapes:
    """The types of x[n, i…, g·c], w[k…, c, g·f] and y[n, o…, g·f], and how they belong together."""

    x: TensorType
    w: TensorType
    y: TensorType
    geometry: Geometry
    groups: int

    @property
    def inputs(self) -> int:
        """Input channels of a group: the extent of c."""
        return self.w.shape[-2]

    @property
    def outputs(self) -> int:
        """Output channels of a group: the extent of f."""
        return self.w.shape[-1] // self.groups


@dataclass(frozen=True)
class Product(Op):
    """One of the three products: `result` names the array that is computed, the operands are the
    other two, in the order x, w, y.
    """

    result: ClassVar[str]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int

    def operands(self) -> str:
        return "xwy".replace(self.result, "")

    def shapes(self, *types: TensorType) -> Shapes:
        """All three types; raises ShapeError or DTypeError for operands that do not fit."""
        what = f"{self.name}({', '.join(map(str, types))}, groups={self.groups})"
        if any(t.ndim != len(self.strides) + 2 for t in types):
            raise ShapeError(located(f"{what}: {len(self.strides) + 2} axes required"))
        if types[0].dtype is not types[1].dtype or not types[0].dtype.is_float:
            raise DTypeError(located(f"{what}: required one float dtype"))
        shapes = self.completed(what, *types)
        x, w, y, geometry = shapes.x.shape, shapes.w.shape, shapes.y.shape, shapes.geometry
        geometry.check(x[1:-1], what)
        if self.groups < 1 or w[-1] % self.groups or x[-1] != w[-2] * self.groups:
            raise ShapeError(
                located(f"{what}: {x[-1]} channels do not fit {self.groups} groups of {w[-2]}")
            )
        required = (x[0], *geometry.windows(x[1:-1]), w[-1])
        if y != required:
            raise ShapeError(located(f"{what}: y of shape {required} required, got {y}"))
        return shapes

    def completed(self, what: str, *types: TensorType) -> Shapes:
        """The types of all three arrays, not yet checked."""
        raise TypeError

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (getattr(self.shapes(*types), self.result),)

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        wide = [a.astype(np.float64) for a in arrays]
        with np.errstate(all="ignore"):
            return self.in_numpy(*wide, *self.settings).astype(arrays[0].dtype)

    #: The product in NumPy, and what follows its operands.
    in_numpy: ClassVar[Callable[..., np.ndarray]]

    @property
    def settings(self) -> tuple[Any, ...]:
        return (self.strides, self.padding, self.dilation, self.groups)

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term | None:
        """PyTorch knows at most three axes."""
        if not to.is_numpy and len(self.strides) > 3:
            return None
        return to.plain(self.name, *operands, *[Term(str(v)) for v in self.settings])

    def flops(self, *types: TensorType) -> int:
        shapes = self.shapes(*types)
        return 2 * shapes.y.size * shapes.inputs * math.prod(shapes.geometry.kernel)

    def spec(self, *types: TensorType) -> Convolve:
        return Convolve(self.result, self.strides, self.padding, self.dilation, self.groups)

    def other(self, result: str, like: Value, **operands: Value) -> Value:
        """The member of the family that computes `result`, of the shape of `like`."""
        settings = (self.strides, self.padding, self.dilation, self.groups)
        spatial = like.shape[:-2] if result == "w" else like.shape[1:-1]
        op = {"x": ConvInputGrad, "w": ConvWeightGrad}.get(result)
        chosen = Conv(*settings) if op is None else op(*settings, spatial)
        return apply(chosen, *[operands[v] for v in chosen.operands()])[0]

    def vjp(self, node: Node, g: Value) -> Sequence[Value | None]:
        names = self.operands()
        known = dict(zip(names, node.inputs, strict=True)) | {self.result: g}
        return [self.other(v, node.inputs[k], **known) for k, v in enumerate(names)]

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        terms = []
        for k, t in enumerate(tangents):
            if t is not None:
                moved = [t if j == k else v for j, v in enumerate(node.inputs)]
                terms.append(apply(self, *moved)[0])
        return (ops.add_all(terms),)

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        """With the same weights, images of all batches are images of one; else every batch is a
        part of the groups.
        """
        names = self.operands()
        if self.result != "w" and not batched[names.index("w")]:
            count = inputs[1 - names.index("w")].shape[1]
            merged = [
                v if name == "w" else ops.reshape(v, (size * count, *v.shape[2:]))
                for name, v in zip(names, inputs, strict=True)
            ]
            result = apply(self, *merged)[0]
            return (ops.reshape(result, (size, count, *result.shape[1:])),), (True,)
        wide = [_to_channels(v) for v in ops.batch_all(size, inputs, batched)]
        result = apply(replace(self, groups=self.groups * size), *wide)[0]
        return (_from_channels(result, size),), (True,)

    @classmethod
    def cases(cls) -> Iterator[tuple[str, tuple, tuple, dict]]:
        """Shapes of x and w, and settings, that are worth a sample of each member of the family."""
        yield "ordinary", (2, 5, 6, 3), (3, 2, 3, 4), {}
        yield "padded", (2, 4, 5, 2), (3, 3, 2, 3), {"padding": ((1, 1), (2, 0))}
        strided = {"strides": (2, 3), "padding": ((1, 0), (0, 1)), "dilation": (1, 2)}
        yield "strided and dilated", (2, 6, 9, 2), (2, 3, 2, 3), strided
        yield "one axis", (2, 7, 3), (3, 3, 2), {"strides": (2,)}
        yield "three axes", (1, 3, 4, 3, 2), (2, 2, 1, 2, 2), {}
        yield "groups", (2, 4, 4, 6), (2, 2, 3, 4), {"groups": 2, "padding": ((0, 1), (1, 0))}
        yield "depthwise", (1, 4, 5, 3), (3, 3, 1, 6), {"groups": 3, "padding": ((1, 1), (1, 1))}
        yield "one tap", (3, 4, 4, 20), (1, 1, 20, 5), {}
        yield "no images", (0, 4, 2), (2, 2, 3), {}
        yield "no channels", (1, 4, 0), (2, 0, 3), {}

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for note, x, w, settings in cls.cases():
            d = len(x) - 2
            strides = settings.get("strides", (1,) * d)
            padding = settings.get("padding", ((0, 0),) * d)
            dilation = settings.get("dilation", (1,) * d)
            given = (strides, padding, dilation, settings.get("groups", 1))
            (y,) = Conv(*given).infer(TensorType(x, float64), TensorType(w, float64))
            shapes = {"x": x, "w": w, "y": y.shape}
            spatial = {"x": (x[1:-1],), "w": (w[:-2],), "y": ()}[cls.result]
            op = cls(*given, *spatial)
            for dtype in (float32, float64):
                arrays = tuple(source.floats(shapes[v], dtype) for v in op.operands())
                yield Sample(f"{note} {dtype}", op, arrays, True)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        spatial = {"x": ((5,),), "w": ((2,),), "y": ()}[cls.result]
        shapes = {"x": (1, 5, 4), "w": (2, 2, 6), "y": (1, 4, 6)}
        op = cls((1,), ((0, 0),), (1,), 2, *spatial)

        def given(dtype=float32, **changed: tuple[int, ...]) -> list[tuple]:
            return [((shapes | changed)[v], dtype) for v in op.operands()]

        yield refuses(op, DTypeError, "one float dtype", *given(int32))
        yield refuses(op, ShapeError, "3 axes required", *given(x=(5, 4), w=(2, 6), y=(4, 6)))
        bad = cls((1, 1), ((0, 0),), (1,), 2, *spatial)
        wide = {"x": (1, 5, 5, 4), "w": (2, 2, 2, 6), "y": (1, 4, 4, 6)}
        yield refuses(bad, ShapeError, "axes required", *given(**wide))
        yield refuses(replace(op, groups=4), ShapeError, "do not fit 4 groups", *given(w=(2, 3, 6)))


def _channels_first(to: Builder, x: str, d: int) -> str:
    return to.node("Transpose", x, perm=[0, d + 1, *range(1, d + 1)])


def _channels_last(to: Builder, x: str, d: int) -> str:
    return to.node("Transpose", x, perm=[0, *range(2, d + 2), 1])


class Conv(Product):
    """y of x and w: the convolution (in the sense of neural networks: the kernel is not flipped)
    with strides, padding by zeros, dilation and groups.
    """

    name = "conv"
    result = "y"
    in_numpy = staticmethod(plain.conv)

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        d = len(self.strides)
        x, w = operands
        w = to.node("Transpose", w, perm=[d + 1, d, *range(d)])
        pads = [pair[side] for side in (0, 1) for pair in self.padding]
        sizes = {"strides": self.strides, "dilations": self.dilation, "group": self.groups}
        y = to.node("Conv", _channels_first(to, x, d), w, **sizes, pads=pads)
        return (_channels_last(to, y, d),)

    def completed(self, what: str, *types: TensorType) -> Shapes:
        x, w = types
        geometry = Geometry(w.shape[:-2], self.strides, self.padding, self.dilation)
        geometry.check(x.shape[1:-1], what)
        y = x.with_shape((x.shape[0], *geometry.windows(x.shape[1:-1]), w.shape[-1]))
        return Shapes(x, w, y, geometry, self.groups)


@dataclass(frozen=True)
class ConvInputGrad(Product):
    """x of w and y, for x of spatial `extents`: the transposed convolution."""

    name = "conv_input_grad"
    result = "x"
    in_numpy = staticmethod(plain.conv_input_grad)
    extents: tuple[int, ...]

    @property
    def settings(self) -> tuple[Any, ...]:
        return (self.extents, *super().settings)

    def completed(self, what: str, *types: TensorType) -> Shapes:
        w, y = types
        if min(self.extents, default=0) < 0:
            raise ShapeError(
                located(f"{what}: extents >= 0 required of the result, got {self.extents}")
            )
        geometry = Geometry(w.shape[:-2], self.strides, self.padding, self.dilation)
        x = y.with_shape((y.shape[0], *self.extents, w.shape[-2] * self.groups))
        return Shapes(x, w, y, geometry, self.groups)

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        """Everything that a window meets, and zeros where it ends before the padded x."""
        d = len(self.strides)
        w, y = operands
        reach = [
            (o - 1) * s + (k - 1) * e + 1
            for o, s, k, e in zip(
                types[1].shape[1:-1], self.strides, types[0].shape, self.dilation, strict=False
            )
        ]
        w = to.node("Transpose", w, perm=[d + 1, d, *range(d)])
        sizes = {"strides": self.strides, "dilations": self.dilation, "group": self.groups}
        x = to.node("ConvTranspose", _channels_first(to, y, d), w, **sizes)
        ends = zip(self.extents, self.padding, reach, strict=True)
        more = [max(0, before + n - r) for n, (before, _), r in ends]
        x = to.node("Pad", x, to.constant([0] * (d + 4) + more))
        begins = [before for before, _ in self.padding]
        stops = [b + n for b, n in zip(begins, self.extents, strict=True)]
        x = to.node("Slice", x, *map(to.constant, (begins, stops, list(range(2, d + 2)))))
        return (_channels_last(to, x, d),)


@dataclass(frozen=True)
class ConvWeightGrad(Product):
    """w of x and y, for w of spatial `extents`."""

    name = "conv_weight_grad"
    result = "w"
    in_numpy = staticmethod(plain.conv_weight_grad)
    extents: tuple[int, ...]

    @property
    def settings(self) -> tuple[Any, ...]:
        return (self.extents, *super().settings)

    def completed(self, what: str, *types: TensorType) -> Shapes:
        x, y = types
        geometry = Geometry(self.extents, self.strides, self.padding, self.dilation)
        channels = x.shape[-1] // max(1, self.groups)
        w = x.with_shape((*self.extents, channels, y.shape[-1]))
        return Shapes(x, w, y, geometry, self.groups)


def _to_channels(v: Value) -> Value:
    """[b, …, c] as […, b·c]."""
    order = (*range(1, len(v.shape) - 1), 0, len(v.shape) - 1)
    return ops.reshape(ops.permute(v, order), (*v.shape[1:-1], v.shape[0] * v.shape[-1]))


def _from_channels(v: Value, size: int) -> Value:
    """[…, b·c] as [b, …, c]."""
    split = ops.reshape(v, (*v.shape[:-1], size, v.shape[-1] // size))
    last = len(split.shape) - 2
    return ops.permute(split, (last, *range(last), last + 1))


def conv(
    x: Value,
    w: Value,
    strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    groups: int = 1,
) -> Value:
    """y[n, o…, g·f] of x[n, i…, g·c] and w[k…, c, g·f]."""
    return apply(Conv(strides, padding, dilation, groups), x, w)[0]


def conv_transpose(
    w: Value,
    y: Value,
    extents: tuple[int, ...],
    strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    groups: int = 1,
) -> Value:
    """x[n, i…, g·c] of spatial extents i…, of w[k…, c, g·f] and y[n, o…, g·f]: the gradient of the
    convolution that makes y of x, as an operator of its own.
    """
    return apply(ConvInputGrad(strides, padding, dilation, groups, extents), w, y)[0]
