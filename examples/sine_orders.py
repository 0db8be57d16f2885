"""Derivatives are graphs: that of a derivative is taken like any other. The sine to order 3.

python examples/sine_orders.py

Draws them to examples/output/sine_orders.png.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from plotting import picture

import symgraph as sg

Array = np.ndarray[Any, Any]
NAMES = ("sin x", "first derivative", "second derivative", "third derivative", "fourth derivative")


def orders(highest: int) -> sg.Function:
    """Compile a function of points x (N,) that gives sin x and its derivatives, all in one."""
    x = sg.Placeholder("x", shape=("N",), dtype="float64")
    found = [sg.sin(x)]
    for _ in range(highest):
        found.append(sg.grad(found[-1].sum(), x))
    return sg.compile(found)


def largest_difference(points: Array) -> float:
    """Return how far the derivatives are from cos, -sin, -cos and sin."""
    expected = np.sin(points), np.cos(points), -np.sin(points), -np.cos(points), np.sin(points)
    return float(np.abs(np.array(orders(4)(x=points)) - expected).max())


def main() -> None:
    """Print the derivatives at 1 and how exact they are; draw them."""
    for name, (value,) in zip(NAMES, orders(4)(x=np.ones(1)), strict=True):
        print(f"{name:17} at 1: {value: .16f}")
    points = np.linspace(-7, 7, 200)
    print(f"largest difference on 200 points: {largest_difference(points):.0e}")
    with picture("sine_orders.png", figsize=(8, 4)) as axes:
        for name, values in zip(NAMES, orders(3)(x=points), strict=False):
            axes.plot(points, values, label=name)
        axes.set(xlabel="x", ylim=(-1.1, 1.5))
        axes.grid(alpha=0.3)
        axes.legend(ncols=4, loc="upper center", fontsize="small")


if __name__ == "__main__":
    main()
