"""Elementwise functions: promotion and broadcasting around the strict constructors."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

from graphc import ops
from graphc.dtypes import DType, bool_, float32
from graphc.functions.promotion import as_dtype, as_tensor, as_value, broadcast, operands, promoted
from graphc.ir.graph import Value
from graphc.tensor import Tensor

#: Integer exponents up to this size are products: at most 4 ulp from the power.
_LARGEST_PRODUCT = 8


def _unary(
    constructor: Callable[[Value], Value], doc: str, integers: DType | None = float32
) -> Callable[[Any], Tensor]:
    """A function of one tensor; `integers` is what a Python int counts as."""

    def function(x: Any, /) -> Tensor:
        if type(x) is Tensor:
            return Tensor(constructor(x.value))
        return Tensor(constructor(as_value(x, integers if type(x) is int else None)))

    return _named(function, constructor.__name__, doc)


def _rounding(constructor: Callable[[Value], Value], doc: str) -> Callable[[Any], Tensor]:
    """A function to whole numbers, which integers are."""

    def function(x: Any, /) -> Tensor:
        value = as_value(x)
        return Tensor(value if value.dtype.is_integer else constructor(value))

    return _named(function, constructor.__name__, doc)


def _finiteness(
    constructor: Callable[[Value], Value], of_integers: bool, doc: str
) -> Callable[[Any], Tensor]:
    """A question about floats whose answer is known for integers."""

    def function(x: Any, /) -> Tensor:
        value = as_value(x)
        if value.dtype.is_integer:
            return Tensor(ops.full(value.shape, of_integers, bool_))
        return Tensor(constructor(value))

    return _named(function, constructor.__name__, doc)


def _binary(constructor: Callable[[Value, Value], Value], doc: str) -> Callable[..., Tensor]:
    name = constructor.__name__

    def function(x1: Any, x2: Any, /) -> Tensor:
        if type(x1) is Tensor and type(x2) is Tensor:
            a, b = x1.value, x2.value
            if a.dtype is b.dtype and a.shape == b.shape:
                return Tensor(constructor(a, b))
        return Tensor(constructor(*operands(name, x1, x2)))

    return _named(function, name, doc)


def _named(function: Any, name: str, doc: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


add = _binary(ops.add, "x1 + x2.")
subtract = _binary(ops.subtract, "x1 - x2.")
multiply = _binary(ops.multiply, "x1 · x2.")
divide = _binary(ops.divide, "x1 / x2, for floats; for integers see `floor_divide`.")
floor_divide = _binary(ops.floor_divide, "floor(x1 / x2), with Python's sign rule.")
remainder = _binary(ops.remainder, "x1 - x2 · floor(x1 / x2): the sign is that of x2.")
maximum = _binary(ops.maximum, "The larger of two; NaN wins; ties share the gradient equally.")
minimum = _binary(ops.minimum, "The smaller of two; NaN wins; ties share the gradient equally.")
atan2 = _binary(ops.atan2, "The angle of the point (x2, x1), in (-π, π].")
hypot = _binary(ops.hypot, "sqrt(x1² + x2²), without overflow.")
logaddexp = _binary(ops.logaddexp, "log(exp(x1) + exp(x2)), without overflow.")
copysign = _binary(ops.copysign, "The size of x1 with the sign of x2.")
nextafter = _binary(ops.nextafter, "The next number after x1 on the way to x2.")
equal = _binary(ops.equal, "x1 == x2, as bool.")
not_equal = _binary(ops.not_equal, "x1 != x2, as bool.")
less = _binary(ops.less, "x1 < x2, as bool.")
less_equal = _binary(ops.less_equal, "x1 <= x2, as bool.")
greater = _binary(ops.greater, "x1 > x2, as bool.")
greater_equal = _binary(ops.greater_equal, "x1 >= x2, as bool.")
logical_and = _binary(ops.logical_and, "Both, of bools.")
logical_or = _binary(ops.logical_or, "Either, of bools.")
logical_xor = _binary(ops.logical_xor, "Exactly one, of bools.")
bitwise_and = _binary(ops.bitwise_and, "Bits that both have, of integers or bools.")
bitwise_or = _binary(ops.bitwise_or, "Bits that either has, of integers or bools.")
bitwise_xor = _binary(ops.bitwise_xor, "Bits that exactly one has, of integers or bools.")
bitwise_left_shift = _binary(ops.left_shift, "x1 << x2, of integers.")
bitwise_right_shift = _binary(ops.right_shift, "x1 >> x2, of integers; the sign is kept.")

negative = _unary(ops.negative, "-x.", None)
abs = _unary(ops.abs, "The absolute value; its derivative at 0 is 0.", None)
sign = _unary(ops.sign, "-1, 0 or 1; NaN for NaN.", None)
square = _unary(ops.square, "x · x.", None)
logical_not = _unary(ops.logical_not, "Not, of bools.", None)
bitwise_invert = _unary(ops.bitwise_invert, "Every bit flipped, of integers or bools.", None)
reciprocal = _unary(ops.reciprocal, "1 / x.")
sqrt = _unary(ops.sqrt, "The square root; its derivative at 0 is inf.")
rsqrt = _unary(ops.rsqrt, "1 / sqrt(x).")
exp = _unary(ops.exp, "e to the power x.")
exp2 = _unary(ops.exp2, "2 to the power x.")
expm1 = _unary(ops.expm1, "exp(x) - 1, accurate near 0.")
log = _unary(ops.log, "The natural logarithm.")
log1p = _unary(ops.log1p, "log(1 + x), accurate near 0.")
log2 = _unary(ops.log2, "The logarithm to base 2.")
log10 = _unary(ops.log10, "The logarithm to base 10.")
sin = _unary(ops.sin, "The sine of x radians.")
cos = _unary(ops.cos, "The cosine of x radians.")
tan = _unary(ops.tan, "The tangent of x radians.")
asin = _unary(ops.asin, "The inverse sine, in [-π/2, π/2].")
acos = _unary(ops.acos, "The inverse cosine, in [0, π].")
atan = _unary(ops.atan, "The inverse tangent, in [-π/2, π/2].")
sinh = _unary(ops.sinh, "The hyperbolic sine.")
cosh = _unary(ops.cosh, "The hyperbolic cosine.")
tanh = _unary(ops.tanh, "The hyperbolic tangent.")
asinh = _unary(ops.asinh, "The inverse hyperbolic sine.")
acosh = _unary(ops.acosh, "The inverse hyperbolic cosine.")
atanh = _unary(ops.atanh, "The inverse hyperbolic tangent.")
sigmoid = _unary(ops.sigmoid, "1 / (1 + exp(-x)), without overflow.")
erf = _unary(ops.erf, "The error function.")
erfc = _unary(ops.erfc, "1 - erf(x), accurate for large x.")
lgamma = _unary(ops.lgamma, "log |Γ(x)|.")
digamma = _unary(ops.digamma, "The derivative of lgamma.")
signbit = _unary(ops.signbit, "Whether the sign bit is set: true for -0.0.")
floor = _rounding(ops.floor, "The largest whole number that is not above x.")
ceil = _rounding(ops.ceil, "The smallest whole number that is not below x.")
round = _rounding(ops.round, "The nearest whole number, of two the even one.")
trunc = _rounding(ops.trunc, "The whole part: rounding toward 0.")
isnan = _finiteness(ops.isnan, False, "Whether x is not a number.")
isinf = _finiteness(ops.isinf, False, "Whether x is an infinity.")
isfinite = _finiteness(ops.isfinite, True, "Whether x is neither infinite nor NaN.")


def positive(x: Any, /) -> Tensor:
    """+x: the tensor itself."""
    return as_tensor(x)


def polygamma(n: int, x: Any, /) -> Tensor:
    """The n-th derivative of digamma; n is a Python integer."""
    return Tensor(ops.polygamma(n, as_value(x, float32 if type(x) is int else None)))


def pow(x1: Any, x2: Any, /) -> Tensor:
    """x1 to the power x2. As NumPy's `**`, a Python exponent of 2, 0.5 or -1 means the square, the
    square root or the reciprocal; integers up to 8 in size mean products (within 4 ulp).
    """
    if isinstance(x1, Tensor) and type(x2) in (int, float) and math.isfinite(x2):
        if x2 == int(x2) and 1 <= builtins.abs(x2) <= _LARGEST_PRODUCT:
            if x2 > 0 and (x1.dtype.is_float or type(x2) is int):
                return _product(x1, int(x2))
            if x1.dtype.is_float:
                return divide(1.0, _product(x1, -int(x2)))
        if x2 == 0.5 and x1.dtype.is_float:
            return sqrt(x1)
    return Tensor(ops.pow(*operands("pow", x1, x2)))


def _product(x: Tensor, n: int) -> Tensor:
    """x to a power n >= 1 by repeated squaring."""
    result: Tensor | None = None
    while True:
        if n & 1:
            result = x if result is None else multiply(result, x)
        n >>= 1
        if not n:
            assert result is not None
            return result
        x = square(x)


def where(condition: Any, x1: Any, x2: Any, /) -> Tensor:
    """x1 where the condition (bool) holds, x2 elsewhere. The derivative selects: a NaN that arises
    inside the derivative of the branch not taken propagates, so make that branch's argument safe
    first: `where(x > 0, log(where(x > 0, x, 1.0)), 0.0)`.
    """
    chosen = as_value(condition)
    values = broadcast("where", [chosen, *promoted("where", x1, x2)])
    return Tensor(ops.where(*values))


def clip(x: Any, /, min: Any = None, max: Any = None) -> Tensor:
    """x limited to [min, max]; None is no limit. NaN stays NaN."""
    result = as_tensor(x)
    if min is not None:
        result = maximum(result, min)
    return result if max is None else minimum(result, max)


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """Conversion to another dtype: float to integer truncates and saturates, NaN gives 0."""
    value, wanted = as_value(x), as_dtype(dtype)
    return Tensor(ops.astype(value, wanted))
