"""A straight line through noisy points: parameters, a loss, and one compiled step that descends.

python examples/linear_regression.py

Draws points and line to examples/output/linear_regression.png.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from plotting import picture

import symgraph as sg

Array = np.ndarray[Any, Any]


def points() -> tuple[Array, Array]:
    """Return x (100, 1) and y = 5 + 2 x + noise, all noise between 0 and 1."""
    rng = np.random.RandomState(0)
    x = rng.rand(100, 1)
    return x, 5 + 2 * x + rng.rand(100, 1)


def fit(x: Array, y: Array, steps: int, rate: float = 0.1) -> list[tuple[float, float, float]]:
    """Return the loss before each step of gradient descent, and slope and offset after it."""
    inputs = sg.Placeholder("x", shape=("N", 1), dtype="float64")
    targets = sg.Placeholder("y", shape=("N", 1), dtype="float64")
    slope, offset = sg.Parameter(np.zeros((1, 1)), "W"), sg.Parameter(np.zeros(1), "b")
    loss = sg.nn.mean_squared_error(inputs @ slope + offset, targets)
    by_slope, by_offset = sg.grad(loss, [slope, offset])
    step = sg.compile(
        loss, updates={slope: slope - rate * by_slope, offset: offset - rate * by_offset}
    )
    return [
        (float(step(x=x, y=y)), float(slope.value.item()), float(offset.value.item()))
        for _ in range(steps)
    ]


def main() -> None:
    """Fit, print how it went beside the least-squares solution, and draw."""
    x, y = points()
    history = fit(x, y, steps=100)
    for number in (1, 10, 100):
        loss, slope, offset = history[number - 1]
        print(f"step {number:3}: loss {loss:.12f}, then y = {slope:.8f} x + {offset:.8f}")
    best = np.polyfit(x[:, 0], y[:, 0], deg=1)
    print(f"least squares:                    y = {best[0]:.8f} x + {best[1]:.8f}")
    with picture("linear_regression.png", figsize=(6, 4)) as axes:
        axes.scatter(x, y, s=12, label="points")
        for number, color in ((1, "C7"), (10, "C1"), (100, "C3")):
            _, slope, offset = history[number - 1]
            line = np.array([0.0, 1.0]) * slope + offset
            axes.plot([0, 1], line, color=color, label=f"after step {number}")
        axes.set(xlabel="x", ylabel="y", title="Linear regression")
        axes.grid(alpha=0.3)
        axes.legend(loc="center right")


if __name__ == "__main__":
    main()
