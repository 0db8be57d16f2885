"""The training problem of the LSTM case: the curve, its pieces and the initial parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

HIDDEN = 100
ROWS = 30
PIECE = 30
"""How many steps backpropagation goes back; the state is carried on behind them."""
RATE = 1e-3

Array = NDArray[np.float32]
_POINTS = 1000


def pieces() -> list[tuple[Array, Array]]:
    """Return an epoch: values of a noisy sine and the values after them, in pieces.

    Row i of a batch runs through part i of the curve. The numbers are those that `SinCurve` and
    `SeqDataLoader` of DeZero give after `np.random.seed(0)`.

    Returns:
        Pairs of arrays (steps, `ROWS`, 1): 30 steps, then the 4 that are left.
    """
    # The legacy generator, whose stream is what the recorded losses of this program belong to.
    noise = np.random.RandomState(0).uniform(-0.05, 0.05, _POINTS)
    curve = np.sin(np.linspace(0, 2 * np.pi, _POINTS)) + noise
    samples = _POINTS - 1
    steps = np.arange(-(-samples // ROWS))
    places = (steps[:, None] + np.arange(ROWS) * (samples // ROWS)) % samples
    x = curve[places][:, :, None].astype(np.float32)
    t = curve[places + 1][:, :, None].astype(np.float32)
    return [(x[:PIECE], t[:PIECE]), (x[PIECE:], t[PIECE:])]


def parameters() -> Mapping[str, Array]:
    """Return fresh copies of the initial weights and biases, by name.

    Returns:
        Of the LSTM `Wx` (1, 4 `HIDDEN`), `Wh` (`HIDDEN`, 4 `HIDDEN`) and `b` (4 `HIDDEN`,), with
        the gates side by side: forget, write, read, and what is written. Of the layer behind it
        `W` (`HIDDEN`, 1) and `c` (1,).
    """
    random = np.random.RandomState(0)
    random.uniform(-0.05, 0.05, _POINTS)  # The noise of the curve comes first.

    def weight(rows: int, columns: int) -> Array:
        values = random.randn(rows, columns) * np.sqrt(1 / rows)
        return np.asarray(values, np.float32)

    recurrent = np.concatenate([weight(HIDDEN, HIDDEN) for _ in range(4)], axis=1)
    given = np.concatenate([weight(1, HIDDEN) for _ in range(4)], axis=1)
    return {
        "Wx": given,
        "Wh": recurrent,
        "b": np.zeros(4 * HIDDEN, np.float32),
        "W": weight(HIDDEN, 1),
        "c": np.zeros(1, np.float32),
    }
