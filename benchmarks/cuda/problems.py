"""The rows of the GPU suite, in the order in which they are run and shown."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.cuda.networks import (
    Convolutional,
    Dense,
    Elementwise,
    NormalisedSoftmax,
    Recurrent,
)
from benchmarks.cuda.problem import SGD, Adam, Problem

RIVALS = ("PyTorch eager", "torch.compile", "torch.compile, reduce-overhead")
AHEAD: Mapping[str, float] = dict.fromkeys(RIVALS, 1.0)
NEAR: Mapping[str, float] = dict.fromkeys(RIVALS, 1 / 1.3)
"""At most 1.3 times as long as the rival."""

PROBLEMS: tuple[Problem, ...] = (
    Problem(
        "mlp_small",
        "MLP 1-10-1, batch 100, train step",
        Dense((1, 10, 1), 100, "sigmoid", labelled=False),
        SGD(0.2),
        least=AHEAD,
    ),
    Problem(
        "mlp_mnist",
        "MLP 784-512-10, batch 128, train step",
        Dense((784, 512, 10), 128),
        SGD(0.1),
        least=AHEAD,
    ),
    Problem(
        "elementwise",
        "10 elementwise operations on 2 arrays of 67 108 864 float32",
        Elementwise(1 << 26),
        None,
        tolerance=1e-5,
        least=AHEAD,
        least_bandwidth=0.85,
    ),
    Problem(
        "softmax_layernorm",
        "softmax of a layer norm, 16384 x 2048",
        NormalisedSoftmax(16384, 2048),
        None,
        least=AHEAD,
    ),
    Problem(
        "lstm_sine",
        "LSTM 100 on a sine, batch 30, 30 steps, train step",
        Recurrent(30, 30, 1, 100),
        Adam(1e-3),
        least=AHEAD,
    ),
    Problem(
        "cnn_lenet",
        "CNN 32-64-128-10 on 28x28, batch 128, train step",
        Convolutional((1, 28), ((32,), (64,)), (128, 10), 128),
        Adam(1e-4),
        least=NEAR,
    ),
    Problem(
        "lstm_big",
        "LSTM 1024 on 256 inputs, batch 64, 100 steps, train step",
        Recurrent(100, 64, 256, 1024),
        Adam(1e-4),
        least=AHEAD,
        quick=False,
    ),
    Problem(
        "cnn_vgg",
        "CNN of 6 convolutions (64-64, 128-128, 256-256) on 3x64x64, batch 64, train step",
        Convolutional((3, 64), ((64, 64), (128, 128), (256, 256)), (512, 100), 64),
        Adam(1e-5),
        least=NEAR,
        quick=False,
    ),
    Problem(
        "mlp_big",
        "MLP 4096-4096-4096-4096-1000, batch 2048, train step",
        Dense((4096, 4096, 4096, 4096, 1000), 2048),
        SGD(0.01),
        quick=False,
    ),
    Problem(
        "softmax_layernorm_train",
        "softmax of a layer norm, 16384 x 2048, train step",
        NormalisedSoftmax(16384, 2048, trained=True),
        SGD(0.1),
        quick=False,
    ),
    Problem(
        "elementwise_functions",
        "10 elementwise operations with 2 tanh and 2 exp on 67 108 864 float32",
        Elementwise(1 << 26, functions=True),
        None,
        tolerance=1e-5,
        quick=False,
    ),
)
