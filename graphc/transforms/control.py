"""Loops of the user's that stay loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphc import tree
from graphc.control.owner import closed, parameter
from graphc.control.scan import Scan
from graphc.dtypes import TensorType
from graphc.errors import ShapeError, TraceError
from graphc.functions.promotion import as_value
from graphc.ir.graph import Value, apply
from graphc.ir.site import located
from graphc.tensor import Tensor


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """`carry, y = f(carry, x)` for every slice x of xs along the first axis, beginning with `init`;
    gives the last carry and the ys, stacked along a new first axis. As `jax.lax.scan`.

    All are pytrees. f is traced once, and the step keeps a loop, in the graph and in C. `length`
    is needed where xs is None; a scan of no step gives `init`. `reverse` begins with the last
    slice. f may close over tensors, which receive gradients too. The carry that f returns has the
    structure, shapes and dtypes of the one that it takes; raises TraceError where it has not, and
    ShapeError for xs of different lengths.
    """
    start, carry_tree = tree.flatten(init)
    starts = [as_value(leaf) for leaf in start]
    slices, xs_tree = tree.flatten(xs)
    arrays = [as_value(leaf) for leaf in slices]
    steps = _length(arrays, tree.paths(xs_tree, "xs"), length)
    carries = _inputs(tree.paths(carry_tree, "carry"), [v.type for v in starts])
    rows = [v.type.with_shape(v.shape[1:]) for v in arrays]
    parts = _inputs(tree.paths(xs_tree, "x"), rows)
    answer = f(_tensors(carry_tree, carries), _tensors(xs_tree, parts))
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise TraceError(located(f"scan: f returns (carry, y), got {type(answer).__name__}"))
    after = carry_values("scan", carry_tree, carries, answer[0])
    ys, ys_tree = tree.flatten(answer[1])
    outer, body = closed([*carries, *parts], [*after, *[as_value(y) for y in ys]])
    op = Scan(body, len(outer), len(carries), steps, reverse)
    results = apply(op, *outer, *starts, *arrays)
    last = _tensors(carry_tree, results[: len(carries)])
    return last, _tensors(ys_tree, results[len(carries) :])


def _inputs(paths: Sequence[str], types: Sequence[TensorType]) -> list[Value]:
    """The inputs of a body, named by their places."""
    return [parameter(path, type) for path, type in zip(paths, types, strict=True)]


def _tensors(treedef: tree.TreeSpec, values: Sequence[Value]) -> Any:
    return tree.unflatten(treedef, [Tensor(v) for v in values])


def _length(arrays: Sequence[Value], paths: Sequence[str], length: int | None) -> int:
    """The number of steps."""
    if length is not None and (isinstance(length, bool) or not isinstance(length, int)):
        raise TraceError(located(f"scan: length is an integer, got {length!r}"))
    if length is not None and length < 0:
        raise ShapeError(located(f"scan: length is not negative, got {length}"))
    for path, value in zip(paths, arrays, strict=True):
        if not value.shape:
            raise ShapeError(located(f"scan: {path} is {value.type}, which has no first axis"))
    found = {path: v.shape[0] for path, v in zip(paths, arrays, strict=True)}
    if length is not None:
        found = {"length": length, **found}
    if not found:
        raise ShapeError(located("scan: without xs the number of steps is required, as length"))
    if len(set(found.values())) > 1:
        shown = ", ".join(f"{path} {n}" for path, n in found.items())
        raise ShapeError(located(f"scan: the lengths differ: {shown}"))
    return next(iter(found.values()))


def carry_values(
    what: str, treedef: tree.TreeSpec, before: Sequence[Value], after: Any
) -> list[Value]:
    """The leaves of a carry that has to have the structure and types of the one before."""
    leaves, found = tree.flatten(after)
    if found != treedef:
        raise TraceError(
            located(f"{what}: the carry changes its structure\n  in   {treedef}\n  out  {found}")
        )
    values = [
        as_value(leaf, v.dtype) if isinstance(leaf, (bool, int, float)) else as_value(leaf)
        for leaf, v in zip(leaves, before, strict=True)
    ]
    paths = tree.paths(treedef, "carry")
    if any(a.type != b.type for a, b in zip(before, values, strict=True)):
        wide = max(map(len, paths))
        rows = [
            f"\n  {path:{wide}}  in {a.type}, out {b.type}" + ("" if a.type == b.type else "   <-")
            for path, a, b in zip(paths, before, values, strict=True)
        ]
        raise TraceError(located(f"{what}: the carry changes its types{''.join(rows)}"))
    return values
