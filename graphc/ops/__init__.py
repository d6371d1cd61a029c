"""Floor 2: the operators, one file per family, and their strict constructors.

Constructors take values of equal shapes and dtypes (a Python number beside a value stands for a
constant of its type). Rules call them as `ops.multiply(…)`, looked up at call time, so that
families use one another without import cycles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphc.dtypes import DType
from graphc.errors import NotDifferentiableError
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.site import located
from graphc.ops import (
    arithmetic,
    bitwise,
    convert,
    exponential,
    logic,
    power,
    rounding,
    special,
    trigonometric,
)
from graphc.ops.arithmetic import add_all
from graphc.ops.attention import attention
from graphc.ops.attention_gradient import attention_gradient
from graphc.ops.constant import Constant, Iota, constant, iota
from graphc.ops.contraction import Matmul, matmul, transpose
from graphc.ops.convert import astype
from graphc.ops.convolution import conv, conv_transpose
from graphc.ops.cumulative import (
    cumulative_logsumexp,
    cumulative_max,
    cumulative_min,
    cumulative_prod,
    cumulative_sum,
    part,
    preceding,
    recurrence,
)
from graphc.ops.exponential import gap
from graphc.ops.factorizations import cholesky, lu
from graphc.ops.indexing import gather, pick, take_along_axis
from graphc.ops.linalg import triangular_solve
from graphc.ops.placing import concat, pad, unslice
from graphc.ops.pooling import avg_pool, max_pool, sum_pool
from graphc.ops.pooling_gradient import max_pool_chosen, max_pool_spread, max_pool_taps
from graphc.ops.random import random_bits
from graphc.ops.reduction import (
    all,
    any,
    argmax,
    argmin,
    count_nonzero,
    max,
    min,
    prod,
    sum,
    sum_all,
)
from graphc.ops.scatter import (
    scatter_add,
    scatter_max,
    scatter_min,
    scatter_multiply,
    scatter_set,
)
from graphc.ops.shape import broadcast, permute, reshape
from graphc.ops.slicing import flip, slice
from graphc.ops.softmax import log_softmax, softmax
from graphc.ops.solve import det, diagonal, inv, slogdet, solve
from graphc.ops.sorting import argsort, searchsorted, sort, top_k
from graphc.ops.triangles import tril, triu
from graphc.ops.window import dynamic_slice, dynamic_update_slice

__all__ = [
    "Constant",
    "Iota",
    "Matmul",
    "add_all",
    "all",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "astype",
    "attention",
    "attention_gradient",
    "avg_pool",
    "broadcast",
    "cholesky",
    "concat",
    "constant",
    "conv",
    "conv_transpose",
    "count_nonzero",
    "cumulative_logsumexp",
    "cumulative_max",
    "cumulative_min",
    "cumulative_prod",
    "cumulative_sum",
    "det",
    "diagonal",
    "dynamic_slice",
    "dynamic_update_slice",
    "flip",
    "gap",
    "gather",
    "inv",
    "iota",
    "log_softmax",
    "lu",
    "matmul",
    "max",
    "max_pool",
    "max_pool_chosen",
    "max_pool_spread",
    "max_pool_taps",
    "min",
    "no_derivative",
    "pad",
    "part",
    "permute",
    "pick",
    "preceding",
    "prod",
    "random_bits",
    "recurrence",
    "reshape",
    "scatter_add",
    "scatter_max",
    "scatter_min",
    "scatter_multiply",
    "scatter_set",
    "searchsorted",
    "slice",
    "slogdet",
    "softmax",
    "solve",
    "sort",
    "sum",
    "sum_all",
    "sum_pool",
    "take_along_axis",
    "top_k",
    "transpose",
    "triangular_solve",
    "tril",
    "triu",
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
floor_divide = _elementwise(arithmetic.FloorDivide)
remainder = _elementwise(arithmetic.Remainder)
negative = _elementwise(arithmetic.Negative)
positive = _elementwise(arithmetic.Positive)
abs = _elementwise(arithmetic.Abs)
sign = _elementwise(arithmetic.Sign)
square = _elementwise(arithmetic.Square)
reciprocal = _elementwise(arithmetic.Reciprocal)
maximum = _elementwise(arithmetic.Maximum)
minimum = _elementwise(arithmetic.Minimum)

sqrt = _elementwise(power.Sqrt)
rsqrt = _elementwise(power.Rsqrt)
hypot = _elementwise(power.Hypot)
pow = _elementwise(power.Pow)

exp = _elementwise(exponential.Exp)
exp2 = _elementwise(exponential.Exp2)
expm1 = _elementwise(exponential.Expm1)
log = _elementwise(exponential.Log)
log1p = _elementwise(exponential.Log1p)
log2 = _elementwise(exponential.Log2)
log10 = _elementwise(exponential.Log10)
logaddexp = _elementwise(exponential.Logaddexp)
sigmoid = _elementwise(exponential.Sigmoid)

sin = _elementwise(trigonometric.Sin)
cos = _elementwise(trigonometric.Cos)
tan = _elementwise(trigonometric.Tan)
asin = _elementwise(trigonometric.Asin)
acos = _elementwise(trigonometric.Acos)
atan = _elementwise(trigonometric.Atan)
atan2 = _elementwise(trigonometric.Atan2)
sinh = _elementwise(trigonometric.Sinh)
cosh = _elementwise(trigonometric.Cosh)
tanh = _elementwise(trigonometric.Tanh)
asinh = _elementwise(trigonometric.Asinh)
acosh = _elementwise(trigonometric.Acosh)
atanh = _elementwise(trigonometric.Atanh)

erf = _elementwise(special.Erf)
erfc = _elementwise(special.Erfc)
lgamma = _elementwise(special.Lgamma)
digamma = _elementwise(special.Digamma)

floor = _elementwise(rounding.Floor)
ceil = _elementwise(rounding.Ceil)
round = _elementwise(rounding.Round)
trunc = _elementwise(rounding.Trunc)
isnan = _elementwise(rounding.IsNan)
isinf = _elementwise(rounding.IsInf)
isfinite = _elementwise(rounding.IsFinite)
signbit = _elementwise(rounding.Signbit)
copysign = _elementwise(rounding.Copysign)
nextafter = _elementwise(rounding.Nextafter)

bitwise_and = _elementwise(bitwise.BitwiseAnd)
bitwise_or = _elementwise(bitwise.BitwiseOr)
bitwise_xor = _elementwise(bitwise.BitwiseXor)
bitwise_invert = _elementwise(bitwise.BitwiseInvert)
left_shift = _elementwise(bitwise.LeftShift)
right_shift = _elementwise(bitwise.RightShift)

equal = _elementwise(logic.Equal)
not_equal = _elementwise(logic.NotEqual)
less = _elementwise(logic.Less)
less_equal = _elementwise(logic.LessEqual)
greater = _elementwise(logic.Greater)
greater_equal = _elementwise(logic.GreaterEqual)
logical_and = _elementwise(logic.LogicalAnd)
logical_or = _elementwise(logic.LogicalOr)
logical_xor = _elementwise(logic.LogicalXor)
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


def polygamma(order: int, x: Value) -> Value:
    """The `order`-th derivative of digamma."""
    return apply(special.Polygamma(order), x)[0]


def clip(x: Value, low: Any, high: Any) -> Value:
    """Limits to [low, high]: minimum(maximum(x, low), high)."""
    return minimum(maximum(x, low), high)


def no_derivative(node: Node) -> NotDifferentiableError:
    return NotDifferentiableError(located(f"{node.op.name} has no derivative rule", node.meta.site))


def batch_all(size: int, inputs: Sequence[Value], batched: Sequence[bool]) -> list[Value]:
    """Every input with a leading axis of `size`: those without one are repeated."""
    return [
        v if has else broadcast(v, (size, *v.shape)) for v, has in zip(inputs, batched, strict=True)
    ]


def batch_merged(op: Op, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
    """The batching rule of an operator with a batch axis of its own: the new axis joins that."""
    every = batch_all(size, inputs, batched)
    batch = every[0].shape[1]
    results = apply(op, *[reshape(v, (size * batch, *v.shape[2:])) for v in every])
    parts = tuple(reshape(v, (size, batch, *v.shape[1:])) for v in results)
    return parts, (True,) * len(parts)
