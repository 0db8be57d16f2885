"""Formulas from a mathematics refresher: probabilities, an error, a derivative, linear equations.

python examples/formulas.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg

Array = np.ndarray[Any, Any]


def bayes() -> float:
    """Return P(A|B) = P(B|A) P(A) / P(B) for P(A) = 0.01, P(B|A) = 0.9 and P(B) = 0.05."""
    a, b_given_a, b = (sg.Placeholder(name, (), "float64") for name in ("a", "b_given_a", "b"))
    return float(sg.compile(b_given_a * a / b)(a=0.01, b_given_a=0.9, b=0.05))


def mean_squared_error() -> tuple[float, Array]:
    """Return the mean squared error of three predictions, and its slope by each of them."""
    predicted = sg.Placeholder("predicted", ("N",), "float64")
    observed = sg.Placeholder("observed", ("N",), "float64")
    error = sg.mean((predicted - observed) ** 2)
    f = sg.compile((error, sg.grad(error, predicted)))
    value, slope = f(predicted=np.array([0.0, 1, 2]), observed=np.array([1.0, 1, 4]))
    return float(value), slope


def linear_system() -> Array:
    """Return A x for x = (1, 1, 1), a solution of x + y + z = 3, x - y + 2z = 2, 2x + 3z = 5.

    A is singular (the third equation is the sum of the others), so there are others.
    """
    a, x = sg.Placeholder("A", (3, 3), "float64"), sg.Placeholder("x", (3,), "float64")
    left: Array = sg.compile(a @ x)(A=np.array([[1.0, 1, 1], [1, -1, 2], [2, 0, 3]]), x=np.ones(3))
    return left


def main() -> None:
    """Print the results."""
    print(f"P(A|B) = {bayes():.2f}")
    value, slope = mean_squared_error()
    print(f"mean squared error {value:.10f}, slopes {slope.round(10) + 0.0}")
    print(f"A (1, 1, 1) = {linear_system()}")


if __name__ == "__main__":
    main()
