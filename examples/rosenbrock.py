"""Gradient descent on Rosenbrock's banana: one compiled step without feeds, called 10 000 times.

python examples/rosenbrock.py --steps 10000

Draws the way that the descent takes to examples/output/rosenbrock.png.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from plotting import picture

import symgraph as sg

Array = np.ndarray[Any, Any]


def rosenbrock(x: Any, y: Any) -> Any:
    """Return Rosenbrock's function, of nodes or of numbers; its minimum is 0 at (1, 1)."""
    return 100 * (y - x**2) ** 2 + (x - 1) ** 2


def descend(steps: int, rate: float = 0.001) -> tuple[Array, Array]:
    """Return the first gradient, and the points (steps + 1, 2) on the way down from (0, 2)."""
    x, y = sg.Parameter(0.0, "x"), sg.Parameter(2.0, "y")
    loss = rosenbrock(x, y)
    gradients = sg.grad(loss, [x, y])
    updates = sg.optim.SGD(rate).updates_from(gradients, [x, y])
    step = sg.compile([*gradients, x, y], updates=updates)  # x and y before the update
    visited = np.array([step() for _ in range(steps + 1)])
    return visited[0, :2], visited[:, 2:]


def draw(points: Array) -> None:
    """Draw the way over level lines of the logarithm."""
    across, along = np.meshgrid(np.linspace(-1.5, 1.5, 301), np.linspace(-0.75, 2.25, 301))
    with picture("rosenbrock.png", figsize=(6.4, 5)) as axes:
        levels = np.linspace(-1, 3, 17)
        height = np.log10(rosenbrock(across, along) + 1e-9)
        lines = axes.contour(across, along, height, levels, cmap="viridis", linewidths=0.8)
        axes.figure.colorbar(lines, ax=axes, label="log10 of the value")
        axes.plot(*points.T, ".-", color="C3", markersize=3, linewidth=1, label="descent")
        axes.plot(*points[0], "o", color="C3", label="start")
        axes.plot(1, 1, "*", color="C1", markersize=14, label="minimum")
        axes.set(title=f"{len(points) - 1} steps of gradient descent", xlabel="x", ylabel="y")
        axes.legend(loc="lower left", framealpha=1)


def main(arguments: list[str] | None = None) -> None:
    """Descend, print some of the points, and draw."""
    parser = argparse.ArgumentParser(description="Descend Rosenbrock's function.")
    parser.add_argument("--steps", type=int, default=10_000, help="steps of gradient descent")
    options = parser.parse_args(arguments)
    first, points = descend(options.steps)
    print(f"first gradient: {first}")
    for number in (1, 2, 1000, 10_000, 50_000):
        if number <= options.steps:
            print(f"after {number:5} steps: ({points[number, 0]:.10f}, {points[number, 1]:.10f})")
    draw(points)


if __name__ == "__main__":
    main()
