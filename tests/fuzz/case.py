"""A random graph as the Python text that builds it: short to print, easy to cut and to replay."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import graphc as gx
from tests.fuzz.samples import applied


@dataclass(frozen=True)
class Line:
    """`targets = text`: names given to the results of one expression."""

    targets: tuple[str, ...]
    text: str

    @property
    def uses(self) -> set[str]:
        return set(re.findall(r"\b[vis]\d+\b", self.text))

    def __str__(self) -> str:
        return f"{', '.join(self.targets)} = {self.text}"

    def run(self, names: dict[str, Any]) -> None:
        result = eval(self.text, {"gx": gx, "applied": applied, **names})
        if len(self.targets) == 1:
            names[self.targets[0]] = result
        else:
            names.update(zip(self.targets, result, strict=True))


@dataclass(frozen=True)
class Case:
    """Arguments by name, the lines that compute from them, what is returned. `state` gives for
    some arguments, which are donated, the name of their new value; `smooth` are the names of values
    whose derivatives can be compared with differences.
    """

    label: str
    arrays: Mapping[str, np.ndarray]
    lines: tuple[Line, ...]
    results: tuple[str, ...]
    state: tuple[tuple[str, str], ...] = ()
    smooth: tuple[str, ...] = ()

    @property
    def state_arrays(self) -> list[np.ndarray]:
        return [np.array(self.arrays[old], order="C") for old, _ in self.state]

    @property
    def other_names(self) -> list[str]:
        donated = {old for old, _ in self.state}
        return [name for name in self.arrays if name not in donated]

    @property
    def other_arrays(self) -> list[np.ndarray]:
        return [self.arrays[name] for name in self.other_names]

    @property
    def precision(self) -> str:
        """The least precise dtype through which results may have come."""
        single = any(a.dtype == np.float32 for a in self.arrays.values())
        single = single or any("float32" in line.text for line in self.lines)
        return "float32" if single else "float64"

    def build(self, state: Sequence[Any], others: Sequence[Any]) -> tuple[list, list]:
        """(new state, results) as tensors, from the arguments as tensors."""
        names: dict[str, Any] = dict(zip(self.other_names, others, strict=True))
        names.update({old: x for (old, _), x in zip(self.state, state, strict=True)})
        for line in self.lines:
            line.run(names)
        return [names[new] for _, new in self.state], [names[name] for name in self.results]

    def pruned(self) -> Case:
        """Without the lines and arguments that no result needs."""
        needed = {*self.results, *[n for pair in self.state for n in pair], *self.smooth}
        lines: list[Line] = []
        for line in reversed(self.lines):
            if needed.intersection(line.targets):
                needed |= line.uses
                lines.append(line)
        arrays = {k: v for k, v in self.arrays.items() if k in needed}
        return replace(self, lines=tuple(reversed(lines)), arrays=arrays)

    def given(self, line: Line, values: Mapping[str, np.ndarray]) -> Case:
        """With the results of a line as arguments."""
        arrays = {**self.arrays, **{name: values[name] for name in line.targets}}
        lines = tuple(other for other in self.lines if other is not line)
        return replace(self, arrays=arrays, lines=lines).pruned()

    def __str__(self) -> str:
        arguments = [f"# {k}: {v.dtype}{list(v.shape)}" for k, v in self.arrays.items()]
        state = [f"# donated: {old} becomes {new}" for old, new in self.state]
        ends = f"# returned: {', '.join(self.results)}"
        return "\n".join([*arguments, *map(str, self.lines), *state, ends])
