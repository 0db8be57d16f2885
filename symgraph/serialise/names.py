"""From what users save to parameters by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from symgraph.errors import CheckpointError
from symgraph.leaves import Parameter
from symgraph.location import user_location
from symgraph.residence import overwrite_together
from symgraph.serialise.archive import Array
from symgraph.shared_lock import run_alone, run_shared


def named_parameters_of(savable: Any) -> dict[str, Parameter]:
    """Return everything in `savable` that has a value, under the names that it has in a file.

    Args:
        savable: a layer or model (its parameters and states), an optimiser (its states), or a
            mapping of names to parameters, layers, optimisers or further mappings, whose names are
            joined with slashes.

    Raises:
        CheckpointError: it holds something else, or two things have one name.
        ShapeError: a layer does not know its input size yet.
    """
    found: dict[str, Parameter] = {}
    _collect(savable, "", found)
    return found


def _collect(savable: Any, path: str, found: dict[str, Parameter]) -> None:
    if isinstance(savable, Parameter) and path:
        if path in found:
            raise CheckpointError(f"two arrays are called {path!r}\n  at {user_location()}")
        found[path] = savable
        return
    for name, part in _parts(savable, path).items():
        if not isinstance(name, str):
            raise CheckpointError(f"a name is a str, not {name!r}\n  at {user_location()}")
        _collect(part, f"{path}/{name}" if path else name, found)


def _parts(savable: Any, path: str) -> Mapping[str, Any]:
    """Return what an object is made of, by name."""
    if isinstance(savable, Mapping):
        return savable
    if hasattr(savable, "named_parameters") and hasattr(savable, "named_states"):
        return {**savable.named_parameters(), **savable.named_states()}
    if hasattr(savable, "updates_from") and hasattr(savable, "states"):
        states: Mapping[str, Any] = savable.states()
        return states
    place = f" under {path!r}" if path else ""
    hint = "; give it a name: {'w': w}" if isinstance(savable, Parameter) else ""
    raise CheckpointError(
        "what is saved is a layer, a model, an optimiser, or a dict of them or of parameters, not "
        f"{savable!r}{place}{hint}\n  at {user_location()}"
    )


@contextmanager
def sizes_learned(savable: Any, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[None]:
    """Tell layers that do not know their input sizes yet what the shapes of arrays say.

    Args:
        savable: as for `named_parameters_of`.
        shapes: those of the arrays in a file, by name.

    Raises:
        Exception: what the block raises; then all that was learned is forgotten.
    """
    undone: list[Callable[[], None]] = []
    try:
        _learn(savable, "", shapes, undone)
        yield
    except BaseException:
        for undo in undone:
            undo()
        raise


def _learn(
    savable: Any,
    path: str,
    shapes: Mapping[str, tuple[int, ...]],
    undone: list[Callable[[], None]],
) -> None:
    if isinstance(savable, Mapping):
        for name, part in savable.items():
            _learn(part, f"{path}{name}/", shapes, undone)
    elif hasattr(savable, "learn_sizes"):
        own = {k.removeprefix(path): shapes[k] for k in shapes if k.startswith(path)}
        undone.append(savable.learn_sizes(own))


def values_of(parameters: Mapping[str, Parameter]) -> dict[str, Array]:
    """Return copies of all values, taken together: no update comes between them.

    Raises:
        DeviceError: one is on a device that cannot be read.
    """
    locks = sorted({parameter.lock for parameter in parameters.values()}, key=id)
    copies = run_shared(locks, lambda: [each.storage.copy() for each in parameters.values()])
    return dict(zip(parameters, copies, strict=True))


def assign_together(values: Mapping[Parameter, Array]) -> None:
    """Overwrite parameters in one go: neither another thread nor Ctrl-C comes between.

    A parameter that has no memory yet gets some without drawing its initial numbers.

    Args:
        values: arrays of the parameters' own shapes and dtypes.
    """
    locks = sorted((parameter.lock for parameter in values), key=id)
    own = {parameter.residence: array for parameter, array in values.items()}
    run_alone(locks, overwrite_together, own)
