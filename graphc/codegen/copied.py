"""A copy of part of an array in working memory of a thread, with zeros where the part lies outside
of the array. Bounds of loops say what lies inside: no element is loaded under a condition.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.codegen.points import Points
from graphc.ir.expr import INDEX, Const, Expr, call, const, index, smaller
from graphc.ir.graph import Value
from graphc.ir.loops import Store
from graphc.ir.spec import Index, Strided


class Copy:
    """Copies channels from `channel` on, of the images of value[n, i…, c] from `image` on, to the
    array `name` from `to` on: part[i…, n, c]. `starts` are the positions of the part's first
    element along the spatial axes.
    """

    def __init__(
        self, points: Points, name: str, part: Strided, value: Value, image: Expr, channel: Expr,
        starts: Sequence[Expr], to: Expr | None = None,
    ):  # fmt: skip
        self.points = points
        self.name = name
        self.part = part
        self.value = value
        self.image = image
        self.channel = channel
        self.starts = starts
        self.to = index(0) if to is None else to

    def write(self, slack: int) -> None:
        """Copies, and puts some zeros behind the part, where a tile may read."""
        self._axis(0, self.to, ())
        end = self.part.shape[0] * self.part.strides[0]
        self.clear(self.to + end, self.to + (end + slack))

    def _axis(self, a: int, at: Expr, position: Index) -> None:
        """The part along the axes from `a` on, at offset `at` of the copy."""
        points = self.points
        if a == len(self.starts):
            images, channels = self.part.shape[a:]
            image = self.image
            if images > 1:
                n = points.loop("n", index(0), index(images))
                image, at = image + n, points.let("at", at + n * channels)
            c = points.loop("c", index(0), index(channels))
            element = points.read(self.value, (image, *position, self.channel + c))
            points.add(Store(self.name, at + c, element))
            points.leave()
            if images > 1:
                points.leave()
            return
        step, span = self.part.strides[a], self.part.shape[a]
        low, high = self._inside(a)
        self.clear(at, at + low * step)
        i = points.loop("i", low, high)
        inner = points.let("at", at + i * step)
        self._axis(a + 1, inner, (*position, self.starts[a] + i))
        points.leave()
        self.clear(at + high * step, at + span * step)

    def _inside(self, a: int) -> tuple[Expr, Expr]:
        """Which positions of the part along an axis lie inside of the array."""
        start, span, extent = self.starts[a], self.part.shape[a], self.value.shape[1 + a]
        if isinstance(start, Const):
            low = min(span, max(0, -start.value))
            return index(low), index(max(low, min(span, extent - start.value)))
        begin = smaller(index(span), call("gx_larger", INDEX, index(0), -start))
        first = self.points.let("low", begin)
        end = smaller(index(span), index(extent) - start)
        return first, self.points.let("high", call("gx_larger", INDEX, first, end))

    def clear(self, begin: Expr, end: Expr) -> None:
        clear(self.points, self.name, self.value, begin, end)


def clear(points: Points, name: str, like: Value, begin: Expr, end: Expr) -> None:
    """Zeros at [begin, end) of an array of the dtype of a value."""
    if isinstance(begin, Const) and isinstance(end, Const) and begin.value >= end.value:
        return
    c = points.loop("c", begin, end)
    points.add(Store(name, c, const(0, like.dtype)))
    points.leave()
