"""What NNSmith's operators are called here: one line of text for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

#: (operator, names of operands, names of weights) -> text.
_Line = Callable[[Any, Sequence[str], Sequence[str]], str]

#: Operators that are one call of the same operands.
_CALLS = {
    "ReLU": "gx.maximum({0}, 0)", "GELU": "gx.nn.gelu({0})", "LeakyReLU": "gx.nn.leaky_relu({0})",
    "Sigmoid": "gx.sigmoid({0})", "Sin": "gx.sin({0})", "Cos": "gx.cos({0})",
    "Asin": "gx.asin({0})", "Acos": "gx.acos({0})", "Tan": "gx.tan({0})", "Atan": "gx.atan({0})",
    "Abs": "gx.abs({0})", "Where": "gx.where({0}, {1}, {2})", "Add": "{0} + {1}",
    "Sub": "{0} - {1}", "Mul": "{0} * {1}", "Max": "gx.maximum({0}, {1})",
    "Min": "gx.minimum({0}, {1})", "Equal": "{0} == {1}", "Greater": "{0} > {1}",
    "Less": "{0} < {1}", "And": "gx.logical_and({0}, {1})", "Or": "gx.logical_or({0}, {1})",
    "Xor": "gx.logical_xor({0}, {1})", "Pow": "gx.pow({0}, {1})", "Floor": "gx.floor({0})",
    "Ceil": "gx.ceil({0})", "Round": "gx.round({0})", "Sqrt": "gx.sqrt({0})",
    "Log2": "gx.log2({0})", "Neg": "-{0}", "PTMatMul": "gx.matmul({0}, {1})",
    "Flatten": "gx.reshape({0}, (-1,))", "PReLU": "gx.where({0} >= 0, {0}, {0} * {w0}[0])",
    "Linear": "gx.nn.linear({0}, {w0}.T, {w1})",
    "BatchNorm2d": "gx.nn.batch_norm({0}, {w0}, {w1}, {w2}, {w3}, training=False)[0]",
}  # fmt: skip
_REDUCTIONS = {
    "TorchReduceSum": "sum", "ReduceMin": "min", "ReduceMax": "max", "ReduceMean": "mean",
    "ArgMin": "argmin", "ArgMax": "argmax",
}  # fmt: skip


def text_of(op: Any, operands: Sequence[str], weights: Sequence[str]) -> str:
    """The line of an operator; raises KeyError for one that has none."""
    kind = type(op).__name__
    if kind in _CALLS:
        given = {f"w{k}": name for k, name in enumerate(weights)}
        return _CALLS[kind].format(*operands, **given)
    return _LINES[kind](op, operands, weights)


def _reduced(op: Any, x: Sequence[str], weights: Sequence[str]) -> str:
    call = _REDUCTIONS[type(op).__name__]
    return f"gx.{call}({x[0]}, axis={op.extra_attrs['reduce_dim']})"


def _squeezed(op: Any, x: Sequence[str], weights: Sequence[str]) -> str:
    axis, shape = op.extra_attrs["reduce_dim"], op.input_like[0].shape
    axes = [a for a, n in enumerate(shape) if n == 1 and axis in (None, a)]
    return f"gx.squeeze({x[0]}, axis={tuple(axes)})" if axes else f"gx.reshape({x[0]}, {shape})"


def _quotient(op: Any, x: Sequence[str], weights: Sequence[str]) -> str:
    whole = str(op.input_like[0].dtype.torch()).startswith("torch.int")
    return f"{x[0]} {'//' if whole else '/'} {x[1]}"


def _clipped(op: Any, x: Sequence[str], weights: Sequence[str]) -> str:
    limit = 1.5 if op.input_like[0].dtype.torch().is_floating_point else 1
    return f"gx.clip({x[0]}, -{limit}, {limit})"


def _pooled(op: Any, x: Sequence[str], weights: Sequence[str]) -> str:
    call = "max_pool2d" if type(op).__name__ == "MaxPool2d" else "avg_pool2d"
    window = (op.kernel_h_size, op.kernel_w_size)
    return f"gx.nn.{call}({x[0]}, {window}, stride={op.stride}, padding={op.padding})"


def _sliced(op: Any, x: Sequence[str], weights: Sequence[str]) -> str:
    axis, ndim = op.extra_attrs["axis"], op.extra_attrs["ndims"]
    parts = [f"{op.start}:{op.end}:{op.step}" if a == axis else ":" for a in range(ndim)]
    return f"{x[0]}[{', '.join(parts)}]"


def _padded(op: Any, x: Sequence[str], weights: Sequence[str]) -> str:
    """Negative widths cut; PyTorch gives pairs for the last axes first."""
    shape, widths = op.input_like[0].shape, list(op.padding_list)
    pairs = [(0, 0)] * (len(shape) - len(widths) // 2)
    pairs += list(zip(widths[::2], widths[1::2], strict=True))[::-1]
    cuts = [
        f"{max(0, -before)}:{n - max(0, -after)}"
        for n, (before, after) in zip(shape, pairs, strict=True)
    ]
    wider = [(max(0, before), max(0, after)) for before, after in pairs]
    mode = {"constant": "constant", "replicate": "edge", "reflect": "reflect"}
    kind = op.extra_attrs["type"]
    fill = ", constant_values=0.5" if kind == "constant" else ""
    return f"gx.pad({x[0]}[{', '.join(cuts)}], {wider}, mode={mode[kind]!r}{fill})"


def _convolved(op: Any, x: Sequence[str], weights: Sequence[str]) -> str:
    if type(op).__name__ == "Conv1d":
        call, dilation, ones = "conv1d", op.dilation, (1,)
    else:
        call, dilation, ones = "conv2d", (op.dilation_h, op.dilation_w), (1, 1)
    rest = f"stride={op.stride}, padding={op.padding}, dilation={dilation}"
    bias = f"gx.reshape({weights[1]}, {(-1, *ones)})"
    return f"gx.nn.{call}({x[0]}, {weights[0]}, {rest}) + {bias}"


def _turned(op: Any, x: Sequence[str], weights: Sequence[str]) -> str:
    shape = op.input_like[0].shape
    first, second = op._init_swap_dims(shape)
    order = list(range(len(shape)))
    order[first], order[second] = order[second], order[first]
    return f"gx.permute_dims({x[0]}, {tuple(order)})"


def _cast(op: Any, x: Sequence[str], weights: Sequence[str]) -> str:
    dtype = str(op.extra_attrs["to"].torch()).removeprefix("torch.")
    return f"gx.astype({x[0]}, {dtype!r})"


def _joined(op: Any, x: Sequence[str], weights: Sequence[str]) -> str:
    return f"gx.concat([{', '.join(x)}], axis={op.extra_attrs['axis']})"


def _spread(op: Any, x: Sequence[str], weights: Sequence[str]) -> str:
    return f"gx.broadcast_to({x[0]}, {tuple(op.output_like[0].shape)})"


def _half(op: Any, x: Sequence[str], weights: Sequence[str]) -> str:
    return f"gx.{type(op).__name__.lower()}({x[0]}, k={op.diagonal})"


_LINES: dict[str, _Line] = {
    **dict.fromkeys(_REDUCTIONS, _reduced),
    **dict.fromkeys(("MaxPool2d", "AvgPool2d"), _pooled),
    **dict.fromkeys(("ConstPad", "ReflectPad", "ReplicatePad"), _padded),
    **dict.fromkeys(("Conv1d", "NCHWConv2d"), _convolved),
    **dict.fromkeys(("CastBool", "CastF32", "CastF64", "CastI32", "CastI64"), _cast),
    **dict.fromkeys([f"Concat{n}" for n in range(1, 6)], _joined),
    **dict.fromkeys([f"ExpandLast{n}" for n in range(1, 5)], _spread),
    **dict.fromkeys(("Tril", "Triu"), _half),
    "Squeeze": _squeezed, "Div": _quotient, "Clip": _clipped, "Slice": _sliced,
    "Transpose": _turned,
    "Softmax": lambda op, x, w: f"gx.nn.softmax({x[0]}, axis={op.dim})",
    "Reshape": lambda op, x, w: f"gx.reshape({x[0]}, {tuple(op.target_shape)})",
}  # fmt: skip
