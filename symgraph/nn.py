"""Functions of neural networks: activations, convolution, pooling, normalisation, losses."""

from __future__ import annotations

from symgraph.ops.activation import gelu, leaky_relu, relu, sigmoid, softplus
from symgraph.ops.batch_norm import batch_norm
from symgraph.ops.binary_losses import binary_cross_entropy, sigmoid_cross_entropy
from symgraph.ops.convolution import conv2d, deconv2d, get_conv_outsize, get_deconv_outsize, pair
from symgraph.ops.dropout import dropout
from symgraph.ops.embedding import embedding
from symgraph.ops.filled import one_hot
from symgraph.ops.layout import flatten
from symgraph.ops.linalg import linear
from symgraph.ops.losses import (
    categorical_cross_entropy,
    categorical_cross_entropy_from_logits,
    mean_squared_error,
    softmax_cross_entropy,
)
from symgraph.ops.normalization import layer_norm
from symgraph.ops.patches import col2im, im2col
from symgraph.ops.pooling import average_pool2d, global_average_pool2d, max_pool2d
from symgraph.ops.softmax import log_softmax, logsumexp, softmax
from symgraph.ops.transcendental import tanh

__all__ = [
    "average_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "categorical_cross_entropy",
    "categorical_cross_entropy_from_logits",
    "col2im",
    "conv2d",
    "deconv2d",
    "dropout",
    "embedding",
    "flatten",
    "gelu",
    "get_conv_outsize",
    "get_deconv_outsize",
    "global_average_pool2d",
    "im2col",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsumexp",
    "max_pool2d",
    "mean_squared_error",
    "one_hot",
    "pair",
    "relu",
    "sigmoid",
    "sigmoid_cross_entropy",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "tanh",
]
