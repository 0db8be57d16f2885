"""One function in three views: as mathematics, as code and as a diagram.

python examples/functions.py

The functions are f1(x) = x^2, f2(x) = max(x, 0) and the nested f2(f1(x)). The diagram, with the
derivative of each, goes to examples/output/functions.png.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from plotting import picture

import symgraph as sg
from symgraph.printer import format_graph

Array = np.ndarray[Any, Any]


def views(x: sg.Node) -> dict[str, sg.Node]:
    """Return the functions by their mathematical notation: the code is the graph itself."""
    square = x**2
    return {
        "f1(x) = x²": square,
        "f2(x) = max(x, 0)": sg.maximum(x, 0.0),
        "f2(f1(x))": sg.maximum(square, 0.0),
    }


def values_and_slopes(points: Array) -> dict[str, tuple[Array, Array]]:
    """Return for each function its values and derivatives at some points.

    The sum of y over independent points has dy/dx of each point as its gradient.
    """
    x = sg.Placeholder("x", shape=("N",), dtype="float64")
    outputs = {name: (y, sg.grad(y.sum(), x)) for name, y in views(x).items()}
    result: dict[str, tuple[Array, Array]] = sg.compile(outputs)(x=points)
    return result


def graph_text() -> str:
    """Return the nested function as the compiler sees it, one line for each operation."""
    nested = views(sg.Placeholder("x", shape=(), dtype="float64"))["f2(f1(x))"]
    return format_graph(nested, locations=False)


def draw(points: Array, at: int) -> None:
    """Draw functions and derivatives, and the tangent of each at one of the points."""
    with picture("functions.png", columns=3, sharey=True) as panels:
        for axes, (name, (y, slope)) in zip(panels, values_and_slopes(points).items(), strict=True):
            near = points[np.abs(points - points[at]) < 1]
            tangent = y[at] + slope[at] * (near - points[at])
            axes.plot(points, y, label="value", linewidth=2)
            axes.plot(points, slope, "--", label="derivative")
            axes.plot(near, tangent, color="C3", label=f"tangent, slope {slope[at]:.3g}")
            axes.plot(points[at], y[at], "o", color="C3")
            axes.set(title=name, xlabel="x", ylim=(-5.5, 6.5))
            axes.grid(alpha=0.3)
            axes.legend(loc="lower right")


def main() -> None:
    """Print value and derivative of each function at -3, and the graph; draw the diagram."""
    for name, (y, slope) in values_and_slopes(np.array([-3.0])).items():
        print(f"{name:18} at -3: value {y[0]:g}, derivative {slope[0]:g}")
    print(f"graph of f2(f1(x)):\n{graph_text()}")
    draw(np.linspace(-2.5, 2.5, 201), at=160)


if __name__ == "__main__":
    main()
