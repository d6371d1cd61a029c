"""Arguments and results whose leading rows alone count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphc.dtypes import DType, TensorType
from graphc.errors import ArgumentError, ShapeError
from graphc.functions.required import tensor_type
from graphc.ir.site import located

if TYPE_CHECKING:
    from graphc.trace import Leaf


class Axis(NamedTuple):
    """An axis of extent outer · size · inner: places are (o, b, i) in row-major order, and those
    with b below the size count. `outer` is 0 where all places hold the same, whatever their order.
    """

    axis: int
    inner: int
    outer: int = 1

    @property
    def factor(self) -> int:
        return (self.outer or 1) * self.inner


Axes = tuple[Axis, ...]


@dataclass(frozen=True)
class BoundedType:
    """An argument of which some axes have the size `name`, from 1 to `largest`."""

    name: str
    largest: int
    shape: tuple[int | str, ...]
    dtype: DType

    @property
    def axes(self) -> Axes:
        return tuple(Axis(a, 1) for a, extent in enumerate(self.shape) if isinstance(extent, str))

    def at(self, size: int) -> TensorType:
        shape = [size if isinstance(n, str) else n for n in self.shape]
        return tensor_type(shape, self.dtype, "spec")

    def __str__(self) -> str:
        shown = ",".join(
            f"{n}<={self.largest}" if isinstance(n, str) else str(n) for n in self.shape
        )
        return f"{self.dtype.name}[{shown}]"


def described(
    shape: int | Sequence[int | str], dtype: Any, largest: int | None
) -> TensorType | BoundedType:
    """What a spec says. Raises ShapeError for more than one name in the shape, and where there is
    a name without `largest` or the other way round.
    """
    if isinstance(shape, (int, np.integer)):
        shape = (int(shape),)
    named = isinstance(shape, (tuple, list)) and any(isinstance(n, str) for n in shape)
    if largest is None and not named:
        return tensor_type(shape, dtype, "spec")  # type: ignore[arg-type]
    names = {n for n in shape if isinstance(n, str)}
    if len(names) != 1 or not all(n.isidentifier() for n in names):
        raise ShapeError(located(f"spec: one name of a size is required, got {tuple(shape)!r}"))
    if isinstance(largest, bool) or not isinstance(largest, int) or largest < 1:
        raise ShapeError(
            located(
                f"spec({tuple(shape)!r}): max=N, the largest size, is required, got {largest!r}"
            )
        )
    extents = [largest if isinstance(n, str) else n for n in shape]
    plain = tensor_type(extents, dtype, "spec")
    return BoundedType(
        names.pop(),
        largest,
        tuple(n if isinstance(n, str) else e for n, e in zip(shape, plain.shape, strict=True)),
        plain.dtype,
    )


def _shown(shape: Sequence[int | str]) -> str:
    return f"[{','.join(map(str, shape))}]"


@dataclass(frozen=True)
class Bound:
    """The size of a signature, which is the last of its arguments, at `place`, and which callers do
    not give: the leaves that have it say it. `arguments` and `results` are those leaves, by
    position.
    """

    name: str
    largest: int
    place: int
    arguments: Mapping[int, BoundedType]
    results: Mapping[int, Axes]

    def size(self, leaves: Sequence[Any], places: Sequence[Leaf]) -> int:
        """The size that a call's leaves have. Raises ArgumentError naming the first leaf that does
        not fit.
        """
        found: tuple[int, str] | None = None
        for k, kind in self.arguments.items():
            shape = tuple(getattr(leaves[k], "shape", ()))
            given = {shape[a.axis] for a in kind.axes} if len(shape) == len(kind.shape) else set()
            size = min(given, default=0)
            path = places[k].path
            if kind.at(size).shape != shape or not 1 <= size <= self.largest:
                dtype = getattr(leaves[k], "dtype", type(leaves[k]).__name__)
                raise ArgumentError(f"{path}: expected {kind}, got {dtype}{list(shape)}")
            if found is not None and found[0] != size:
                raise ArgumentError(f"{path}: {self.name} is {size}, but {found[0]} in {found[1]}")
            found = size, path
        assert found is not None
        return found[0]

    def fitted(self, leaves: Sequence[Any], places: Sequence[Leaf]) -> list[Any]:
        """The leaves in the shapes of the largest size, and the size behind them. What has fewer
        rows is copied, its last row repeated.
        """
        size = self.size(leaves, places)
        fitted = [*leaves, np.array(size)]
        if size < self.largest:
            for k, kind in self.arguments.items():
                x = leaves[k]
                array = x if isinstance(x, np.ndarray) else np.from_dlpack(x)
                more = {a.axis: self.largest - size for a in kind.axes}
                widths = [(0, more.get(a, 0)) for a in range(array.ndim)]
                fitted[k] = np.pad(array, widths, mode="edge")
        return fitted

    def note(self, k: int) -> str:
        """What of an argument counts, in words; of the size, what it may be."""
        if k in self.arguments:
            return f"of which {_shown(self.arguments[k].shape)} counts"
        return f"from 1 to {self.largest}" if k == self.place else ""

    def result_notes(self, results: Sequence[Leaf]) -> dict[int, str]:
        """What of results counts, in words, by their positions."""
        notes = {}
        for j, axes in self.results.items():
            shape: list[int | str] = list(results[j].type.shape)
            for a in axes:
                shape[a.axis] = self.name if a.factor == 1 else f"{a.factor}*{self.name}"
            notes[j] = f"of which {_shown(shape)} counts"
        return notes

    def rows(self, array: np.ndarray, axes: Axes, size: int) -> np.ndarray:
        """The part of an array that counts, a view."""
        ends = {a.axis: size * a.factor for a in axes}
        return array[(*(slice(ends.get(a)) for a in range(array.ndim)), ...)]

    def cut(self, results: Sequence[np.ndarray], size: int) -> list[np.ndarray]:
        """The parts of results that count, by their positions."""
        return [self.rows(x, self.results.get(j, ()), size) for j, x in enumerate(results)]

    def given(self, leaves: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The opposite of `fitted`."""
        size = int(leaves[-1])
        kinds = self.arguments
        return [
            self.rows(x, kinds[k].axes, size) if k in kinds else x
            for k, x in enumerate(leaves[:-1])
        ]
