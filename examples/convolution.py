"""Convolution and pooling: their shapes, their numbers, and how patches make them a matrix product.

python examples/convolution.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg
from symgraph import nn

Array = np.ndarray[Any, Any]
IMAGE = np.arange(16.0).reshape(1, 1, 4, 4)
FILTER = np.arange(9.0).reshape(1, 1, 3, 3)


def output_sizes() -> dict[str, Any]:
    """Return how large outputs are: (size + 2 pad - kernel) // stride + 1, and the way back."""
    return {
        "convolution of 4, kernel 3": nn.get_conv_outsize(4, 3, 1, 0),
        "convolution of 4, kernel 3, pad 1": nn.get_conv_outsize(4, 3, 1, 1),
        "convolution of 7, kernel 3, stride 2": nn.get_conv_outsize(7, 3, 2, 0),
        "convolution of 224, kernel 7, stride 2, pad 3": nn.get_conv_outsize(224, 7, 2, 3),
        "transposed, of 7, kernel 4, stride 2, pad 1": nn.get_deconv_outsize(7, 4, 2, 1),
    }


def numbers() -> dict[str, Array]:
    """Return what small convolutions and pools give, and gradients of the sum of one."""
    x, w = sg.Placeholder("x", (1, 1, 4, 4), "float64"), sg.Parameter(FILTER, "w")
    y = nn.conv2d(x, w, np.ones(1))
    by_x, by_w = sg.grad(y.sum(), [x, w])
    outputs = {
        "convolution": y,
        "with pad 1, no offset": nn.conv2d(x, w, pad=1),
        "gradient by the filter": by_w,
        "gradient by the image": by_x,
        "transposed convolution": nn.deconv2d(x[:, :, :2, :2], w),
        "largest of 2 x 2": nn.max_pool2d(x, 2),
        "mean of 2 x 2": nn.average_pool2d(x, 2),
    }
    results = sg.compile(outputs)(x=IMAGE)
    return {name: result[0, 0] for name, result in results.items()}


def patches() -> tuple[tuple[int, ...], tuple[int, ...], float]:
    """Return shapes of the patches of one and of ten images, and a difference that should be 0.

    A convolution is the product of the patches, a row for each place, with the filters. Compiled
    convolutions do not make that large matrix: they pack a tile at a time.
    """
    x, w = (
        sg.Placeholder("x", ("N", 3, 7, 7), "float64"),
        sg.Placeholder("w", (8, 3, 5, 5), "float64"),
    )
    rows = nn.im2col(x, 5)
    product = (rows @ w.reshape(8, -1).T).reshape(-1, 3, 3, 8).transpose(0, 3, 1, 2)
    f = sg.compile([rows, product - nn.conv2d(x, w)])
    rng = np.random.default_rng(0)
    filters = rng.random((8, 3, 5, 5))
    (one, _), (ten, difference) = (f(x=rng.random((n, 3, 7, 7)), w=filters) for n in (1, 10))
    return one.shape, ten.shape, float(np.abs(difference).max())


def layer_shapes() -> list[str]:
    """Return the shapes that layers give, and their parameters: known without any data."""
    x = sg.Placeholder("x", ("N", 5, 15, 15), "float32")
    layer = sg.layers.Conv2d(8, 3, pad=1)
    y = layer(x)
    return [f"{x.shape} through 8 filters of 3 x 3, pad 1: {y.shape}, filters {layer.W.shape}"]


def main() -> None:
    """Print sizes, numbers and shapes."""
    for text, size in output_sizes().items():
        print(f"{text}: {size}")
    for name, values in numbers().items():
        print(f"{name}:\n{values}")
    one, ten, difference = patches()
    print(f"patches of one image {one}, of ten {ten}")
    print(f"product with patches and convolution agree: {difference < 1e-12}")
    print(*layer_shapes(), sep="\n")


if __name__ == "__main__":
    main()
