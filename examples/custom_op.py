"""An operation of your own: its mathematics once, its gradient as graph, and how it is tested.

python examples/custom_op.py

One record is all: NumPy's version defines the values, scalar code becomes native code, fused with
its neighbours, and the gradient is built from nodes, so that derivatives of any order follow.
"""

from __future__ import annotations

import numpy as np

import symgraph as sg
from symgraph.ops.elementwise import between, elementwise, like

# y = sqrt(1 + x^2) - 1: nearly x^2 / 2 around 0, nearly |x| far away.
pseudo_huber = elementwise(
    "pseudo_huber",
    numpy=lambda x: np.sqrt(1 + x * x) - 1,
    scalar=lambda s, x: s.sub(s.sqrt(s.fma(x, x, s.constant(1, x.dtype))), s.constant(1, x.dtype)),
    grad=lambda g, y, x: (g * x / (y + 1),),
    domain=[between(-3, 3)],
    dtypes=like(np.sqrt),
    doc="sqrt(1 + x^2) - 1, element by element. x: (...) -> (...), floats.",
)


def values() -> list[float]:
    """Return the operation at 0.75 and its first two derivatives there."""
    x = sg.Placeholder("x", shape=(), dtype="float64")
    y = pseudo_huber(x)
    slope = sg.grad(y, x)
    return [float(value) for value in sg.compile([y, slope, sg.grad(slope, x)])(x=0.75)]


def largest_difference() -> float:
    """Return how far native code is from NumPy's version, for many numbers."""
    x = sg.Placeholder("x", shape=("N",), dtype="float64")
    points = np.linspace(-3, 3, 1001)
    native, reference = (sg.compile(pseudo_huber(x), mode=mode) for mode in ("native", "reference"))
    return float(np.abs(native(x=points) - reference(x=points)).max())


def kernels() -> int:
    """Return how many kernels a mean of the operation takes: it is fused like any other."""
    x = sg.Placeholder("x", shape=("N",), dtype="float64")
    return len(sg.compile(pseudo_huber(2 * x + 1).mean()).kernels)


def main() -> None:
    """Print values, the comparison with NumPy, and what became of it."""
    value, slope, bend = values()
    print(f"at 0.75: {value:g}, slope {slope:g}, second derivative {bend:g}")
    print(f"native and NumPy differ by at most {largest_difference():.0e}")
    print(f"its mean over 2x + 1 takes {kernels()} kernels")


if __name__ == "__main__":
    main()
