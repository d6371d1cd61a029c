"""The single kernels of `benchmarks.kernels` in PyTorch: of each group's arrays, by its cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

Call = Callable[[], object]


def call(group: str, name: str, arrays: Sequence[np.ndarray], threads: int) -> Call | None:
    """What a case computes of these arrays; None where PyTorch has no such kernel."""
    torch.set_num_threads(threads)
    return _GROUPS[group](name, [torch.from_numpy(a) for a in arrays])


def _product(name: str, tensors: list[Any]) -> Call:
    x, y = (t.mT if layout == "T" else t for t, layout in zip(tensors, name[-2:], strict=True))
    return lambda: torch.matmul(x, y)


def _convolution(name: str, tensors: list[Any]) -> Call:
    last = {"memory_format": torch.channels_last}
    image = tensors[0].permute(0, 3, 1, 2)
    weights = tensors[1].permute(3, 2, 0, 1).contiguous(**last)
    if name.startswith("forward"):
        return lambda: functional.conv2d(image, weights, padding=1)
    slope = tensors[2].permute(0, 3, 1, 2)
    if name.startswith("dX"):
        return lambda: conv2d_input(image.shape, weights, slope, padding=1)
    return lambda: conv2d_weight(image, weights.shape, slope, padding=1)


def _attention(name: str, tensors: list[Any]) -> Call:
    def attend(*qkv: Any) -> Any:
        return functional.scaled_dot_product_attention(*qkv, is_causal=True)

    if "backward" not in name:
        return lambda: attend(*tensors)
    return _with_slopes(attend, tensors[:3], tensors[3])


def _with_slopes(fn: Callable[..., Any], inputs: list[Any], slope: Any) -> Call:
    """Forward and backward, the slopes of all inputs."""
    for tensor in inputs:
        tensor.requires_grad_()
    return lambda: torch.autograd.grad(fn(*inputs), inputs, slope)


def _row(name: str, tensors: list[Any]) -> Call:
    x = tensors[0]
    width = x.shape[-1:]
    if name == "layer norm backward":
        return _with_slopes(
            lambda x, w, b: functional.layer_norm(x, width, w, b), tensors[:3], tensors[3]
        )
    if name == "cross-entropy, gradient":
        labels = tensors[1].long()
        return _with_slopes(lambda x: functional.cross_entropy(x, labels), [x], torch.tensor(1.0))
    return {
        "softmax": lambda: functional.softmax(x, -1),
        "layer norm": lambda: functional.layer_norm(x, width, *tensors[1:]),
        "rms norm": lambda: functional.rms_norm(x, width, *tensors[1:]),
        "sum of rows": lambda: x.sum(1),
        "sum of columns": lambda: x.sum(0),
    }[name]


def _elementwise(name: str, tensors: list[Any]) -> Call:
    if name == "a + b·c":
        return lambda: torch.addcmul(*tensors)
    if name == "gelu":
        return lambda: functional.gelu(tensors[0], approximate="tanh")
    fn = getattr(torch, name, None) or getattr(functional, name)
    return lambda: fn(tensors[0])


def _optimizer(name: str, tensors: list[Any]) -> Call | None:
    options: dict[str, tuple[Any, dict[str, float]]] = {
        "sgd": (torch.optim.SGD, {"lr": 0.1}),
        "momentum": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        "adam": (torch.optim.Adam, {"lr": 1e-3}),
        "adamw": (torch.optim.AdamW, {"lr": 1e-3}),
    }
    if name not in options:
        return None
    rule, given = options[name]
    param = torch.nn.Parameter(tensors[1])
    param.grad = tensors[0]
    return rule([param], fused=True, **given).step


_GROUPS: dict[str, Callable[[str, list[Any]], Call | None]] = {
    "products": _product,
    "convolutions": _convolution,
    "attention": _attention,
    "rows": _row,
    "elementwise": _elementwise,
    "optimizers": _optimizer,
}
