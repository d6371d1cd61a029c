"""A case under construction: every line is tried out, and kept only if its values stay tame."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

import graphc as gx
from graphc.errors import NotDifferentiableError, ShapeError
from tests.fuzz.case import Case, Line
from tests.fuzz.samples import LARGEST

#: Elements of the largest array.
ELEMENTS = 60_000
_EXTENTS = (1, 2, 3, 4, 5, 7, 8, 12, 13, 16, 17, 31, 33, 64, 67)
_LONG = (130, 257, 300, 1031, 1600, 4100, 5003, 17000)


@dataclass(frozen=True)
class Known:
    """A value of the draft. `exact`: made without rounding, so that it may be compared and ranked;
    `smooth`: a differentiable function of the float arguments, as far as they matter to it.
    """

    name: str
    tensor: gx.Tensor
    array: np.ndarray
    exact: bool
    smooth: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def is_float(self) -> bool:
        return self.array.dtype.kind == "f"


class Draft:
    def __init__(self, seed: int):
        self.seed = seed
        self.rng = np.random.default_rng(seed)
        self.dtype = "float64" if self.rng.random() < 0.6 else "float32"
        self.known: list[Known] = []
        self.arguments: dict[str, np.ndarray] = {}
        self.lines: list[Line] = []
        #: Names from whose values a name is computed.
        self.behind: dict[str, set[str]] = {}
        count = int(self.rng.integers(2, 5))
        self.extents = [int(x) for x in self.rng.choice(_EXTENTS, count)]
        if self.chance(0.12):
            self.extents[0] = int(self.rng.choice(_LONG))
        if self.chance(0.04):
            self.extents[-1] = 0

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, options: Sequence):
        return options[int(self.rng.integers(len(options)))]

    def shape(self, low: int = 0, high: int = 4) -> tuple[int, ...]:
        ndim = int(self.rng.choice([0, 1, 2, 3, 4], p=[0.05, 0.2, 0.4, 0.25, 0.1]))
        shape = [self.pick(self.extents) for _ in range(min(max(ndim, low), high))]
        while math.prod(shape) > ELEMENTS:
            shape[int(np.argmax(shape))] = self.pick((1, 2, 3))
        return tuple(shape)

    def argument(self, shape: Sequence[int], dtype: str | None = None, high: int = 5) -> Known:
        """A new argument: bounded floats, truth values, or integers from 0 to `high` - 1."""
        dtype = dtype or self.dtype
        if dtype == "bool":
            array = self.rng.random(tuple(shape)) < 0.5
        elif dtype.startswith("float"):
            array = self.rng.uniform(-2, 2, tuple(shape)).astype(dtype)
        else:
            array = self.rng.integers(0, max(1, high), tuple(shape)).astype(dtype)
        return self.given(np.asarray(array))

    def given(self, array: np.ndarray) -> Known:
        """A new argument with these values."""
        name = f"i{len(self.arguments)}"
        tensor = gx.input(name, array.shape, array.dtype)
        self.arguments[name] = array
        known = Known(name, tensor, array, True, True)
        self.known.append(known)
        self.behind[name] = set()
        return known

    def choose(self, fits=lambda k: True, late: float = 0.6) -> Known | None:
        """A value that fits; with some probability a late one."""
        found = [k for k in self.known if fits(k)]
        if not found:
            return None
        return self.pick(found[-4:]) if self.chance(late) else self.pick(found)

    def floats(self, fits=lambda k: True, late: float = 0.6) -> Known | None:
        """A value of the case's own float dtype."""
        return self.choose(lambda k: k.array.dtype == self.dtype and fits(k), late)

    def emit(
        self, text: str, count: int = 1, exact: bool = False, smooth: bool = True
    ) -> list[Known]:
        """Adds a line, if its values are tame. `exact` and `smooth` hold for the expression; its
        operands count too.
        """
        start = sum(len(line.targets) for line in self.lines)
        line = Line(tuple(f"v{start + k}" for k in range(count)), text)
        operands = [k for k in self.known if k.name in line.uses]
        names = {k.name: k.tensor for k in operands}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                line.run(names)
            except (NotDifferentiableError, ShapeError):
                # No derivative, or a window larger than what it goes over: no line.
                return []
            tensors = [names[t] for t in line.targets]
            if any(t.size > ELEMENTS for t in tensors):
                return []
            arrays = gx.evaluate(tensors, {k.tensor: k.array for k in self.known})
        for array in arrays:
            if array.dtype.kind == "f" and array.size:
                size = np.abs(array).max()
                if not size < LARGEST:
                    return []
        self.lines.append(line)
        exact = exact and all(k.exact for k in operands)
        smooth = smooth and all(k.smooth for k in operands)
        made = [
            Known(t, tensor, array, exact or array.dtype.kind != "f", smooth)
            for t, tensor, array in zip(line.targets, tensors, arrays, strict=True)
        ]
        for known in made:
            behind = {known.name}
            for k in operands:
                behind |= {k.name} | self.behind[k.name]
            self.behind[known.name] = behind - {known.name}
        self.known.extend(made)
        return made

    def finish(self) -> Case:
        """Chooses results, and new values for some arguments."""
        made = [k for k in self.known if k.name not in self.arguments] or self.known
        used = {name for line in self.lines for name in line.uses}
        ends = [k.name for k in made if k.name not in used] or [made[-1].name]
        results = [name for name in ends if self.chance(0.7)] or ends[-1:]
        results += [self.pick(made).name for _ in range(int(self.rng.integers(0, 3)))]
        if self.chance(0.15):
            results.append(self.pick(self.known).name)
        if self.chance(0.1):
            results.append(results[0])
        state = []
        if self.chance(0.5):
            olds = [k for k in self.known if k.name in self.arguments and self.chance(0.6)]
            for old in olds:
                alike = [
                    k
                    for k in self.known
                    if k.shape == old.shape and k.array.dtype == old.array.dtype
                ]
                others = [k for k in alike if k is not old] or alike
                state.append((old.name, self.pick(others if self.chance(0.85) else alike).name))
        arrays = dict(self.arguments)
        case = Case(f"seed {self.seed}", arrays, tuple(self.lines), tuple(results), tuple(state))
        case = case.pruned()
        left = {name for line in case.lines for name in line.targets}
        smooth = [k.name for k in made if k.name in left and k.smooth and k.array.dtype == "f8"]
        return replace(case, smooth=tuple(smooth[-3:]))
