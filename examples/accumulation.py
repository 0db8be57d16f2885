"""Any graph without cycles: several inputs and results, values used twice, branches that meet.

python examples/accumulation.py

The derivative of a value that is used more than once is the sum over its uses. Gradients are
functions of the feeds: nothing is left over from an earlier call that would have to be cleared.
"""

from __future__ import annotations

import numpy as np

import symgraph as sg


def two_inputs() -> list[float]:
    """Return z = x^2 + y^2 at (2, 3), and both slopes."""
    x, y = (sg.Placeholder(name, (), "float64") for name in "xy")
    z = sg.square(x) + sg.square(y)
    return [float(value) for value in sg.compile([z, *sg.grad(z, [x, y])])(x=2.0, y=3.0)]


def used_again() -> list[float]:
    """Return the slopes of x + x and x + x + x, asked for twice."""
    x = sg.Placeholder("x", (), "float64")
    f = sg.compile([sg.grad(x + x, x), sg.grad(x + x + x, x)])
    return [float(slope) for _ in range(2) for slope in f(x=3.0)]


def diamond() -> list[float]:
    """Return y = (x^2)^2 + (x^2)^2 at 2 and its slope: x^2 is computed, and passed back, once."""
    x = sg.Placeholder("x", (), "float64")
    a = sg.square(x)
    y = sg.square(a) + sg.square(a)
    return [float(value) for value in sg.compile([y, sg.grad(y, x)])(x=2.0)]


def one_result_of_two() -> list[float]:
    """Return the gradient through one half of a split array; the other half has no part in it."""
    x = sg.Placeholder("x", (4,), "float64")
    first, _ = sg.split(x, 2)
    slope: list[float] = sg.compile(sg.grad(sg.sum(first**2), x))(x=np.arange(4.0)).tolist()
    return slope


def main() -> None:
    """Print values and slopes."""
    z, by_x, by_y = two_inputs()
    print(f"x^2 + y^2 at (2, 3): {z:g}, slopes {by_x:g} and {by_y:g}")
    print(f"slopes of x + x and x + x + x, in two calls: {used_again()}")
    y, slope = diamond()
    print(f"a = x^2, y = a^2 + a^2 at 2: {y:g}, slope {slope:g}")
    print(f"gradient through the first half of [0, 1, 2, 3]: {one_result_of_two()}")


if __name__ == "__main__":
    main()
