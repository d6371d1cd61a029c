"""The case list: every operator of `graphc.ops` with its samples.

Tests are parametrised by operator, not by sample, so that whoever compiles can put all samples of
one operator, with their gradients, into one program: `Program.of(operator)` is that program.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

import graphc.control
import graphc.ops
from graphc.autodiff.reverse import grad
from graphc.dtypes import TensorType, as_dtype, float32
from graphc.ir.graph import Graph, Input, Op, Value, apply, new_input
from graphc.ops.samples import Sample, Source


def operators() -> list[type[Op]]:
    """All concrete operators, by name."""
    found: dict[str, type[Op]] = {}
    for module in (
        *pkgutil.walk_packages(graphc.ops.__path__, "graphc.ops."),
        *pkgutil.walk_packages(graphc.control.__path__, "graphc.control."),
    ):
        for _, value in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(value, Op) and value.__module__ == module.name:
                name = value.__dict__.get("name")
                if name is not None:
                    assert found.setdefault(name, value) is value, f"two operators named {name}"
    return [found[name] for name in sorted(found)]


OPERATORS = operators()
NAMES = [op.name for op in OPERATORS]


def type_of(array: np.ndarray) -> TensorType:
    return TensorType(array.shape, as_dtype(array.dtype))


@dataclass(frozen=True, eq=False)
class Case:
    """One sample in a graph: input values with their arrays, and the operator's results."""

    sample: Sample
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]

    @classmethod
    def of(cls, sample: Sample) -> Case:
        inputs = tuple(new_input(f"x{k}", type_of(a)) for k, a in enumerate(sample.arrays))
        return cls(sample, inputs, apply(sample.op, *inputs))

    @property
    def arrays(self) -> dict[Value, np.ndarray]:
        return dict(zip(self.inputs, self.sample.arrays, strict=True))

    @property
    def moving(self) -> tuple[Value, ...]:
        """The float inputs."""
        return tuple(v for v in self.inputs if v.dtype.is_float)

    @property
    def float_outputs(self) -> tuple[Value, ...]:
        return tuple(v for v in self.outputs if v.dtype.is_float)

    @property
    def differentiable(self) -> bool:
        return self.sample.smooth and bool(self.moving) and bool(self.float_outputs)


@dataclass(frozen=True, eq=False)
class Program:
    """All samples of one operator as one graph: results, then the gradients of smooth samples."""

    arrays: dict[Value, np.ndarray]
    outputs: tuple[Value, ...]
    #: What each output is, for messages.
    labels: tuple[str, ...]

    @classmethod
    def of(cls, operator: type[Op]) -> Program:
        arrays: dict[Value, np.ndarray] = {}
        outputs: list[Value] = []
        labels: list[str] = []
        for case in map(Case.of, operator.samples()):
            arrays |= case.arrays
            outputs += case.outputs
            labels += [str(case.sample)] * len(case.outputs)
            if case.differentiable:
                weights, values = weighted(case.float_outputs)
                arrays |= values
                for k, value in enumerate(grad(case.float_outputs, case.moving, weights)):
                    if value is not None:
                        outputs.append(value)
                        labels.append(f"{case.sample}, gradient {k}")
        return cls(arrays, tuple(outputs), tuple(labels))

    def rebuilt(self, inputs: Sequence[Value]) -> tuple[Value, ...]:
        """The outputs on other inputs, given in the order of `arrays`."""
        new = dict(zip(self.arrays, inputs, strict=True))
        graph = Graph(tuple(self.arrays), self.outputs)
        for node in graph.nodes:
            if not isinstance(node.op, Input):
                moved = node.with_inputs(tuple(new[v] for v in node.inputs))
                new.update(zip(node.outputs, moved.outputs, strict=True))
        return tuple(new[v] for v in self.outputs)


def weighted(outputs: Sequence[Value]) -> tuple[list[Value], dict[Value, np.ndarray]]:
    """A cotangent for each output, as an input with its array."""
    source = Source("weights")
    weights = [new_input(f"w{k}", v.type) for k, v in enumerate(outputs)]
    return weights, {w: source.floats(w.shape, w.dtype, (-1.0, 1.0)) for w in weights}


def smooth_cases(operator: type[Op]) -> Iterator[Case]:
    """The samples whose derivatives can be compared with finite differences: those in double."""
    for case in map(Case.of, operator.samples()):
        single = any(v.dtype is float32 for v in (*case.inputs, *case.outputs))
        if case.differentiable and not single:
            yield case
