"""Recurrent layers: one step, compiled once, that runs over sequences of any length."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from symgraph.dims import Extent
from symgraph.errors import ShapeError
from symgraph.layers.initial import Fans, Initialiser, Seed, lecun_normal
from symgraph.layers.weighted import InputSize, Weighted, size_checked, zeros
from symgraph.leaves import Parameter, State, lift
from symgraph.location import user_location
from symgraph.node import Node, Operand, describe
from symgraph.ops.activation import sigmoid
from symgraph.ops.filled import zeros as zero_array
from symgraph.ops.identity import stop_gradient
from symgraph.ops.linalg import linear, matmul
from symgraph.ops.loops import scan
from symgraph.ops.state import track_once
from symgraph.ops.transcendental import tanh

Nodes = tuple[Node, ...]


class Recurrent(Weighted):
    """What recurrent layers share.

    Wx (inputs, gates * hidden) and Wh (hidden, gates * hidden) start as normal numbers times
    sqrt(1 / rows), b (gates * hidden,) as zeros. The gates lie side by side, in the order that the
    class names: one product serves all of them.

    Args:
        hidden: extent of the last axis of the state and of the output.
        in_size: extent of the input's last axis; None to take it from the first node that the layer
            is called on.
        dtype: float32 or float64.
        seed: as for `Linear`.
        initial: draws Wx and Wh.
        checkpoint: keep less of each step for the gradient, and compute more; see `scan`.
        name: begins the parameters' names; a layer inside another is named by its attribute.

    Raises:
        GraphError: a size is no positive int, or the seed is none.
        DTypeError: the dtype is no float.
    """

    made: ClassVar[tuple[str, ...]] = ("Wx", "Wh", "b")
    input_size = InputSize("in_size", -1, "inputs", "Wx", 2, 0)
    gates: ClassVar[int]
    """How many products of one size a step makes of its input."""
    state_names: ClassVar[tuple[str, ...]]
    """The arrays of the state, the output first."""
    Wx: Parameter
    Wh: Parameter
    b: Parameter

    def __init__(
        self,
        hidden: int,
        in_size: int | None = None,
        dtype: Any = "float32",
        seed: Seed = None,
        *,
        initial: Initialiser = lecun_normal,
        checkpoint: bool = False,
        name: str | None = None,
    ) -> None:
        """Check the arguments; parameters are made when one is asked for."""
        self.hidden = size_checked("hidden", hidden)
        self.in_size = None if in_size is None else size_checked("in_size", in_size)
        self.initial = initial
        self.checkpoint = bool(checkpoint)
        super().__init__(dtype, seed, name)

    def forward(self, xs: Operand) -> Node:
        """Build the outputs of all steps, beginning with a state of zeros.

        Args:
            xs: shape (steps, batch, inputs).

        Returns:
            A node of shape (steps, batch, hidden).

        Raises:
            ShapeError: `xs` has another rank, or other inputs than the weights.
        """
        return self.run(xs)[1]

    def run(
        self, xs: Operand, state: Nodes | None = None, reverse: bool = False
    ) -> tuple[Nodes, Node]:
        """Build the state after the last step, and the outputs of all steps.

        Args:
            xs: shape (steps, batch, inputs).
            state: the state before the first step; None for zeros.
            reverse: begin with the last row of `xs`.

        Returns:
            The state, one node of shape (batch, hidden) for each of `state_names`, and a node of
            shape (steps, batch, hidden).

        Raises:
            ShapeError: `xs` has another rank, or other inputs than the weights.
        """
        rows = self._rows(xs)
        start = self.zero_state(rows.shape[1]) if state is None else state

        def one_step(carry: Nodes, x: Node) -> tuple[Nodes, Node]:
            after = self.step(carry, x)
            return after, after[0]

        final, ys = scan(one_step, start, rows, reverse=reverse, checkpoint=self.checkpoint)
        return final, ys

    def step(self, state: Nodes, x: Operand) -> Nodes:
        """Build the state after one step.

        Args:
            state: nodes of shape (batch, hidden).
            x: shape (batch, inputs).

        Returns:
            Nodes of shape (batch, hidden), the output first.

        Raises:
            ShapeError: `x` has other inputs than the weights.
        """
        node = lift(x)
        self._take_size(node)
        return self._step(state, node)

    @abstractmethod
    def _step(self, state: Nodes, x: Node) -> Nodes:
        """Build the state after one step, for an input that fits."""

    def zero_state(self, batch: Extent | None) -> Nodes:
        """Return a state of zeros: nodes of shape (batch, hidden)."""
        if batch is None:
            raise ShapeError(
                f"{self!r} needs to know which axis the batch is\n  at {user_location()}\n"
                "  give that axis of the placeholder a name, such as 'N', or a number"
            )
        return tuple(zero_array((batch, self.hidden), dtype=self.dtype) for _ in self.state_names)

    def resume(self, xs: Operand) -> Node:
        """Build the outputs of steps that follow on those of the call before.

        The state stays with the layer, in `states`; gradients end where the call begins, which is
        truncated backpropagation through time (Williams and Peng, 1990).

        Args:
            xs: shape (steps, batch, inputs), with a batch that is a number.

        Returns:
            A node of shape (steps, batch, hidden). A function that computes it changes the state.

        Raises:
            ShapeError: `xs` has another rank, other inputs than the weights, or another batch than
                before.

        Example:
            >>> layer = RNN(8, seed=0)
            >>> xs = Placeholder("xs", ("T", 2, 3), "float32")
            >>> f = compile(layer.resume(xs))
            >>> f(xs=np.ones((5, 2, 3), "float32")).shape
            (5, 2, 8)
        """
        rows = self._rows(xs)
        states = self._states(rows)
        final, ys = self.run(rows, tuple(map(stop_gradient, states)))
        return track_once(ys, dict(zip(states, final, strict=True)))

    def reset_state(self) -> None:
        """Begin again with zeros, in functions that are compiled already too."""
        for name in self.state_names:
            state = vars(self).get(name)
            if isinstance(state, State):
                state.value = np.zeros(state.shape, self.dtype)

    def _states(self, rows: Node) -> tuple[State, ...]:
        batch = rows.shape[1]
        if not isinstance(batch, int):
            raise ShapeError(
                f"the state of {self!r} has as many rows as a batch, which is no number here: "
                f"{describe(rows)}\n  at {user_location()}\n"
                "  give axis 1 of the placeholder a number"
            )
        for name in self.state_names:
            state = vars(self).get(name)
            if state is None:
                setattr(self, name, self._state(name, np.zeros((batch, self.hidden))))
            elif state.shape[0] != batch:
                raise ShapeError(
                    f"the state of {self!r} is for a batch of {state.shape[0]}, not of {batch}: "
                    f"{describe(rows)}\n  at {user_location()}"
                )
        return tuple(vars(self)[name] for name in self.state_names)

    def _rows(self, xs: Operand) -> Node:
        node = lift(xs)
        if node.type.shape is None or node.type.rank != 3:
            raise ShapeError(
                f"{self!r} takes sequences of shape (steps, batch, inputs), not {describe(node)}\n"
                f"  at {user_location()}"
            )
        self._take_size(node)
        return node

    def _make(self) -> None:
        inputs, wide = self._known_size(), self.gates * self.hidden
        self.Wx = self._parameter("Wx", (inputs, wide), self.initial, Fans(inputs, wide))
        self.Wh = self._parameter("Wh", (self.hidden, wide), self.initial, Fans(self.hidden, wide))
        self.b = self._parameter("b", (wide,), zeros)

    def _gate(self, sums: Node, which: int) -> Node:
        return sums[:, which * self.hidden : (which + 1) * self.hidden]


class RNN(Recurrent):
    """Carries h = tanh(x @ Wx + h @ Wh + b) (Elman, "Finding Structure in Time", 1990).

    Takes what `Recurrent` takes.

    Example:
        >>> RNN(100, in_size=1).Wh
        <parameter 'Wh': float32[100, 100]>
    """

    gates = 1
    state_names = ("h",)

    def _step(self, state: Nodes, x: Node) -> Nodes:
        (h,) = state
        return (tanh(linear(x, self.Wx, self.b) + matmul(h, self.Wh)),)


class LSTM(Recurrent):
    """Carries h and c behind gates (Hochreiter and Schmidhuber, 1997; Gers et al., 2000).

    With f, i, o, u the four parts of x @ Wx + h @ Wh + b, in this order:
    c = sigmoid(f) * c + sigmoid(i) * tanh(u), and h = sigmoid(o) * tanh(c). Takes what `Recurrent`
    takes.

    Example:
        >>> sum(parameter.size for parameter in LSTM(100, in_size=1).parameters())
        40800
    """

    gates = 4
    state_names = ("h", "c")

    def _step(self, state: Nodes, x: Node) -> Nodes:
        h, c = state
        sums = linear(x, self.Wx, self.b) + matmul(h, self.Wh)
        forget, write, read = (sigmoid(self._gate(sums, which)) for which in range(3))
        c = forget * c + write * tanh(self._gate(sums, 3))
        return read * tanh(c), c


class GRU(Recurrent):
    """Carries h behind two gates (Cho et al., 2014), the reset gate behind the product.

    With r, z, n the three parts of x @ Wx + b and of h @ Wh, in this order: r and z are sigmoids of
    the sums, n = tanh(x_n + r * (h_n + bn)), and h = (1 - z) * n + z * h. Takes what `Recurrent`
    takes; `bn` (hidden,) starts as zeros.

    Example:
        >>> [parameter.name for parameter in GRU(8, in_size=3).parameters()]
        ['Wx', 'Wh', 'b', 'bn']
    """

    made = ("Wx", "Wh", "b", "bn")
    gates = 3
    state_names = ("h",)
    bn: Parameter

    def _make(self) -> None:
        super()._make()
        self.bn = self._parameter("bn", (self.hidden,), zeros)

    def _step(self, state: Nodes, x: Node) -> Nodes:
        (h,) = state
        given, carried = linear(x, self.Wx, self.b), matmul(h, self.Wh)
        reset, keep = (
            sigmoid(self._gate(given, which) + self._gate(carried, which)) for which in range(2)
        )
        new = tanh(self._gate(given, 2) + reset * (self._gate(carried, 2) + self.bn))
        return ((1 - keep) * new + keep * h,)
