"""A fully connected layer with its activation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symgraph.errors import GraphError
from symgraph.layers.initial import Initialiser, Seed, lecun_normal
from symgraph.layers.linear import Linear
from symgraph.location import user_location
from symgraph.node import Node, Operand
from symgraph.ops.activation import gelu, leaky_relu, relu, sigmoid, softplus
from symgraph.ops.softmax import log_softmax, softmax
from symgraph.ops.transcendental import tanh

Activation = Callable[[Any], Node]

ACTIVATIONS: dict[str, Activation] = {
    "gelu": gelu,
    "leaky_relu": leaky_relu,
    "linear": lambda x: x,
    "log_softmax": lambda x: log_softmax(x, axis=-1),
    "relu": relu,
    "sigmoid": sigmoid,
    "softmax": lambda x: softmax(x, axis=-1),
    "softplus": softplus,
    "tanh": tanh,
}
"""The functions that an activation may be called by."""


class Dense(Linear):
    """Maps the last axis affinely and applies an activation: y = activation(x @ W + b).

    Args:
        out_size: extent of the output's last axis.
        activation: a function from node to node, or its name, such as "relu" or "softmax"; None for
            none.
        in_size: extent of the input's last axis; None to take it from the first node that the layer
            is called on.
        bias: whether there is a b.
        dtype: float32 or float64, of W and b.
        seed: as for `Linear`.
        initial: draws W; one of `symgraph.layers.initial`.
        name: begins the parameters' names; a layer inside another is named by its attribute.

    Raises:
        GraphError: there is no such activation, a size is no positive int, or the seed is none.
        DTypeError: the dtype is no float.

    Example:
        >>> layer = Dense(10, "softmax", in_size=512)
        >>> layer(Placeholder("x", ("N", 512), "float32"))
        <softmax: float32[N, 10]>
    """

    def __init__(
        self,
        out_size: int,
        activation: str | Activation | None = None,
        *,
        in_size: int | None = None,
        bias: bool = True,
        dtype: Any = "float32",
        seed: Seed = None,
        initial: Initialiser = lecun_normal,
        name: str | None = None,
    ) -> None:
        """Check the arguments; parameters are made when one is asked for."""
        self.activation = activation_called(activation)
        super().__init__(out_size, in_size, bias, dtype, seed, initial=initial, name=name)

    def forward(self, x: Operand) -> Node:
        """Build activation(x @ W + b); see `Linear`."""
        return self.activation(super().forward(x))


def activation_called(given: str | Activation | None) -> Activation:
    """Return the activation of a name; functions as they are; the identity for None.

    Raises:
        GraphError: there is none of that name, or it is no function.
    """
    if given is None:
        return ACTIVATIONS["linear"]
    if isinstance(given, str) and given in ACTIVATIONS:
        return ACTIVATIONS[given]
    if isinstance(given, str | Node) or not callable(given):
        raise GraphError(
            f"an activation is a function or one of {', '.join(ACTIVATIONS)}, not {given!r}\n"
            f"  at {user_location()}"
        )
    return given
