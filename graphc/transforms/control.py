"""Loops of the user's that stay loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphc import ops, tree
from graphc.control.branch import Cond
from graphc.control.owner import closed, parameter
from graphc.control.scan import Scan
from graphc.control.while_loop import While
from graphc.dtypes import TensorType, bool_, int64
from graphc.errors import ShapeError, TraceError
from graphc.functions.promotion import as_value
from graphc.ir.graph import Graph, Value, apply
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


def while_loop(
    cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, max_steps: int
) -> Any:
    """`while cond(carry): carry = body(carry)`, beginning with `init`; the last carry. The step
    keeps a loop, which ends when the condition fails, and after `max_steps` steps in any case: then
    the carry is the one after the last of them.

    The carry is a pytree; cond gives one bool. Both functions are traced once and may close over
    tensors, which receive gradients too. Reverse mode keeps what it needs of each step, in arrays
    for `max_steps` of them, and runs as many steps back as were taken; without it nothing is kept.
    Under vmap steps are taken as long as the condition is true for one example of the batch. Raises
    TraceError where body changes the carry's structure or types, or cond gives anything else.
    """
    if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 0:
        raise TraceError(located(f"while_loop: max_steps is a number of steps, got {max_steps!r}"))
    start, treedef = tree.flatten(init)
    starts = [as_value(leaf) for leaf in start]
    carries = _inputs(tree.paths(treedef, "carry"), [v.type for v in starts])
    verdict = predicate("while_loop: cond gives", cond(_tensors(treedef, carries)))
    after = carry_values("while_loop", treedef, carries, body(_tensors(treedef, carries)))
    outer, both = closed(carries, [verdict, *after])
    found, *outputs = both.outputs
    inputs = both.inputs
    op = While(
        Graph(inputs, tuple(outputs)),
        len(outer),
        len(carries),
        max_steps,
        condition=Graph(inputs, (found,)),
    )
    results = apply(op.counting(), *outer, ops.constant(0, int64), *starts)
    return _tensors(treedef, results[1:])


def cond(p: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], *operands: Any) -> Any:
    """`true_fn(*operands)` where the bool p is true, else `false_fn(*operands)`: an `if` in the C,
    so that only one of the two is computed.

    Operands and results are pytrees; both functions are traced and may close over tensors, which
    receive gradients too. Their results have one structure, and leaf by leaf one type; raises
    TraceError where they have not. Reverse mode keeps what the branch that was taken needs. Under
    vmap, where p differs within the batch, both are computed, and the results selected: a NaN that
    the derivative of the branch not taken makes then stays.
    """
    verdict = predicate("cond: required", p)
    leaves, treedef = tree.flatten(operands)
    given = [as_value(leaf) for leaf in leaves]
    inner = _inputs(tree.paths(treedef, "operands"), [v.type for v in given])
    answers = [f(*_tensors(treedef, inner)) for f in (true_fn, false_fn)]
    (yes, yes_tree), (no, no_tree) = (tree.flatten(a) for a in answers)
    if yes_tree != no_tree:
        raise TraceError(
            located(
                f"cond: the branches give other structures\n  true   {yes_tree}\n  false  {no_tree}"
            )
        )
    both = [[as_value(leaf) for leaf in part] for part in (yes, no)]
    _same_types("cond: the branches give other types", ("true", "false"), yes_tree, "result", *both)
    outer, graph = closed(inner, [*both[0], *both[1]])
    split = len(both[0])
    branches = (
        Graph(graph.inputs, part) for part in (graph.outputs[:split], graph.outputs[split:])
    )
    return _tensors(yes_tree, apply(Cond(*branches), verdict, *outer, *given))


def predicate(what: str, answer: Any) -> Value:
    """A truth value."""
    value = as_value(answer)
    if value.shape != () or value.dtype is not bool_:
        raise TraceError(located(f"{what} a bool of no axes, got {value.type}"))
    return value


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
    _same_types(
        f"{what}: the carry changes its types", ("in", "out"), treedef, "carry", before, values
    )
    return values


def _same_types(
    what: str,
    sides: tuple[str, str],
    treedef: tree.TreeSpec,
    root: str,
    first: Sequence[Value],
    second: Sequence[Value],
) -> None:
    """Raises TraceError where the leaves of two trees differ in type, and shows all of them."""
    if any(a.type != b.type for a, b in zip(first, second, strict=True)):
        paths = tree.paths(treedef, root)
        wide = max(map(len, paths))
        rows = [
            f"\n  {path:{wide}}  {sides[0]} {a.type}, {sides[1]} {b.type}"
            + ("" if a.type == b.type else "   <-")
            for path, a, b in zip(paths, first, second, strict=True)
        ]
        raise TraceError(located(what + "".join(rows)))
