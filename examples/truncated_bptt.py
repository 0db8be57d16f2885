"""A recurrent network on a stream: state is carried between calls, gradients end at each call.

python examples/truncated_bptt.py

h = tanh(x Wx + h Wh). Over one long sequence gradients flow back to its beginning. Cut in pieces,
with h kept in a `State` that each call reads and updates, the values are the same, and the
gradients are those of each piece: truncated backpropagation through time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg

Array = np.ndarray[Any, Any]


def network() -> tuple[sg.Parameter, sg.Parameter, sg.Placeholder]:
    """Return the weights of a network with two hidden values, and its input of any length."""
    wx, wh = sg.Parameter(np.full((1, 2), 0.5), "Wx"), sg.Parameter(np.full((2, 2), 0.25), "Wh")
    return wx, wh, sg.Placeholder("x", shape=("T", 1), dtype="float64")


def unrolled(wx: sg.Node, wh: sg.Node, start: sg.Node, x: sg.Node) -> sg.Node:
    """Return h (1, 2) after all rows of x: one loop, whatever their number."""

    def step(h: sg.Node, row: sg.Node) -> tuple[sg.Node, None]:
        return sg.tanh(row[None] @ wx + h @ wh), None

    h, _ = sg.scan(step, start, x)
    result: sg.Node = h
    return result


def whole(x: Array) -> list[Array]:
    """Return h after a sequence, and the gradients of its sum by both weights."""
    wx, wh, inputs = network()
    h = unrolled(wx, wh, sg.Constant(np.zeros((1, 2))), inputs)
    results: list[Array] = sg.compile([h, *sg.grad(h.sum(), [wx, wh])])(x=x)
    return results


def in_pieces(*pieces: Array) -> list[Array]:
    """Return the same after the last of several pieces, of any lengths."""
    wx, wh, inputs = network()
    state = sg.State(np.zeros((1, 2)), "h")
    h = unrolled(wx, wh, state, inputs)
    step = sg.compile([h, *sg.grad(h.sum(), [wx, wh])], updates={state: h})
    results: list[Array] = [step(x=piece) for piece in pieces][-1]
    return results


def main() -> None:
    """Print both for the sequence 1, 2."""
    x = np.array([[1.0], [2.0]])
    for name, (h, by_wx, by_wh) in (("whole", whole(x)), ("in pieces", in_pieces(x[:1], x[1:]))):
        print(f"{name:10} h {h[0].round(8)}, by Wx {by_wx[0].round(8)}, by Wh {by_wh[0].round(8)}")


if __name__ == "__main__":
    main()
