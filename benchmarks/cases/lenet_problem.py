"""The training problem of the convolutional case: a batch and the initial parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = 128
RATE = 1e-4
"""Low enough that the first steps do not overshoot, which would magnify how peers round."""


def batch() -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return images, (`BATCH`, 1, 28, 28), and labels below 10."""
    random = np.random.default_rng(0)
    images = random.random((BATCH, 1, 28, 28), dtype=np.float32)
    return images, random.integers(0, 10, BATCH)


def parameters() -> Mapping[str, NDArray[np.float32]]:
    """Return fresh copies of the initial weights and biases, by name, in the order of the layers.

    Returns:
        Filters of the convolutions, (filters, channels, 3, 3), weights of the linear layers,
        (inputs, outputs), and behind each its biases.
    """
    random = np.random.default_rng(1)

    def weight(inputs: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
        # Twice the variance, because relu takes half of it (He et al., 2015).
        scale = np.float32(np.sqrt(2.0 / inputs))
        return random.standard_normal(shape, dtype=np.float32) * scale

    return {
        "K1": weight(9, (32, 1, 3, 3)),
        "k1": np.zeros(32, np.float32),
        "K2": weight(32 * 9, (64, 32, 3, 3)),
        "k2": np.zeros(64, np.float32),
        "W1": weight(64 * 7 * 7, (64 * 7 * 7, 128)),
        "b1": np.zeros(128, np.float32),
        "W2": weight(128, (128, 10)),
        "b2": np.zeros(10, np.float32),
    }
