"""Functions of neural networks. No module classes: parameters are arguments."""

from __future__ import annotations

from graphc.nn import initializers
from graphc.nn.activations import elu, gelu, leaky_relu, relu, sigmoid, silu, softplus
from graphc.nn.attention import attention, rope
from graphc.nn.convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d
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
from graphc.nn.pooling import (
    avg_pool1d,
    avg_pool2d,
    global_avg_pool,
    global_max_pool,
    max_pool1d,
    max_pool2d,
)
from graphc.nn.softmax import log_softmax, softmax

__all__ = [
    "attention",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cosine_similarity",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "global_avg_pool",
    "global_max_pool",
    "group_norm",
    "huber_loss",
    "initializers",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool1d",
    "max_pool2d",
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
