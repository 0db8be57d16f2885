"""Nodes are written like NumPy arrays: attributes, operators, and numbers and arrays beside them.

python examples/operators.py
"""

from __future__ import annotations

import numpy as np

import symgraph as sg


def attributes() -> list[str]:
    """Return what a node knows of itself before there is any data."""
    x = sg.Placeholder("x", shape=(2, 3), dtype="float64")
    return [
        repr(x),
        f"shape {x.shape}, ndim {x.ndim}, size {x.size}, len {len(x)}, dtype {x.dtype}",
        f"x.T {x.T.shape}, x.reshape(6) {x.reshape(6).shape}, x.sum(axis=0) {x.sum(axis=0).shape}",
    ]


def arithmetic() -> dict[str, float]:
    """Return what operators give for x = 2, also with a number or an array on the left."""
    x = sg.Placeholder("x", shape=(), dtype="float64")
    written = {
        "x + 3.0": x + 3.0,
        "3.0 * x + 1.0": 3.0 * x + 1.0,
        "array(3.0) + x": np.array(3.0) + x,
        "-x": -x,
        "2 - x": 2 - x,
        "x - 1": x - 1,
        "3 / x": 3 / x,
        "x ** 3": x**3,
        "d(x ** 3) / dx": sg.grad(x**3, x),
        "2 ** x": 2**x,
        "abs(-x)": abs(-x),
        "np.sqrt(x + 7)": np.sqrt(x + 7),
    }
    return {text: float(value) for text, value in sg.compile(written)(x=2.0).items()}


def dtypes() -> dict[str, str]:
    """Return the dtypes of some expressions: numbers adapt, arrays promote as in NumPy."""
    whole = sg.Placeholder("whole", shape=("N",), dtype="int32")
    single = sg.Placeholder("single", shape=("N",), dtype="float32")
    return {
        "float32 * 2.0": str((single * 2.0).dtype),
        "1 - float32": str((1 - single).dtype),
        "int32 + 1": str((whole + 1).dtype),
        "int32 / 2": str((whole / 2).dtype),
        "float32 + array of float64": str((single + np.ones(1)).dtype),
    }


def refusal() -> str:
    """Return the advice of the error when the truth of a node is asked for."""
    x = sg.Placeholder("x", shape=(), dtype="float64")
    try:
        return "positive" if x > 0 else "negative"
    except sg.GraphError as error:
        return str(error).splitlines()[-1].strip()


def main() -> None:
    """Print all of that."""
    print(*attributes(), sep="\n")
    for text, value in arithmetic().items():
        print(f"{text:16} {value:g}")
    for text, dtype in dtypes().items():
        print(f"{text:28} {dtype}")
    print(f"if x > 0: {refusal()}")


if __name__ == "__main__":
    main()
