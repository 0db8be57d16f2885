"""A loop that data ends: the sine as a Taylor series, as many terms as a threshold asks for.

python examples/taylor_sine.py

The loop is part of the graph, so one compiled function serves every threshold, and its gradient is
a loop as well.
"""

from __future__ import annotations

import numpy as np

import symgraph as sg

State = tuple[sg.Node, sg.Node, sg.Node]


def taylor_sine(x: sg.Node, threshold: sg.Node) -> tuple[sg.Node, sg.Node]:
    """Return sin x = x - x^3 / 3! + x^5 / 5! - ... and the number of terms.

    Terms are added until one is smaller than the threshold.
    """

    def goes_on(state: State) -> sg.Node:
        _, term, _ = state
        return sg.abs(term) >= threshold

    def add_term(state: State) -> State:
        total, term, count = state
        term = -term * x**2 / ((2 * count) * (2 * count + 1))
        return total + term, term, count + 1

    total, _, count = sg.while_loop(goes_on, add_term, (x, x, 1))
    return total, count


def compiled() -> sg.Function:
    """Compile a function of x and threshold that gives sine, its slope, and the terms it took."""
    x, threshold = (sg.Placeholder(name, (), "float64") for name in ("x", "threshold"))
    y, count = taylor_sine(x, threshold)
    return sg.compile((y, sg.grad(y, x), count))


def main() -> None:
    """Print sine and cosine of pi / 4 for two thresholds."""
    f = compiled()
    for threshold in (1e-4, 1e-150):
        y, slope, count = f(x=np.pi / 4, threshold=threshold)
        print(f"threshold {threshold:g}: {count} terms, y {y:.16f}, slope {slope:.16f}")
    print(f"sine and cosine:    {np.sin(np.pi / 4):.16f} and {np.cos(np.pi / 4):.16f}")
    print(f"compilations: {f.compile_count}")


if __name__ == "__main__":
    main()
