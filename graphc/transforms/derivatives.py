"""Derivatives and batching as functions of tensors and of functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from graphc import ops, tree
from graphc.autodiff import reverse
from graphc.errors import (
    DisconnectedGradientWarning,
    DTypeError,
    ShapeError,
    TraceError,
)
from graphc.functions.promotion import as_tensor, as_value, promote
from graphc.functions.required import function
from graphc.ir.graph import Value
from graphc.ir.site import located, warn
from graphc.tensor import Tensor


def grad(
    target: Any,
    wrt: Any = None,
    seed: Any = None,
    *,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
) -> Any:
    """Reverse-mode derivatives, of a tensor or of a function.

    `grad(y, wrt, seed=None)`: the gradient of the scalar tensor y by a pytree of tensors, in the
    same structure; intermediates are allowed. With `seed`, of y's shape, the gradient of Σ seed·y.
    Where y does not depend on a tensor the result is zeros, with a DisconnectedGradientWarning.

    `grad(fn, argnums=0, has_aux=False)`: a function that gives the gradient of fn's scalar result
    by the arguments of these positions, and with `has_aux` also the second part of fn's result.
    """
    if isinstance(target, Tensor):
        if wrt is None:
            raise TraceError(located("grad(y, wrt): by which tensors?"))
        return _gradients(target, wrt, seed, "wrt")
    if not callable(target):
        raise TraceError(
            located(f"grad: a tensor or a function is required, got {type(target).__name__}")
        )
    if wrt is not None:
        argnums = wrt
    both = value_and_grad(target, argnums, has_aux)

    @wraps(target)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def value_and_grad(
    fn: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that gives fn's result and the gradient of it by the arguments at `argnums`; with
    `has_aux` fn returns (scalar, aux), and the result is ((scalar, aux), gradients).
    """

    function(fn, "value_and_grad")

    @wraps(fn)
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        positions = tuple(_argument(k, len(args)) for k in positions)
        own = list(args)
        for k in positions:
            own[k] = aliased(args[k])
        result = fn(*own, **kwargs)
        y = as_tensor(result[0] if has_aux else result)
        by = [own[k] for k in positions]
        gradients = _gradients(y, by[0] if isinstance(argnums, int) else tuple(by), None, "args")
        return result, gradients

    return value_and_gradient


def _argument(k: int, count: int) -> int:
    if not -count <= k < count:
        raise TraceError(located(f"argnums: there is no argument {k} among {count}"))
    return k % count


def aliased(arg: Any) -> Any:
    """A pytree of tensors as nodes of their own, so that derivatives are by them alone."""
    return tree.map(lambda x: Tensor(ops.alias(as_value(x))), arg)


def _gradients(y: Tensor, wrt: Any, seed: Any, root: str) -> Any:
    leaves, treedef = tree.flatten(wrt)
    paths = tree.paths(treedef, root)
    for leaf, path in zip(leaves, paths, strict=True):
        if not isinstance(leaf, Tensor):
            raise TraceError(
                located(f"grad: {path} is a {type(leaf).__name__}; derivatives are by tensors")
            )
        if not leaf.dtype.is_float:
            raise DTypeError(located(f"grad: {path} is {leaf.type}; derivatives are by floats"))
    values = [leaf.value for leaf in leaves]
    found = reverse.grad([y.value], values, [_cotangent(y, seed)])
    missing = [path for path, g in zip(paths, found, strict=True) if g is None]
    if missing:
        warn(
            f"grad: the result does not depend on {', '.join(missing)}; the gradient is zero",
            DisconnectedGradientWarning,
        )
    return tree.unflatten(treedef, filled(found, values))


def filled(derivatives: Sequence[Value | None], like: Sequence[Value]) -> list[Tensor]:
    """Derivatives as tensors, zeros where there is none."""
    return [Tensor(_nothing(v) if d is None else d) for d, v in zip(derivatives, like, strict=True)]


def _nothing(like: Value) -> Value:
    """The gradient by what the result does not depend on."""
    zeros = ops.zeros_like(like)
    zeros.node.meta.gradient_of = like.node.meta
    return zeros


def _cotangent(y: Tensor, seed: Any) -> Value:
    if not y.dtype.is_float:
        raise DTypeError(located(f"grad: the result is {y.type}; only floats have derivatives"))
    if seed is None:
        if y.shape != ():
            raise ShapeError(
                located(f"grad: the result is {y.type}; required: a scalar, or a seed")
            )
        return ops.full_like(y.value, 1)
    value = as_value(seed, y.dtype) if not isinstance(seed, Tensor) else seed.value
    promote(y.dtype, value.dtype, "grad")
    if value.shape != y.shape:
        raise ShapeError(located(f"grad: the result is {y.type}, the seed {value.type}"))
    return ops.astype(value, y.dtype)
