"""The chain rule is done for you: `grad` walks back through any composition of functions.

python examples/chain_rule.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg

Array = np.ndarray[Any, Any]


def scalar(name: str) -> sg.Placeholder:
    """Return a placeholder for one number."""
    return sg.Placeholder(name, shape=(), dtype="float64")


def composition() -> list[float]:
    """Return y = (e^(x^2))^2 at 0.5, and dy/dx: square, exp and square, one after the other."""
    x = scalar("x")
    y = sg.square(sg.exp(sg.square(x)))
    return [float(value) for value in sg.compile([y, sg.grad(y, x)])(x=0.5)]


def by_hand() -> list[float]:
    """Return the adjoints of that composition from the output back: dy/db, dy/da, dy/dx.

    Intermediate values are nodes too, so that gradients with respect to them are there for the
    asking; what is not asked for is never computed.
    """
    x = scalar("x")
    a = sg.square(x)
    b = sg.exp(a)
    y = sg.square(b)
    return [float(value) for value in sg.compile(sg.grad(y, [b, a, x]))(x=0.5)]


def slopes(y: sg.Node, at: dict[sg.Placeholder, float]) -> list[float]:
    """Return the derivatives of y with respect to some placeholders, at their values."""
    gradients = sg.grad(y, list(at))
    return [float(slope) for slope in sg.compile(gradients, inputs=list(at))(*at.values())]


def small_slopes() -> dict[str, list[float]]:
    """Return some derivatives that are easily checked by hand."""
    x, y, w, b = (scalar(name) for name in "xywb")
    return {
        "x^2 + 3xy + y^2 at (2, 1)": slopes(x**2 + 3 * x * y + y**2, {x: 2, y: 1}),
        "(3x + 2)^2 at 1": slopes((3 * x + 2) ** 2, {x: 1}),
        "xw + b at (3, 2, 1)": slopes(x * w + b, {x: 3, w: 2, b: 1}),
        "sigmoid(3x + 2) at 0.5": slopes(sg.sigmoid(3 * x + 2), {x: 0.5}),
        "sigmoid(x + y) at (2, 3)": slopes(sg.sigmoid(x + y), {x: 2, y: 3}),
    }


def sum_of_sigmoids() -> tuple[float, Array, Array]:
    """Return L = sum(sigmoid(X W)) for two matrices, dL/dX and dL/dW."""
    x = sg.Placeholder("X", shape=(3, 3), dtype="float64")
    w = sg.Placeholder("W", shape=(3, 2), dtype="float64")
    total = sg.sum(sg.sigmoid(x @ w))
    value, by_x, by_w = sg.compile([total, *sg.grad(total, [x, w])])(
        X=np.array([[1.0, 0, -1], [2, 1, 0], [0, -1, 1]]),
        W=np.array([[0.5, -0.5], [1, 0], [-1, 2]]),
    )
    return float(value), by_x, by_w


def long_chain(length: int) -> float:
    """Return the derivative of a chain of additions: nothing recurses, however long it is."""
    x = scalar("x")
    y: sg.Node = x
    for _ in range(length):
        y = y + 1.0
    return float(sg.compile(sg.grad(y, x))(x=0.5))


def main() -> None:
    """Print values and slopes."""
    value, slope = composition()
    print(f"(e^(x^2))^2 at 0.5: {value:.15f}, slope {slope:.15f}")
    print("its adjoints, from the output back:", [round(number, 6) for number in by_hand()])
    for text, slopes in small_slopes().items():
        print(f"slope of {text}: {', '.join(f'{slope:.6g}' for slope in slopes)}")
    value, by_x, by_w = sum_of_sigmoids()
    print(f"L = sum(sigmoid(XW)) = {value:.10f}")
    print(f"dL/dX =\n{by_x.round(10) + 0.0}\ndL/dW =\n{by_w.round(10) + 0.0}")
    print(f"slope of a chain of 20000 additions: {long_chain(20_000):g}")


if __name__ == "__main__":
    main()
