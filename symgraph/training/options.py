"""The options of `fit`, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from symgraph.errors import DataError, GraphError
from symgraph.location import user_location
from symgraph.serialise.archive import PathLike
from symgraph.training.callbacks import Callback
from symgraph.training.checks import option_checked, positive_int, seed_checked
from symgraph.training.names import called


class FitOptions(TypedDict, total=False):
    """What `fit` takes by name.

    Args:
        epochs: how often to go through the data; 1 by default.
        batch_size: rows in a step, 32 by default; the last step of an epoch has what is left.
        validation_data: a pair of inputs and targets, a `Dataset` or a loader, to measure after
            each epoch.
        validation_split: instead of them, a share of the rows, between 0 and 1: the last ones,
            before any shuffling, are not trained on but measured after each epoch.
        callbacks: what happens between epochs, such as `EarlyStopping`.
        shuffle: whether each epoch has an order of its own; True by default.
        seed: what orders are drawn from, together with the number of the epoch; 0 by default.
        verbose: 0 shows nothing, 1, the default, a bar for each epoch, 2 a line for each epoch.
        terminate_on_nan: raise, before anything is changed, where a number would not be finite.
        resume: True to go on with the run that was interrupted, or the path of a checkpoint to go
            on from, if the file is there. The run ends when it has had `epochs` epochs in all; the
            result is the same, bit for bit, as if it had never stopped, provided that the program
            is the same. (A loader must draw its order from a seed.)
    """

    epochs: int
    batch_size: int
    validation_data: Any
    validation_split: float
    callbacks: Iterable[Callback]
    shuffle: bool
    seed: int
    verbose: int
    terminate_on_nan: bool
    resume: bool | PathLike


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of one call of `fit`; see `FitOptions`."""

    epochs: int
    batch_size: int
    validation_data: tuple[Any, Any] | None
    validation_split: float | None
    callbacks: tuple[Callback, ...]
    shuffle: bool
    seed: int
    verbose: int
    terminate_on_nan: bool
    resume: bool | PathLike


def settings_of(options: Mapping[str, Any]) -> Settings:
    """Check options, and fill in what is not given.

    Raises:
        GraphError: there is no such option, or one makes no sense.
        DataError: the validation data are no pair.
    """
    known = FitOptions.__annotations__
    for name in options:
        called("option of fit", name, known)
    if options.get("validation_data") is not None and options.get("validation_split") is not None:
        raise GraphError(
            "validation_data and validation_split both say what to measure on; give one of them\n"
            f"  at {user_location()}"
        )
    return Settings(
        positive_int("epochs", options.get("epochs", 1)),
        positive_int("batch_size", options.get("batch_size", 32)),
        _pair(options.get("validation_data")),
        _share(options.get("validation_split")),
        _checked_callbacks(options.get("callbacks", ())),
        bool(options.get("shuffle", True)),
        seed_checked(options.get("seed", 0)),
        option_checked("verbose", options.get("verbose", 1), (0, 1, 2)),
        bool(options.get("terminate_on_nan", False)),
        options.get("resume", False),
    )


def _checked_callbacks(given: Iterable[Callback]) -> tuple[Callback, ...]:
    found = (given,) if isinstance(given, Callback) else tuple(given)
    for entry in found:
        if not isinstance(entry, Callback):
            raise GraphError(
                f"a callback is an object of a subclass of Callback, not {entry!r}\n"
                f"  at {user_location()}"
            )
    return found


def _share(given: Any) -> float | None:
    if given is None:
        return None
    plain = isinstance(given, float | np.floating)
    if not plain or not 0 < given < 1:
        raise GraphError(
            "validation_split is a share of the rows, a float between 0 and 1, not "
            f"{given!r}\n  at {user_location()}"
        )
    return float(given)


def _pair(validation: Any) -> tuple[Any, Any] | None:
    """Return inputs and targets of validation data; a data set or a loader has both."""
    if validation is None:
        return None
    if isinstance(validation, tuple | list):
        if len(validation) != 2:
            raise DataError(
                f"validation_data is a pair of inputs and targets, not {len(validation)} things\n"
                f"  at {user_location()}"
            )
        return validation[0], validation[1]
    return validation, None
