"""Functions of two variables, their gradients and Hessians: Sphere, Matyas and Goldstein-Price.

python examples/landscapes.py

Draws level lines to examples/output/landscapes.png, with the way of steepest descent at one point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from plotting import picture

import symgraph as sg

Array = np.ndarray[Any, Any]


def sphere(x: sg.Node, y: sg.Node) -> sg.Node:
    """Return a bowl whose minimum is 0 at (0, 0)."""
    return x**2 + y**2


def matyas(x: sg.Node, y: sg.Node) -> sg.Node:
    """Return a narrow valley whose minimum is 0 at (0, 0)."""
    return 0.26 * (x**2 + y**2) - 0.48 * x * y


def goldstein_price(x: sg.Node, y: sg.Node) -> sg.Node:
    """Return a function with several local minima; the lowest is 3 at (0, -1)."""
    first = 19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2
    second = 18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2
    return (1 + (x + y + 1) ** 2 * first) * (30 + (2 * x - 3 * y) ** 2 * second)


LANDSCAPES: dict[str, Callable[[sg.Node, sg.Node], sg.Node]] = {
    "Sphere": sphere,
    "Matyas": matyas,
    "Goldstein-Price": goldstein_price,
}


def at(name: str, x: float, y: float) -> tuple[float, Array, Array]:
    """Return value, gradient (2,) and Hessian (2, 2) of a landscape at a point."""
    v = sg.Placeholder("v", shape=(2,), dtype="float64")
    z = LANDSCAPES[name](v[0], v[1])
    value, slope, curvature = sg.compile([z, sg.grad(z, v), sg.hessian(z, v)])(v=[x, y])
    return float(value), slope, curvature


def draw() -> None:
    """Draw level lines; the same graph takes a grid of points as it takes one."""
    x, y = (sg.Placeholder(name, ("N", "N"), "float64") for name in "xy")
    points = {"Sphere": (2.0, 1.5), "Matyas": (2.0, -1.0), "Goldstein-Price": (1.0, 1.0)}
    with picture("landscapes.png", columns=3) as panels:
        for axes, (name, (left, up)) in zip(panels, points.items(), strict=True):
            side = np.linspace(-2, 2, 201) if name == "Goldstein-Price" else np.linspace(-3, 3, 201)
            across, along = np.meshgrid(side, side)
            z = sg.compile(LANDSCAPES[name](x, y))(x=across, y=along)
            lines = axes.contour(across, along, np.log10(z + 1e-3), 20, cmap="viridis")
            axes.figure.colorbar(lines, ax=axes, label="log10 of the value", shrink=0.75)
            _, slope, _ = at(name, left, up)
            arrow = -slope / np.linalg.norm(slope)
            axes.quiver(left, up, *arrow, angles="xy", scale_units="xy", scale=1, color="C3")
            label = f"downhill: ({-slope[0]:.4g}, {-slope[1]:.4g})"
            axes.plot(left, up, "o", color="C3", label=label)
            axes.set(title=name, xlabel="x", ylabel="y", aspect="equal")
            axes.legend(loc="lower left")


def main() -> None:
    """Print value, gradient and Hessian at (1, 1), and the minimum of Goldstein-Price; draw."""
    for name, x, y in [*((name, 1, 1) for name in LANDSCAPES), ("Goldstein-Price", 0, -1)]:
        value, slope, curvature = at(name, x, y)
        rows = " ".join(f"[{row[0]:g} {row[1]:g}]" for row in curvature)
        print(f"{name} at ({x}, {y}): {value:g}, gradient {slope}, Hessian {rows}")
    print(f"steepest descent of Sphere at (2, 1.5): {-at('Sphere', 2.0, 1.5)[1]}")
    draw()


if __name__ == "__main__":
    main()
