"""Modes: whether graphs are built for training or for use.

    >>> with test_mode():
    ...     predictions = model(x)

A mode counts while a graph is built. A model that is called in both modes gives two graphs, which
share their parameters and states; what is compiled from either stays as it is. Threads and
asynchronous tasks have modes of their own, and leaving a block restores the mode, also by an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from symgraph.errors import GraphError
from symgraph.location import user_location

_TRAIN = ContextVar("train", default=True)
_SETTINGS = {"train": _TRAIN}


def is_training() -> bool:
    """Tell whether graphs are built for training, as they are outside of all blocks.

    Example:
        >>> with test_mode():
        ...     is_training()
        False
    """
    return _TRAIN.get()


def using_config(name: str, value: bool) -> AbstractContextManager[None]:
    """Give a setting another value inside a block.

    Args:
        name: "train".
        value: True or False.

    Raises:
        GraphError: there is no such setting, or the value is no bool.

    Example:
        >>> with using_config("train", False):
        ...     is_training()
        False
    """
    if name not in _SETTINGS:
        raise GraphError(
            f"there is no setting {name!r}, only {', '.join(_SETTINGS)}\n  at {user_location()}"
        )
    if not isinstance(value, bool):
        raise GraphError(f"{name} is a bool, not {value!r}\n  at {user_location()}")
    return _set(_SETTINGS[name], value)


@contextmanager
def _set(setting: ContextVar[bool], value: bool) -> Iterator[None]:
    token = setting.set(value)
    try:
        yield
    finally:
        setting.reset(token)


@contextmanager
def train_mode() -> Iterator[None]:
    """Build for training inside the block: dropout drops, batch normalisation takes batches.

    Example:
        >>> with train_mode():
        ...     is_training()
        True
    """
    with using_config("train", True):
        yield


@contextmanager
def test_mode() -> Iterator[None]:
    """Build for use inside the block: dropout does nothing, batch normalisation uses averages.

    Example:
        >>> with test_mode():
        ...     is_training()
        False
    """
    with using_config("train", False):
        yield


# Test runners would take it for a test where it is imported by name.
test_mode.__dict__["__test__"] = False
