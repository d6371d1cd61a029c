"""Tensor: a symbolic value of a static graph, with NumPy's manners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc import functions
from graphc.dtypes import DType, TensorType
from graphc.errors import TraceError
from graphc.ir.graph import Value
from graphc.ir.site import located

if TYPE_CHECKING:
    from graphc.functions.updates import At

#: What other libraries' users write, and what to write here.
_INSTEAD = {
    "backward": "gx.grad(loss, params) gives the gradients as tensors",
    "grad": "gx.grad(loss, tensor) gives the gradient as a tensor",
    "requires_grad": "any tensor can be differentiated by; gx.grad(loss, tensor) says by which",
    "requires_grad_": "any tensor can be differentiated by; gx.grad(loss, tensor) says by which",
    "zero_grad": "gradients are values, not fields; there is nothing to reset",
    "detach": "gx.stop_gradient(t)",
    "view": "t.reshape(shape)",
    "item": "return the tensor from the step and read the array that comes back",
    "tolist": "return the tensor from the step and read the array that comes back",
    "numpy": "return the tensor from the step; its result is a NumPy array",
    "cpu": "tensors have no device; the step runs on the CPU",
    "cuda": "tensors have no device; the step runs on the CPU",
    "to": "t.astype(dtype)",
    "float": 't.astype("float32")',
    "double": 't.astype("float64")',
    "long": 't.astype("int64")',
    "unsqueeze": "gx.expand_dims(t, axis=axis)",
    "permute": "t.transpose(axes)",
    "contiguous": "nothing: layouts are the compiler's business",
    "clone": "nothing: tensors are immutable",
    "fill": "gx.full_like(t, value)",
}


def _binary(name: str) -> Callable[[Tensor, Any], Tensor]:
    """An operator method; operands of a class unknown here are left to that class."""

    def method(self: Tensor, other: Any) -> Tensor:
        if isinstance(other, functions.OPERANDS):
            return getattr(functions, name)(self, other)
        return NotImplemented

    method.__name__ = name
    return method


def _reflected(name: str) -> Callable[[Tensor, Any], Tensor]:
    def method(self: Tensor, other: Any) -> Tensor:
        if isinstance(other, functions.OPERANDS):
            return getattr(functions, name)(other, self)
        return NotImplemented

    method.__name__ = name
    return method


class Tensor:
    """A shape and a dtype, no data; immutable. Made by `gx.input`, by tracing, and by functions
    of tensors. `value` is the graph's value.
    """

    __slots__ = ("__weakref__", "value")

    def __init__(self, value: Value) -> None:
        self.value = value

    @property
    def type(self) -> TensorType:
        return self.value.type

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> DType:
        return self.value.dtype

    @property
    def ndim(self) -> int:
        return len(self.value.shape)

    @property
    def size(self) -> int:
        return self.value.type.size

    @property
    def nbytes(self) -> int:
        return self.value.type.nbytes

    @property
    def device(self) -> str:
        """Always "cpu", for the Array API."""
        return "cpu"

    def to_device(self, device: str, /, *, stream: Any = None) -> Tensor:
        if not isinstance(device, str) or device != "cpu":
            raise TraceError(located(f"to_device({device!r}): the only device is 'cpu'"))
        return self

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """The Array API namespace: the package graphc itself."""
        import graphc

        return graphc

    def __repr__(self) -> str:
        return f"<Tensor {self.value.type}>"

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: Any) -> Tensor:
        return self

    __hash__ = object.__hash__

    __add__, __radd__ = _binary("add"), _reflected("add")
    __sub__, __rsub__ = _binary("subtract"), _reflected("subtract")
    __mul__, __rmul__ = _binary("multiply"), _reflected("multiply")
    __truediv__, __rtruediv__ = _binary("divide"), _reflected("divide")
    __floordiv__, __rfloordiv__ = _binary("floor_divide"), _reflected("floor_divide")
    __mod__, __rmod__ = _binary("remainder"), _reflected("remainder")
    __pow__, __rpow__ = _binary("pow"), _reflected("pow")
    __matmul__, __rmatmul__ = _binary("matmul"), _reflected("matmul")
    __and__, __rand__ = _binary("bitwise_and"), _reflected("bitwise_and")
    __or__, __ror__ = _binary("bitwise_or"), _reflected("bitwise_or")
    __xor__, __rxor__ = _binary("bitwise_xor"), _reflected("bitwise_xor")
    __lshift__, __rlshift__ = _binary("bitwise_left_shift"), _reflected("bitwise_left_shift")
    __rshift__, __rrshift__ = _binary("bitwise_right_shift"), _reflected("bitwise_right_shift")
    __lt__, __le__ = _binary("less"), _binary("less_equal")
    __gt__, __ge__ = _binary("greater"), _binary("greater_equal")
    __eq__ = _binary("equal")  # type: ignore[assignment]
    __ne__ = _binary("not_equal")  # type: ignore[assignment]

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return other // self, other % self

    def __neg__(self) -> Tensor:
        return functions.negative(self)

    def __pos__(self) -> Tensor:
        return functions.positive(self)

    def __abs__(self) -> Tensor:
        return functions.abs(self)

    def __invert__(self) -> Tensor:
        return functions.bitwise_invert(self)

    def __round__(self, ndigits: None = None) -> Tensor:
        if ndigits is not None:
            raise TraceError(located("round(t, n): write gx.round(t * 10**n) / 10**n"))
        return functions.round(self)

    @property
    def T(self) -> Tensor:
        """All axes in reverse order."""
        return functions.permute_dims(self, tuple(range(self.ndim))[::-1])

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return functions.matrix_transpose(self)

    def __getitem__(self, index: Any) -> Tensor:
        return functions.getitem(self, index)

    @property
    def at(self) -> At:
        """`t.at[index].set(v)`, `.add`, `.multiply`, `.min`, `.max`: a changed copy."""
        return functions.At(self)

    def __len__(self) -> int:
        if not self.shape:
            raise TraceError(located("len() of a 0-d tensor"))
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TraceError(located("a 0-d tensor cannot be iterated over or unpacked"))
        return (self[i] for i in range(self.shape[0]))

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements under another shape; one extent may be -1."""
        return functions.reshape(self, _one_or_many(shape))

    def transpose(self, *axes: Any) -> Tensor:
        """Axes in the order given; reversed when none is."""
        order = _one_or_many(axes)
        return functions.permute_dims(self, order) if axes and order is not None else self.T

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        return functions.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: int | tuple[int, ...] | None = None) -> Tensor:
        """Without axes of extent 1: those given, or all."""
        if axis is None:
            axis = tuple(a for a, n in enumerate(self.shape) if n == 1)
        return functions.squeeze(self, axis)

    def ravel(self) -> Tensor:
        return functions.reshape(self, (self.size,))

    flatten = ravel

    def repeat(self, repeats: Any, axis: int | None = None) -> Tensor:
        return functions.repeat(self, repeats, axis=axis)

    def astype(self, dtype: Any, *, copy: bool = True) -> Tensor:
        return functions.astype(self, dtype)

    def copy(self) -> Tensor:
        """The tensor itself: tensors are immutable."""
        return self

    def sum(self, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Tensor:
        return functions.sum(self, axis=axis, dtype=dtype, keepdims=keepdims)

    def prod(self, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Tensor:
        return functions.prod(self, axis=axis, dtype=dtype, keepdims=keepdims)

    def mean(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        return functions.mean(self, axis=axis, keepdims=keepdims)

    def var(self, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Tensor:
        return functions.var(self, axis=axis, correction=ddof, keepdims=keepdims)

    def std(self, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Tensor:
        return functions.std(self, axis=axis, correction=ddof, keepdims=keepdims)

    def max(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        return functions.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        return functions.min(self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        return functions.all(self, axis=axis, keepdims=keepdims)

    def any(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        return functions.any(self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        return functions.argmax(self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        return functions.argmin(self, axis=axis, keepdims=keepdims)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        return functions.clip(self, min, max)

    def round(self) -> Tensor:
        return functions.round(self)

    def cumsum(self, axis: int | None = None) -> Tensor:
        flat = self.ravel() if axis is None else self
        return functions.cumulative_sum(flat, axis=0 if axis is None else axis)

    def cumprod(self, axis: int | None = None) -> Tensor:
        flat = self.ravel() if axis is None else self
        return functions.cumulative_prod(flat, axis=0 if axis is None else axis)

    def dot(self, other: Any) -> Tensor:
        return functions.dot(self, other)

    def take(self, indices: Any, axis: int | None = None) -> Tensor:
        flat = self.ravel() if axis is None else self
        return functions.take(flat, indices, axis=0 if axis is None else axis)

    def diagonal(self, offset: int = 0) -> Tensor:
        return functions.linalg.diagonal(self, offset=offset)

    def trace(self, offset: int = 0) -> Tensor:
        return functions.linalg.trace(self, offset=offset)

    def sort(self, axis: int = -1) -> Tensor:
        return functions.sort(self, axis=axis)

    def argsort(self, axis: int = -1) -> Tensor:
        return functions.argsort(self, axis=axis)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return functions.apply_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return functions.apply_array_function(func, args, kwargs)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TraceError(
            located(
                f"{self!r} has no data to make a NumPy array of; return it from the step, or use "
                "gx.evaluate"
            )
        )

    def __bool__(self) -> bool:
        raise TraceError(
            located(
                f"the truth of {self!r} is not known while tracing; write gx.where(condition, a, b)"
                " to choose values or gx.cond(condition, f, g, …) to choose what runs"
            )
        )

    def __float__(self) -> float:
        raise _no_number("float", self)

    def __int__(self) -> int:
        raise _no_number("int", self)

    def __complex__(self) -> complex:
        raise _no_number("complex", self)

    def __index__(self) -> int:
        raise _no_number("a Python index", self)

    def __contains__(self, item: Any) -> bool:
        raise TraceError(located("`in` needs data; write gx.any(t == value)"))

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TraceError(
            located("tensors are immutable; write t = t.at[index].set(value), or .add(value)")
        )

    def __delitem__(self, index: Any) -> None:
        raise TraceError(located("tensors are immutable; keep the rest with a slice or gx.concat"))

    def __getattr__(self, name: str) -> Any:
        instead = _INSTEAD.get(name)
        if instead is None:
            raise AttributeError(located(f"a tensor has no attribute {name!r}"))
        raise AttributeError(located(f"a tensor has no {name!r}; write: {instead}"))


def _no_number(kind: str, tensor: Tensor) -> TraceError:
    return TraceError(
        located(
            f"{tensor!r} has no value while tracing, so it cannot become {kind}; keep it a tensor "
            "(t.astype(dtype) converts), or return it from the step"
        )
    )


def _one_or_many(arguments: tuple) -> Any:
    """`f(2, 3)` and `f((2, 3))` mean the same."""
    return arguments[0] if len(arguments) == 1 else arguments
