"""Memory is planned: arrays share it where their lifetimes allow, and nobody has to free anything.

python examples/memory.py
"""

from __future__ import annotations

import symgraph as sg

COUNT = 1_000_000


def chain(x: sg.Node, length: int) -> sg.Node:
    """Return tanh of tanh of ... of x."""
    for _ in range(length):
        x = sg.tanh(x)
    return x


def report() -> dict[str, sg.Function]:
    """Return functions of ten values in a row, with and without the derivative."""
    x = sg.Placeholder("x", shape=("N",), dtype="float64")
    y = chain(x, 10)
    return {
        "value of 10 tanh in a row": sg.compile(y),
        "its gradient": sg.compile(sg.grad(y.sum(), x)),
    }


def asked_for() -> list[list[float]]:
    """Return what two functions of one graph give: only what was asked for.

    t = x0 + x1 and y = x0 + t; dy/dt is an output of the second function alone.
    """
    x0, x1 = (sg.Placeholder(name, (), "float64") for name in ("x0", "x1"))
    t = x0 + x1
    y = x0 + t
    slopes = sg.grad(y, [x0, x1, t])
    functions = sg.compile(slopes[:2]), sg.compile(slopes)
    return [[float(slope) for slope in f(x0=1.0, x1=1.0)] for f in functions]


def main() -> None:
    """Print how much memory each function needs, before any of them has run."""
    for text, f in report().items():
        memory = f.memory(N=COUNT)
        print(
            f"{text:28} arena {memory.arena / 1e6:g} MB, "
            f"outputs {memory.outputs / 1e6:g} MB, {len(f.kernels)} kernels"
        )
    two, three = asked_for()
    print(f"slopes of y by x0 and x1: {two}, and by t as well: {three}")


if __name__ == "__main__":
    main()
