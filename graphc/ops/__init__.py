"""Floor 2: the operators, one file per family, and their strict constructors.

Constructors take values of equal shapes and dtypes (a Python number beside a value stands for a
constant of its type). Rules call them as `ops.multiply(…)`, looked up at call time, so that
families use one another without import cycles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphc.dtypes import DType
from graphc.ir.graph import Op, Value, apply, no_derivative
from graphc.ops import arithmetic, convert, logic, transcendental
from graphc.ops.arithmetic import add_all
from graphc.ops.constant import Constant, Iota, constant, iota
from graphc.ops.contraction import Matmul, matmul, transpose
from graphc.ops.convert import astype
from graphc.ops.indexing import concat, gather, pad, pick, scatter_add, unslice
from graphc.ops.reduction import argmax, argmin, max, min, prod, sum, sum_all
from graphc.ops.shape import broadcast, flip, permute, reshape, slice

__all__ = [
    "Constant", "Iota", "Matmul", "add_all", "argmax", "argmin", "astype", "broadcast", "concat",
    "constant", "flip", "gather", "iota", "matmul", "max", "min", "no_derivative", "pad",
    "permute", "pick", "prod", "reshape", "scatter_add", "slice", "sum", "sum_all", "transpose",
    "unslice",
]  # fmt: skip


def _elementwise(op: type[Op]) -> Callable[..., Value]:
    instance = op()

    def constructor(*operands: Any) -> Value:
        first = next(v for v in operands if isinstance(v, Value))
        values = [v if isinstance(v, Value) else full_like(first, v) for v in operands]
        return apply(instance, *values)[0]

    constructor.__name__ = op.name
    constructor.__doc__ = op.__doc__
    return constructor


add = _elementwise(arithmetic.Add)
subtract = _elementwise(arithmetic.Subtract)
multiply = _elementwise(arithmetic.Multiply)
divide = _elementwise(arithmetic.Divide)
negative = _elementwise(arithmetic.Negative)
abs = _elementwise(arithmetic.Abs)
sign = _elementwise(arithmetic.Sign)
square = _elementwise(arithmetic.Square)
maximum = _elementwise(arithmetic.Maximum)
minimum = _elementwise(arithmetic.Minimum)
sqrt = _elementwise(arithmetic.Sqrt)
rsqrt = _elementwise(arithmetic.Rsqrt)
pow = _elementwise(arithmetic.Pow)

exp = _elementwise(transcendental.Exp)
log = _elementwise(transcendental.Log)
log1p = _elementwise(transcendental.Log1p)
sin = _elementwise(transcendental.Sin)
cos = _elementwise(transcendental.Cos)
tanh = _elementwise(transcendental.Tanh)
sigmoid = _elementwise(transcendental.Sigmoid)
erf = _elementwise(transcendental.Erf)

equal = _elementwise(logic.Equal)
not_equal = _elementwise(logic.NotEqual)
less = _elementwise(logic.Less)
less_equal = _elementwise(logic.LessEqual)
greater = _elementwise(logic.Greater)
greater_equal = _elementwise(logic.GreaterEqual)
logical_and = _elementwise(logic.LogicalAnd)
logical_or = _elementwise(logic.LogicalOr)
logical_not = _elementwise(logic.LogicalNot)
where = _elementwise(logic.Where)

stop_gradient = _elementwise(convert.StopGradient)
alias = _elementwise(convert.Alias)
copy = _elementwise(convert.Copy)


def full(shape: tuple[int, ...], value: Any, dtype: DType) -> Value:
    return broadcast(constant(value, dtype), shape)


def full_like(x: Value, value: Any) -> Value:
    return full(x.shape, value, x.dtype)


def zeros_like(x: Value) -> Value:
    return full(x.shape, 0, x.dtype)


def clip(x: Value, low: Any, high: Any) -> Value:
    """Limits to [low, high]: minimum(maximum(x, low), high)."""
    return minimum(maximum(x, low), high)


def batch_all(size: int, inputs: Sequence[Value], batched: Sequence[bool]) -> list[Value]:
    """Every input with a leading axis of `size`: those without one are repeated."""
    return [
        v if has else broadcast(v, (size, *v.shape))
        for v, has in zip(inputs, batched, strict=True)
    ]
