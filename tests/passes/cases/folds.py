"""Cases for the laws of reductions."""

from __future__ import annotations

from graphc import ops
from graphc.dtypes import float32, int32, int64
from graphc.ops.laws import folds as laws
from graphc.ops.reduction import Max

from . import fires, rows, shaped, silent, strict

UNIT = (2, 1, 3)
fires(
    laws.fold_of_one,
    shaped(UNIT, then=lambda x: ops.max(x, (1,))),
    shaped(UNIT, then=lambda x: ops.prod(x, (1,))),
    shaped(UNIT, then=strict(Max(()))),
    dtypes=(float32, int32),
)
fires(laws.fold_of_one, shaped((2, 1), then=lambda x: ops.sum(x, (1,))), dtypes=(int32, int64))
silent(laws.fold_of_one, shaped(UNIT, then=lambda x: ops.max(x, (1, 2))))
fires(
    laws.sum_of_zeros,
    lambda i: ops.sum(ops.full((2, 3), 0, i.dtype), (1,)),
    lambda i: ops.sum(ops.full((2, 0), 0, i.dtype), (1,)),
    dtypes=(float32, int32),
)
silent(laws.sum_of_zeros, lambda i: ops.sum(ops.full((2, 3), 1, i.dtype), (1,)))
fires(
    laws.extremum_of_repetitions,
    shaped((3,), then=lambda x: ops.max(rows(x), (0,))),
    shaped((3,), then=lambda x: ops.min(rows(x), (1,))),
    shaped((3,), then=lambda x: ops.max(rows(x), (0, 1))),
    shaped((2, 1), then=lambda x: ops.max(ops.broadcast(x, (2, 4)), (1,))),
    shaped((2, 1), then=lambda x: ops.max(ops.broadcast(x, (2, 4)), (0,))),
    shaped((), then=lambda x: ops.max(ops.broadcast(x, (2, 4)), (0,))),
)
silent(laws.extremum_of_repetitions, shaped((3,), then=lambda x: ops.sum(rows(x), (0,))))
