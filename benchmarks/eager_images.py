"""Convolution and pooling of the Define-by-Run framework, by way of the matrix of all windows."""

from __future__ import annotations

from functools import reduce

import numpy as np

from benchmarks.array_module import Array, Arrays
from benchmarks.define_by_run import Function, Variable, reshape
from benchmarks.eager_functions import linear

Shape = tuple[int, ...]


class _MoveAxes(Function):
    def __init__(self, order: Shape) -> None:
        self._order = order

    def forward(self, *arrays: Array) -> Array:
        return arrays[0].transpose(self._order)

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (move_axes(gradient, tuple(np.argsort(self._order))),)


class _Windows(Function):
    """Images (N, C, H, W) to the matrix of their windows, (N * H * W, size * size * C)."""

    def __init__(self, size: int) -> None:
        self._size = size

    def forward(self, *arrays: Array) -> Array:
        size, margin = self._size, self._size // 2
        batch, channels, height, width = arrays[0].shape
        # With channels last, as the product of a convolution has them, each copy is of whole runs.
        outer = (batch, height + 2 * margin, width + 2 * margin, channels)
        padded = Arrays.module.zeros(outer, arrays[0].dtype)
        inner = padded[:, margin : margin + height, margin : margin + width]
        inner[...] = arrays[0].transpose(0, 2, 3, 1)
        windows = Arrays.module.empty((batch, height, width, size, size, channels), arrays[0].dtype)
        for row, column in np.ndindex(size, size):
            windows[:, :, :, row, column] = padded[:, row : row + height, column : column + width]
        return windows.reshape(batch * height * width, size * size * channels)

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (_SumOfWindows(self._size, self.inputs[0].shape)(gradient),)


class _SumOfWindows(Function):
    """The adjoint of `_Windows`: each element is added to the place that it was taken from."""

    def __init__(self, size: int, shape: Shape) -> None:
        self._size = size
        self._shape = shape

    def forward(self, *arrays: Array) -> Array:
        size, margin = self._size, self._size // 2
        batch, channels, height, width = self._shape
        windows = arrays[0].reshape(batch, height, width, size, size, channels)
        outer = (batch, height + 2 * margin, width + 2 * margin, channels)
        padded = Arrays.module.zeros(outer, arrays[0].dtype)
        for row, column in np.ndindex(size, size):
            padded[:, row : row + height, column : column + width] += windows[:, :, :, row, column]
        images = padded[:, margin : margin + height, margin : margin + width]
        return images.transpose(0, 3, 1, 2)

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (_Windows(self._size)(gradient),)


class _MaxPool(Function):
    def forward(self, *arrays: Array) -> Array:
        corners = _corners(arrays[0])
        y: Array = reduce(Arrays.module.maximum, corners)
        # Which of the four it was, the first one where several are largest.
        self._taken: list[Array] = []
        free = Arrays.module.ones_like(y, dtype=bool)
        for corner in corners:
            taken = (corner == y) & free
            free &= ~taken
            self._taken.append(taken)
        return y

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (_Unpool(self._taken, self.inputs[0].shape)(gradient),)


class _Unpool(Function):
    def __init__(self, taken: list[Array], shape: Shape) -> None:
        self._taken = taken
        self._shape = shape

    def forward(self, *arrays: Array) -> Array:
        batch, channels, height, width = self._shape
        images = Arrays.module.empty((batch, height, width, channels), arrays[0].dtype)
        images = images.transpose(0, 3, 1, 2)
        for corner, taken in zip(_corners(images), self._taken, strict=True):
            Arrays.module.multiply(arrays[0], taken, out=corner)
        return images

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (_Pick(self._taken)(gradient),)


class _Pick(Function):
    def __init__(self, taken: list[Array]) -> None:
        self._taken = taken

    def forward(self, *arrays: Array) -> Array:
        picked: Array = Arrays.module.zeros_like(self._taken[0], arrays[0].dtype)
        for corner, taken in zip(_corners(arrays[0]), self._taken, strict=True):
            picked += corner * taken
        return picked

    def backward(self, gradient: Variable) -> tuple[Variable, ...]:
        return (_Unpool(self._taken, self.inputs[0].shape)(gradient),)


def _corners(images: Array) -> list[Array]:
    """Return views of the four elements of all windows of 2 x 2."""
    return [images[:, :, row::2, column::2] for row, column in np.ndindex(2, 2)]


def move_axes(x: Variable, order: Shape) -> Variable:
    """Return the same elements with the axes in another order."""
    return _MoveAxes(order)(x)


def conv2d(x: Variable, weight: Variable, bias: Variable) -> Variable:
    """Return images of the size of `x`, convolved with stride 1 and zeros around them.

    Args:
        x: Images, (N, C, H, W).
        weight: Filters, (filters, C, size, size); the size is odd.
        bias: Biases, (filters,).

    Returns:
        Images, (N, filters, H, W).
    """
    batch, _, height, width = x.shape
    filters, channels, size, _ = weight.shape
    columns = move_axes(weight, (2, 3, 1, 0))
    columns = reshape(columns, (size * size * channels, filters))
    y = linear(_Windows(size)(x), columns, bias)
    return move_axes(reshape(y, (batch, height, width, filters)), (0, 3, 1, 2))


def max_pool2d(x: Variable) -> Variable:
    """Return the largest element of each 2 x 2 window of images with even height and width."""
    return _MaxPool()(x)
