"""Newton's method on x^4 - 2 x^2, with derivatives written by hand and by `grad`.

python examples/newton.py

A step is one compiled function without feeds: x is a parameter, and the step updates it.
"""

from __future__ import annotations

import symgraph as sg


def objective(x: sg.Node) -> sg.Node:
    """Return the function to minimise; a minimum is at 1."""
    return x**4 - 2 * x**2


def by_hand(x: sg.Node) -> tuple[sg.Node, sg.Node]:
    """Return its first two derivatives, worked out on paper."""
    return 4 * x**3 - 4 * x, 12 * x**2 - 4


def by_grad(x: sg.Node) -> tuple[sg.Node, sg.Node]:
    """Return its first two derivatives: the second is the gradient of the first."""
    slope = sg.grad(objective(x), x)
    return slope, sg.grad(slope, x)


def newton(automatic: bool, start: float = 2.0, steps: int = 7) -> list[float]:
    """Return x before each step and after the last."""
    x = sg.Parameter(start, "x")
    slope, bend = by_grad(x) if automatic else by_hand(x)
    step = sg.compile(x, updates={x: x - slope / bend})
    return [float(step()) for _ in range(steps + 1)]


def descent(rate: float = 0.01, start: float = 2.0) -> int:
    """Return how many steps gradient descent takes until the slope is below 1e-10."""
    x = sg.Parameter(start, "x")
    slope, _ = by_grad(x)
    step = sg.compile(slope, updates={x: x - rate * slope})
    steps = 0
    while abs(step()) >= 1e-10:
        steps += 1
    return steps


def main() -> None:
    """Print the iterates of both, and what gradient descent takes instead."""
    for number, pair in enumerate(zip(newton(False), newton(True), strict=True)):
        print(f"{number}  by hand {pair[0]:.16g}  by grad {pair[1]:.16g}")
    print(f"gradient descent takes {descent()} steps for that")


if __name__ == "__main__":
    main()
