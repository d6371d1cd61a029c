"""The operators' own samples, for lines of random graphs: `applied("gather", 3, v1, i2)`."""

from __future__ import annotations

from functools import cache

import numpy as np

from graphc.ir.graph import apply
from graphc.ops.samples import Sample
from graphc.tensor import Tensor
from tests.ops.cases import OPERATORS

#: Larger values would lose too many digits to compare results.
LARGEST = 200.0
#: Elements of the largest array of a sample that takes part.
_ELEMENTS = 5_000


@cache
def samples(name: str) -> tuple[Sample, ...]:
    """The samples of an operator that a graph can hold: finite and tame."""
    operator = next(op for op in OPERATORS if op.name == name)
    return tuple(s for s in operator.samples() if all(map(_tame, s.arrays)))


def applied(name: str, number: int, *operands: Tensor) -> Tensor | list[Tensor]:
    """The application that is `number` among an operator's samples, on other operands."""
    results = apply(samples(name)[number].op, *[x.value for x in operands])
    tensors = [Tensor(v) for v in results]
    return tensors if len(tensors) > 1 else tensors[0]


def _tame(array: np.ndarray) -> bool:
    if array.size > _ELEMENTS:
        return False
    return array.dtype.kind != "f" or bool((np.abs(array) < LARGEST).all())
