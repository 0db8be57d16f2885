"""Dropout: a new mask at every call while training, and nothing at all in use.

python examples/dropout.py

Training and use are two graphs of one model. Which of them is built is the mode's affair.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg

Array = np.ndarray[Any, Any]


def both_modes() -> tuple[sg.Function, sg.Function]:
    """Compile dropout for training, with a ratio that each call gives, and for use."""
    x = sg.Placeholder("x", shape=("N",), dtype="float64")
    ratio = sg.Placeholder("ratio", shape=(), dtype="float64")
    training = sg.compile(sg.nn.dropout(x, ratio, seed=0))
    with sg.test_mode():
        in_use = sg.compile(sg.nn.dropout(x, 0.5))
    return training, in_use


def averages(calls: int) -> tuple[float, float]:
    """Return for two ratios the mean of what training gives for ones; it should be 1.

    What is kept is divided by its share, so that nothing needs to be scaled in use.
    """
    training, _ = both_modes()
    ones = np.ones(1000)
    means = [
        float(np.mean([training(x=ones, ratio=ratio).mean() for _ in range(calls)]))
        for ratio in (0.5, 0.25)
    ]
    return means[0], means[1]


def main() -> None:
    """Print what dropout makes of ones in both modes."""
    training, in_use = both_modes()
    for _ in range(2):
        print(f"training, ratio 0.5: {training(x=np.ones(8), ratio=0.5)}")
    print(f"training, ratio 0.2: {training(x=np.ones(8), ratio=0.2)}")
    print(f"in use:              {in_use(x=np.ones(8))}")
    print(f"compilations: {training.compile_count}")
    print("means of 100 calls: {:.2f} and {:.2f}".format(*averages(100)))


if __name__ == "__main__":
    main()
