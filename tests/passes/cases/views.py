"""Cases for the laws of views."""

from __future__ import annotations

from graphc import ops
from graphc.ops.laws import views as laws
from graphc.ops.shape import Broadcast, Permute, Reshape
from graphc.ops.slicing import Slice

from . import fires, rows, shaped, silent, strict

fires(
    laws.reshape_last,
    shaped((4, 5), then=lambda x: ops.exp(ops.reshape(x, (4, 5, 1)))),
    shaped((4, 1), (4, 1), then=lambda *x: ops.add(*[ops.reshape(v, (4,)) for v in x])),
    shaped((4,), then=lambda x: ops.less(ops.reshape(x, (4, 1)), 1.5)),
    shaped((), then=lambda x: ops.multiply(2.5, ops.reshape(x, (1, 1)))),
)
silent(
    laws.reshape_last,
    shaped((4, 5), then=lambda x: ops.exp(ops.reshape(x, (20,)))),
    shaped((4, 1), (1, 4), then=lambda *x: ops.add(*[ops.reshape(v, (4,)) for v in x])),
    shaped((4, 1), (4,), then=lambda x, y: ops.add(ops.reshape(x, (4,)), y)),
)
fires(laws.reshape_to_the_same, shaped((2, 3), then=strict(Reshape((2, 3)))))
fires(
    laws.reshape_twice,
    shaped((4, 5), then=lambda x: ops.reshape(ops.reshape(x, (2, 10)), (20,))),
    shaped((4, 5), then=lambda x: ops.reshape(ops.reshape(x, (20,)), (4, 5))),
)
fires(
    laws.reshape_of_a_broadcast,
    shaped((), then=lambda x: ops.reshape(ops.broadcast(x, (2, 3)), (6,))),
    shaped((3,), then=lambda x: ops.reshape(ops.broadcast(x, (2, 3)), (2, 1, 3, 1))),
    shaped((3,), then=lambda x: ops.reshape(ops.broadcast(x, (1, 3, 2), (1,)), (3, 2))),
)
silent(
    laws.reshape_of_a_broadcast,
    shaped((3,), then=lambda x: ops.reshape(ops.broadcast(x, (2, 3)), (6,))),
    shaped((3,), then=lambda x: ops.reshape(ops.broadcast(x, (2, 3)), (3, 2))),
)
fires(laws.permute_to_the_same, shaped((2, 3), then=strict(Permute((0, 1)))))
fires(
    laws.permute_twice,
    shaped((2, 3, 4), then=lambda x: ops.permute(ops.permute(x, (1, 2, 0)), (2, 1, 0))),
    shaped((2, 3, 4), then=lambda x: ops.permute(ops.permute(x, (1, 2, 0)), (2, 0, 1))),
)
fires(
    laws.permute_of_ones,
    shaped((2, 1, 3), then=lambda x: ops.permute(x, (1, 0, 2))),
    shaped((1, 1), then=lambda x: ops.permute(x, (1, 0))),
)
silent(laws.permute_of_ones, shaped((2, 1, 3), then=lambda x: ops.permute(x, (2, 1, 0))))
fires(
    laws.permute_of_a_broadcast,
    shaped((3,), then=lambda x: ops.permute(ops.broadcast(x, (2, 3)), (1, 0))),
    shaped((2, 3), then=lambda x: ops.permute(ops.broadcast(x, (2, 4, 3), (0, 2)), (2, 1, 0))),
    shaped((2, 1), then=lambda x: ops.permute(ops.broadcast(x, (2, 4)), (1, 0))),
    shaped((), then=lambda x: ops.permute(ops.broadcast(x, (2, 4)), (1, 0))),
)
fires(
    laws.broadcast_of_nothing_new,
    shaped((3,), then=lambda x: ops.broadcast(x, (1, 3))),
    shaped((3,), then=lambda x: ops.broadcast(x, (3, 1), (0,))),
    shaped((2, 3), then=strict(Broadcast((2, 3), (0, 1)))),
    shaped((0,), then=lambda x: ops.broadcast(x, (1, 0))),
)
silent(laws.broadcast_of_nothing_new, shaped((1,), then=lambda x: ops.broadcast(x, (2,))))
fires(
    laws.broadcast_twice,
    shaped((3,), then=lambda x: rows(rows(x), 2)),
    shaped((1, 3), then=lambda x: ops.broadcast(ops.broadcast(x, (4, 3)), (4, 2, 3), (0, 2))),
    shaped((2, 1), then=lambda x: ops.broadcast(ops.broadcast(x, (2, 1, 1), (0, 1)), (2, 5, 7))),
)
fires(
    laws.broadcast_of_a_reshape,
    shaped((3,), then=lambda x: ops.broadcast(ops.reshape(x, (3, 1)), (3, 4))),
    shaped((3, 1), then=lambda x: ops.broadcast(ops.reshape(x, (1, 3)), (4, 3))),
    shaped((), then=lambda x: ops.broadcast(ops.reshape(x, (1, 1)), (4, 3))),
)
silent(
    laws.broadcast_of_a_reshape,
    shaped((3, 1), then=lambda x: ops.broadcast(ops.reshape(x, (3,)), (4, 3))),
    shaped((6, 1), then=lambda x: ops.broadcast(ops.reshape(x, (2, 1, 3)), (2, 4, 3))),
)
fires(
    laws.slice_of_everything,
    shaped((4, 1), then=strict(Slice((0, 0), (4, 1), (1, -1)))),
    shaped((0,), then=strict(Slice((0,), (0,), (1,)))),
)
silent(laws.slice_of_everything, shaped((4,), then=lambda x: ops.flip(x, (0,))))
fires(
    laws.slice_twice,
    shaped((20,), then=lambda x: ops.slice(ops.slice(x, (2,), (8,), (2,)), (1,), (3,), (2,))),
    shaped((20,), then=lambda x: ops.flip(ops.flip(x, (0,)), (0,))),
    shaped((20,), then=lambda x: ops.slice(ops.flip(x, (0,)), (3,), (5,), (2,))),
    shaped((20,), then=lambda x: ops.slice(ops.slice(x, (19,), (7,), (-3,)), (6,), (4,), (-2,))),
)
fires(
    laws.slice_of_a_broadcast,
    shaped((5,), then=lambda x: ops.slice(rows(x), (1, 4), (2, 3), (1, -2))),
    shaped((), then=lambda x: ops.slice(ops.broadcast(x, (4,)), (1,), (2,), (1,))),
    shaped((2, 1), then=lambda x: ops.slice(ops.broadcast(x, (2, 5)), (1, 2), (1, 2), (1, 2))),
    shaped((2, 1), then=lambda x: ops.slice(ops.broadcast(x, (2, 5)), (1, 2), (1, 0), (1, 2))),
    shaped((1,), then=lambda x: ops.slice(rows(x), (0, 0), (2, 0), (1, 1))),
)
