"""Models: layers put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symgraph.errors import GraphError
from symgraph.layers.base import Layer
from symgraph.layers.initial import Seed, generator
from symgraph.layers.linear import Linear
from symgraph.location import user_location
from symgraph.node import Node, Operand
from symgraph.ops.activation import sigmoid

Step = Layer | Callable[[Any], Any]


class Sequential(Layer):
    """Applies layers and functions one after the other.

    The layers are the attributes l0, l1, ..., counted without the functions between them: a model
    keeps the names of its parameters when an activation is put in or taken out.

    Args:
        steps: layers, and functions from node to node such as `sg.relu`.
        name: begins the names of the parameters.

    Raises:
        GraphError: there are no steps, or one cannot be called.

    Example:
        >>> model = Sequential(Linear(32), relu, Linear(10))
        >>> model(Placeholder("x", shape=("N", 64), dtype="float32"))
        <linear: float32[N, 10]>
        >>> list(model.named_params())
        ['l0/W', 'l0/b', 'l1/W', 'l1/b']
    """

    def __init__(self, *steps: Step, name: str | None = None) -> None:
        """Name the layers."""
        if not steps:
            raise GraphError(f"a Sequential needs at least one step\n  at {user_location()}")
        self.name = name
        layers: list[Layer] = []
        for step in steps:
            if not callable(step) or isinstance(step, type | Node):
                raise GraphError(
                    f"a step is a layer or a function, not {step!r}\n  at {user_location()}"
                )
            if isinstance(step, Layer) and not any(step is layer for layer in layers):
                setattr(self, f"l{len(layers)}", step)
                layers.append(step)
        self.steps = steps

    def forward(self, x: Operand) -> Any:
        """Build the last step's output from the first one's input."""
        for step in self.steps:
            x = step(x)
        return x


class MLP(Sequential):
    """Fully connected layers l0, l1, ... with an activation after each but the last.

    Args:
        sizes: output size of each layer.
        activation: a function from node to node.
        in_size: extent of the input's last axis; None to take it from the first node that the model
            is called on.
        bias: whether the layers have offsets.
        dtype: float32 or float64, of the parameters.
        seed: an int, from which each layer gets numbers of its own; or as for `Linear`.
        name: begins the names of the parameters.

    Raises:
        GraphError: the sizes are no sequence of positive ints, or the activation is no function.

    Example:
        >>> model = MLP((32, 10), activation=relu, in_size=64, seed=0)
        >>> sum(parameter.size for parameter in model.params())
        2410
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Callable[[Any], Any] = sigmoid,
        *,
        in_size: int | None = None,
        bias: bool = True,
        dtype: Any = "float32",
        seed: Seed = None,
        name: str | None = None,
    ) -> None:
        """Make the layers."""
        if not isinstance(sizes, Sequence) or isinstance(sizes, str) or not sizes:
            raise GraphError(
                f"sizes are the layers' output sizes, such as (32, 10), not {sizes!r}\n"
                f"  at {user_location()}"
            )
        if not callable(activation):
            raise GraphError(
                f"the activation is a function, not {activation!r}\n  at {user_location()}"
            )
        steps: list[Step] = []
        for number, size in enumerate(sizes):
            if number:
                steps.append(activation)
            own = generator_of_layer(seed, number)
            inputs = in_size if number == 0 else sizes[number - 1]
            steps.append(Linear(size, inputs, bias, dtype, own))
        super().__init__(*steps, name=name)


def generator_of_layer(seed: Seed, number: int) -> Seed:
    """Return the generator of one layer of several that share a seed."""
    if isinstance(seed, int) and not isinstance(seed, bool):
        return generator(seed, number)
    return seed
