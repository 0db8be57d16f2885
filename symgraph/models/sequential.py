"""Layers and functions in a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symgraph.errors import GraphError
from symgraph.layers.base import Layer
from symgraph.location import user_location
from symgraph.models.base import Model
from symgraph.node import Node, Operand

Step = Layer | Callable[[Any], Any]


class Sequential(Model):
    """Applies layers and functions one after the other.

    The layers are the attributes l0, l1, ..., counted without the functions between them: a model
    keeps the names of its parameters when an activation is put in or taken out.

    Args:
        steps: layers, and functions from node to node such as `sg.relu`, or one list of them.
        name: begins the names of the parameters.

    Raises:
        GraphError: there are no steps, or one cannot be called.

    Example:
        >>> model = Sequential(Linear(32), relu, Linear(10))
        >>> model(Placeholder("x", shape=("N", 64), dtype="float32"))
        <linear: float32[N, 10]>
        >>> list(model.named_parameters())
        ['l0/W', 'l0/b', 'l1/W', 'l1/b']
    """

    def __init__(self, *steps: Step | Sequence[Step], name: str | None = None) -> None:
        """Name the layers."""
        only = steps[0] if len(steps) == 1 else steps
        checked = _checked(only if isinstance(only, list | tuple) else steps)
        self.name = name
        layers: list[Layer] = []
        for step in checked:
            if isinstance(step, Layer) and not any(step is layer for layer in layers):
                setattr(self, f"l{len(layers)}", step)
                layers.append(step)
        self.steps = checked

    def forward(self, x: Operand) -> Any:
        """Build the last step's output from the first one's input."""
        for step in self.steps:
            x = step(x)
        return x


def _checked(steps: Sequence[Any]) -> tuple[Step, ...]:
    if not steps:
        raise GraphError(f"a Sequential needs at least one step\n  at {user_location()}")
    for step in steps:
        if not callable(step) or isinstance(step, type | Node):
            raise GraphError(
                f"a step is a layer or a function, not {step!r}\n  at {user_location()}"
                + (f"\n  write {step.__name__}(...)" if isinstance(step, type) else "")
            )
    return tuple(steps)
