"""Arrays of any shape: element by element, reshaped, summed, broadcast and multiplied.

python examples/tensors.py

Each entry prints what the expression gives, and the gradient of its sum by the array x.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg

Array = np.ndarray[Any, Any]
X = np.array([[1.0, 2, 3], [4, 5, 6]])
ROW, COLUMN = np.array([[10.0, 20, 30]]), np.array([[1.0], [2]])


def expressions(x: sg.Node) -> dict[str, Any]:
    """Return what may be written with x (2, 3), as NumPy has it: all of these are nodes."""
    return {
        "x + x": x + x,
        "np.sin(x)": np.sin(x),
        "x.reshape(6)": x.reshape(6),
        "x.reshape(3, -1)": x.reshape(3, -1),
        "x.T": x.T,
        "x.sum()": x.sum(),
        "x.sum(axis=0)": x.sum(axis=0),
        "x.sum(axis=1, keepdims=True)": x.sum(axis=1, keepdims=True),
        "x.mean(axis=1)": x.mean(axis=1),
        "x + 10": x + 10,
        "x * row": x * ROW,
        "x * column": x * COLUMN,
        "np.broadcast_to(x[0], (2, 3))": np.broadcast_to(x[0], (2, 3)),
        "x[1]": x[1],
        "x[[0, 0, 1]]": x[[0, 0, 1]],
        "x[:, ::-1]": x[:, ::-1],
        "np.concatenate([x, x])": np.concatenate([x, x]),
        "np.where(x > 3.5, x, 0)": np.where(x > 3.5, x, 0),
        "x @ x.T": x @ x.T,
    }


def results() -> dict[str, tuple[Array, Array]]:
    """Return each value and its gradient, all from one function."""
    x = sg.Placeholder("x", shape=(2, 3), dtype="float64")
    outputs = {text: (y, sg.grad(y.sum(), x)) for text, y in expressions(x).items()}
    found: dict[str, tuple[Array, Array]] = sg.compile(outputs)(x=X)
    return found


def gradient_shapes() -> dict[str, str]:
    """Return the shapes of gradients by the smaller operand of a broadcast, and of a product."""
    a = sg.Placeholder("a", shape=(2, 3), dtype="float64")
    row = sg.Placeholder("row", shape=(3,), dtype="float64")
    w = sg.Placeholder("w", shape=(3, 4), dtype="float64")
    gradients = {
        "of (a + row).sum() by row": sg.grad((a + row).sum(), row),
        "of (a @ w).sum() by a": sg.grad((a @ w).sum(), a),
        "of (a @ w).sum() by w": sg.grad((a @ w).sum(), w),
    }
    return {text: str(gradient.shape) for text, gradient in gradients.items()}


def flat(array: Array) -> str:
    """Return an array on one line."""
    return np.array2string(array, precision=3, suppress_small=True).replace("\n", "")


def main() -> None:
    """Print values and gradients."""
    for text, (value, gradient) in results().items():
        print(f"{text:30} {flat(value)}\n{'':22}gradient {flat(gradient)}")
    for text, shape in gradient_shapes().items():
        print(f"gradient {text}: shape {shape}")


if __name__ == "__main__":
    main()
