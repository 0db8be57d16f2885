"""What the counterparts of DeZero's tests share: running, gradient checks, plain NumPy formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import symgraph as sg

Array = np.ndarray[Any, Any]
STEP = 1e-3
ALL_DIRECTIONS, SOME_DIRECTIONS = 64, 16


def run(f: Callable[..., Any], *arrays: Any) -> Array:
    """Return f of arrays, in native code."""
    values = [np.asarray(array) for array in arrays]
    leaves = [sg.Placeholder(f"x{i}", v.shape, v.dtype) for i, v in enumerate(values)]
    return sg.compile(f(*leaves), inputs=leaves)(*values)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def check_gradient(f: Callable[[Any], Any], at: Any, rtol: float = 1e-7) -> None:
    """Compare the gradient of a random sum of f's elements with differences.

    The differences go along all axes of a small operand and along some random directions of a large
    one, with one step of Richardson's extrapolation.
    """
    at = np.asarray(at, "float64")
    x = sg.Placeholder("x", at.shape, "float64")
    y = f(x)
    loss = sg.sum(y * generator(1).normal(size=y.shape))
    g = sg.compile([loss, sg.grad(loss, x)])
    slope = np.asarray(g(x=at)[1])
    assert slope.shape == at.shape
    directions = _directions(at)
    found = directions.reshape(len(directions), -1) @ slope.ravel()
    expected = np.array([_difference(lambda v: float(g(x=v)[0]), at, d) for d in directions])
    error = np.linalg.norm(found - expected)
    assert error <= rtol * (np.linalg.norm(found) + np.linalg.norm(expected) + 1e-8)


def _directions(at: Array) -> Array:
    if at.size <= ALL_DIRECTIONS:
        return np.eye(at.size).reshape(at.size, *at.shape)
    drawn = generator(2).normal(size=(SOME_DIRECTIONS, *at.shape))
    return drawn / np.sqrt(at.size)


def _difference(f: Callable[[Array], float], at: Array, direction: Array) -> float:
    def central(h: float) -> float:
        return (f(at + h * direction) - f(at - h * direction)) / (2 * h)

    return (4 * central(STEP / 2) - central(STEP)) / 3


def pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def windows(x: Array, kernel: Any, stride: Any, pad: Any, fill: float = 0.0) -> Array:
    """Return the windows of images, shaped (N, C, OH, OW, KH, KW)."""
    (kh, kw), (sh, sw), (ph, pw) = pair(kernel), pair(stride), pair(pad)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(2, 3))
    return view[:, :, ::sh, ::sw]


def convolution(x: Array, w: Array, b: Array | None, stride: Any, pad: Any) -> Array:
    """Return the convolution of the books: a correlation, without flipping."""
    y = np.einsum("nchwij,ocij->nohw", windows(x, w.shape[2:], stride, pad), w)
    return y if b is None else y + b[:, None, None]


def transposed_convolution(x: Array, w: Array, b: Array | None, stride: Any, pad: Any) -> Array:
    """Return what the adjoint of a convolution makes of x: each pixel spreads a filter."""
    (sh, sw), (ph, pw) = pair(stride), pair(pad)
    n, _, h, width = x.shape
    _, out, kh, kw = w.shape
    y = np.zeros((n, out, sh * (h - 1) + kh, sw * (width - 1) + kw), x.dtype)
    for i in range(h):
        for j in range(width):
            y[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += np.einsum(
                "nc,coij->noij", x[:, :, i, j], w
            )
    y = y[:, :, ph : y.shape[2] - ph, pw : y.shape[3] - pw]
    return y if b is None else y + b[:, None, None]


def softmax(x: Array, axis: int = 1) -> Array:
    shifted = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=axis, keepdims=True))
