"""From a Python function to a graph, and evaluation by the NumPy reference."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar

import numpy as np

from graphc import reference, tree
from graphc.argument_names import parameter_names, short_names
from graphc.bounded.sizes import Bound, BoundedType, described
from graphc.dtypes import DType, TensorType, as_dtype, bool_, float32, int64
from graphc.errors import ArgumentError, GraphcError, TraceError
from graphc.functions.capture import capturing
from graphc.functions.promotion import as_value
from graphc.functions.required import function, tensor_type
from graphc.ir.garbage import garbage_kept
from graphc.ir.graph import Graph, Value, new_input
from graphc.ir.site import Site, located, required, root, writable
from graphc.passes.pipeline import Stage, optimize
from graphc.tensor import Tensor
from graphc.transforms.frozen import stopping
from graphc.transforms.tapping import tapping, watched

Number: TypeAlias = type[bool] | type[int] | type[float]
P = ParamSpec("P")
R = TypeVar("R")

#: Python scalars are inputs of these dtypes.
_PYTHON_SCALARS: dict[Number, DType] = {bool: bool_, int: int64, float: float32}


def spec(shape: Any, dtype: Any = float32, *, max: int | None = None) -> Any:
    """An argument described by shape and dtype. Axes called by a name, as in ("B", 784), have a
    size from 1 to `max` that is known when the step is called: the same for all of its arguments.
    What Python does with `x.shape[0]` may depend on it only as the number that a mean divides by.
    """
    return described(shape, dtype, max)


def input(name: str, shape: int | Sequence[int], dtype: Any = float32) -> Tensor:
    """A tensor that comes from outside, for graphs that are written expression by expression."""
    return Tensor(new_input(name, tensor_type(shape, dtype, "input")))


def name(x: Tensor, label: str) -> Tensor:
    """The same tensor; printed graphs, the ledger and the C call it `label`."""
    if not isinstance(x, Tensor):
        raise TraceError(located(f"name: a tensor is required, got {type(x).__name__}"))
    x.value.node.meta.name = writable(required(label, str, "name: a label,"))
    return x


def evaluate(tensors: Any, arrays: Mapping[Tensor, Any] | None = None) -> Any:
    """Computes a pytree of tensors with NumPy, node by node; `arrays` gives the inputs.

    Lists and numbers are converted to the input's dtype; arrays must have exactly its type.
    """
    given = {}
    for tensor, array in (arrays or {}).items():
        if not isinstance(array, np.ndarray):
            array = np.asarray(array, tensor.dtype.numpy)
        given[tensor.value] = array
    leaves, treedef = tree.flatten(tensors)
    results = reference.evaluate([as_value(leaf) for leaf in leaves], given)
    return tree.unflatten(treedef, results)


@dataclass(frozen=True)
class Leaf:
    """One array of an argument or result: its place, its type, and, if it is a Python number that
    is passed by value, which class that is.
    """

    path: str
    type: TensorType
    python: Number | None = None


@dataclass(frozen=True)
class Signature:
    """How calls of a traced function are checked and flattened.

    The graph's inputs are `arguments` and then `hidden`; its outputs are `results`. `in_tree` is
    the structure of the tuple of arguments that are not static; `static` gives the positions and
    values of those that are. `donated` pairs positions of arguments with positions of results.
    Where there are taps, of the names `taps`, one more output holds what they measure.
    `parameters` are the function's names of its arguments. With a `bound` the last argument is the
    size, which callers do not give.
    """

    name: str
    parameters: tuple[str, ...]
    arity: int
    in_tree: tree.TreeSpec
    arguments: tuple[Leaf, ...]
    out_tree: tree.TreeSpec
    results: tuple[Leaf, ...]
    static: tuple[tuple[int, Any], ...]
    hidden: tuple[np.ndarray, ...]
    donated: tuple[tuple[int, int], ...]
    taps: tuple[str, ...] = ()
    bound: Bound | None = None


@dataclass(frozen=True, eq=False)
class Traced(Generic[P, R]):
    """A function as one graph, as it was written, with the signature of its calls."""

    graph: Graph
    signature: Signature
    #: Plans that were made for other lowerings, by what they were made for.
    searches: dict[Any, Any] = field(default_factory=dict, repr=False)
    #: The user's lines that stop gradients, and the step as it is where they let them pass.
    stops: tuple[Site | None, ...] = ()
    passing: Callable[[], Traced[P, R]] | None = field(default=None, repr=False)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The graph as written and after each pass; the last one is optimized."""
        return tuple(optimize(self.graph))

    def lower(self, **options: Any) -> Any:
        """Optimized, planned, in C; needs no C compiler. Options: memory_budget, target, threads,
        keep, recompute.
        """
        from graphc import stages

        return stages.lower(self, **options)

    def evaluate(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """One call by the NumPy reference; donated arrays are left as they are."""
        leaves = flatten_arguments(self.signature, args)
        arrays = [
            np.asarray(x, leaf.type.dtype.numpy) if leaf.python else np.asarray(x)
            for x, leaf in zip(leaves, self.signature.arguments, strict=True)
        ]
        given = dict(zip(self.graph.inputs, [*arrays, *self.signature.hidden], strict=True))
        outputs = self.graph.outputs[: len(self.signature.results)]
        results = reference.evaluate(outputs, given)
        bound = self.signature.bound
        if bound is not None:
            results = bound.cut(results, int(arrays[-1]))
        return tree.unflatten(self.signature.out_tree, results)

    def __repr__(self) -> str:
        return f"<Traced {self.signature.name}: {len(self.graph)} nodes>"


def dynamic_arguments(signature: Signature, args: Sequence[Any]) -> tuple[Any, ...]:
    """The arguments that are not static; raises ArgumentError for another number of arguments or
    another static value.
    """
    if len(args) != signature.arity:
        raise ArgumentError(f"{signature.name} takes {signature.arity} arguments, got {len(args)}")
    static = {position for position, _ in signature.static}
    for position, value in signature.static:
        if args[position] != value:
            raise ArgumentError(
                f"args[{position}]: traced with the static value {value!r}, got {args[position]!r}"
            )
    return tuple(x for k, x in enumerate(args) if k not in static)


def flatten_arguments(signature: Signature, args: Sequence[Any]) -> list[Any]:
    """The leaves of a call's arguments, in the shapes that the graph has; raises ArgumentError for
    another structure.
    """
    leaves, treedef = tree.flatten(dynamic_arguments(signature, args))
    if treedef != signature.in_tree:
        raise ArgumentError(
            f"{signature.name}: another structure of arguments\n  expected "
            f"{signature.in_tree}\n  got      {treedef}"
        )
    bound = signature.bound
    return leaves if bound is None else bound.fitted(leaves, signature.arguments)


@root
def trace(
    fn: Callable[P, R],
    *args: Any,
    donate_argnums: int | Sequence[int] = (),
    static_argnums: int | Sequence[int] = (),
) -> Traced[P, R]:
    """Runs `fn` once on tensors that stand for the arguments, and keeps the graph of its results.

    An argument is a pytree of specs and of arrays, which stand for their specs. Python numbers
    are 0-d inputs: bool, int64 and float32. `static_argnums` are passed as they are. The leaves of
    `donate_argnums` are updated in place: each such argument pairs, leaf by path, with the first
    top-level result of the same structure and types. Where a spec names a size, `fn` runs at three
    sizes. Raises TraceError for anything else.
    """
    function(fn, "trace")
    one = partial(_traced, fn, donate_argnums, static_argnums)
    with stopping() as stops:
        traced = _at_all_sizes(one, args)
    if not stops:
        return traced
    static = _positions(static_argnums, len(args), "static_argnums")
    # What is kept holds no arrays.
    types = [x if k in static else tree.map(_described, x) for k, x in enumerate(args)]
    return replace(traced, stops=tuple(stops), passing=lambda: _passing(one, types))


def _at_all_sizes(one: Callable[..., Traced[P, R]], args: Sequence[Any]) -> Traced[P, R]:
    kinds = [x for x in tree.leaves(args) if isinstance(x, BoundedType)]
    if kinds:
        from graphc.bounded.tracing import traced

        return traced(one, args, kinds)
    return one(*args)


def _passing(one: Callable[..., Traced[P, R]], args: Sequence[Any]) -> Traced[P, R]:
    with stopping(passing=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _at_all_sizes(one, args)


def _described(x: Any) -> Any:
    """An argument's leaf without its elements."""
    if isinstance(x, BoundedType) or type(x) in _PYTHON_SCALARS:
        return x
    return _leaf(x, "").type


def _traced(
    fn: Callable[P, R],
    donate_argnums: int | Sequence[int],
    static_argnums: int | Sequence[int],
    *args: Any,
) -> Traced[P, R]:
    """`trace` for arguments of fixed sizes."""
    static = _positions(static_argnums, len(args), "static_argnums")
    donate = _positions(donate_argnums, len(args), "donate_argnums")
    dynamic = [k for k in range(len(args)) if k not in static]
    per_argument = []
    for k in dynamic:
        leaves, treedef = tree.flatten(args[k])
        paths = tree.paths(treedef, f"args[{k}]")
        per_argument.append([_leaf(x, path) for x, path in zip(leaves, paths, strict=True)])
    arguments = tuple(leaf for group in per_argument for leaf in group)
    in_tree = tree.structure(tuple(args[k] for k in dynamic))
    inputs = [new_input(leaf.path, leaf.type) for leaf in arguments]
    parameters = parameter_names(fn, len(args))
    paths = [leaf.path for leaf in arguments]
    for value, short in zip(inputs, short_names(parameters, paths), strict=True):
        value.node.meta.name = short
    symbolic = iter(tree.unflatten(in_tree, [Tensor(v) for v in inputs]))
    with capturing() as captured, tapping() as marked, garbage_kept():
        call: Callable[..., R] = fn
        result = call(*[args[k] if k in static else next(symbolic) for k in range(len(args))])
        leaves, out_tree = tree.flatten(result)
        paths = tree.paths(out_tree, "result")
        outputs = [_result(x, path) for x, path in zip(leaves, paths, strict=True)]
        taps, measured = watched(outputs, marked, (*inputs, *captured.inputs))
    results = tuple(Leaf(p, v.type) for p, v in zip(paths, outputs, strict=True))
    pairs = _donated(args, dynamic, donate, per_argument, result, results)
    signature = Signature(
        getattr(fn, "__name__", type(fn).__name__),
        parameters,
        len(args),
        in_tree,
        arguments,
        out_tree,
        results,
        tuple((k, args[k]) for k in static),
        tuple(captured.arrays),
        pairs,
        taps,
    )
    beside = () if measured is None else (measured,)
    graph = Graph(
        (*inputs, *captured.inputs),
        (*outputs, *beside),
        (*(leaf.path for leaf in results), *("taps" for _ in beside)),
        dict(pairs),
    )
    return Traced(graph, signature)


def _leaf(x: Any, path: str) -> Leaf:
    if isinstance(x, TensorType):
        return Leaf(path, x)
    if type(x) in _PYTHON_SCALARS:
        return Leaf(path, TensorType((), _PYTHON_SCALARS[type(x)]), type(x))
    if isinstance(x, Tensor):
        return Leaf(path, x.type)
    if isinstance(x, (np.ndarray, np.generic)):
        return Leaf(path, TensorType(x.shape, as_dtype(x.dtype)))
    if hasattr(x, "__dlpack__"):
        array = np.from_dlpack(x)
        return Leaf(path, TensorType(array.shape, as_dtype(array.dtype)))
    raise TraceError(
        located(
            f"{path}: an array, a number or gx.spec is required, got {type(x).__name__}; arguments"
            " of other kinds are given by static_argnums"
        )
    )


def _result(x: Any, path: str) -> Value:
    try:
        return as_value(x)
    except GraphcError:
        raise TraceError(
            located(f"{path}: a result is a tensor, array or number, got {type(x).__name__}")
        ) from None


def _positions(argnums: int | Sequence[int], count: int, what: str) -> tuple[int, ...]:
    given = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for k in given:
        if not -count <= k < count:
            raise TraceError(located(f"{what}: there is no argument {k} among {count}"))
    return tuple(sorted({k % count for k in given}))


def _donated(
    args: Sequence[Any],
    dynamic: Sequence[int],
    donate: Sequence[int],
    per_argument: Sequence[Sequence[Leaf]],
    result: Any,
    results: Sequence[Leaf],
) -> tuple[tuple[int, int], ...]:
    """Pairs (position of an argument's leaf, position of a result's leaf)."""
    candidates = _top_level(result)
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    first = dict(zip(dynamic, np.cumsum([0, *map(len, per_argument)]).tolist(), strict=False))
    for k in donate:
        if k not in first:
            raise TraceError(located(f"args[{k}] is static, so it cannot be donated"))
        leaves = per_argument[dynamic.index(k)]
        for leaf in leaves:
            if leaf.python is not None:
                raise TraceError(
                    located(
                        f"{leaf.path} is a Python {leaf.python.__name__}, which cannot be updated"
                        " in place; pass a 0-d array"
                    )
                )
        structure, types = tree.structure(args[k]), [leaf.type for leaf in leaves]
        for start, part in candidates:
            places = range(start, start + len(leaves))
            if (
                tree.structure(part) == structure
                and [results[p].type for p in places] == types
                and taken.isdisjoint(places)
            ):
                taken.update(places)
                pairs.extend(zip(range(first[k], first[k] + len(leaves)), places, strict=True))
                break
        else:
            raise TraceError(
                located(
                    f"args[{k}] is donated, but no result has its structure and types; return the"
                    " new value of it, or do not donate it"
                )
            )
    return tuple(pairs)


def _top_level(result: Any) -> list[tuple[int, Any]]:
    """What a donated argument may pair with, with the position of its first leaf: the elements of
    a tuple or list that is returned, then the result as a whole.
    """
    candidates = []
    start = 0
    for part in result if type(result) in (tuple, list) else ():
        candidates.append((start, part))
        start += len(tree.leaves(part))
    return [*candidates, (0, result)]
