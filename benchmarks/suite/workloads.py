"""The rows of the suite, in the order in which they are run and shown."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.cuda.networks import Convolutional, Dense, Recurrent
from benchmarks.cuda.problem import SGD, Adam
from benchmarks.suite.networks import BranchingLoop, SmoothChain, WeightedSoftmax
from benchmarks.suite.workload import (
    Evaluate,
    Gradients,
    HessianVector,
    Momentum,
    RMSProp,
    Train,
    Workload,
)

_MNIST = Dense((784, 512, 10), 128)
_ELEMENTS = 1 << 22
_ROWS, _COLUMNS = 4096, 1024

WORKLOADS: tuple[Workload, ...] = (
    Workload(
        "mlp_small",
        "MLP 1-10-1, batch 100, SGD",
        Dense((1, 10, 1), 100, "sigmoid", labelled=False),
        Train(SGD(0.2)),
        goal=3.0,
    ),
    Workload(
        "mlp_mnist", "MLP 784-512-10, batch 128, RMSProp", _MNIST, Train(RMSProp(1e-4)), goal=1.3
    ),
    Workload(
        "mlp_wide",
        "MLP 1024-2048-2048-1000, batch 256, Adam",
        Dense((1024, 2048, 2048, 1000), 256),
        Train(Adam(1e-4)),
        goal=1.15,
        quick=False,
    ),
    Workload(
        "cnn_lenet",
        "CNN 32-64-128-10 on 1x28x28, batch 128, Adam",
        Convolutional((1, 28), ((32,), (64,)), (128, 10), 128),
        Train(Adam(1e-4)),
        goal=2.0,
    ),
    Workload(
        "cnn_vgg_cifar",
        "CNN 64,64,P,128,128,P,256,256,256,P,fc256,fc10 on 3x32x32, batch 32, momentum",
        Convolutional((3, 32), ((64, 64), (128, 128), (256, 256, 256)), (256, 10), 32),
        Train(Momentum(1e-3)),
        goal=1.1,
        quick=False,
    ),
    Workload(
        "lstm_sine",
        "LSTM 100 on a sine, 30 steps, batch 30, Adam",
        Recurrent(30, 30, 1, 100),
        Train(Adam(1e-3)),
        goal=1.5,
    ),
    Workload(
        "lstm_big",
        "LSTM 512 on 128 inputs, 64 steps, batch 64, Adam",
        Recurrent(64, 64, 128, 512),
        Train(Adam(1e-4)),
        goal=1.5,
        quick=False,
    ),
    Workload(
        "elementwise",
        "gelu, sin, exp over 4 194 304 elements, value and gradient",
        SmoothChain(_ELEMENTS),
        Gradients(("x",)),
        goal=1.3,
        # One pass: x is read, the gradient is written.
        bytes=2 * 4 * _ELEMENTS,
    ),
    Workload(
        "softmax_layernorm",
        "softmax of a layer norm, 4096 x 1024, value and gradients",
        WeightedSoftmax(_ROWS, _COLUMNS),
        Gradients(("x", "gamma", "beta")),
        goal=1.7,
        # x and the weights are read, the gradient of x is written.
        bytes=3 * 4 * _ROWS * _COLUMNS,
    ),
    Workload(
        "hvp", "Hessian times vector, MLP 784-512-10, batch 128", _MNIST, HessianVector(), goal=1.3
    ),
    Workload(
        "cond_loop",
        "while_loop of 1000 steps with a cond, 16 elements",
        BranchingLoop(1000, 16),
        Evaluate(),
        goal=5.0,
        bytes=0,
    ),
)

BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
"""How large `mlp_mnist` is made to see how its cost grows."""
STEPS = (8, 32, 128, 512, 1024)
"""How long the sequences of `lstm_sine` are made."""


def workload_of(text: str) -> Workload:
    """Return the workload that a text names, the way `worker` is told which one to run.

    Args:
        text: A name, or `mlp_mnist@256` for another batch and `lstm_sine@64` for other sequences.

    Returns:
        The workload.

    Raises:
        KeyError: There is none of this name.
    """
    name, _, size = text.partition("@")
    found = {workload.name: workload for workload in WORKLOADS}[name]
    if not size:
        return found
    network = found.network
    if isinstance(network, Dense):
        return replace(found, name=text, network=replace(network, batch=int(size)))
    if isinstance(network, Recurrent):
        return replace(found, name=text, network=replace(network, steps=int(size)))
    raise KeyError(f"{name} does not grow")
