"""From scores to probabilities to a loss: softmax and cross-entropy, on four points.

python examples/softmax.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg

Array = np.ndarray[Any, Any]
POINTS = np.array([[0.2, -0.4], [0.3, 0.5], [1.3, -3.2], [2.1, 0.3]])
LABELS = np.array([2, 0, 1, 0])


def classify() -> dict[str, Array]:
    """Return what an untrained network for three classes makes of the points."""
    x = sg.Placeholder("x", shape=("N", 2), dtype="float64")
    t = sg.Placeholder("t", shape=("N",), dtype="int64")
    model = sg.models.MLP((10, 3), dtype="float64", seed=np.random.RandomState(0))
    scores = model(x)
    loss = sg.nn.softmax_cross_entropy(scores, t)
    outputs = {
        "scores": scores,
        "probabilities": sg.softmax(scores, axis=1),
        "loss": loss,
        "gradient by the scores": sg.grad(loss, scores),
    }
    results: dict[str, Array] = sg.compile(outputs)(x=POINTS, t=LABELS)
    return results


def extreme() -> tuple[Array, Array]:
    """Return softmax and its logarithm of (1000, 0), also as e^x / sum e^x is written plainly.

    The compiler rewrites the plain form, in which e^1000 would overflow.
    """
    x = sg.Placeholder("x", shape=("N", 2), dtype="float64")
    plain = sg.exp(x) / sg.sum(sg.exp(x), axis=1, keepdims=True)
    probabilities, logarithms = sg.compile([plain, sg.log_softmax(x, axis=1)])(x=[[1000.0, 0.0]])
    return probabilities, logarithms


def main() -> None:
    """Print scores, probabilities, loss and gradient."""
    for name, value in classify().items():
        print(f"{name}:\n{value.round(8)}")
    probabilities, logarithms = extreme()
    print(f"of the scores (1000, 0): {probabilities}, logarithms {logarithms}")


if __name__ == "__main__":
    main()
