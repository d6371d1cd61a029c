"""Functions of neural networks. No module classes: parameters are arguments."""

from __future__ import annotations

from graphc.nn import initializers
from graphc.nn.activations import elu, gelu, leaky_relu, relu, sigmoid, silu, softplus
from graphc.nn.attention import attention, rope
from graphc.nn.layers import dropout, embedding, linear
from graphc.nn.losses import (
    cosine_similarity,
    huber_loss,
    safe_norm,
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
    squared_error,
)
from graphc.nn.norms import batch_norm, group_norm, layer_norm, rms_norm
from graphc.nn.softmax import log_softmax, softmax

__all__ = [
    "attention",
    "batch_norm",
    "cosine_similarity",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "group_norm",
    "huber_loss",
    "initializers",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "relu",
    "rms_norm",
    "rope",
    "safe_norm",
    "sigmoid",
    "sigmoid_binary_cross_entropy",
    "silu",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    "softplus",
    "squared_error",
]
