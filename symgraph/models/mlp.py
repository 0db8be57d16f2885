"""Multi-layer perceptrons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symgraph.errors import GraphError
from symgraph.layers.initial import Seed, part_of
from symgraph.layers.linear import Linear
from symgraph.location import user_location
from symgraph.models.sequential import Sequential, Step
from symgraph.ops.activation import sigmoid


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
        >>> sum(parameter.size for parameter in model.parameters())
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
            own = part_of(seed, number)
            inputs = in_size if number == 0 else sizes[number - 1]
            steps.append(Linear(size, inputs, bias, dtype, own))
        super().__init__(*steps, name=name)
