"""Products with Jacobians, whole Jacobians and Hessians, of functions of pytrees."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from graphc import ops, tree
from graphc.autodiff import forward, reverse
from graphc.dtypes import DType
from graphc.errors import ShapeError, TraceError
from graphc.functions.promotion import WEAK, as_value, promote
from graphc.functions.required import function
from graphc.ir.graph import Value
from graphc.ir.site import located
from graphc.tensor import Tensor
from graphc.transforms.batching import vmap
from graphc.transforms.derivatives import aliased, filled


def jvp(fn: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """fn's result and its change when each primal moves by its tangent, forward mode. Tangents
    have the primals' structure, shapes and dtypes.
    """
    function(fn, "jvp")
    if len(primals) != len(tangents):
        raise TraceError(located(f"jvp: {len(primals)} primals, {len(tangents)} tangents"))
    own = aliased(tuple(primals))
    leaves, in_tree = tree.flatten(own)
    moves = _matching(tuple(tangents), in_tree, leaves, "jvp: tangents")
    results, out_tree = tree.flatten(fn(*own))
    values = [as_value(r) for r in results]
    found = forward.jvp(values, [leaf.value for leaf in leaves], moves)
    y = tree.unflatten(out_tree, [Tensor(v) for v in values])
    return y, tree.unflatten(out_tree, filled(found, values))


def vjp(fn: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """fn's result and a function from a cotangent of it to the tuple of the primals' cotangents,
    reverse mode. With `has_aux` fn returns (result, aux), and aux is a third result.
    """
    function(fn, "vjp")
    own = aliased(primals)
    leaves, in_tree = tree.flatten(own)
    result = fn(*own)
    y, *aux = result if has_aux else (result,)
    results, out_tree = tree.flatten(y)
    values = [as_value(r) for r in results]
    tensors = [Tensor(v) for v in values]

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        seeds = _matching(cotangent, out_tree, tensors, "vjp: cotangents")
        moving = [v.dtype.is_float for v in values]
        by = [leaf.value for leaf in leaves]
        found = reverse.grad(
            [v for v, m in zip(values, moving, strict=True) if m],
            by,
            [s for s, m in zip(seeds, moving, strict=True) if m],
        )
        return tree.unflatten(in_tree, filled(found, by))

    return (tree.unflatten(out_tree, tensors), pullback, *aux)


def _matching(given: Any, treedef: tree.TreeSpec, like: Sequence[Tensor], what: str) -> list[Value]:
    """The leaves of a tree that must have a structure and, leaf by leaf, certain types."""
    leaves, found = tree.flatten(given)
    if found != treedef:
        raise TraceError(located(f"{what} of the structure {treedef} required, got {found}"))
    values = []
    for leaf, tensor in zip(leaves, like, strict=True):
        dtype: DType = tensor.dtype
        value = as_value(leaf, dtype) if isinstance(leaf, WEAK) else as_value(leaf)
        promote(dtype, value.dtype, what)
        if value.shape != tensor.shape:
            raise ShapeError(located(f"{what}: {tensor.type} required, got {value.type}"))
        values.append(ops.astype(value, dtype))
    return values


def _split(
    fn: Callable[..., Any], argnums: int | Sequence[int], args: tuple[Any, ...]
) -> tuple[Callable[..., Any], tuple[Any, ...], Callable[[Any], Any]]:
    """fn as a function of the arguments at `argnums` alone, those, and how their tuple is given
    back: an integer means the argument itself.
    """
    single = isinstance(argnums, int)
    positions = [k % len(args) for k in ([argnums] if isinstance(argnums, int) else argnums)]

    def partial(*chosen: Any) -> Any:
        full = list(args)
        for k, x in zip(positions, chosen, strict=True):
            full[k] = x
        return fn(*full)

    return partial, tuple(args[k] for k in positions), (lambda t: t[0]) if single else tuple


def jacrev(fn: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The Jacobian of fn, row by row in reverse mode: for each leaf of the result the structure of
    the arguments, of shape (*result.shape, *argument.shape).
    """

    @wraps(fn)
    def jacobian(*args: Any) -> Any:
        partial, chosen, back = _split(fn, argnums, args)
        y, pullback = vjp(partial, *chosen)
        leaves, out_tree = tree.flatten(y)

        def rows(k: int) -> Any:
            def row(seed: Tensor) -> Any:
                seeds = filled([None] * len(leaves), [leaf.value for leaf in leaves])
                seeds[k] = seed
                return back(pullback(tree.unflatten(out_tree, seeds)))

            shape = leaves[k].shape
            stacked = vmap(row)(_basis(leaves[k]))
            return tree.map(lambda t: t.reshape((*shape, *t.shape[1:])), stacked)

        return tree.unflatten(out_tree, [rows(k) for k in range(len(leaves))])

    return jacobian


def jacfwd(fn: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The Jacobian of fn, column by column in forward mode; the same result as `jacrev`."""

    @wraps(fn)
    def jacobian(*args: Any) -> Any:
        partial, chosen, back = _split(fn, argnums, args)
        leaves, in_tree = tree.flatten(tree.map(lambda x: Tensor(as_value(x)), chosen))
        primals = tree.unflatten(in_tree, leaves)

        def columns(k: int) -> tuple[list[Tensor], tree.TreeSpec]:
            def column(move: Tensor) -> Any:
                moves = filled([None] * len(leaves), [leaf.value for leaf in leaves])
                moves[k] = move
                return jvp(partial, primals, tree.unflatten(in_tree, moves))[1]

            shape = leaves[k].shape
            stacked = vmap(column, out_axes=-1)(_basis(leaves[k]))
            return tree.flatten(tree.map(lambda t: t.reshape((*t.shape[:-1], *shape)), stacked))

        parts = [columns(k) for k in range(len(leaves))]
        out_tree = parts[0][1]
        return tree.unflatten(
            out_tree,
            [
                back(tree.unflatten(in_tree, [blocks[j] for blocks, _ in parts]))
                for j in range(out_tree.num_leaves)
            ],
        )

    return jacobian


def _basis(x: Tensor) -> Tensor:
    """Every unit tensor of x's type, along a new first axis."""
    n = math.prod(x.shape)
    hot = ops.equal(ops.iota((n, n), 0), ops.iota((n, n), 1))
    return Tensor(ops.reshape(ops.astype(hot, x.dtype), (n, *x.shape)))


def hessian(fn: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The matrix of second derivatives, forward over reverse: for a scalar fn of x the shape is
    (*x.shape, *x.shape).
    """
    return jacfwd(jacrev(fn, argnums), argnums)


def hvp(fn: Callable[..., Any], x: Any, v: Any) -> Any:
    """The Hessian of the scalar function fn at x times v, forward over reverse, at the cost of a
    few evaluations of fn; x and v are pytrees of one structure.
    """

    def gradient(point: Any) -> Any:
        y, pullback = vjp(fn, point)
        if not isinstance(y, Tensor) or y.shape != ():
            raise ShapeError(located("hvp: a function with a scalar result is required"))
        return pullback(Tensor(ops.full_like(y.value, 1)))[0]

    return jvp(gradient, (x,), (v,))[1]
