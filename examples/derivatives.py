"""Derivatives are graphs: they are differentiated again, and compiled like everything else.

python examples/derivatives.py
"""

from __future__ import annotations

import symgraph as sg


def tanh_orders(highest: int) -> list[float]:
    """Return tanh(1) and its derivatives there up to order `highest`, from one function."""
    x = sg.Placeholder("x", shape=(), dtype="float64")
    orders = [sg.tanh(x)]
    for _ in range(highest):
        gradient = sg.grad(orders[-1], x)
        assert isinstance(gradient, sg.Node), "one node in, one gradient out"
        orders.append(gradient)
    return [float(value) for value in sg.compile(orders)(x=1.0)]


def goldstein_price() -> tuple[float, float, float]:
    """Return the Goldstein-Price function at (1, 1) and its two partial derivatives."""
    x = sg.Placeholder("x", shape=(), dtype="float64")
    y = sg.Placeholder("y", shape=(), dtype="float64")
    first = 19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2
    second = 18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2
    z = (1 + (x + y + 1) ** 2 * first) * (30 + (2 * x - 3 * y) ** 2 * second)
    value, by_x, by_y = sg.compile([z, *sg.grad(z, [x, y])])(x=1.0, y=1.0)
    return float(value), float(by_x), float(by_y)


def newton(start: float, steps: int) -> list[float]:
    """Return the iterates of Newton's method towards a minimum of x^4 - 2 x^2.

    The whole step is one function without feeds: x is a parameter, which the function updates.
    """
    x = sg.Parameter(start, name="x")
    y = x**4 - 2 * x**2
    slope = sg.grad(y, x)
    assert isinstance(slope, sg.Node), "one node in, one gradient out"
    step = sg.compile(y, updates={x: x - slope / sg.grad(slope, x)})
    iterates = [start]
    for _ in range(steps):
        step()
        iterates.append(float(x.value))
    return iterates


def main() -> None:
    """Print the results."""
    print("tanh and its derivatives at 1:")
    for order, value in enumerate(tanh_orders(8)):
        print(f"  order {order}  {value: .12f}")
    value, by_x, by_y = goldstein_price()
    print(f"Goldstein-Price at (1, 1): {value:g}, derivatives {by_x:g} and {by_y:g}")
    print("Newton on x^4 - 2 x^2:")
    for iterate in newton(2.0, 7):
        print(f"  {iterate:.16g}")


if __name__ == "__main__":
    main()
