"""`cond` is lazy: one side is computed, in the value and in the gradient.

python examples/branches.py
"""

from __future__ import annotations

import numpy as np

import symgraph as sg


def main() -> None:
    """Compile a function with a branch, call it both ways, and look at the gradient."""
    flag = sg.Placeholder("flag", shape=(), dtype="bool")
    x0 = sg.Placeholder("x0", shape=(), dtype="float64")
    x1 = sg.Placeholder("x1", shape=(), dtype="float64")
    y = sg.cond(flag, lambda: x0 + x1, lambda: x0 * x1)
    f = sg.compile([y, *sg.grad(y, [x0, x1])])
    for value in (True, False):
        result, by_x0, by_x1 = f(flag=value, x0=2.0, x1=3.0)
        print(f"flag={value!s:5}  y={result:g}  gradients {by_x0:g}, {by_x1:g}")

    x = sg.Placeholder("x", shape=("N",), dtype="float64")
    safe = sg.where(x > 0, sg.sqrt(x), 0.0).sum()
    slope = sg.compile(sg.grad(safe, x))(x=np.array([4.0, 0.0, -1.0]))
    print(f"gradient of where(x > 0, sqrt(x), 0) at 4, 0, -1: {slope}")


if __name__ == "__main__":
    main()
