"""Where a compiled function runs, how exactly it multiplies, and where its results go."""

from __future__ import annotations

from typing import Literal, NamedTuple

from symgraph.errors import GraphError
from symgraph.location import user_location
from symgraph.residence import device_name

Precision = Literal["float32", "tf32", "bfloat16"]
Results = Literal["numpy", "device"]

_PRECISIONS = ("float32", "tf32", "bfloat16")
_RESULTS = ("numpy", "device")


class Placement(NamedTuple):
    """What `compile` was told about the device.

    Args:
        device: "cpu", or "cuda:0", "cuda:1", ...
        precision: how exactly float32 matrix products take their factors.
        results: whether a call returns NumPy arrays or arrays on the device.
    """

    device: str = "cpu"
    precision: Precision = "float32"
    results: Results = "numpy"


ON_CPU = Placement()


def placement_of(device: str, precision: Precision, results: Results) -> Placement:
    """Return the placement that a user has asked for, checked as far as no device is needed.

    Raises:
        DeviceError: there is no device of such a name.
        GraphError: another option is not one of those there are, or makes no sense on the CPU.
    """
    name = device_name(device)
    _check_choice("precision", precision, _PRECISIONS)
    _check_choice("results", results, _RESULTS)
    if name == "cpu" and precision != "float32":
        raise GraphError(
            f"precision={precision!r} is for device='cuda'; the CPU always multiplies with the "
            f"full precision of the dtype\n  at {user_location()}"
        )
    if name == "cpu" and results != "numpy":
        raise GraphError(
            f"results={results!r} is for device='cuda'; the results of a function on the CPU are "
            f"NumPy arrays\n  at {user_location()}"
        )
    return Placement(name, precision, results)


def _check_choice(name: str, given: object, choices: tuple[str, ...]) -> None:
    if given not in choices:
        listed = ", ".join(map(repr, choices[:-1]))
        raise GraphError(
            f"{name} is {listed} or {choices[-1]!r}, not {given!r}\n  at {user_location()}"
        )
