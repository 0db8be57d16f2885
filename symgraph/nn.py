"""Functions of neural networks: activations, normalising functions, losses."""

from __future__ import annotations

from symgraph.ops.activation import gelu, leaky_relu, relu, sigmoid, softplus
from symgraph.ops.binary_losses import binary_cross_entropy, sigmoid_cross_entropy
from symgraph.ops.dropout import dropout
from symgraph.ops.filled import one_hot
from symgraph.ops.linalg import linear
from symgraph.ops.losses import (
    categorical_cross_entropy,
    categorical_cross_entropy_from_logits,
    mean_squared_error,
    softmax_cross_entropy,
)
from symgraph.ops.softmax import log_softmax, logsumexp, softmax
from symgraph.ops.transcendental import tanh

__all__ = [
    "binary_cross_entropy",
    "categorical_cross_entropy",
    "categorical_cross_entropy_from_logits",
    "dropout",
    "gelu",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsumexp",
    "mean_squared_error",
    "one_hot",
    "relu",
    "sigmoid",
    "sigmoid_cross_entropy",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "tanh",
]
