"""custom_op: an operator of the user's own, with its C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphc import ops
from graphc.errors import ShapeError, TraceError
from graphc.functions import promotion
from graphc.functions.promotion import as_value
from graphc.ir.graph import Node, Value, apply
from graphc.ir.site import here, located, required, writable
from graphc.ops.custom import CustomOp, Definition
from graphc.tensor import Tensor
from graphc.transforms.custom import transposed


def custom_op(
    name: str,
    *,
    type_rule: Callable[..., Any],
    reference: Callable[..., Any],
    c: str,
    vjp: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    elementwise: bool = False,
) -> Callable[..., Any]:
    """An operator of the user's own; gives the function that applies it to tensors.

    `type_rule(*types)` gives the type of the result (`gx.spec(shape, dtype)`), or a tuple of types,
    or raises; a type has `shape` and `dtype`. `reference(*arrays)` is the operator in NumPy.

    With `elementwise`, `c` is an expression over the scalars x0, x1, …: `"x0 > 0 ? x0 : x1 * x0"`.
    Operands are promoted and broadcast, and the operator fuses with its neighbours.

    Otherwise `c` is the body of a function that one thread calls:
    `static void f(const T *restrict x0, …, T *restrict y0, …)`. Operands and results are contiguous
    arrays in row-major order (bool is uint8_t, 0 or 1). Their sizes are constants: `x0_size`
    elements, `x0_dim0`, `x0_dim1`, … along the axes, and so for `y0`. Every element of the results
    has to be written; what they hold before is undefined. Functions of <math.h> and of the runtime
    (`gx_exp_f32`) can be called. The C of an exported step contains the same function.

    `vjp(inputs, outputs, cotangents)` takes three tuples of tensors and gives a cotangent for each
    input, None standing for zero; `jvp(inputs, outputs, tangents)` gives a tangent for each result.
    Both compute with tensors, so derivatives can be differentiated again. Tangents that are None
    are zeros; without `jvp`, forward mode transposes `vjp`.

    Raises ArgumentError for C that could leave its body: brackets that do not balance, directives
    of the preprocessor, comments that do not end. What the compiler refuses is a CompilerError that
    names the operator and the line of this call, when a step that uses it is compiled.
    """
    name = writable(required(name, str, "custom_op: a name,"))
    backward = None if vjp is None else _reverse(name, vjp)
    forward = None
    if jvp is not None:
        forward = _forward(name, jvp)
    elif backward is not None:
        forward = _by_transposing(backward)
    op = CustomOp(Definition(name, here(), type_rule, reference, c, elementwise, backward, forward))

    def operator(*operands: Any) -> Any:
        if not operands:
            raise TraceError(located(f"{name}: an operator has at least one operand"))
        values = (
            promotion.operands(name, *operands) if elementwise else [as_value(x) for x in operands]
        )
        results = tuple(Tensor(v) for v in apply(op, *values))
        return results[0] if len(results) == 1 else results

    operator.__name__ = operator.__qualname__ = name
    operator.__doc__ = f"The operator {name}, defined by custom_op."
    return operator


def _tensors(values: Sequence[Value]) -> tuple[Tensor, ...]:
    return tuple(Tensor(v) for v in values)


def _reverse(name: str, rule: Callable[..., Any]) -> Callable[..., Sequence[Value | None]]:
    def backward(node: Node, *cotangents: Value | None) -> Sequence[Value | None]:
        seeds = [
            ops.zeros_like(v) if g is None else g
            for v, g in zip(node.outputs, cotangents, strict=True)
        ]
        found = rule(_tensors(node.inputs), _tensors(node.outputs), _tensors(seeds))
        return _checked(name, "vjp", found, node.inputs)

    return backward


def _forward(name: str, rule: Callable[..., Any]) -> Callable[..., Sequence[Value | None]]:
    def forward(node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        moves = [
            ops.zeros_like(v) if t is None else t
            for v, t in zip(node.inputs, tangents, strict=True)
        ]
        found = rule(_tensors(node.inputs), _tensors(node.outputs), _tensors(moves))
        return _checked(name, "jvp", found, node.outputs)

    return forward


def _by_transposing(
    backward: Callable[..., Sequence[Value | None]],
) -> Callable[..., Sequence[Value | None]]:
    return lambda node, *tangents: transposed(
        lambda seeds: backward(node, *seeds), node.outputs, tangents
    )


def _checked(name: str, rule: str, found: Any, like: Sequence[Value]) -> Sequence[Value | None]:
    """What a user's rule gave: one derivative for each value, of its type."""
    given = list(found) if isinstance(found, (tuple, list)) else [found]
    if len(given) != len(like):
        raise TraceError(located(f"{name}: {rule} gives {len(like)} derivatives, got {len(given)}"))
    result: list[Value | None] = []
    for k, (derivative, value) in enumerate(zip(given, like, strict=True)):
        if derivative is None or not value.dtype.is_float:
            result.append(None)
            continue
        own = as_value(derivative, value.dtype)
        if own.type != value.type:
            raise ShapeError(
                located(f"{name}: derivative {k} of {rule} is {own.type}, required {value.type}")
            )
        result.append(own)
    return result
