"""custom_vjp: a function with a derivative of the user's own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any

import numpy as np

from graphc import ops, tree
from graphc.autodiff import reverse
from graphc.autodiff.batching import batched_values
from graphc.dtypes import TensorType
from graphc.errors import ShapeError, TraceError
from graphc.functions.promotion import as_value
from graphc.ir.graph import Node, Op, Value, apply, new_input
from graphc.ir.site import located
from graphc.ir.spec import Expand
from graphc.tensor import Tensor

#: From the saved values and the cotangents of the results to those of the arguments.
Backward = Callable[[Sequence[Value], Sequence[Value]], Sequence[Value | None]]


@dataclass(frozen=True, eq=False)
class CustomVjp(Op):
    """Results, saved values, arguments -> the results unchanged. Only the derivative looks at the
    rest: cotangents of the results become, by the user's rule, cotangents of the arguments, and
    the graph that computed the results is passed by. Saved values are inputs, so they are followed
    when the derivative is differentiated again.
    """

    name = "custom_vjp"
    function: str
    results: int
    saved: int
    backward: Backward

    @property
    def parameters(self) -> tuple[Any, ...]:
        return (self.function, self.results, self.saved)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types[: self.results]

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return arrays[: self.results]

    def spec(self, *types: TensorType) -> Expand:
        return Expand(lambda *inputs: inputs[: self.results])

    def attributes(self) -> str:
        return self.function

    def _saved(self, inputs: Sequence[Value]) -> Sequence[Value]:
        return inputs[self.results : self.results + self.saved]

    def vjp(self, node: Node, *cotangents: Value | None) -> Sequence[Value | None]:
        seeds = [
            ops.zeros_like(v) if g is None else g
            for v, g in zip(node.outputs, cotangents, strict=True)
        ]
        found = self.backward(self._saved(node.inputs), seeds)
        return [None] * (self.results + self.saved) + list(found)

    def jvp(self, node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        moves = tangents[self.results + self.saved :]
        return transposed(
            lambda seeds: self.backward(self._saved(node.inputs), seeds), node.outputs, moves
        )

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        def backward(saved: Sequence[Value], seeds: Sequence[Value]) -> list[Value | None]:
            whole = [*saved, *seeds]
            examples = [new_input("vmap", v.type.with_shape(v.shape[1:])) for v in whole]
            found = self.backward(examples[: len(saved)], examples[len(saved) :])
            values = batched_values(
                [v for v in found if v is not None], dict(zip(examples, whole, strict=True)), size
            )
            spread = iter([v if has else ops.broadcast(v, (size, *v.shape)) for v, has in values])
            return [None if v is None else next(spread) for v in found]

        op = CustomVjp(self.function, self.results, self.saved, backward)
        results = apply(op, *ops.batch_all(size, inputs, batched))
        return results, (True,) * len(results)


def transposed(
    backward: Callable[[Sequence[Value]], Sequence[Value | None]],
    outputs: Sequence[Value],
    tangents: Sequence[Value | None],
) -> Sequence[Value | None]:
    """The tangents of results, from a rule that gives the cotangents of arguments for those of the
    results: it is linear in the cotangents g, so the tangent is the gradient by g of its inner
    product with the arguments' tangents.
    """
    seeds = [ops.alias(ops.zeros_like(v)) for v in outputs]
    products = [
        ops.sum_all(ops.multiply(c, t))
        for c, t in zip(backward(seeds), tangents, strict=True)
        if c is not None and t is not None
    ]
    total = ops.add_all(products)
    if total is None:
        return [None] * len(outputs)
    return reverse.grad([total], seeds, [ops.full_like(total, 1)])


class custom_vjp:  # a decorator, named like a function
    """`fn` with a derivative of the user's own, as in JAX.

    `f = custom_vjp(fn)`, then `f.defvjp(fwd, bwd)`. `fwd(*args) -> (result, saved)` computes the
    result and a pytree of what the derivative needs; a call of f inside it is a call of fn.
    `bwd(saved, g) -> (cotangent per argument)` gives the derivative, None standing for zero.
    Arguments that are tensors or arrays can be differentiated by; others are passed as they are.
    What bwd computes is ordinary graph, so the gradient can be differentiated again; forward mode
    transposes it.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self._rules: tuple[Callable[..., Any], Callable[..., Any]] | None = None
        self._running = threading.local()
        update_wrapper(self, fn)

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        self._rules = (fwd, bwd)

    def __call__(self, *args: Any) -> Any:
        name = getattr(self.fn, "__name__", "custom_vjp")
        if self._rules is None:
            raise TraceError(located(f"{name}: custom_vjp needs {name}.defvjp(fwd, bwd)"))
        if getattr(self._running, "fwd", False):
            return self.fn(*args)
        fwd, bwd = self._rules
        arguments = _Parts(args)
        self._running.fwd = True
        try:
            answer = fwd(*arguments.rebuilt(arguments.values))
        finally:
            self._running.fwd = False
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise TraceError(located(f"{name}: fwd returns (result, saved)"))
        result = _Parts(answer[0], everything=True)
        saved = _Parts(answer[1])

        def backward(kept: Sequence[Value], seeds: Sequence[Value]) -> list[Value | None]:
            found = bwd(saved.rebuilt(kept), result.rebuilt(seeds))
            return _cotangents(found, args, arguments, name)

        op = CustomVjp(name, len(result.values), len(saved.values), backward)
        outputs = apply(op, *result.values, *saved.values, *arguments.values)
        return result.rebuilt(outputs)


class _Parts:
    """A pytree taken apart into values and everything else."""

    def __init__(self, whole: Any, everything: bool = False) -> None:
        self.leaves, self.treedef = tree.flatten(whole)
        self.places = [
            k
            for k, leaf in enumerate(self.leaves)
            if everything or isinstance(leaf, (Tensor, np.ndarray))
        ]
        self.values = [as_value(self.leaves[k]) for k in self.places]

    def rebuilt(self, values: Sequence[Value]) -> Any:
        """The pytree with other values in their places."""
        leaves = list(self.leaves)
        for k, value in zip(self.places, values, strict=True):
            leaves[k] = Tensor(value)
        return tree.unflatten(self.treedef, leaves)


def _cotangents(
    found: Any, args: tuple[Any, ...], arguments: _Parts, name: str
) -> list[Value | None]:
    """What bwd returned, flattened to the arguments' values and checked."""
    if not isinstance(found, tuple) or len(found) != len(args):
        raise TraceError(
            located(f"{name}: bwd returns a tuple of {len(args)} cotangents, one per argument")
        )
    flat: list[Any] = []
    for k, (cotangent, arg) in enumerate(zip(found, args, strict=True)):
        treedef = tree.structure(arg)
        leaves, given = tree.flatten(cotangent)
        if cotangent is None:
            leaves = [None] * treedef.num_leaves
        elif given != treedef:
            raise TraceError(
                located(f"{name}: cotangent {k} has the structure {given}, the argument {treedef}")
            )
        flat.extend(leaves)
    result: list[Value | None] = []
    for k, value in zip(arguments.places, arguments.values, strict=True):
        cotangent = None if flat[k] is None else as_value(flat[k], value.dtype)
        if cotangent is not None and value.dtype.is_float and cotangent.type != value.type:
            raise ShapeError(
                located(f"{name}: bwd gave {cotangent.type} for an argument of {value.type}")
            )
        result.append(cotangent if value.dtype.is_float else None)
    return result
