"""Every operator with every axis of its samples as the open size: refused, or right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import graphc as gx
from graphc import reference
from graphc.errors import GraphcError
from graphc.ir.graph import apply
from graphc.tensor import Tensor
from tests.compiled.checking import assert_same
from tests.ops.cases import NAMES, OPERATORS, type_of

#: Samples of an operator that are tried, and choices of axes for each.
_SAMPLES, _CHOICES = 7, 10


def choices(sample):
    """Sets of axes of equal extents, as (operand, axis)."""
    axes = [(k, a) for k, x in enumerate(sample.arrays) for a in range(x.ndim)]
    for extent in sorted({sample.arrays[k].shape[a] for k, a in axes} - {0, 1}):
        equal = [(k, a) for k, a in axes if sample.arrays[k].shape[a] == extent]
        for count in range(len(equal), 0, -1):
            yield from ((extent, chosen) for chosen in itertools.combinations(equal, count))


def opened(arrays, chosen, largest):
    """Specs of the arrays, of which some axes are open."""
    for k, x in enumerate(arrays):
        shape = tuple("B" if (k, a) in chosen else n for a, n in enumerate(x.shape))
        bounded = any(isinstance(n, str) for n in shape)
        yield gx.spec(shape, x.dtype, max=largest if bounded else None)


def parts(arrays, chosen, size):
    for k, x in enumerate(arrays):
        cut = tuple(slice(size) if (k, a) in chosen else slice(None) for a in range(x.ndim))
        yield np.ascontiguousarray(x[cut]).reshape(x[cut].shape)


def evaluated(traced, arrays):
    """The results at the size of some arrays, NaN standing in the rows that do not count."""
    bound = traced.signature.bound
    fitted = bound.fitted(arrays, traced.signature.arguments)
    size = int(fitted[-1])
    for k, kind in bound.arguments.items():
        if size < bound.largest and fitted[k].dtype.kind == "f":
            whole = np.full_like(fitted[k], np.nan)
            bound.rows(whole, kind.axes, size)[...] = arrays[k]
            fitted[k] = whole
    given = dict(zip(traced.graph.inputs, fitted, strict=True))
    return bound.cut(reference.evaluate(traced.graph, given), size)


def accepted(operator):
    """How many choices of axes are not refused; each of them has to be right at every size."""
    count = 0
    for sample in itertools.islice(operator.samples(), _SAMPLES):

        def fn(*tensors, op=sample.op):
            return [Tensor(v) for v in apply(op, *[t.value for t in tensors])]

        for largest, chosen in itertools.islice(choices(sample), _CHOICES):
            try:
                traced = gx.trace(fn, *opened(sample.arrays, chosen, largest))
            except GraphcError:
                continue
            count += 1
            for size in range(1, largest + 1):
                arrays = list(parts(sample.arrays, chosen, size))
                try:
                    sample.op.infer(*map(type_of, arrays))
                except GraphcError:
                    continue
                with np.errstate(all="ignore"):
                    results = sample.op.reference(*arrays)
                    got = evaluated(traced, arrays)
                results = results if isinstance(results, tuple) else (results,)
                want = [np.asarray(x) for x in results]
                assert_same(got, want, 1e-4, f"{sample}, {chosen} of {size} of {largest},")
    return count


@pytest.mark.parametrize("operator", OPERATORS, ids=NAMES)
@pytest.mark.filterwarnings("ignore")
def test_an_open_axis_is_refused_or_right(operator):
    accepted(operator)


@pytest.mark.filterwarnings("ignore")
def test_enough_is_not_refused():
    known = dict(zip(NAMES, OPERATORS, strict=True))
    for name in ("add", "sum", "argmax", "matmul", "conv", "gather", "scatter_add", "max_pool"):
        assert accepted(known[name]) > 0, name
