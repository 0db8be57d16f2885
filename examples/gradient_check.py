"""Gradients compared with finite differences: how a rule for a derivative is tested.

python examples/gradient_check.py

The relative error |a - n| / (|a| + |n|) of an analytical gradient a and a numerical one n is near
1e-11 where all is well in float64. Above 1e-7 something is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import symgraph as sg

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-7


def numerical_gradient(f: Callable[..., Array], feeds: Mapping[str, Array], name: str) -> Array:
    """Return central differences of f, one element of the feed `name` after the other."""
    eps, point = 1e-5, np.asarray(feeds[name], "float64")
    found = np.zeros_like(point)
    for index in np.ndindex(point.shape):
        above, below = point.copy(), point.copy()
        above[index] += eps
        below[index] -= eps
        difference = f(**{**feeds, name: above}) - f(**{**feeds, name: below})
        found[index] = difference / (2 * eps)
    return found


def relative_error(analytical: Array, numerical: Array) -> float:
    """Return the distance of two gradients, in terms of their lengths."""
    size = np.linalg.norm(analytical) + np.linalg.norm(numerical)
    return float(np.linalg.norm(analytical - numerical) / (size + 1e-8))


def check(loss: sg.Node, feeds: Mapping[str, Array], factor: float = 1.0) -> dict[str, float]:
    """Return the error of each gradient; a factor other than 1 makes all of them wrong."""
    f = sg.compile(loss)
    gradients = sg.compile({leaf.name: sg.grad(loss, leaf) for leaf in f.inputs})(**feeds)
    return {
        name: relative_error(factor * gradient, numerical_gradient(f, feeds, name))
        for name, gradient in gradients.items()
    }


def layer() -> tuple[sg.Node, dict[str, Array]]:
    """Return the loss of a small layer, sum(sigmoid(x W + b)), and what to feed it."""
    rng = np.random.RandomState(42)
    feeds = {name: rng.randn(*shape) for name, shape in (("x", (2, 3)), ("W", (3, 4)), ("b", (4,)))}
    x, w, b = (sg.Placeholder(name, feed.shape, "float64") for name, feed in feeds.items())
    return sg.sum(sg.sigmoid(x @ w + b)), feeds


def quadratic_form() -> tuple[sg.Node, dict[str, Array]]:
    """Return x W x for a symmetric W, whose gradient by x is 2 W x, and what to feed it."""
    rng = np.random.RandomState(42)
    w = rng.randn(3, 3)
    feeds = {"x": rng.randn(3)}
    x = sg.Placeholder("x", (3,), "float64")
    return x @ sg.Constant((w + w.T) / 2) @ x, feeds


def differences() -> tuple[float, float]:
    """Return forward and central difference of (e^(x^2))^2 at 0.5, whose slope is 3.29744254140."""
    x = sg.Placeholder("x", (), "float64")
    f, eps = sg.compile(sg.square(sg.exp(sg.square(x)))), 1e-4
    forward = (f(x=0.5 + eps) - f(x=0.5)) / eps
    central = (f(x=0.5 + eps) - f(x=0.5 - eps)) / (2 * eps)
    return float(forward), float(central)


def main() -> None:
    """Print the differences and the errors."""
    forward, central = differences()
    print(f"slope 3.29744254140: forward difference {forward:.11f}, central {central:.11f}")
    for text, (loss, feeds) in {"sum(sigmoid(xW + b))": layer(), "x W x": quadratic_form()}.items():
        for name, error in check(loss, feeds).items():
            verdict = "right" if error < TOLERANCE else "WRONG"
            print(f"d {text} / d{name}: relative error {error:.0e}, {verdict}")
    (error,) = check(*quadratic_form(), factor=1.01).values()
    verdict = "right" if error < TOLERANCE else "WRONG"
    print(f"the last one, 1 % too large: relative error {error:.1e}, {verdict}")


if __name__ == "__main__":
    main()
