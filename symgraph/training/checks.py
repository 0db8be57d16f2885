"""What `Trainer` and `fit` are given, checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypedDict

import numpy as np

from symgraph import optim
from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.layers.base import Layer
from symgraph.layers.embedding import Embedding
from symgraph.layers.linear import Linear
from symgraph.leaves import Placeholder
from symgraph.location import user_location
from symgraph.node import Node, describe
from symgraph.optim.base import Optimizer
from symgraph.placement import Precision, Results, placement_of
from symgraph.training.names import called

OPTIMIZERS: dict[str, type[Optimizer]] = {
    name.lower(): value
    for name in optim.__all__
    for value in [getattr(optim, name)]
    if isinstance(value, type) and issubclass(value, Optimizer) and value is not Optimizer
}


class CompileOptions(TypedDict):
    """What all functions of a model are compiled with."""

    threads: int | None
    device: str
    precision: Precision
    results: Results


def compile_options(threads: int | None, device: str, precision: Precision) -> CompileOptions:
    """Return the options of `compile` by which a model is trained.

    Raises:
        DeviceError: the device is not there, or cannot be used.
        GraphError: the precision is none, or makes no sense there.
    """
    name, precision, _ = placement_of(device, precision, "numpy")
    results: Results = "numpy"
    if name != "cpu":
        from symgraph.runtime.cuda.device import open_device

        open_device(name)
        results = "device"
    return {"threads": threads, "device": name, "precision": precision, "results": results}


def chosen_optimizer(given: str | Optimizer) -> Optimizer:
    """Return an optimiser, or the one of a name with its default arguments.

    Raises:
        GraphError: there is none of that name, or it is something else.
    """
    if isinstance(given, str):
        kind: Any = called("optimizer", given, OPTIMIZERS)
        made: Optimizer = kind()
        return made
    if not isinstance(given, Optimizer):
        raise GraphError(
            f"an optimizer is a name or one of sg.optim, such as sg.optim.Adam(1e-3), not "
            f"{given!r}\n  at {user_location()}"
        )
    return given


def input_placeholder(shape: tuple[int, ...], model: Layer) -> Placeholder:
    """Return the placeholder for rows of a shape, in the dtype that a model takes."""
    return Placeholder("x", ("N", *shape), _input_dtype(model))


def chosen_input(given: Any, model: Layer) -> Placeholder | None:
    """Return the placeholder of a model's input, None if nobody said what it is.

    Args:
        given: a placeholder, the shape of a row, or None.
        model: may know its own input size.

    Raises:
        GraphError: it is neither a placeholder nor a shape.
        ShapeError: the placeholder has no axis for rows, or that axis has a fixed extent.
        DTypeError: its dtype is open.
    """
    if given is None:
        first = _first_layer(model)
        known = first.in_size if isinstance(first, Linear) else None
        return None if known is None else input_placeholder((known,), model)
    if isinstance(given, Placeholder):
        return _checked_placeholder(given)
    whole = isinstance(given, tuple | list) and all(map(_is_extent, given))
    if not whole or isinstance(given, Node):
        raise GraphError(
            f"inputs is a placeholder or the shape of a row, such as (784,), not {given!r}\n"
            f"  at {user_location()}"
        )
    return input_placeholder(tuple(given), model)


def _checked_placeholder(given: Placeholder) -> Placeholder:
    if given.type.shape is None or given.type.rank == 0 or isinstance(given.shape[0], int):
        raise ShapeError(
            f"the first axis of an input is that of the rows and has a name, as in ('N', 784): "
            f"{describe(given)}\n  at {user_location()}"
        )
    if given.type.dtype is None:
        raise DTypeError(f"an input needs a dtype: {describe(given)}\n  at {user_location()}")
    return given


def _is_extent(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return False
    return int(value) >= 0


def _input_dtype(model: Layer) -> str:
    """Return the dtype that a model takes: ids for an embedding, else that of its weights."""
    if isinstance(_first_layer(model), Embedding):
        return "int64"
    kinds = (getattr(layer, "dtype", None) for layer in _layers(model))
    return next((kind for kind in kinds if isinstance(kind, str)), "float32")


def _first_layer(model: Layer) -> Layer | None:
    """Return the layer that a model in a row calls first, None if that cannot be said."""
    first: Any = model
    while hasattr(first, "steps") and first.steps:
        first = first.steps[0]
    return first if isinstance(first, Layer) else None


def _layers(model: Layer) -> Iterator[Layer]:
    """Return a model and all layers in its attributes, also in lists of them."""
    stack: list[Any] = [model]
    seen: set[int] = set()
    while stack:
        value = stack.pop()
        if isinstance(value, Layer) and id(value) not in seen:
            seen.add(id(value))
            yield value
            stack.extend(reversed(list(vars(value).values())))
        elif isinstance(value, list | tuple):
            stack.extend(reversed(value))


def option_checked(what: str, value: Any, known: tuple[int, ...]) -> int:
    """Return an option that is one of a few ints; True and False are 1 and 0.

    Raises:
        GraphError: it is something else.
    """
    if not isinstance(value, int) or int(value) not in known:
        raise GraphError(
            f"{what} is one of {', '.join(map(str, known))}, not {value!r}\n  at {user_location()}"
        )
    return int(value)


def positive_int(what: str, value: object) -> int:
    """Return a count as an int.

    Raises:
        GraphError: it is no positive int.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value > 0:
        return int(value)
    raise GraphError(f"{what} is a positive int, not {value!r}\n  at {user_location()}")


def seed_checked(value: object) -> int:
    """Return a seed as an int.

    Raises:
        GraphError: it is no non-negative int.
    """
    if isinstance(value, int | np.integer) and _is_extent(value):
        return int(value)
    raise GraphError(f"a seed is a non-negative int, not {value!r}\n  at {user_location()}")
